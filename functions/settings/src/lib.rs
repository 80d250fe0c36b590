//! The API of a tenant's settings, with a tester for its keywords, and of the channels of the platform.

mod channel;
mod draft;
mod saved;
mod tester;
mod version;

use axum::Router;
use axum::middleware::map_response;
use axum::routing::{get, post, put};
pub use consent::http::App;
use consent::http::{method_not_allowed, not_found, private};

/// The routes of settings and channels.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/settings", get(saved::show).put(saved::save))
        .route("/settings/test", post(tester::test))
        .route("/channels/{phone_number_id}", put(channel::register).delete(channel::release))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(map_response(private))
        .with_state(app)
}
