//! WhatsApp's Graph API, as far as one text message needs it.

use std::sync::Arc;

use consent::callback::Callback;
use consent::id::{ChannelId, cut};
use consent::limits;
use serde::{Deserialize, Serialize};

/// Bytes of an error's title that are kept, at most.
const TITLE_BYTES: usize = 256;

/// A client of the Graph API.
#[derive(Clone, Debug)]
pub struct Graph {
    http: reqwest::Client,
    base: Arc<str>,
}

/// What came of an attempt to send.
#[derive(Debug)]
pub enum Outcome {
    /// WhatsApp took it.
    Accepted {
        /// WhatsApp's id of the message.
        message_id: Option<String>,
    },
    /// WhatsApp did not take it.
    Refused(Failure),
    /// WhatsApp did not take it, because the access token is not, or no longer, good.
    TokenRefused {
        /// WhatsApp's code.
        code: i64,
    },
    /// It went out, but no answer of WhatsApp's came back.
    Unknown,
}

/// Why WhatsApp did not take a message.
#[derive(Debug)]
pub struct Failure {
    /// WhatsApp's code; none where there was no connection, or no code.
    pub code: Option<i64>,
    /// WhatsApp's words for it.
    pub title: Option<String>,
    /// Whether it will fail again.
    pub lasting: bool,
}

#[derive(Serialize)]
struct TextMessage<'a> {
    messaging_product: &'static str,
    recipient_type: &'static str,
    #[serde(flatten)]
    recipient: Recipient<'a>,
    r#type: &'static str,
    text: Text<'a>,
    biz_opaque_callback_data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Recipient<'a> {
    /// A phone number.
    To(&'a str),
    /// A business-scoped user id.
    Recipient(&'a str),
}

#[derive(Serialize)]
struct Text<'a> {
    preview_url: bool,
    body: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    messages: Vec<AnswerMessage>,
}

#[derive(Deserialize)]
struct AnswerMessage {
    id: String,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: GraphError,
}

#[derive(Deserialize)]
struct GraphError {
    code: i64,
    #[serde(default)]
    message: String,
}

impl Graph {
    /// A client of the API of this version at this address, for example `https://graph.facebook.com` and `v25.0`.
    ///
    /// # Panics
    /// The machine has no root certificates to trust.
    #[must_use]
    pub fn new(url: &str, version: &str) -> Self {
        // An error means that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(limits::CONNECT)
            .timeout(limits::GRAPH)
            .build()
            .expect("the TLS stack starts with the machine's root certificates");
        Self { http, base: format!("{}/{version}", url.trim_end_matches('/')).into() }
    }

    /// Sends a text from a channel to a customer: `+` and digits, or a business-scoped user id. Every status of it brings
    /// `callback` back.
    pub async fn send(&self, channel: &ChannelId, token: &str, to: &str, text: &str, callback: &Callback) -> Outcome {
        let callback = callback.to_string();
        let message = TextMessage {
            messaging_product: "whatsapp",
            recipient_type: "individual",
            recipient: if to.starts_with('+') { Recipient::To(to) } else { Recipient::Recipient(to) },
            r#type: "text",
            text: Text { preview_url: false, body: text },
            biz_opaque_callback_data: &callback,
        };
        let request = self.http.post(format!("{}/{channel}/messages", self.base)).bearer_auth(token).json(&message);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() || error.is_builder() => {
                return Outcome::Refused(Failure {
                    code: None,
                    title: Some("no connection".to_owned()),
                    lasting: false,
                });
            }
            Err(_) => return Outcome::Unknown,
        };
        let status = answer.status();
        match answer.bytes().await {
            Ok(body) if status.is_success() => accepted(&body),
            // The status says it all, even where the rest broke off.
            Err(_) if status.is_success() => Outcome::Accepted { message_id: None },
            Ok(body) => refused(&body, status.as_u16()),
            Err(_) => refused(b"", status.as_u16()),
        }
    }
}

fn accepted(body: &[u8]) -> Outcome {
    let message = serde_json::from_slice::<Answer>(body).ok().and_then(|answer| answer.messages.into_iter().next());
    Outcome::Accepted { message_id: message.map(|message| message.id) }
}

/// Reads an error. Without one of WhatsApp's own, as a gateway in between may answer, the status has to do; what a gateway
/// gave up waiting for may have gone out all the same.
fn refused(body: &[u8], status: u16) -> Outcome {
    let Ok(ErrorAnswer { error: GraphError { code, message } }) = serde_json::from_slice(body) else {
        if status >= 500 {
            return Outcome::Unknown;
        }
        let lasting = !(status == 429 || status == 408);
        return Outcome::Refused(Failure { code: None, title: Some(format!("HTTP status {status}")), lasting });
    };
    match code {
        0 | 190 => Outcome::TokenRefused { code },
        code => {
            let title = Some(cut(&message, TITLE_BYTES).to_owned());
            Outcome::Refused(Failure { code: Some(code), title, lasting: !may_pass(code, status) })
        }
    }
}

/// Whether an error is one that passes: limits of throughput and rate, maintenance, and what WhatsApp can't explain.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>
fn may_pass(code: i64, status: u16) -> bool {
    matches!(code, 1 | 2 | 4 | 80007 | 130_429 | 131_000 | 131_016 | 131_056 | 131_057 | 133_004) || status >= 500
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64) -> String {
        format!(r#"{{"error": {{"code": {code}, "message": "why", "error_data": "bare"}}}}"#)
    }

    #[test]
    fn limits_and_maintenance_pass_and_everything_else_lasts() {
        for (code, status, passes) in [
            (130_429, 400, true),
            (131_056, 400, true),
            (80_007, 400, true),
            (131_016, 500, true),
            (131_000, 500, true),
            (131_047, 400, false),
            (131_026, 400, false),
            (131_050, 400, false),
            (368, 403, false),
        ] {
            let Outcome::Refused(failure) = refused(error(code).as_bytes(), status) else { panic!("{code}") };
            assert_eq!((failure.lasting, failure.code), (!passes, Some(code)));
        }
    }

    #[test]
    fn a_refused_token_is_told_apart() {
        assert!(matches!(refused(error(190).as_bytes(), 401), Outcome::TokenRefused { code: 190 }));
    }

    #[test]
    fn an_answer_that_is_not_whatsapps_is_judged_by_its_status() {
        assert!(matches!(refused(b"<html>", 504), Outcome::Unknown));
        for (status, lasting) in [(429, false), (404, true)] {
            assert!(
                matches!(refused(b"<html>", status), Outcome::Refused(failure) if failure.lasting == lasting),
                "{status}"
            );
        }
    }

    #[test]
    fn a_customer_without_a_number_is_written_to_by_id() {
        let json = |recipient| serde_json::to_value(recipient).unwrap();
        assert_eq!(json(Recipient::To("+14155550123"))["to"], "+14155550123");
        assert_eq!(json(Recipient::Recipient("US.1"))["recipient"], "US.1");
    }
}
