//! Requests that are refused without reading the table: those without a tenant, with an unknown path or method, and those
//! that the function would route differently from API Gateway, which checked their scope.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use aws_sdk_dynamodb::config::BehaviorVersion;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use consent::clock::Clock;
use consent::store::Store;
use contacts::App;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

/// A request as API Gateway passes it on: for a route of its choice, with the path already decoded.
struct Request {
    route: &'static str,
    method: &'static str,
    path: &'static str,
    tenant: Option<&'static str>,
}

async fn answer(Request { route, method, path, tenant }: Request) -> Response {
    let authorizer = tenant.map(|tenant| json!({"jwt": {"claims": {"custom:tenant_id": tenant, "sub": "user-1"}}}));
    let event = json!({
        "version": "2.0", "routeKey": route, "rawPath": path, "rawQueryString": "", "headers": {"host": "localhost"},
        "requestContext": {
            "routeKey": route, "stage": "$default", "authorizer": authorizer, "timeEpoch": 0,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": ""}
        },
        "isBase64Encoded": false
    });
    let request = lambda_http::request::from_str(&event.to_string()).unwrap().map(|_| Body::empty());
    contacts::router(app()).oneshot(request).await.unwrap()
}

/// The state with a table that can't be reached, so every read fails.
fn app() -> App {
    let nowhere = aws_sdk_dynamodb::Config::builder().behavior_version(BehaviorVersion::latest()).build();
    App {
        store: Store::new(aws_sdk_dynamodb::Client::from_conf(nowhere), "consent"),
        clock: Clock::system(),
        tenant_claim: "custom:tenant_id".to_owned(),
    }
}

async fn document(response: Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

async fn by_default_route(method: &'static str, path: &'static str) -> Response {
    answer(Request { route: "$default", method, path, tenant: None }).await
}

#[tokio::test]
async fn a_request_without_a_tenant_is_unauthorized() {
    for tenant in [None, Some(""), Some("no tenant id")] {
        let response = answer(Request { route: "GET /contacts", method: "GET", path: "/contacts", tenant }).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{tenant:?}");
        assert_eq!(document(response).await["status"], 401);
    }
}

#[tokio::test]
async fn a_path_that_is_none_is_not_found() {
    for path in ["/", "/contact", "/contacts/", "/contacts/1/2", "/settings/", "/channels"] {
        let response = by_default_route("GET", path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(document(response).await["title"], "Not Found");
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_told_those_that_it_has() {
    for (method, path, allowed) in [
        ("POST", "/contacts", "GET"),
        ("HEAD", "/contacts", "GET"),
        ("GET", "/contacts/batch", "POST"),
        ("PATCH", "/contacts/+14155550123", "GET, DELETE"),
        ("POST", "/contacts/+14155550123/block", "PUT, DELETE"),
        ("DELETE", "/settings", "GET, PUT"),
        ("GET", "/settings/test", "POST"),
        ("GET", "/channels/106540352242922", "PUT, DELETE"),
        ("DELETE", "/webhooks/whatsapp", "GET, POST"),
    ] {
        let response = by_default_route(method, path).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(response.headers()["allow"], allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn an_id_that_is_none_is_named() {
    let request =
        Request { route: "GET /contacts/{id}", method: "GET", path: "/contacts/nobody", tenant: Some("demo") };
    let response = answer(request).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(document(response).await["errors"][0]["field"], "id");
}

#[tokio::test]
async fn a_path_that_reads_as_another_route_gets_nothing_of_that_routes_scope() {
    for (route, method, path) in [
        ("DELETE /contacts/{id}/block", "DELETE", "/contacts/+14155550123?/block"),
        ("DELETE /contacts/{id}/block", "DELETE", "/contacts/+14155550123#/block"),
        ("DELETE /contacts/{id}/block", "DELETE", "/contacts/x/../+14155550123"),
        ("PUT /contacts/{id}/block", "PUT", "/contacts/+14155550123/consent?/block"),
        ("GET /contacts/{id}", "GET", "/contacts/+14155550123/history"),
        ("DELETE /contacts/{id}", "DELETE", "/contacts/+1415555012?3"),
        ("DELETE /contacts/{id}", "DELETE", "/contacts/x\\..\\+14155550123"),
    ] {
        let response = answer(Request { route, method, path, tenant: Some("demo") }).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
}
