//! The webhook: receives WhatsApp's updates and stores the changes of consent in them.
//!
//! It answers 200 only when every change of consent in a body is in the table. After any other answer WhatsApp delivers the
//! body again, for up to seven days: <https://developers.facebook.com/docs/whatsapp/cloud-api/guides/set-up-webhooks>

mod envelope;
mod meta;
#[cfg(feature = "openapi")]
pub mod openapi;
mod redelivery;
mod reports;
mod sender;
mod signature;
mod signed_body;
mod updates;
mod words;

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use consent::clock::Clock;
use consent::count;
use consent::http::{Problem, ProblemKind};
use consent::id::{ChannelId, InvalidChannelId};
use consent::log::Metric;
use consent::secrets::{Secrets, SecretsError};
use consent::store::{Store, StoreError};
use serde::Deserialize;

use envelope::BodyText;
use redelivery::RedeliveryReason;
use signature::Signature;
use signed_body::SignedBody;

/// Maximum size of a body, in bytes. WhatsApp sends up to 3 MB.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/guides/set-up-webhooks>
const MAX_BODY: usize = 4 * 1024 * 1024;

/// The state of the webhook's router.
#[derive(Clone, Debug)]
pub struct WebhookApp {
    /// The table.
    pub store: Store,
    /// The secrets of the WhatsApp apps.
    pub secrets: Secrets,
    /// Channels that belong to other systems. Updates on them are accepted and dropped.
    pub ignored_channels: BTreeSet<ChannelId>,
    /// The time.
    pub clock: Clock,
}

/// Reads the value of `IGNORED_CHANNELS`: `phone_number_id`s, separated by commas.
///
/// # Errors
/// An element of the list is no `phone_number_id`.
pub fn ignored_channels(list: &str) -> Result<BTreeSet<ChannelId>, InvalidChannelId> {
    list.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::parse).collect()
}

/// The webhook's routes.
pub fn router(app: WebhookApp) -> Router {
    Router::new()
        .route("/webhooks/whatsapp", get(handshake).post(receive))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(app)
}

/// The debug form of a body's payload, for tests that compare how two bodies are read. None for a body that is not JSON.
#[doc(hidden)]
#[must_use]
pub fn reading(body: &[u8]) -> Option<String> {
    let body = BodyText::new(body);
    let channels = meta::channels(&body);
    let payload = meta::payload(&body).ok()?;
    Some(format!("{channels:?} {payload:?}"))
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

/// Answers WhatsApp's verification request: returns its challenge if the token is right, otherwise 403.
/// <https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests>
async fn handshake(
    State(app): State<WebhookApp>,
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

/// Receives a body of updates.
async fn receive(
    State(app): State<WebhookApp>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, WebhookError> {
    let body = body?;
    let now = app.clock.now();
    let signature = headers.get(signature::HEADER).and_then(|header| Signature::parse(header.as_bytes()));
    let signature = signature.ok_or(WebhookError::Unsigned)?;
    let mut signed_body = SignedBody::new(&app, signature, &body, now);
    signed_body.verify().await?;
    let payload = meta::payload(&BodyText::new(&body)).map_err(|_| WebhookError::NotJson)?;
    let channels = signed_body.channels(&payload.channels, &payload.times(now)).await?;
    match updates::apply_updates(&app.store, payload, &channels, now).await? {
        None => Ok(StatusCode::OK),
        Some(postponed) => Err(WebhookError::RedeliveryReason(postponed)),
    }
}

/// The reason why a request was refused, or not carried out completely. WhatsApp delivers its body again.
#[derive(Debug, thiserror::Error)]
enum WebhookError {
    #[error("the body could not be received")]
    Body(#[from] BytesRejection),
    #[error("there is no well-formed signature")]
    Unsigned,
    #[error("the signature is not by a secret of ours")]
    BadSignature,
    #[error("the body is signed, but not JSON")]
    NotJson,
    #[error("some updates can't be carried out yet")]
    RedeliveryReason(RedeliveryReason),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for WebhookError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Body(rejection) => {
                Problem::new(ProblemKind::from(&rejection), "The body is too large or broken off.")
            }
            // Not from WhatsApp, which signs every request, so no opt-out is lost.
            Self::Unsigned => {
                count!(info, Metric::Unsigned, "webhook without a signature");
                let detail = "The header `X-Hub-Signature-256` is missing, or not `sha256=` and 64 hex digits.";
                Problem::new(ProblemKind::MissingSignature, detail)
            }
            Self::BadSignature => {
                count!(error, Metric::BadSignature, "webhook with an unknown signature");
                Problem::new(ProblemKind::InvalidSignature, "The signature does not match the body.")
            }
            Self::NotJson => {
                count!(error, Metric::BadUpdate, reason = "body is not JSON", "webhook is not JSON");
                Problem::new(ProblemKind::MalformedBody, "The body is not JSON.")
            }
            // Logged and counted in `signed_body`.
            Self::RedeliveryReason(RedeliveryReason::Unavailable) => {
                Problem::new(ProblemKind::Incomplete, "Not everything was carried out. Send it again.")
            }
            Self::RedeliveryReason(RedeliveryReason::UnknownChannel) => Problem::new(
                ProblemKind::UnregisteredChannel,
                "Updates on a channel that is not registered were not carried out. Send them again.",
            ),
            Self::RedeliveryReason(RedeliveryReason::ForeignChannel) => Problem::new(
                ProblemKind::ForeignChannel,
                "Updates on a channel of another app were not carried out. Send them again, signed by that app.",
            ),
            Self::Secrets(error) => {
                count!(error, Metric::SecretsUnavailable, %error, "webhook signature not checked: secret unavailable");
                Problem::new(ProblemKind::Incomplete, "Nothing was changed. Send it again.")
            }
            Self::Store(error) => {
                count!(error, Metric::StoreUnavailable, %error, "webhook not applied, or only in part");
                Problem::new(ProblemKind::Incomplete, "Not everything was carried out. Send it again.")
            }
        };
        problem.into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_channels_are_parted_by_commas() {
        let ignored =
            |list: &str| ignored_channels(list).map(|ids| ids.into_iter().map(String::from).collect::<Vec<_>>());
        assert_eq!(ignored(""), Ok(vec![]));
        assert_eq!(ignored("200, 106540352242922 ,"), Ok(vec!["106540352242922".to_owned(), "200".to_owned()]));
        assert_eq!(ignored("200;201"), Err(InvalidChannelId));
    }
}
