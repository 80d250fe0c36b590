//! The stand-in's answers, orders and statuses.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use consent::time::Time;
use http_body_util::BodyExt;
use serde_json::json;
use tokio::time::Instant;
use tower::ServiceExt;

use super::*;
use crate::update::inbox::Inbox;

const TOKEN: &str = "Bearer local-access-token";

fn message(token: &str, body: &Value) -> Request<Body> {
    Request::post("/graph/v25.0/106540352242922/messages")
        .header("authorization", token)
        .body(Body::from(body.to_string()))
        .unwrap()
}

async fn call(graph: &Graph, request: Request<Body>) -> (StatusCode, Value) {
    let response = graph.router().oneshot(request).await.unwrap();
    let status = response.status();
    (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
}

async fn send(graph: &Graph, token: &str, body: &Value) -> (StatusCode, Value) {
    call(graph, message(token, body)).await
}

async fn tell(graph: &Graph, body: &Value) -> (StatusCode, Value) {
    call(graph, Request::put("/local/graph").body(Body::from(body.to_string())).unwrap()).await
}

/// A graph that sends statuses, and what arrives of them.
fn reporting() -> (Graph, Inbox) {
    let (graph, inbox) = (Graph::default(), Inbox::default());
    let clock = Clock::manual(Time::from_millis(1_750_030_073_500));
    graph.send_statuses(true);
    tokio::spawn(graph.deliver_statuses(inbox.gateway(&clock), clock));
    (graph, inbox)
}

#[tokio::test]
async fn an_accepted_message_is_answered_and_kept() {
    let graph = Graph::default();
    let (first, second) = (json!({"to": "+16505551234", "n": 1}), json!({"recipient": "US.1349", "n": 2}));
    let (status, answer) = send(&graph, TOKEN, &first).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["contacts"], json!([{"input": "+16505551234", "wa_id": "16505551234"}]));
    assert!(answer["messages"][0]["id"].as_str().unwrap().starts_with("wamid."));
    let (_, answer) = send(&graph, TOKEN, &second).await;
    assert_eq!(answer["contacts"], json!([{"input": "US.1349", "user_id": "US.1349"}]));
    assert_eq!(graph.outbox(), [first, second]);
}

#[tokio::test]
async fn another_token_is_code_190_and_keeps_nothing() {
    let graph = Graph::default();
    for token in ["Bearer other", "local-access-token", "Bearer local-access-token2"] {
        let (status, answer) = send(&graph, token, &json!({"to": "+16505551234"})).await;
        assert_eq!((status, answer["error"]["code"].as_u64()), (StatusCode::UNAUTHORIZED, Some(190)));
    }
    assert!(graph.outbox().is_empty());
}

#[tokio::test]
async fn a_message_to_nobody_is_refused() {
    let (status, answer) = send(&Graph::default(), TOKEN, &json!({})).await;
    assert_eq!((status, answer["error"]["code"].as_u64()), (StatusCode::BAD_REQUEST, Some(100)));
}

