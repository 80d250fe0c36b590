//! A tenant's contacts: what they said, what staff decides about them, and the proof of both.
//!
//! The API's `$default` route leads here as well, so this function answers for every path that nothing stands behind.

mod batch;
mod contact;
mod cursor;
mod fallback;
mod history;
mod list;
mod named;
mod query;
mod switch;
mod view;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::routing::{get, post, put};
pub use consent::http::App;
use consent::http::private;

/// Bytes of a body, at most: what Lambda takes.
const MAX_BODY: usize = 6 * 1024 * 1024;

/// The routes of contacts, and the answer to all that is no route.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/contacts", get(list::page).head(fallback::refuse))
        .route("/contacts/batch", post(batch::apply))
        .route("/contacts/{id}", get(contact::show).delete(contact::erase).head(fallback::refuse))
        .route("/contacts/{id}/consent", put(switch::set_consent))
        .route("/contacts/{id}/block", put(switch::block).delete(switch::unblock))
        .route("/contacts/{id}/history", get(history::page).head(fallback::refuse))
        .method_not_allowed_fallback(fallback::refuse)
        .fallback(fallback::refuse)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(map_response(private))
        .with_state(app)
}
