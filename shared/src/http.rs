//! The parts that the functions behind the HTTP API share: routes, callers, bodies and refusals.

mod app;
mod body;
mod caller;
#[cfg(feature = "openapi")]
pub mod openapi;
mod private;
mod problem;
mod problem_kind;
mod route;
mod router;

pub use app::App;
pub use body::{Body, Fields};
pub use caller::{Caller, TenantClaim, User};
pub use problem::Problem;
pub use problem_kind::ProblemKind;
pub use route::{Function, Operation, ROUTES, Route, Scope};
pub use router::RouterBuilder;
