//! Stands in for API Gateway's HTTP API: finds the route, checks token and scopes, and invokes the function with the same
//! payload (format 2.0) as in the cloud. Refusals have API Gateway's statuses and messages.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api.html>

mod cors;
mod event;
mod path;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use consent::clock::Clock;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower::ServiceExt;
use tracing::error;
use uuid::Uuid;

use crate::route::{Access, Routes};
use crate::token::{Claims, Tokens};
pub use cors::Cors;
use event::Reached;

/// Maximum size of a body at API Gateway, in bytes.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// Maximum size of the request line and the headers together at API Gateway, in bytes.
const HEAD_LIMIT: usize = 10_240;

/// The HTTP API in front of the functions. Clones are the same gateway.
#[derive(Clone)]
pub struct Gateway(Arc<Behind>);

struct Behind {
    routes: Routes,
    functions: BTreeMap<String, Router>,
    tokens: Tokens,
    cors: Option<Cors>,
    clock: Clock,
}

/// The error of a route that leads to an unknown function.
#[derive(Debug, thiserror::Error)]
#[error("the route `{route}` leads to `{function}`, which is no function behind the HTTP API")]
pub struct UnknownFunction {
    route: String,
    function: String,
}

/// The refusals that API Gateway answers without invoking a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    BodyTooLong,
    HeadTooLong,
    FunctionFailed,
}

impl Gateway {
    /// A gateway with these routes. `functions` has the router of each function under its name. Without `cors`, no page of
    /// another origin may call.
    ///
    /// # Errors
    /// A route leads to a function without a router.
    pub fn new(
        routes: Routes,
        functions: BTreeMap<String, Router>,
        tokens: Tokens,
        cors: Option<Cors>,
        clock: Clock,
    ) -> Result<Self, UnknownFunction> {
        if let Some(route) = routes.iter().find(|route| !functions.contains_key(&route.function)) {
            return Err(UnknownFunction { route: route.key(), function: route.function.clone() });
        }
        Ok(Self(Arc::new(Behind { routes, functions, tokens, cors, clock })))
    }

    /// Answers one request.
    pub async fn call(&self, request: Request) -> Response {
        let id = Uuid::now_v7().to_string();
        let origin = request.headers().get(header::ORIGIN).cloned();
        let preflight = self.0.cors.is_some() && cors::is_preflight(&request);
        let mut response = if preflight {
            StatusCode::NO_CONTENT.into_response()
        } else {
            self.answer(request, &id).await.unwrap_or_else(Refusal::into_response)
        };
        if let Some(cors) = &self.0.cors {
            cors.mark(response.headers_mut(), origin.as_ref(), preflight);
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("apigw-requestid", id);
        }
        response
    }

    async fn answer(&self, request: Request, id: &str) -> Result<Response, Refusal> {
        let (parts, body) = request.into_parts();
        if head_length(&parts) > HEAD_LIMIT {
            return Err(Refusal::HeadTooLong);
        }
        let segments = path::segments(parts.uri.path()).ok_or(Refusal::BadRequest)?;
        let taken = self.0.routes.take(&parts.method, &segments).ok_or(Refusal::NotFound)?;
        let claims = self.admitted(&taken.route.access, &parts)?;
        let body = collected(body).await?;
        let reached = Reached { id, taken: &taken, claims: claims.as_ref(), now: self.0.clock.now() };
        let event = event::payload(&parts, &body, &reached).ok_or(Refusal::BadRequest)?;
        self.hand_over(&taken.route.function, event).await
    }

    /// Invokes a function with an event (payload format 2.0), without looking at routes, tokens and scopes.
    pub async fn deliver(&self, function: &str, event: String) -> Response {
        self.hand_over(function, event).await.unwrap_or_else(Refusal::into_response)
    }

    async fn hand_over(&self, function: &str, event: String) -> Result<Response, Refusal> {
        let router = self.0.functions.get(function).cloned().ok_or(Refusal::NotFound)?;
        // In a task of its own: the function goes on if the caller hangs up, and its panic stops nothing else.
        let answer = tokio::spawn(async move {
            let request = lambda_http::request::from_str(&event).map_err(|_| Refusal::BadRequest)?;
            router.oneshot(request.map(into_body)).await.map_err(|never| match never {})
        });
        answer.await.unwrap_or_else(|panic| {
            error!(%panic, function, "function panicked");
            Err(Refusal::FunctionFailed)
        })
    }

    fn admitted(&self, access: &Access, parts: &Parts) -> Result<Option<Claims>, Refusal> {
        let Access::Token(wanted) = access else { return Ok(None) };
        let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let claims = self.0.tokens.check(authorization.unwrap_or_default()).map_err(|_| Refusal::Unauthorized)?;
        if wanted.is_empty() || wanted.iter().any(|scope| claims.scopes.contains(scope)) {
            Ok(Some(claims))
        } else {
            Err(Refusal::Forbidden)
        }
    }
}

fn head_length(parts: &Parts) -> usize {
    let headers = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    parts.method.as_str().len()
        + parts.uri.path_and_query().map_or(0, |line| line.as_str().len())
        + headers.sum::<usize>()
}

async fn collected(body: Body) -> Result<Bytes, Refusal> {
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLong),
        Err(_) => Err(Refusal::BadRequest),
    }
}

fn into_body(body: lambda_http::Body) -> Body {
    match body {
        lambda_http::Body::Text(text) => Body::from(text),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        _ => Body::empty(),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "Bad Request"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not Found"),
            Self::BodyTooLong => (StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long"),
            Self::HeadTooLong => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large"),
            Self::FunctionFailed => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        };
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/json")], format!("{{\"message\":\"{message}\"}}"))
                .into_response();
        if self == Self::Unauthorized {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests;
