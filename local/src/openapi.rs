//! The document of the HTTP API, and a page to read it.

use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use consent::http::openapi::ApiDocument;
use serde_json::Value;

/// The document (OpenAPI 3.1) that the functions' descriptions make.
#[must_use]
pub fn document() -> Value {
    let mut api = ApiDocument::new();
    settings::openapi::describe(&mut api);
    contacts::openapi::describe(&mut api);
    webhook::openapi::describe(&mut api);
    api.finish()
}

/// The routes `GET /openapi.json`, and `GET /openapi` for a page to read it.
pub(crate) fn router() -> Router {
    let document = document();
    Router::new()
        .route("/openapi.json", get(move || async move { Json(document) }))
        .route("/openapi", get(async || Html(include_str!("openapi/page.html"))))
}

#[cfg(test)]
mod tests;
