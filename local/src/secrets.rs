//! The stand-in for Secrets Manager: `GetSecretValue`, the only call that the functions make, in AWS JSON 1.1.
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The id of the secret that every run starts with: `META_SECRET_ID` in `local.env`.
pub const SECRET_ID: &str = "consent/whatsapp";
/// The app secret, which signs webhooks.
pub const APP_SECRET: &str = "local-app-secret";
/// The verify token of Meta's handshake.
pub const VERIFY_TOKEN: &str = "local-verify-token";
/// The access token for the Graph API.
pub const ACCESS_TOKEN: &str = "local-access-token";

const GET_SECRET_VALUE: &str = "secretsmanager.GetSecretValue";

/// The secrets, by id. Clones share them.
#[derive(Clone)]
pub struct SecretStore(Arc<RwLock<BTreeMap<String, String>>>);

#[derive(Serialize)]
struct WhatsApp<'a> {
    app_secret: &'a str,
    verify_token: &'a str,
    access_token: &'a str,
}

impl Default for SecretStore {
    /// The store with the one secret of the local run.
    fn default() -> Self {
        let store = Self(Arc::default());
        let secret = WhatsApp { app_secret: APP_SECRET, verify_token: VERIFY_TOKEN, access_token: ACCESS_TOKEN };
        store.put(SECRET_ID, serde_json::to_string(&secret).expect("three texts are JSON"));
        store
    }
}

impl SecretStore {
    /// Adds a secret, or replaces it.
    pub fn put(&self, id: &str, text: impl Into<String>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), text.into());
    }

    /// The route `/local/secrets`.
    pub fn router(&self) -> Router {
        // The SDK adds a slash to the path of an endpoint.
        Router::new().route("/local/secrets", post(call)).route("/local/secrets/", post(call)).with_state(self.clone())
    }

    fn get(&self, id: &str) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wanted {
    secret_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValueAnswer {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    secret_string: String,
    version_id: String,
    version_stages: [&'static str; 1],
}

#[derive(Serialize)]
struct Failure {
    #[serde(rename = "__type")]
    kind: &'static str,
    message: &'static str,
}

async fn call(State(store): State<SecretStore>, headers: HeaderMap, body: String) -> Response {
    if headers.get("x-amz-target").is_none_or(|target| target != GET_SECRET_VALUE) {
        let message = "Only GetSecretValue is played here.";
        return failure(&Failure { kind: "UnknownOperationException", message });
    }
    let Ok(Wanted { secret_id }) = serde_json::from_str(&body) else {
        return failure(&Failure { kind: "InvalidParameterException", message: "SecretId is missing." });
    };
    let Some(secret_string) = store.get(&secret_id) else {
        let message = "Secrets Manager can't find the specified secret.";
        return failure(&Failure { kind: "ResourceNotFoundException", message });
    };
    answer(
        StatusCode::OK,
        &GetSecretValueAnswer {
            arn: format!("arn:aws:secretsmanager:{}:{}:secret:{secret_id}", crate::REGION, crate::ACCOUNT),
            name: secret_id,
            secret_string,
            version_id: Uuid::nil().to_string(),
            version_stages: ["AWSCURRENT"],
        },
    )
}

fn failure(failure: &Failure) -> Response {
    answer(StatusCode::BAD_REQUEST, failure)
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_string(body).expect("texts are JSON");
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;

    async fn ask(store: &SecretStore, target: &str, body: &Value) -> (StatusCode, Value) {
        let request =
            Request::post("/local/secrets/").header("x-amz-target", target).body(Body::from(body.to_string())).unwrap();
        let response = store.router().oneshot(request).await.unwrap();
        let status = response.status();
        (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
    }

    #[tokio::test]
    async fn the_local_secret_is_there_from_the_start() {
        let (status, secret) = ask(&SecretStore::default(), GET_SECRET_VALUE, &json!({"SecretId": SECRET_ID})).await;
        assert_eq!(status, StatusCode::OK);
        let value: Value = serde_json::from_str(secret["SecretString"].as_str().unwrap()).unwrap();
        assert_eq!(
            value,
            json!({"app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN, "access_token": ACCESS_TOKEN})
        );
    }

    #[tokio::test]
    async fn another_secret_can_be_added() {
        let store = SecretStore::default();
        store.put("consent/other", "{}");
        let (_, secret) = ask(&store, GET_SECRET_VALUE, &json!({"SecretId": "consent/other"})).await;
        assert_eq!(secret["SecretString"], "{}");
    }

    #[tokio::test]
    async fn what_is_not_there_is_refused_by_type() {
        let store = SecretStore::default();
        for (target, body, kind) in [
            (GET_SECRET_VALUE, json!({"SecretId": "none"}), "ResourceNotFoundException"),
            (GET_SECRET_VALUE, json!({}), "InvalidParameterException"),
            ("secretsmanager.PutSecretValue", json!({"SecretId": SECRET_ID}), "UnknownOperationException"),
        ] {
            let (status, answer) = ask(&store, target, &body).await;
            assert_eq!((status, answer["__type"].as_str()), (StatusCode::BAD_REQUEST, Some(kind)));
        }
    }
}
