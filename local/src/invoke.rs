//! Lambda's Invoke call for the functions that take events, as `aws lambda invoke` and state machines make it.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use lambda_runtime::Diagnostic;
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::{error, warn};
use uuid::Uuid;

/// Maximum size of an event at Lambda, in bytes.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const EVENT_LIMIT: usize = 6 * 1024 * 1024;

/// Maximum size of an answer at Lambda, in bytes.
const ANSWER_LIMIT: usize = EVENT_LIMIT + 100;

/// Maximum number of bytes of an event that are read. It is above [`EVENT_LIMIT`], since a client that is cut off while it
/// sends would not read the refusal.
const READ_LIMIT: usize = 4 * EVENT_LIMIT;

/// A function's answer to an event: JSON, or an error with a type.
pub type Outcome = Result<String, Diagnostic>;

type Handler = Arc<dyn Fn(Box<RawValue>) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// The functions that take events, by name. Clones share them.
#[derive(Clone, Default)]
pub struct EventFunctions(BTreeMap<String, Handler>);

impl EventFunctions {
    /// Adds a function.
    #[must_use]
    pub fn with<F, Answered, T, E>(mut self, name: &str, handle: F) -> Self
    where
        F: Fn(Box<RawValue>) -> Answered + Send + Sync + 'static,
        Answered: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize,
        E: Into<Diagnostic>,
    {
        let handler: Handler = Arc::new(move |event| {
            let answered = handle(event);
            Box::pin(async move { answered.await.map_err(Into::into).and_then(|answer| written(&answer)) })
        });
        self.0.insert(name.to_owned(), handler);
        self
    }

    /// Returns true if there is a function of that name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Invokes a function and waits for its answer. None if there is no such function.
    pub async fn invoke(&self, name: &str, event: Box<RawValue>) -> Option<Outcome> {
        let handler = self.0.get(name)?;
        // In a task of its own: the function goes on if the caller hangs up, and its panic stops nothing else.
        let outcome = tokio::spawn(handler(event)).await.unwrap_or_else(|panic| {
            error!(%panic, function = name, "function panicked");
            Err(Diagnostic { error_type: "Runtime.ExitError".to_owned(), error_message: panic.to_string() })
        });
        Some(outcome)
    }

    /// Lambda's Invoke route.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/2015-03-31/functions/{function}/invocations", post(invoke))
            .layer(DefaultBodyLimit::max(READ_LIMIT))
            .with_state(self.clone())
    }
}

fn written(answer: &impl Serialize) -> Outcome {
    serde_json::to_string(answer)
        .map_err(|error| Diagnostic { error_type: "Runtime.MarshalError".to_owned(), error_message: error.to_string() })
}

/// The answer, or Lambda's error if it is larger than [`ANSWER_LIMIT`].
fn passed_on(answer: String) -> Outcome {
    if answer.len() <= ANSWER_LIMIT {
        return Ok(answer);
    }
    let error_message = format!("Response payload size exceeded maximum allowed payload size ({ANSWER_LIMIT} bytes).");
    Err(Diagnostic { error_type: "Function.ResponseSizeTooLarge".to_owned(), error_message })
}

async fn invoke(
    State(functions): State<EventFunctions>,
    Path(function): Path<String>,
    headers: HeaderMap,
    event: Result<Bytes, BytesRejection>,
) -> Response {
    let answer = match event {
        Ok(event) => answer(&functions, &function, &headers, &event).await,
        Err(_) => Err(Refusal::TooLarge),
    };
    let answer = answer.unwrap_or_else(IntoResponse::into_response);
    ([("x-amzn-requestid", Uuid::now_v7().to_string())], answer).into_response()
}

