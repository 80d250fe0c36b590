//! What the functions behind the dashboard's API share: who calls, what the body says, and how a refusal reads.

mod app;
mod body;
mod caller;
mod private;
mod problem;

pub use app::App;
pub use body::{Body, Fields};
pub use caller::{Caller, TenantClaim, User};
pub use private::private;
pub use problem::{Problem, method_not_allowed, not_found};
