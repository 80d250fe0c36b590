//! Requests through the gateway: those that reach a function, and those that are refused.

use axum::Json;
use axum::http::Method;
use lambda_http::request::RequestContext;
use serde_json::{Value, json};

use super::*;
use crate::route::Route;
use crate::token::Scopes;

/// A gateway whose functions answer with what they see.
fn gateway(tokens: &Tokens) -> Gateway {
    gateway_with(tokens, None)
}

fn gateway_with(tokens: &Tokens, cors: Option<Cors>) -> Gateway {
    let mut routes = Routes::default();
    let scope = |scope: &str| Access::Token(vec![scope.to_owned()]);
    for (function, method, path, access) in [
        ("webhook", Some("POST"), "/webhooks/whatsapp", Access::Open),
        ("contacts", Some("GET"), "/contacts", scope("consent/read")),
        ("contacts", Some("GET"), "/contacts/{id}", scope("consent/read")),
        ("contacts", Some("DELETE"), "/contacts/{id}", scope("consent/admin")),
        ("contacts", None, "$default", Access::Open),
        ("broken", Some("GET"), "/broken", Access::Open),
        ("lax", Some("GET"), "/lax", Access::Open),
    ] {
        routes.add(Route::new(function, method, path, access).unwrap()).unwrap();
    }
    let functions = BTreeMap::from([
        ("webhook".to_owned(), Router::new().fallback(echo)),
        ("contacts".to_owned(), Router::new().fallback(echo)),
        ("broken".to_owned(), Router::new().fallback(|| async { panic!("on purpose") as Response })),
        ("lax".to_owned(), Router::new().fallback(|| async { [("access-control-allow-origin", "*")] })),
    ]);
    Gateway::new(routes, functions, tokens.clone(), cors, Clock::system()).unwrap()
}

async fn echo(request: Request) -> Json<Value> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let context = match parts.extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => serde_json::to_value(context).unwrap(),
        _ => Value::Null,
    };
    let headers: BTreeMap<_, _> =
        parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    Json(json!({
        "path": parts.uri.path(), "query": parts.uri.query(), "body": body.to_vec(), "headers": headers, "context": context
    }))
}

async fn call(gateway: &Gateway, request: http::request::Builder, body: impl Into<Body>) -> (u16, Value) {
    let response = gateway.call(request.body(body.into()).unwrap()).await;
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
}

fn request(method: &str, uri: &str) -> http::request::Builder {
    Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(uri).header("host", "127.0.0.1:3000")
}

#[tokio::test]
async fn a_dashboard_route_wants_a_token_with_its_scope() {
    let tokens = Tokens::random();
    let gateway = gateway(&tokens);
    let read = format!("Bearer {}", tokens.issue("demo", Scopes("consent/read")));
    let unauthorized = (401, json!({"message": "Unauthorized"}));
    assert_eq!(call(&gateway, request("GET", "/contacts"), "").await, unauthorized);
    let forged = format!("Bearer {}", Tokens::random().issue("demo", Scopes("consent/read")));
    assert_eq!(call(&gateway, request("GET", "/contacts").header("authorization", forged), "").await, unauthorized);
    let delete = request("DELETE", "/contacts/1").header("authorization", &read);
    assert_eq!(call(&gateway, delete, "").await, (403, json!({"message": "Forbidden"})));
    let (status, seen) = call(&gateway, request("GET", "/contacts/1").header("authorization", &read), "").await;
    assert_eq!(status, 200);
    let jwt = &seen["context"]["authorizer"]["jwt"];
    assert_eq!(jwt["claims"]["custom:tenant_id"], "demo");
    assert_eq!(jwt["scopes"], json!(["consent/read"]));
    assert_eq!(seen["context"]["routeKey"], "GET /contacts/{id}");
}

