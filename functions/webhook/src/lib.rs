//! The webhook: takes WhatsApp's updates and makes consent of them.
//!
//! It answers 200 only when every change of consent in a body is in the table. Anything else is delivered again.

mod envelope;
mod intake;
mod meta;
mod reports;
mod seal;
mod sender;
mod signature;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use consent::clock::Clock;
use consent::count;
use consent::http::Problem;
use consent::log::Metric;
use consent::secrets::{Secrets, SecretsError};
use consent::store::{Store, StoreError};
use serde::Deserialize;

use envelope::Body;
use seal::Seal;
use signature::Signature;

/// Bytes of a body, at most. WhatsApp sends up to three million.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// What the webhook works with.
#[derive(Clone, Debug)]
pub struct App {
    /// The table.
    pub store: Store,
    /// The secrets of the WhatsApp apps.
    pub secrets: Secrets,
    /// The time.
    pub clock: Clock,
}

/// The webhook's routes.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/webhooks/whatsapp", get(handshake).post(receive))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(app)
}

/// All that is read of a body once its signature holds, as a debugger shows it: what tests that feed it with anything can
/// compare. None where it is no JSON.
#[doc(hidden)]
#[must_use]
pub fn reading(body: &[u8]) -> Option<String> {
    let body = Body::new(body);
    let channels = meta::channels(&body);
    let findings = meta::findings(&body).ok()?;
    Some(format!("{channels:?} {findings:?}"))
}

#[derive(Deserialize)]
struct Handshake {
    #[serde(rename = "hub.mode", default)]
    mode: String,
    #[serde(rename = "hub.challenge", default)]
    challenge: String,
    #[serde(rename = "hub.verify_token", default)]
    token: String,
}

/// Proves to WhatsApp that this address is ours, by giving its challenge back.
async fn handshake(
    State(app): State<App>,
    handshake: Result<Query<Handshake>, QueryRejection>,
) -> Result<Response, WebhookError> {
    let Ok(Query(handshake)) = handshake else { return Ok(StatusCode::FORBIDDEN.into_response()) };
    let secrets = app.secrets.app(app.secrets.default_id(), app.clock.now()).await?;
    if handshake.mode == "subscribe" && signature::is_expected(&handshake.token, secrets.verify_tokens.iter()) {
        Ok(handshake.challenge.into_response())
    } else {
        Ok(StatusCode::FORBIDDEN.into_response())
    }
}

/// Takes a body of updates.
async fn receive(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, WebhookError> {
    let body = body?;
    let now = app.clock.now();
    let signature = headers.get(signature::HEADER).and_then(|header| Signature::parse(header.as_bytes()));
    let signature = signature.ok_or(WebhookError::Unsigned)?;
    let mut seal = Seal::new(&app, signature, &body, now);
    seal.verify().await?;
    let findings = meta::findings(&Body::new(&body)).map_err(|_| WebhookError::NotJson)?;
    let channels = seal.channels(&findings.channels).await?;
    intake::take_in(&app.store, findings, &channels, now).await?;
    Ok(StatusCode::OK)
}

/// A request was not taken. WhatsApp delivers it again.
#[derive(Debug, thiserror::Error)]
enum WebhookError {
    #[error("the body could not be received")]
    Body(#[from] BytesRejection),
    #[error("the signature is not one of ours")]
    Unsigned,
    #[error("the body is signed, but not JSON")]
    NotJson,
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for WebhookError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Body(rejection) => Problem::new(rejection.status(), "The body is too large or broken off."),
            Self::Unsigned => {
                count!(warn, Metric::BadSignature, "a webhook without a valid signature");
                Problem::new(StatusCode::UNAUTHORIZED, "The signature does not match the body.")
            }
            Self::NotJson => {
                count!(error, Metric::BadUpdate, reason = "body is not JSON", "a webhook that can't be read");
                Problem::new(StatusCode::BAD_REQUEST, "The body is not JSON.")
            }
            Self::Secrets(error) => {
                count!(error, Metric::SecretsUnavailable, %error, "a webhook could not be checked");
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Nothing was changed. Send it again.")
            }
            Self::Store(error) => {
                count!(error, Metric::StoreUnavailable, %error, "a webhook could not be carried out");
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Not everything was carried out. Send it again.")
            }
        };
        problem.into_response()
    }
}
