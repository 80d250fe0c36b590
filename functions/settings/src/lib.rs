//! The API of a tenant's settings, with a tester for its keywords, and of the channels of the platform.

mod channel;
mod draft;
#[cfg(feature = "openapi")]
pub mod openapi;
mod saved;
mod tester;
mod version;

use axum::Router;
pub use consent::http::App;
use consent::http::{Operation, RouterBuilder};

/// The routes of settings and channels.
pub fn router(app: App) -> Router {
    RouterBuilder::new()
        .serve(Operation::ShowSettings, saved::show)
        .serve(Operation::SaveSettings, saved::save)
        .serve(Operation::TestKeywords, tester::test)
        .serve(Operation::RegisterChannel, channel::register)
        .serve(Operation::ReleaseChannel, channel::release)
        .finish(app)
}
