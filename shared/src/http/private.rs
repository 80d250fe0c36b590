//! The headers that every answer of the API carries, refusals included.

use axum::http::{HeaderValue, header};
use axum::response::Response;

/// Adds the headers that keep an answer out of caches, and its content type from being guessed: answers are about people.
pub async fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
