//! WhatsApp's Graph API, as far as one text message needs it.

use std::sync::Arc;

use consent::callback::Callback;
use consent::id::{ChannelId, cut};
use consent::{limits, whatsapp_error};
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt;
use serde::{Deserialize, Serialize};

/// Maximum length of an error's title, in bytes. The rest is cut off.
const TITLE_BYTES: usize = 256;

/// The Graph API: its address, and the TLS configuration with the machine's root certificates.
#[derive(Clone, Debug)]
pub struct Graph {
    tls: ClientConfig,
    base: Arc<str>,
}

/// The address of the Graph API.
#[derive(Clone, Copy, Debug)]
pub struct GraphAddress<'a> {
    /// The URL, for example `https://graph.facebook.com`.
    pub url: &'a str,
    /// The version, for example `v25.0`.
    pub version: &'a str,
}

/// The connections to the Graph API of one invocation.
///
/// Between two invocations Lambda freezes the function, for seconds or for hours, and its clock may stand still as well:
/// no idle time-out can measure the age of a connection. One that the other side has closed meanwhile takes a message and
/// fails, and then it is not known whether it was sent. So the connections end with their invocation. Within one, they are
/// used again, and the next one resumes the TLS session, which is the expensive part.
#[derive(Clone, Debug)]
pub struct Connections {
    http: reqwest::Client,
    base: Arc<str>,
}

/// The outcome of an attempt to send.
#[derive(Debug)]
pub enum SendOutcome {
    /// WhatsApp accepted the message.
    Accepted {
        /// WhatsApp's id of the message.
        message_id: Option<String>,
    },
    /// WhatsApp refused the message.
    Refused(Failure),
    /// WhatsApp refused the access token: it is wrong or expired.
    TokenRefused {
        /// WhatsApp's code.
        code: i64,
    },
    /// The message may have gone out: no answer of WhatsApp's came back.
    Unknown,
}

/// The error with which WhatsApp refused a message.
#[derive(Debug)]
pub struct Failure {
    /// WhatsApp's error code. None without a connection, or if the answer had no code.
    pub code: Option<i64>,
    /// WhatsApp's error message, or the HTTP status.
    pub title: Option<String>,
    /// True if the same message will fail again.
    pub lasting: bool,
    /// True if other messages from the same channel will fail as well.
    pub concerns_channel: bool,
}

/// A text message to a customer.
#[derive(Clone, Copy)]
pub struct OutgoingMessage<'a> {
    /// The channel that it comes from.
    pub channel: &'a ChannelId,
    /// The access token of the channel's app.
    pub access_token: &'a str,
    /// The customer: `+` and digits, or a business-scoped user id.
    pub to: &'a str,
    /// The text.
    pub text: &'a str,
    /// The data that every status of the message brings back.
    pub callback: &'a Callback,
}

#[derive(Serialize)]
struct TextMessage<'a> {
    messaging_product: &'static str,
    recipient_type: &'static str,
    #[serde(flatten)]
    recipient: MessageRecipient<'a>,
    r#type: &'static str,
    text: Text<'a>,
    biz_opaque_callback_data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum MessageRecipient<'a> {
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
struct SendAnswer {
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
    /// The API at this address.
    ///
    /// # Panics
    /// The machine has no root certificates.
    #[must_use]
    pub fn new(GraphAddress { url, version }: GraphAddress<'_>) -> Self {
        // An error means that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = ClientConfig::with_platform_verifier().expect("the machine has root certificates");
        Self { tls, base: format!("{}/{version}", url.trim_end_matches('/')).into() }
    }

    /// Connections for one invocation; none is made before it is needed.
    ///
    /// # Panics
    /// Never: the TLS configuration is of the version that the HTTP client takes.
    #[must_use]
    pub fn connections(&self) -> Connections {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .connect_timeout(limits::CONNECT)
            .timeout(limits::GRAPH)
            // A redirect could turn the POST into the GET of some page, whose 200 would look like an accepted message.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("the TLS configuration is one that the client takes");
        Connections { http, base: Arc::clone(&self.base) }
    }
}