async fn answer(
    functions: &EventFunctions,
    function: &str,
    headers: &HeaderMap,
    event: &[u8],
) -> Result<Response, Refusal> {
    let name = name(function);
    if !functions.contains(name) {
        return Err(Refusal::NotFound(function.to_owned()));
    }
    if event.len() > EVENT_LIMIT {
        return Err(Refusal::TooLarge);
    }
    // Lambda replaces a missing payload by an empty object.
    let event = if event.is_empty() { b"{}" } else { event };
    let event: Box<RawValue> = serde_json::from_slice(event).map_err(|error| Refusal::NotJson(error.to_string()))?;
    let kind = headers.get("x-amz-invocation-type").map_or("RequestResponse", |kind| kind.to_str().unwrap_or_default());
    match kind {
        "DryRun" => Ok(StatusCode::NO_CONTENT.into_response()),
        "Event" => {
            let (functions, name) = (functions.clone(), name.to_owned());
            tokio::spawn(async move {
                if let Some(Err(failed)) = functions.invoke(&name, event).await {
                    warn!(function = name, error_type = failed.error_type, "asynchronous event failed");
                }
            });
            Ok(StatusCode::ACCEPTED.into_response())
        }
        "RequestResponse" => {
            let outcome = functions.invoke(name, event).await.ok_or_else(|| Refusal::NotFound(function.to_owned()))?;
            Ok(respond(outcome.and_then(passed_on)))
        }
        other => Err(Refusal::Kind(other.to_owned())),
    }
}

fn respond(outcome: Outcome) -> Response {
    let headers = [("x-amz-executed-version", "$LATEST"), ("content-type", "application/json")];
    match outcome {
        Ok(answer) => (headers, answer).into_response(),
        Err(failed) => {
            let body = written(&failed).unwrap_or_default();
            (headers, [("x-amz-function-error", "Unhandled")], body).into_response()
        }
    }
}

/// The function's name in a name, or in a whole or partial ARN, each with or without a qualifier.
fn name(function: &str) -> &str {
    let named = match function.split_once("function:") {
        Some((_, rest)) => rest,
        None => function,
    };
    named.split(':').next().unwrap_or(named)
}