#[tokio::test]
async fn unknown_routes_go_to_the_default_without_a_token() {
    let gateway = gateway(&Tokens::random());
    for (method, path) in
        [("GET", "/nowhere"), ("PATCH", "/contacts"), ("GET", "/contacts%2F1"), ("GET", "/contacts/1/")]
    {
        let (status, seen) = call(&gateway, request(method, path), "").await;
        assert_eq!((status, seen["context"]["routeKey"].as_str()), (200, Some("$default")), "{method} {path}");
        assert_eq!(seen["context"]["authorizer"], Value::Null);
    }
}

#[tokio::test]
async fn the_path_arrives_as_lambda_http_leaves_it() {
    let gateway = gateway(&Tokens::random());
    for (sent, seen_path, seen_query) in [
        ("/x/%2B1", "/x/+1", None),
        ("/x/a%20b?q=c%20d", "/x/a%20b", Some("q=c%20d")),
        ("/x/a%3Fb", "/x/a", Some("b")),
        ("/x/a%23b", "/x/a", None),
        ("/x/%2E%2E/y", "/y", None),
        ("/x?q=%2B1+2", "/x", Some("q=%2B1+2")),
    ] {
        let (_, seen) = call(&gateway, request("GET", sent), "").await;
        assert_eq!((seen["path"].as_str(), seen["query"].as_str()), (Some(seen_path), seen_query), "{sent}");
    }
}

#[tokio::test]
async fn odd_requests_are_bad_requests_not_panics() {
    let gateway = gateway(&Tokens::random());
    let bad = (400, json!({"message": "Bad Request"}));
    for path in ["/%zz", "/%ff", "/a%"] {
        assert_eq!(call(&gateway, request("GET", path), "").await, bad, "{path}");
    }
    for host in ["a b", "[", "local:99999", "256.1.1.1", "", "a/b c", "\u{e9}"] {
        let value = HeaderValue::from_bytes(host.as_bytes()).unwrap();
        let odd = Request::builder().uri("/x").header("host", value);
        let (status, _) = call(&gateway, odd, "").await;
        assert!([200, 400].contains(&status), "{host}");
    }
    assert_eq!(call(&gateway, Request::builder().uri("/x").header("host", "a b"), "").await, bad);
    let options = Request::builder().method("OPTIONS").uri("*").header("host", "local:80");
    assert_eq!(call(&gateway, options, "").await, bad);
    let opaque = request("GET", "/x").header("x-odd", HeaderValue::from_bytes(b"\xff").unwrap());
    assert_eq!(call(&gateway, opaque, "").await, bad);
}

#[tokio::test]
async fn bodies_arrive_byte_for_byte() {
    let gateway = gateway(&Tokens::random());
    for (content_type, body) in [
        ("application/json", "{\"a\": \"\\u00e4ä\"}".as_bytes().to_vec()),
        ("application/json", vec![0xff, 0x00]),
        ("application/x-www-form-urlencoded", b"a=b".to_vec()),
        ("application/octet-stream", (0..=255).collect()),
    ] {
        let sent = request("POST", "/webhooks/whatsapp").header("content-type", content_type);
        let (_, seen) = call(&gateway, sent, body.clone()).await;
        assert_eq!(seen["body"], json!(body), "{content_type}");
    }
}

#[tokio::test]
async fn headers_are_joined_and_the_gateway_s_own_cannot_be_forged() {
    let gateway = gateway(&Tokens::random());
    let sent = request("GET", "/x")
        .header("X-Many", "a")
        .header("x-many", "b")
        .header("cookie", "a=1; b=2")
        .header("x-forwarded-proto", "gopher");
    let (_, seen) = call(&gateway, sent, "").await;
    assert_eq!(seen["headers"]["x-many"], "a,b");
    assert_eq!(seen["headers"]["cookie"], "a=1; b=2");
    assert_eq!(seen["headers"]["x-forwarded-proto"], "http");
}