impl Connections {
    /// Sends a text from a channel to a customer.
    pub async fn send(&self, message: &OutgoingMessage<'_>) -> SendOutcome {
        let &OutgoingMessage { channel, access_token, to, text, callback } = message;
        let callback = callback.to_string();
        let message = TextMessage {
            messaging_product: "whatsapp",
            recipient_type: "individual",
            recipient: if to.starts_with('+') { MessageRecipient::To(to) } else { MessageRecipient::Recipient(to) },
            r#type: "text",
            text: Text { preview_url: false, body: text },
            biz_opaque_callback_data: &callback,
        };
        let request =
            self.http.post(format!("{}/{channel}/messages", self.base)).bearer_auth(access_token).json(&message);
        let answer = match request.send().await {
            Ok(answer) => answer,
            // No connection, so no byte of the message was written.
            Err(error) if error.is_connect() || error.is_builder() => return not_sent("no connection".to_owned()),
            Err(_) => return SendOutcome::Unknown,
        };
        let status = answer.status();
        match answer.bytes().await {
            Ok(body) if status.is_success() => accepted(&body),
            // The status is enough, even if the body broke off.
            Err(_) if status.is_success() => SendOutcome::Accepted { message_id: None },
            Ok(body) => refused(&body, status.as_u16()),
            Err(_) => refused(b"", status.as_u16()),
        }
    }
}

/// Reads the body of a successful answer. The outcome is unknown if it is not an answer of WhatsApp's.
fn accepted(body: &[u8]) -> SendOutcome {
    let Ok(SendAnswer { messages }) = serde_json::from_slice(body) else { return SendOutcome::Unknown };
    SendOutcome::Accepted { message_id: messages.into_iter().next().map(|message| message.id) }
}

/// Reads the body of an error. If it is not an error of WhatsApp's, the HTTP status decides: a gateway that answers 502, 503
/// or 504 did not deliver the message, and a redirect leads to another server.
fn refused(body: &[u8], status: u16) -> SendOutcome {
    let Ok(ErrorAnswer { error: GraphError { code, message } }) = serde_json::from_slice(body) else {
        let title = format!("HTTP status {status}");
        return match status {
            300..400 | 408 | 429 | 502..=504 => not_sent(title),
            500.. => SendOutcome::Unknown,
            _ => {
                SendOutcome::Refused(Failure { code: None, title: Some(title), lasting: true, concerns_channel: false })
            }
        };
    };
    if whatsapp_error::refuses_token(code) {
        return SendOutcome::TokenRefused { code };
    }
    let (title, lasting) =
        (Some(cut(&message, TITLE_BYTES).to_owned()), !whatsapp_error::may_pass(code) && status < 500);
    // The limit of messages to one person is no other's.
    let concerns_channel = !lasting && code != whatsapp_error::PAIR_LIMIT;
    SendOutcome::Refused(Failure { code: Some(code), title, lasting, concerns_channel })
}

