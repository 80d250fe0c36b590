//! What every answer of the dashboard's API says of itself, refusals included.

use axum::http::{HeaderValue, header};
use axum::response::Response;

/// The answer with headers that keep it out of caches and have it read as the type that it says: it is about people.
pub async fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