#[tokio::test]
async fn it_fails_as_told_and_then_no_more() {
    let (graph, to) = (Graph::default(), json!({"to": "+16505551234"}));
    let (status, state) = tell(&graph, &json!({"fail": [131_056, 2]})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(state, json!({"fail": [131_056, 2], "gateway": [], "slow_ms": 0, "lose_answers": 0, "statuses": false}));
    for (status, code) in [(StatusCode::BAD_REQUEST, 131_056), (StatusCode::INTERNAL_SERVER_ERROR, 2)] {
        let (got, answer) = send(&graph, TOKEN, &to).await;
        assert_eq!((got, answer["error"]["code"].as_u64()), (status, Some(code)));
    }
    assert_eq!(send(&graph, TOKEN, &to).await.0, StatusCode::OK);
    assert_eq!((graph.outbox().len(), graph.answers()), (1, vec![400, 500, 200]));
}

#[tokio::test]
async fn an_order_takes_the_place_of_the_one_before() {
    let graph = Graph::default();
    tell(&graph, &json!({"fail": 131_056, "lose_answers": 2, "slow_ms": 5, "statuses": true})).await;
    let (_, state) = tell(&graph, &json!({})).await;
    assert_eq!(state, json!({"fail": [131_056], "gateway": [], "slow_ms": 5, "lose_answers": 2, "statuses": true}));
    let (_, state) = tell(&graph, &json!({"fail": 2, "lose_answers": 0, "slow_ms": 0})).await;
    assert_eq!(state, json!({"fail": [2], "gateway": [], "slow_ms": 0, "lose_answers": 0, "statuses": true}));
    let (_, state) = tell(&graph, &json!({"fail": [], "lose_answers": 1, "statuses": false})).await;
    assert_eq!(state, json!({"fail": [], "gateway": [], "slow_ms": 0, "lose_answers": 1, "statuses": false}));
}

#[tokio::test]
async fn a_gateway_answers_with_pages_and_nothing_arrives() {
    let (graph, to) = (Graph::default(), json!({"to": "+16505551234"}));
    let (_, state) = tell(&graph, &json!({"gateway": [502, 504]})).await;
    assert_eq!(state["gateway"], json!([502, 504]));
    for status in [StatusCode::BAD_GATEWAY, StatusCode::GATEWAY_TIMEOUT] {
        let answer = graph.router().oneshot(message(TOKEN, &to)).await.unwrap();
        assert_eq!(answer.status(), status);
        let page = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(serde_json::from_slice::<Value>(&page).is_err(), "a page is not JSON");
    }
    assert_eq!(send(&graph, TOKEN, &to).await.0, StatusCode::OK);
    assert_eq!((graph.outbox().len(), graph.answers()), (1, vec![502, 504, 200]));
}

#[tokio::test]
async fn orders_that_do_not_fit_change_nothing() {
    let graph = Graph::default();
    for (body, field) in [
        (json!({"fails": 2}), "fails"),
        (json!({"fail": "2"}), "fail"),
        (json!({"fail": [-1]}), "fail"),
        (json!({"fail": 2, "slow_ms": 60_001}), "slow_ms"),
        (json!({"gateway": 200}), "gateway"),
        (json!({"gateway": "502"}), "gateway"),
        (json!({"lose_answers": 1001}), "lose_answers"),
        (json!({"statuses": "yes"}), "statuses"),
        (json!([1]), "body"),
    ] {
        let (status, answer) = tell(&graph, &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{field}: ")), "{message}");
    }
    let (_, state) = tell(&graph, &json!({})).await;
    assert_eq!(state, json!({"fail": [], "gateway": [], "slow_ms": 0, "lose_answers": 0, "statuses": false}));
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_takes_the_message_at_once_and_answers_late() {
    let graph = Graph::default();
    tell(&graph, &json!({"slow_ms": 1500})).await;
    let begun = Instant::now();
    let request = message(TOKEN, &json!({"to": "+16505551234"}));
    let answer = tokio::spawn(graph.router().oneshot(request));
    graph.sent(1).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    assert!(begun.elapsed() >= Duration::from_millis(1500));
    graph.refuse([2]);
    let begun = Instant::now();
    assert_eq!(send(&graph, TOKEN, &json!({})).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(begun.elapsed() >= Duration::from_millis(1500), "every answer");
}

#[tokio::test]
async fn statuses_follow_the_answer_with_what_the_message_brought() {
    let (graph, inbox) = reporting();
    let phone = json!({"to": "+16505551234", "biz_opaque_callback_data": "c1"});
    let response = graph.router().oneshot(message(TOKEN, &phone)).await.unwrap();
    tokio::task::yield_now().await;
    assert!(inbox.changes().is_empty(), "the answer is not out");
    let answer: Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    let id = &answer["messages"][0]["id"];
    graph.statuses_delivered().await;
    let changes = inbox.changes();
    for (change, status) in changes.iter().zip(["sent", "delivered"]) {
        assert_eq!(change["field"], "messages");
        assert_eq!(change["value"]["metadata"]["phone_number_id"], "106540352242922");
        assert_eq!(
            change["value"]["statuses"],
            json!([{"id": id, "status": status, "timestamp": "1750030073", "recipient_id": "16505551234",
                "biz_opaque_callback_data": "c1"}])
        );
    }
    send(&graph, TOKEN, &json!({"recipient": "US.1349"})).await;
    graph.statuses_delivered().await;
    let changes = inbox.changes();
    assert_eq!(changes.len(), 4);
    let status = &changes[2]["value"]["statuses"][0];
    assert_eq!((status["recipient_user_id"].as_str(), status.get("recipient_id")), (Some("US.1349"), None));
    assert_eq!(status.get("biz_opaque_callback_data"), None);
}

#[tokio::test]
async fn a_lost_answer_has_statuses_and_a_refusal_has_none() {
    let (graph, inbox) = reporting();
    tell(&graph, &json!({"fail": 131_047, "lose_answers": 1})).await;
    assert_eq!(send(&graph, TOKEN, &json!({"to": "+16505551234"})).await.0, StatusCode::BAD_REQUEST);
    graph.statuses_delivered().await;
    assert!(inbox.changes().is_empty());
    let lost = graph.router().oneshot(message(TOKEN, &json!({"to": "+16505551234"})));
    assert!(tokio::spawn(lost).await.unwrap_err().is_panic());
    graph.statuses_delivered().await;
    assert_eq!((inbox.changes().len(), graph.answers()), (2, vec![400, 200]));
}

#[tokio::test]
async fn without_the_order_there_are_no_statuses() {
    let (graph, inbox) = reporting();
    tell(&graph, &json!({"statuses": false})).await;
    send(&graph, TOKEN, &json!({"to": "+16505551234"})).await;
    graph.statuses_delivered().await;
    assert!(inbox.changes().is_empty());
}