/// The refusals that Lambda answers without invoking a function.
enum Refusal {
    NotFound(String),
    NotJson(String),
    TooLarge,
    Kind(String),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    r#type: &'static str,
    // Lambda writes this field in two spellings, and clients read either of them.
    message: String,
    #[serde(rename = "message")]
    lower: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, kind, message) = match self {
            Self::NotFound(function) => {
                let arn = format!("arn:aws:lambda:{}:{}:function:{}", crate::REGION, crate::ACCOUNT, name(&function));
                (StatusCode::NOT_FOUND, "ResourceNotFoundException", format!("Function not found: {arn}"))
            }
            Self::NotJson(problem) => (
                StatusCode::BAD_REQUEST,
                "InvalidRequestContentException",
                format!("Could not parse request body into json: {problem}"),
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestTooLargeException",
                format!("Request must be smaller than {EVENT_LIMIT} bytes for the InvokeFunction operation"),
            ),
            Self::Kind(kind) => (
                StatusCode::BAD_REQUEST,
                "InvalidParameterValueException",
                format!("Value '{kind}' at 'invocationType' is none of RequestResponse, Event, DryRun"),
            ),
        };
        let body = Failure { r#type: "User", lower: message.clone(), message };
        (status, [("x-amzn-errortype", kind)], axum::Json(body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;

    struct TooBig;

    impl From<TooBig> for Diagnostic {
        fn from(_: TooBig) -> Self {
            Self { error_type: "InvalidCampaign".to_owned(), error_message: "too big".to_owned() }
        }
    }

    fn functions() -> EventFunctions {
        EventFunctions::default()
            .with("echo", |event: Box<RawValue>| async move { Ok::<_, TooBig>(event) })
            .with("twice", |event: Box<RawValue>| async move { Ok::<_, TooBig>([event.clone(), event]) })
            .with("refuse", |_| async { Err::<(), _>(TooBig) })
            .with("die", |_| async {
                assert!(std::env::args().count() == 0, "on purpose");
                Ok::<_, TooBig>(())
            })
    }

    async fn call(function: &str, kind: &str, body: &'static str) -> (Response, Value) {
        let request = Request::post(format!("/2015-03-31/functions/{function}/invocations"))
            .header("x-amz-invocation-type", kind)
            .body(Body::from(body))
            .unwrap();
        let mut response = functions().router().oneshot(request).await.unwrap();
        let body = response.body_mut().collect().await.unwrap().to_bytes();
        (response, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn a_function_is_found_by_name_and_by_arn() {
        for function in [
            "echo",
            "echo:$LATEST",
            "123456789012:function:echo",
            "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Aecho",
            "arn:aws:lambda:us-east-1:123456789012:function:echo:1",
        ] {
            let (response, body) = call(function, "RequestResponse", r#"{"a": 1}"#).await;
            assert_eq!((response.status(), body), (StatusCode::OK, json!({"a": 1})), "{function}");
            assert_eq!(response.headers()["x-amz-executed-version"], "$LATEST");
        }
    }

    #[tokio::test]
    async fn an_error_is_two_hundred_with_its_type() {
        let (response, body) = call("refuse", "RequestResponse", "{}").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["x-amz-function-error"], "Unhandled");
        assert_eq!(body, json!({"errorType": "InvalidCampaign", "errorMessage": "too big"}));
        let (response, body) = call("die", "RequestResponse", "{}").await;
        assert_eq!(response.headers()["x-amz-function-error"], "Unhandled");
        assert_eq!(body["errorType"], "Runtime.ExitError");
    }

    #[tokio::test]
    async fn an_event_or_an_answer_over_six_megabytes_is_refused_as_lambda_does_it() {
        let call = async |function: &str, body: String| {
            let request =
                Request::post(format!("/2015-03-31/functions/{function}/invocations")).body(Body::from(body)).unwrap();
            let mut response = functions().router().oneshot(request).await.unwrap();
            let body = response.body_mut().collect().await.unwrap().to_bytes();
            (response, serde_json::from_slice::<Value>(&body).unwrap_or_default())
        };
        let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        let (response, body) = call("echo", text(EVENT_LIMIT)).await;
        assert!(response.status() == StatusCode::OK && body.as_str().map(str::len) == Some(EVENT_LIMIT - 2));
        for bytes in [EVENT_LIMIT + 1, EVENT_LIMIT + 2, 2 * EVENT_LIMIT, READ_LIMIT + 1] {
            let (response, body) = call("echo", text(bytes)).await;
            assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE, "{bytes}");
            assert_eq!(response.headers()["x-amzn-errortype"], "RequestTooLargeException");
            assert_eq!(body["Message"], "Request must be smaller than 6291456 bytes for the InvokeFunction operation");
        }
        let (response, body) = call("twice", text(EVENT_LIMIT / 2 + 48)).await;
        assert!(
            response.status() == StatusCode::OK && body.is_array(),
            "an answer may have 100 bytes more than an event"
        );
        let (response, body) = call("twice", text(EVENT_LIMIT / 2 + 49)).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["x-amz-function-error"], "Unhandled");
        let error = "Response payload size exceeded maximum allowed payload size (6291556 bytes).";
        assert_eq!(body, json!({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": error}));
    }

    #[tokio::test]
    async fn the_other_ways_to_invoke_do_not_wait() {
        assert_eq!(call("echo", "Event", "{}").await.0.status(), StatusCode::ACCEPTED);
        assert_eq!(call("echo", "DryRun", "{}").await.0.status(), StatusCode::NO_CONTENT);
        assert_eq!(call("echo", "Other", "{}").await.0.status(), StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn refusals_are_lambda_s() {
        let (response, body) = call("none", "RequestResponse", "{}").await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()["x-amzn-errortype"], "ResourceNotFoundException");
        assert!(body["Message"].as_str().unwrap().ends_with(":function:none"));
        let (response, _) = call("echo", "RequestResponse", "{").await;
        assert_eq!(response.headers()["x-amzn-errortype"], "InvalidRequestContentException");
        let (_, body) = call("echo", "RequestResponse", "").await;
        assert_eq!(body, json!({}), "no payload is an empty object");
    }
}
