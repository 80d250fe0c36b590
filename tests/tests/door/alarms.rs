//! The log lines that raise alarms.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use consent::log::Metric;
use serde_json::json;
use tests::{Counted, World, sign, webhook};

const SHEENA: &str = "14155550123";

#[tokio::test]
async fn a_signature_of_nobodys_app_is_counted_apart_from_none_at_all() {
    let world = World::start().await;
    let body = webhook(&[world.message(SHEENA, "STOP").json()]).to_string();
    let counted = Counted::from_now_on();
    let post = async |signature: Option<String>| {
        let request = Request::post("/webhooks/whatsapp");
        let request = match signature {
            Some(signature) => request.header("x-hub-signature-256", signature),
            None => request.header("x-hub-signature", "sha1=0000"),
        };
        let answer = world.call(request.body(Body::from(body.clone())).unwrap()).await;
        answer.problem(StatusCode::UNAUTHORIZED);
        (counted.count(Metric::BadSignature), counted.count(Metric::Unsigned))
    };
    assert_eq!(post(None).await, (0, 1));
    assert_eq!(post(Some(sign("an-older-app-secret", body.as_bytes()))).await, (1, 1));
    assert_eq!(post(Some("sha512=00".to_owned())).await, (1, 2), "anybody can send a header of another form");
}

#[tokio::test]
async fn an_opt_out_that_staff_did_not_know_of_is_counted_once_for_its_alarm() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let late = world.message(SHEENA, "STOP").at(world.seconds() + 10);
    world.wait(60);
    world.switch(SHEENA, "opted_in").await;
    let counted = Counted::from_now_on();
    world.delivers(&late).await;
    world.delivers(&late).await;
    assert_eq!((counted.count(Metric::OptOutUnheeded), counted.count(Metric::OptOutSuperseded)), (1, 1));
    assert!(world.contact(SHEENA).await.unwrap()["unheeded_opt_out_at"].is_string());
}

#[tokio::test]
async fn a_late_opt_out_before_the_customers_own_opt_in_is_only_counted_as_superseded() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let late = world.message(SHEENA, "STOP").at(world.seconds() + 10);
    world.wait(60);
    world.says(SHEENA, "START").await;
    let counted = Counted::from_now_on();
    world.delivers(&late).await;
    assert_eq!((counted.count(Metric::OptOutUnheeded), counted.count(Metric::OptOutSuperseded)), (0, 1));
}

#[tokio::test]
async fn a_batch_that_leaves_an_opt_out_unheeded_counts_for_the_same_alarm() {
    let world = World::start().await;
    world.wait(60);
    world.switch(SHEENA, "opted_in").await;
    let counted = Counted::from_now_on();
    let obtained = world.shown(world.seconds() - 30);
    let changes = json!({"changes": [{"id": SHEENA, "status": "opted_out", "evidence": {"text": "form", "obtained_at": obtained}}]});
    world.ask(Method::POST, "/contacts/batch", Some(changes)).await.expect(StatusCode::OK);
    assert!(world.contact(SHEENA).await.unwrap()["unheeded_opt_out_at"].is_string());
    assert_eq!(counted.count(Metric::OptOutUnheeded), 1);
}
