//! Cross-origin requests as an HTTP API answers them.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html>

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Deserialize;

/// A template's `CorsConfiguration`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct Cors {
    /// The origins whose pages may call, or `*`.
    pub allow_origins: Vec<String>,
    /// The methods that pages may use.
    pub allow_methods: Vec<String>,
    /// The headers that pages may send.
    pub allow_headers: Vec<String>,
    /// The headers of answers that pages may read.
    pub expose_headers: Vec<String>,
    /// True if pages may send cookies.
    pub allow_credentials: bool,
    /// The time that a browser may cache a preflight's answer, in seconds.
    pub max_age: Option<u32>,
}

/// Returns true for a preflight: the request with which a browser asks for permission.
/// <https://fetch.spec.whatwg.org/#cors-preflight-fetch>
pub(super) fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

impl Cors {
    /// Sets the CORS headers of an answer, in place of those that the function set.
    pub(super) fn mark(&self, answer: &mut HeaderMap, origin: Option<&HeaderValue>, preflight: bool) {
        let given: Vec<HeaderName> =
            answer.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
        for name in given {
            answer.remove(name);
        }
        let Some(origin) = origin.and_then(|origin| self.allowed(origin)) else { return };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let mut set = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value)
                && !value.is_empty()
            {
                answer.insert(name, value);
            }
        };
        if self.allow_credentials {
            set(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true".to_owned());
        }
        if preflight {
            set(header::ACCESS_CONTROL_ALLOW_METHODS, self.allow_methods.join(","));
            set(header::ACCESS_CONTROL_ALLOW_HEADERS, self.allow_headers.join(","));
            set(header::ACCESS_CONTROL_MAX_AGE, self.max_age.map(|age| age.to_string()).unwrap_or_default());
        } else {
            set(header::ACCESS_CONTROL_EXPOSE_HEADERS, self.expose_headers.join(","));
        }
    }

    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.allow_origins.iter().any(|allowed| allowed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        self.allow_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }
}
