//! The caller of a request, from the token that API Gateway checked, never from path or body.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;

use super::{Problem, ProblemKind};
use crate::event::Actor;
use crate::id::TenantId;

/// The name of the token's claim that holds the tenant.
#[derive(Clone, Debug)]
pub struct TenantClaim(pub Arc<str>);

impl TenantClaim {
    /// The claim's name where none is configured.
    pub const DEFAULT: &str = "custom:tenant_id";
}

/// A user of a tenant.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The tenant that the token speaks for.
    pub tenant: TenantId,
    /// The subject of the user, or of the program.
    pub user: String,
    /// The user's name, where the token has one.
    pub name: Option<String>,
}

impl Caller {
    /// The caller, as histories name who did something.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::user(&self.user, self.name.as_deref())
    }
}

/// The id of a user of the platform, for whatever tenant the token speaks.
#[derive(Clone, Debug)]
pub struct User(pub String);

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    TenantClaim: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let TenantClaim(claim) = TenantClaim::from_ref(state);
        let claims = claims(parts)?;
        let tenant = claims.get(&*claim).and_then(|tenant| tenant.parse().ok()).ok_or_else(unauthorized)?;
        Ok(Self { tenant, user: user(claims), name: claims.get("name").cloned() })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        claims(parts).map(|claims| Self(user(claims)))
    }
}

/// The claims of the token, as API Gateway's authorizer passes them on. A route without authorizer has none.
fn claims(parts: &Parts) -> Result<&HashMap<String, String>, Problem> {
    let Some(RequestContext::ApiGatewayV2(context)) = parts.extensions.get() else { return Err(unauthorized()) };
    let jwt = context.authorizer.as_ref().and_then(|authorizer| authorizer.jwt.as_ref()).ok_or_else(unauthorized)?;
    if is_as_checked(parts, context.route_key.as_deref()) { Ok(&jwt.claims) } else { Err(nothing_there()) }
}

/// Whether the route that is about to answer is the one whose scopes API Gateway checked.
///
/// API Gateway decodes a path after it has chosen the route, and `lambda_http` reads the decoded one as a URL again. So
/// `DELETE /contacts/1%3F/block`, for which a smaller scope is enough, would arrive as `DELETE /contacts/1`.
fn is_as_checked(parts: &Parts, route_key: Option<&str>) -> bool {
    let answers = parts.extensions.get::<MatchedPath>().map(|path| format!("{} {}", parts.method, path.as_str()));
    let same_route = route_key.is_none() || route_key == answers.as_deref();
    same_route && !parts.raw_http_path().contains(['?', '#', '\\'])
}

/// The id of the user or, where the token belongs to a program, of the program.
fn user(claims: &HashMap<String, String>) -> String {
    claims.get("sub").or_else(|| claims.get("client_id")).cloned().unwrap_or_else(|| "unnamed".to_owned())
}

fn unauthorized() -> Problem {
    Problem::new(ProblemKind::MissingTenant, "The request carries no token that names a tenant.")
}

fn nothing_there() -> Problem {
    Problem::new(ProblemKind::UnknownPath, "There is nothing at this path: no id has any of `/`, `?`, `#` and `\\`.")
}