/// The outcome of a message that did not reach WhatsApp.
fn not_sent(title: String) -> SendOutcome {
    SendOutcome::Refused(Failure { code: None, title: Some(title), lasting: false, concerns_channel: true })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

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
            let SendOutcome::Refused(failure) = refused(error(code).as_bytes(), status) else { panic!("{code}") };
            assert_eq!((failure.lasting, failure.code), (!passes, Some(code)));
        }
    }

    #[test]
    fn a_refused_token_is_told_apart() {
        assert!(matches!(refused(error(190).as_bytes(), 401), SendOutcome::TokenRefused { code: 190 }));
    }

    #[test]
    fn an_answer_that_is_not_whatsapps_is_judged_by_its_status() {
        for body in [&b"<html>"[..], b"", br#"{"message": "Service Unavailable"}"#, br#"{"error": "upstream"}"#] {
            for (status, lasting) in
                [(502, false), (503, false), (504, false), (429, false), (408, false), (302, false), (404, true)]
            {
                let SendOutcome::Refused(failure) = refused(body, status) else { panic!("{status}") };
                assert_eq!((failure.lasting, failure.code), (lasting, None), "{status}");
            }
            for status in [500, 501, 520] {
                assert!(matches!(refused(body, status), SendOutcome::Unknown), "{status}");
            }
        }
    }

    #[test]
    fn an_acceptance_is_whatsapps_or_none() {
        let id = |body: &[u8]| match accepted(body) {
            SendOutcome::Accepted { message_id } => Some(message_id),
            _ => None,
        };
        assert_eq!(id(br#"{"messages": [{"id": "wamid.A"}]}"#), Some(Some("wamid.A".to_owned())));
        assert_eq!(id(br#"{"messaging_product": "whatsapp"}"#), Some(None));
        assert_eq!(id(b"<html>Welcome</html>"), None);
    }

    #[test]
    fn limits_and_troubles_concern_all_messages_of_a_channel_but_one_persons_limit_does_not() {
        for (code, concerns) in [(130_429, true), (131_016, true), (80_007, true), (131_056, false), (131_026, false)] {
            let SendOutcome::Refused(failure) = refused(error(code).as_bytes(), 400) else { panic!("{code}") };
            assert_eq!(failure.concerns_channel, concerns, "{code}");
        }
    }

    #[test]
    fn a_customer_without_a_number_is_written_to_by_id() {
        let json = |recipient| serde_json::to_value(recipient).unwrap();
        assert_eq!(json(MessageRecipient::To("+14155550123"))["to"], "+14155550123");
        assert_eq!(json(MessageRecipient::Recipient("US.1"))["recipient"], "US.1");
    }

    fn graph_at(url: &str) -> Graph {
        Graph::new(GraphAddress { url, version: "v25.0" })
    }

    /// A Graph API that answers every message with this and tells each connection and message. After half an answer, or
    /// none, it hangs up.
    async fn server(answer: &'static str) -> (Graph, UnboundedReceiver<&'static str>) {
        let (events, seen) = unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                events.send("connection").unwrap();
                let events = events.clone();
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while connection.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                        // The end of the message's JSON; small messages come in one piece or two.
                        if request.ends_with(b"}") {
                            request.clear();
                            events.send("message").unwrap();
                            connection.write_all(answer.as_bytes()).await.unwrap();
                            if !answer.contains("\r\n\r\n") {
                                return;
                            }
                        }
                    }
                });
            }
        });
        (graph_at(&url), seen)
    }

    async fn send(connections: &Connections) -> SendOutcome {
        let (channel, callback) = ("106".parse().unwrap(), "consent1 +14155550123 5 x".parse().unwrap());
        let message = OutgoingMessage {
            channel: &channel,
            access_token: "token",
            to: "+14155550123",
            text: "Done.",
            callback: &callback,
        };
        connections.send(&message).await
    }

    fn all(seen: &mut UnboundedReceiver<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| seen.try_recv().ok()).collect()
    }

    const ACCEPTED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"messages\":[]}";

    #[tokio::test]
    async fn a_connection_is_used_again_within_an_invocation_and_by_no_other() {
        let (graph, mut seen) = server(ACCEPTED).await;
        for _ in 0..2 {
            let connections = graph.connections();
            for _ in 0..2 {
                assert!(matches!(send(&connections).await, SendOutcome::Accepted { message_id: None }));
            }
        }
        assert_eq!(all(&mut seen), ["connection", "message", "message"].repeat(2));
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let (graph, mut seen) = server("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n").await;
        assert!(matches!(send(&graph.connections()).await, SendOutcome::Refused(failure) if !failure.lasting));
        assert_eq!(all(&mut seen), ["connection", "message"]);
    }

    #[tokio::test]
    async fn without_a_connection_nothing_was_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let graph = graph_at(&format!("http://{}", listener.local_addr().unwrap()));
        drop(listener);
        assert!(matches!(send(&graph.connections()).await, SendOutcome::Refused(failure) if !failure.lasting));
        // No name, no address, no TLS.
        for url in ["http://graph.invalid", "https://127.0.0.1:1"] {
            let outcome = send(&graph_at(url).connections()).await;
            assert!(matches!(outcome, SendOutcome::Refused(failure) if !failure.lasting), "{url}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_after_the_message_was_written_tells_nothing() {
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-le"] {
            let (graph, mut seen) = server(answer).await;
            assert!(matches!(send(&graph.connections()).await, SendOutcome::Unknown));
            assert_eq!(all(&mut seen), ["connection", "message"]);
        }
    }
}
