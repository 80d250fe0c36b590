//! The API of a tenant's contacts: their consent, the changes by staff, and the history that proves both.
//!
//! The API's `$default` route leads here as well, so this function answers requests for unknown paths.

mod batch;
mod contact;
mod cursor;
mod history;
mod list;
mod named;
#[cfg(feature = "openapi")]
pub mod openapi;
mod query;
mod switch;
mod view;

use axum::Router;
use axum::extract::DefaultBodyLimit;
pub use consent::http::App;
use consent::http::{Operation, RouterBuilder};

/// Bytes of a body, at most: the most that Lambda takes.
const MAX_BODY: usize = 6 * 1024 * 1024;

/// The routes of contacts, and the refusal of requests that no route takes.
pub fn router(app: App) -> Router {
    RouterBuilder::new()
        .serve(Operation::ListContacts, list::page)
        .serve(Operation::ChangeContacts, batch::apply)
        .serve(Operation::ShowContact, contact::show)
        .serve(Operation::EraseContact, contact::erase)
        .serve(Operation::SetConsent, switch::set_consent)
        .serve(Operation::BlockContact, switch::block)
        .serve(Operation::UnblockContact, switch::unblock)
        .serve(Operation::ListHistory, history::page)
        .finish(app)
        .layer(DefaultBodyLimit::max(MAX_BODY))
}
