//! The local run's own issuer of access tokens, in place of Cognito: signs them for whoever asks, and checks them for the
//! gateway. The key is made anew by each process, so that a token is good for the run that gave it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// The claim that names the caller's tenant.
pub const TENANT_CLAIM: &str = "custom:tenant_id";

const ISSUER: &str = "local";
const AUDIENCE: &str = "consent-dashboard";
const LIFE: Duration = Duration::from_hours(24);

/// Issues tokens and checks them.
#[derive(Clone)]
pub struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
}

/// What a token that holds says.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// All claims, by name.
    pub all: BTreeMap<String, Value>,
    /// The scopes it carries.
    pub scopes: Vec<String>,
}

/// The bearer may not pass.
#[derive(Debug, thiserror::Error)]
#[error("no valid token")]
pub struct InvalidToken;

#[derive(Serialize)]
struct Issued<'a> {
    #[serde(rename = "custom:tenant_id")]
    tenant: &'a str,
    sub: &'a str,
    username: &'a str,
    scope: &'a str,
    iss: &'a str,
    aud: &'a str,
    client_id: &'a str,
    token_use: &'a str,
    iat: u64,
    exp: u64,
}

impl Tokens {
    /// An issuer with a key of its own.
    #[must_use]
    pub fn random() -> Self {
        let secret = [Uuid::now_v7().into_bytes(), Uuid::now_v7().into_bytes()].concat();
        Self { signing: EncodingKey::from_secret(&secret), checking: DecodingKey::from_secret(&secret) }
    }

    /// A token for a user of the tenant with the scopes, parted by spaces.
    #[must_use]
    pub fn issue(&self, tenant: &str, scope: &str) -> String {
        self.issue_until(tenant, scope, now() + LIFE.as_secs())
    }

    fn issue_until(&self, tenant: &str, scope: &str, exp: u64) -> String {
        let user = "local-user";
        let issued = Issued {
            tenant,
            sub: user,
            username: user,
            scope,
            iss: ISSUER,
            aud: AUDIENCE,
            client_id: AUDIENCE,
            token_use: "access",
            iat: now(),
            exp,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &issued, &self.signing)
            .expect("text and numbers are JSON, and the key fits the algorithm")
    }

    /// Checks what stands in an `Authorization` header, with or without `Bearer`, as API Gateway takes both.
    ///
    /// # Errors
    /// When the token is not one of this issuer's, or its time is over.
    pub fn check(&self, authorization: &str) -> Result<Claims, InvalidToken> {
        let token = match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            Some(_) => return Err(InvalidToken),
            None => authorization,
        };
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["iss", "aud", "exp"]);
        rules.leeway = 0;
        let all = jsonwebtoken::decode::<BTreeMap<String, Value>>(token, &self.checking, &rules)
            .map_err(|_| InvalidToken)?
            .claims;
        let scopes = all.get("scope").and_then(Value::as_str).unwrap_or_default();
        let scopes = scopes.split_ascii_whitespace().map(str::to_owned).collect();
        Ok(Claims { all, scopes })
    }

    /// The route `GET /local/token`.
    pub fn router(&self) -> Router {
        Router::new().route("/local/token", get(token)).with_state(self.clone())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default = "demo")]
    tenant: String,
    #[serde(default = "dashboard")]
    scope: String,
}

fn demo() -> String {
    crate::DEMO_TENANT.to_owned()
}

fn dashboard() -> String {
    "consent/read consent/write consent/admin".to_owned()
}

#[derive(Serialize)]
struct Answer {
    access_token: String,
}

async fn token(State(tokens): State<Tokens>, Query(wanted): Query<Wanted>) -> Json<Answer> {
    Json(Answer { access_token: tokens.issue(&wanted.tenant, &wanted.scope) })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_carries_tenant_user_and_scopes() {
        let tokens = Tokens::random();
        let claims = tokens.check(&format!("Bearer {}", tokens.issue("demo", "consent/read consent/write"))).unwrap();
        assert_eq!(claims.all[TENANT_CLAIM], "demo");
        assert_eq!(claims.all["sub"], "local-user");
        assert_eq!(claims.scopes, ["consent/read", "consent/write"]);
    }

    #[test]
    fn bearer_may_be_left_out() {
        let tokens = Tokens::random();
        assert!(tokens.check(&tokens.issue("demo", "consent/read")).is_ok());
    }

    #[test]
    fn what_another_signed_or_nobody_is_refused() {
        let tokens = Tokens::random();
        let unsigned =
            "eyJhbGciOiJub25lIn0.eyJpc3MiOiJsb2NhbCIsImF1ZCI6ImNvbnNlbnQtZGFzaGJvYXJkIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
        for text in ["", "Bearer", "Bearer ", "Basic abc", unsigned, &Tokens::random().issue("demo", "consent/read")] {
            assert!(tokens.check(text).is_err(), "{text}");
        }
        let token = tokens.issue("demo", "consent/read");
        let changed = token.replace('.', "A.");
        assert!(tokens.check(&changed).is_err());
    }

    #[test]
    fn a_token_whose_time_is_over_is_refused() {
        let tokens = Tokens::random();
        assert!(tokens.check(&tokens.issue_until("demo", "consent/read", now() - 1)).is_err());
    }
}