#[tokio::test]
async fn oversized_requests_are_refused() {
    let gateway = gateway(&Tokens::random());
    let too_long = (413, json!({"message": "Request Too Long"}));
    let body = vec![b'x'; BODY_LIMIT + 1];
    assert_eq!(call(&gateway, request("POST", "/webhooks/whatsapp"), body).await, too_long);
    let (status, _) = call(&gateway, request("GET", "/x").header("x-long", "x".repeat(HEAD_LIMIT)), "").await;
    assert_eq!(status, 431);
}

#[tokio::test]
async fn a_function_that_dies_is_an_internal_server_error() {
    let gateway = gateway(&Tokens::random());
    let died = (500, json!({"message": "Internal Server Error"}));
    assert_eq!(call(&gateway, request("GET", "/broken"), "").await, died);
}

#[test]
fn a_route_to_no_function_is_noticed_at_the_start() {
    let mut routes = Routes::default();
    routes.add(Route::new("gone", None, "/gone", Access::Open).unwrap()).unwrap();
    let error = Gateway::new(routes, BTreeMap::new(), Tokens::random(), None, Clock::system()).err().unwrap();
    assert!(error.to_string().contains("`gone`"));
}

const PAGE: &str = "https://dashboard.example.com";

/// The answer's status and its CORS headers, without their common beginning.
async fn from_page(gateway: &Gateway, request: http::request::Builder) -> (u16, BTreeMap<String, String>) {
    let response = gateway.call(request.body(Body::empty()).unwrap()).await;
    let headers = response.headers().iter().filter_map(|(name, value)| {
        Some((name.as_str().strip_prefix("access-control-")?.to_owned(), value.to_str().unwrap().to_owned()))
    });
    (response.status().as_u16(), headers.collect())
}

fn cors() -> Cors {
    Cors {
        allow_origins: vec!["https://other.example.com".into(), PAGE.into()],
        allow_methods: vec!["GET".into(), "PUT".into()],
        allow_headers: vec!["authorization".into()],
        expose_headers: vec!["etag".into()],
        max_age: Some(600),
        ..Cors::default()
    }
}

fn headers(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_ask_and_read() {
    let gateway = gateway_with(&Tokens::random(), Some(cors()));
    let preflight = |origin: &str| {
        request("OPTIONS", "/contacts").header("origin", origin).header("access-control-request-method", "GET")
    };
    let allowed =
        [("allow-origin", PAGE), ("allow-methods", "GET,PUT"), ("allow-headers", "authorization"), ("max-age", "600")];
    assert_eq!(from_page(&gateway, preflight(PAGE)).await, (204, headers(&allowed)));
    assert_eq!(from_page(&gateway, preflight("https://evil.example.com")).await, (204, headers(&[])));
    let read = [("allow-origin", PAGE), ("expose-headers", "etag")];
    let (status, marked) = from_page(&gateway, request("GET", "/contacts").header("origin", PAGE)).await;
    assert_eq!((status, marked), (401, headers(&read)), "so that the page can read why it was refused");
    assert_eq!(from_page(&gateway, request("GET", "/contacts")).await, (401, headers(&[])));
}

#[tokio::test]
async fn with_cors_configured_the_headers_of_a_function_do_not_count() {
    let lax = || request("GET", "/lax").header("origin", "https://evil.example.com");
    let gateway = gateway_with(&Tokens::random(), Some(cors()));
    assert_eq!(from_page(&gateway, lax()).await, (200, headers(&[])));
    let gateway = gateway_with(&Tokens::random(), None);
    assert_eq!(from_page(&gateway, lax()).await, (200, headers(&[("allow-origin", "*")])));
}

#[tokio::test]
async fn without_cors_a_preflight_goes_to_the_default_route() {
    let gateway = gateway(&Tokens::random());
    let preflight =
        request("OPTIONS", "/contacts").header("origin", PAGE).header("access-control-request-method", "GET");
    let (status, seen) = call(&gateway, preflight, "").await;
    assert_eq!((status, &seen["context"]["routeKey"]), (200, &json!("$default")));
}
