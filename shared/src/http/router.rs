//! A function's router, made from the table of routes.

use axum::Router;
use axum::handler::Handler;
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::private::private;
use super::{App, Operation, Problem, ProblemKind, Route};

/// A router in the making: operations are added to it one by one.
#[derive(Debug, Default)]
pub struct RouterBuilder(Router<App>);

impl RouterBuilder {
    /// A router without routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has a handler answer the route of an operation.
    #[must_use]
    pub fn serve<H: Handler<T, App>, T: 'static>(self, operation: Operation, handler: H) -> Self {
        let route = Route::of(operation);
        Self(self.0.route(route.path, method_router(&route.method, handler)))
    }

    /// The router of a function that works with `app`. Requests that no route takes are refused by problem documents, and every
    /// answer stays out of caches.
    pub fn finish(self, app: App) -> Router {
        let routes = self.0.method_not_allowed_fallback(refuse).fallback(refuse);
        routes.layer(map_response(private)).with_state(app)
    }
}

/// A handler for one method. Axum would take `HEAD` for `GET`; API Gateway does not.
fn method_router<H: Handler<T, App>, T: 'static>(method: &Method, handler: H) -> MethodRouter<App> {
    match MethodFilter::try_from(method.clone()) {
        Ok(MethodFilter::GET) => on(MethodFilter::GET, handler).head(refuse),
        Ok(filter) => on(filter, handler),
        Err(_) => MethodRouter::new(),
    }
}

/// 405 for a path that has other methods, 404 for any other, whichever function the path belongs to.
///
/// `OPTIONS` is 204 on every path: that is how a browser asks whether a page may make a request. The headers that tell it are
/// API Gateway's, which puts them on this answer if it does not answer by itself.
async fn refuse(method: Method, uri: Uri) -> Response {
    let methods = Route::methods(uri.path());
    if method == Method::OPTIONS {
        return (StatusCode::NO_CONTENT, methods.map(|methods| [(header::ALLOW, methods)]), ()).into_response();
    }
    match methods {
        Some(methods) => {
            let detail = "This path does not have this method; the header `Allow` names those that it has.";
            ([(header::ALLOW, methods)], Problem::new(ProblemKind::MethodNotAllowed, detail)).into_response()
        }
        None => Problem::new(ProblemKind::UnknownPath, "There is nothing at this path.").into_response(),
    }
}
