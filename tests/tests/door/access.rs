//! The routes that each scope of the template opens.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tests::{SCOPES, World};

const SHEENA: &str = "14155550123";

/// Every route of the dashboard, with the one scope that it takes.
const ROUTES: [(Method, &str, &str); 14] = [
    (Method::GET, "/settings", "consent/read"),
    (Method::PUT, "/settings", "consent/admin"),
    (Method::POST, "/settings/test", "consent/read"),
    (Method::PUT, "/channels/200", "consent/platform"),
    (Method::DELETE, "/channels/200", "consent/platform"),
    (Method::GET, "/contacts", "consent/read"),
    (Method::GET, "/contacts/14155550123", "consent/read"),
    (Method::PUT, "/contacts/14155550123/consent", "consent/write"),
    (Method::PUT, "/contacts/14155550123/block", "consent/write"),
    (Method::DELETE, "/contacts/14155550123/block", "consent/write"),
    (Method::GET, "/contacts/14155550123/history", "consent/read"),
    (Method::POST, "/contacts/batch", "consent/write"),
    (Method::DELETE, "/contacts/14155550123", "consent/admin"),
    (Method::GET, "/contacts/US.13491208655302741918", "consent/read"),
];

#[tokio::test]
async fn no_route_of_the_dashboard_answers_without_a_token() {
    let world = World::start().await;
    for (method, path, _) in ROUTES {
        for token in [None, Some("Bearer nonsense"), Some("Basic dXNlcjpwYXNz")] {
            let mut request = Request::builder().method(method.clone()).uri(path);
            if let Some(token) = token {
                request = request.header(header::AUTHORIZATION, token);
            }
            let answer = world.call(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(answer.body, json!({"message": "Unauthorized"}));
        }
    }
}

#[tokio::test]
async fn each_route_takes_its_own_scope_and_no_other() {
    let world = World::start().await;
    for (method, path, own) in ROUTES {
        for scope in ["consent/read", "consent/write", "consent/admin", "consent/platform"] {
            let answer = world.ask_as("demo", scope, method.clone(), path, None).await;
            let forbidden = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(forbidden, scope != own, "{method} {path} {scope}: {}", answer.status);
            if forbidden {
                assert_eq!(answer.body, json!({"message": "Forbidden"}));
            }
        }
    }
}

#[tokio::test]
async fn every_route_of_the_table_is_served() {
    let world = World::start().await;
    for route in &consent::http::ROUTES {
        let path = route.path.replace("{id}", SHEENA).replace("{phone_number_id}", "200");
        let scope = route.scope.map_or("", consent::http::Scope::as_str);
        let answer = world.ask_as("demo", scope, route.method.clone(), &path, None).await;
        let kind = answer.body["type"].as_str().unwrap_or_default();
        let unserved = ["urn:opt-in-out:problem:unknown-path", "urn:opt-in-out:problem:method-not-allowed"];
        assert!(!unserved.contains(&kind), "{} {}: {}", route.method, route.path, answer.body);
    }
}

#[tokio::test]
async fn answers_about_people_stay_out_of_caches_whatever_they_say() {
    let world = World::start().await;
    for (method, path, _) in ROUTES {
        let answer = world.ask(method.clone(), path, None).await;
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if answer.status != StatusCode::FORBIDDEN {
            assert_eq!((header("cache-control"), header("x-content-type-options")), ("no-store", "nosniff"), "{path}");
        }
    }
}

#[tokio::test]
async fn a_tenant_sees_and_changes_nothing_of_another() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let path = format!("/contacts/{SHEENA}");
    let acme = async |method, path: &str, body| world.ask_as("acme", SCOPES, method, path, body).await;
    assert_eq!(acme(Method::GET, &path, None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(acme(Method::GET, "/contacts", None).await.expect(StatusCode::OK)["contacts"], json!([]));
    let history = acme(Method::GET, &format!("{path}/history"), None).await.expect(StatusCode::OK);
    assert_eq!(history["events"], json!([]));
    let switch = Some(json!({"status": "opted_in"}));
    acme(Method::PUT, &format!("{path}/consent"), switch).await.expect(StatusCode::OK);
    assert_eq!(acme(Method::DELETE, &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.status(SHEENA).await, "opted_out");
    assert_eq!(world.history(SHEENA).await.len(), 1);
}

#[tokio::test]
async fn a_token_without_a_tenant_is_refused_by_the_function_itself() {
    let world = World::start().await;
    for tenant in ["", "not a tenant", "a#b"] {
        let answer = world.ask_as(tenant, SCOPES, Method::GET, "/contacts", None).await;
        answer.problem(StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_answered_with_problem_documents() {
    let world = World::start().await;
    let ask = async |method: Method, path: &str| {
        world.call(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
    };
    for path in ["/", "/nothing", "/contacts/1/2/3", "/settings/other", "/webhooks"] {
        ask(Method::GET, path).await.problem(StatusCode::NOT_FOUND);
    }
    for (method, path) in [
        (Method::POST, "/settings"),
        (Method::GET, "/settings/test"),
        (Method::PATCH, "/contacts/14155550123"),
        (Method::PUT, "/contacts"),
        (Method::DELETE, "/webhooks/whatsapp"),
        (Method::POST, "/channels/200"),
    ] {
        let answer = ask(method.clone(), path).await;
        assert!(answer.headers.contains_key(header::ALLOW), "{method} {path}");
        answer.problem(StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn odd_paths_are_refused_not_misread() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    for (path, status) in [
        ("/contacts/%2B14155550123", StatusCode::OK),
        ("/contacts/+1%20415%20555%200123", StatusCode::OK),
        ("/contacts/hello", StatusCode::UNPROCESSABLE_ENTITY),
        ("/contacts/14155550123%3Fx", StatusCode::NOT_FOUND),
        ("/contacts/14155550123%23x", StatusCode::NOT_FOUND),
        ("/contacts/%00", StatusCode::NOT_FOUND),
    ] {
        let answer = world.ask(Method::GET, path, None).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_browser_may_ask_for_the_options_of_every_path_without_a_token() {
    let world = World::start().await;
    for (path, methods) in [
        ("/contacts", Some("GET")),
        ("/contacts/+14155550123/block", Some("PUT, DELETE")),
        ("/settings", Some("GET, PUT")),
        ("/webhooks/whatsapp", Some("GET, POST")),
        ("/nowhere", None),
    ] {
        let request = Request::options(path)
            .header("origin", "https://dashboard.example.com")
            .header("access-control-request-method", "GET");
        let answer = world.call(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::NO_CONTENT, &Value::Null), "{path}");
        assert_eq!(answer.headers.get(header::ALLOW).map(|allow| allow.to_str().unwrap()), methods, "{path}");
        assert!(answer.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_none(), "that is for API Gateway to say");
    }
}
