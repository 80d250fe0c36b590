//! Stands in for Cognito: issues access tokens to every caller, and checks them for the gateway. Each process has a random
//! key, so a token is valid only for the run that issued it.
//!
//! A token is a JSON Web Token ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)) signed with HS256, the one algorithm that
//! this issuer knows: three parts in base64url, joined by dots, of which the third signs the first two.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use uuid::Uuid;

/// The claim that names the caller's tenant.
pub const TENANT_CLAIM: &str = "custom:tenant_id";

const ISSUER: &str = "local";
const AUDIENCE: &str = "consent-dashboard";
const LIFE: Duration = Duration::from_hours(24);
const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;

/// The issuer of access tokens, which also checks them.
#[derive(Clone)]
pub struct Tokens {
    key: Hmac<Sha256>,
}

/// The scopes of a token, separated by spaces.
#[derive(Clone, Copy, Debug)]
pub struct Scopes<'a>(pub &'a str);

/// The claims of a valid token.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// All claims, by name.
    pub all: BTreeMap<String, Value>,
    /// The scopes in the claim `scope`.
    pub scopes: Vec<String>,
}

/// The error of a token that is malformed, expired or not signed with this process's key.
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
    /// An issuer with a random key.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn random() -> Self {
        let secret = [Uuid::now_v7().into_bytes(), Uuid::now_v7().into_bytes()].concat();
        Self { key: Hmac::new_from_slice(&secret).expect("HMAC takes keys of any length") }
    }

    /// A token for a user of the tenant. It is valid for 24 hours.
    ///
    /// # Panics
    /// Never: text and numbers can be written as JSON.
    #[must_use]
    pub fn issue(&self, tenant: &str, scopes: Scopes) -> String {
        self.issue_until(tenant, scopes, now() + LIFE.as_secs())
    }

    fn issue_until(&self, tenant: &str, Scopes(scope): Scopes, exp: u64) -> String {
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
        let issued = serde_json::to_vec(&issued).expect("text and numbers are JSON");
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(issued));
        let signature = self.key.clone().chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Checks the token in an `Authorization` header. `Bearer` may be missing, as with API Gateway.
    ///
    /// # Errors
    /// The token is not one of this issuer's, or has expired.
    pub fn check(&self, authorization: &str) -> Result<Claims, InvalidToken> {
        let token = match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            Some(_) => return Err(InvalidToken),
            None => authorization,
        };
        let all = self.claims(token).ok_or(InvalidToken)?;
        let is_ours = all.get("iss").is_some_and(|issuer| issuer == ISSUER)
            && all.get("aud").is_some_and(|audience| audience == AUDIENCE);
        let is_in_time = all.get("exp").and_then(Value::as_u64).is_some_and(|exp| exp > now());
        if !is_ours || !is_in_time {
            return Err(InvalidToken);
        }
        let scopes = all.get("scope").and_then(Value::as_str).unwrap_or_default();
        let scopes = scopes.split_ascii_whitespace().map(str::to_owned).collect();
        Ok(Claims { all, scopes })
    }

    /// The claims of a token that this issuer signed. The header needs no reading: the signature holds for none but the own.
    fn claims(&self, token: &str) -> Option<BTreeMap<String, Value>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.key.clone().chain_update(signed).verify_slice(&signature).ok()?;
        let (_, claims) = signed.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
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
    Json(Answer { access_token: tokens.issue(&wanted.tenant, Scopes(&wanted.scope)) })
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
        let claims =
            tokens.check(&format!("Bearer {}", tokens.issue("demo", Scopes("consent/read consent/write")))).unwrap();
        assert_eq!(claims.all[TENANT_CLAIM], "demo");
        assert_eq!(claims.all["sub"], "local-user");
        assert_eq!(claims.scopes, ["consent/read", "consent/write"]);
    }

    #[test]
    fn bearer_may_be_left_out() {
        let tokens = Tokens::random();
        assert!(tokens.check(&tokens.issue("demo", Scopes("consent/read"))).is_ok());
    }

    #[test]
    fn what_another_signed_or_nobody_is_refused() {
        let tokens = Tokens::random();
        let unsigned =
            "eyJhbGciOiJub25lIn0.eyJpc3MiOiJsb2NhbCIsImF1ZCI6ImNvbnNlbnQtZGFzaGJvYXJkIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
        for text in
            ["", "Bearer", "Bearer ", "Basic abc", unsigned, &Tokens::random().issue("demo", Scopes("consent/read"))]
        {
            assert!(tokens.check(text).is_err(), "{text}");
        }
        let token = tokens.issue("demo", Scopes("consent/read"));
        let changed = token.replace('.', "A.");
        assert!(tokens.check(&changed).is_err());
    }

    #[test]
    fn a_token_whose_time_is_over_is_refused() {
        let tokens = Tokens::random();
        assert!(tokens.check(&tokens.issue_until("demo", Scopes("consent/read"), now() - 1)).is_err());
    }
}
