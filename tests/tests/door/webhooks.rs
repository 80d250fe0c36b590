//! Messages from customers, and their effects.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tests::{Message, World, sign, webhook};

const SHEENA: &str = "14155550123";

#[tokio::test]
async fn stop_opts_out_and_start_brings_back() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let contact = world.contact(SHEENA).await.unwrap();
    assert_eq!(contact["status"], "opted_out");
    assert_eq!(contact["source"], "keyword");
    assert_eq!(
        contact["can_receive"],
        json!({"marketing": false, "utility": true, "authentication": true, "service": true})
    );
    world.says(SHEENA, "START").await;
    assert_eq!(world.status(SHEENA).await, "opted_in");
}

#[tokio::test]
async fn start_of_someone_who_never_opted_out_does_nothing_visible() {
    let world = World::start().await;
    let start = world.says(SHEENA, "START").await;
    assert_eq!(world.contact(SHEENA).await, None);
    let list = world.ask(Method::GET, "/contacts", None).await.expect(StatusCode::OK);
    assert_eq!(list, json!({"contacts": [], "cursor": null}));
    let history = world.history(SHEENA).await;
    assert_eq!((history[0]["id"].as_str(), &history[0]["effect"]), (Some(start.id()), &json!("none")));
    world.sweep().await;
    assert_eq!(world.sent(), []);
}

#[tokio::test]
async fn words_around_a_keyword_make_it_a_sentence() {
    let world = World::start().await;
    for text in ["Please don't stop", "stop by my office tomorrow", "unstop", "weekend", "hello"] {
        world.says(SHEENA, text).await;
    }
    assert_eq!(world.contact(SHEENA).await, None);
    assert_eq!(world.history(SHEENA).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_keyword_counts_wherever_a_customer_can_put_it() {
    let world = World::start().await;
    let shapes = [
        json!({"type": "image", "image": {"caption": "stop", "id": "1"}}),
        json!({"type": "document", "document": {"caption": " *Stop!* 🛑"}}),
        json!({"type": "button", "button": {"payload": "STOP", "text": "No more"}}),
        json!({"type": "button", "button": {"text": "Stop"}}),
        json!({"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "stop", "title": "Cancel"}}}),
        json!({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "r1", "title": "STOP"}}}),
    ];
    for (index, shape) in shapes.into_iter().enumerate() {
        let from = format!("141555501{index:02}");
        let source = if shape["type"] == "image" || shape["type"] == "document" { "keyword" } else { "button" };
        let message = Message::of(&from, shape).with_id(&format!("wamid.{index}")).at(world.seconds());
        world.delivers(&message).await;
        let contact = world.contact(&from).await.unwrap();
        assert_eq!((&contact["status"], &contact["source"]), (&json!("opted_out"), &json!(source)), "{index}");
    }
}

#[tokio::test]
async fn the_history_proves_what_was_said_where_and_when() {
    let world = World::start().await;
    let stop = world.says(SHEENA, "Stop!").await;
    let events = world.history(SHEENA).await;
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event["id"], stop.id());
    assert_eq!(event["kind"], "opt_out");
    assert_eq!(event["effect"], "changed");
    assert_eq!(event["source"], "keyword");
    assert_eq!(event["by"], "customer");
    assert_eq!(event["channel"], local::DEMO_CHANNEL);
    assert_eq!((&event["words"], &event["keyword"]), (&json!("Stop!"), &json!("STOP")));
    assert_eq!(event["at"], "2026-11-22T10:00:01.999Z");
    assert_eq!(event["received_at"], "2026-11-22T10:00:01.000Z");
    assert_eq!(event["confirmation"]["state"], "pending");
}

#[tokio::test]
async fn a_message_delivered_again_changes_nothing_even_after_a_newer_wish() {
    let world = World::start().await;
    let stop = world.says(SHEENA, "STOP").await;
    world.says(SHEENA, "START").await;
    world.wait(3600);
    world.delivers(&stop).await;
    assert_eq!(world.status(SHEENA).await, "opted_in");
    assert_eq!(world.history(SHEENA).await.len(), 2);
}

#[tokio::test]
async fn repeats_and_contradictions_in_one_body_are_decided_in_their_order_of_time() {
    let world = World::start().await;
    let stop = Message::text(SHEENA, "STOP").with_id("wamid.stop").at(world.seconds() - 1);
    let start = Message::text(SHEENA, "START").with_id("wamid.start").at(world.seconds());
    let body = webhook(&[start.json(), stop.json(), stop.json(), start.json()]);
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
    assert_eq!(world.status(SHEENA).await, "opted_in");
    assert_eq!(world.history(SHEENA).await.len(), 2);
}

#[tokio::test]
async fn a_bad_update_holds_up_no_other() {
    let world = World::start().await;
    let good = Message::text(SHEENA, "STOP").with_id("wamid.good").at(world.seconds());
    let nobody = json!({"id": "wamid.nobody", "timestamp": "1", "type": "text", "text": {"body": "STOP"}});
    let body =
        webhook(&[json!("no message"), json!({}), nobody, json!({"from": "?", "text": {"body": "STOP"}}), good.json()]);
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
    assert_eq!(world.status(SHEENA).await, "opted_out");
}

#[tokio::test]
async fn broken_text_numbers_and_nesting_in_one_update_hold_up_no_other() {
    let world = World::start().await;
    let broken = [
        r#"{"from": "14155550190", "text": {"body": "\ud83d"}}"#.to_owned(),
        r#"{"from": "14155550190", "timestamp": 1e999, "text": {"body": "hello"}}"#.to_owned(),
        format!(r#"{{"from": "14155550190", "context": {}{}}}"#, "[".repeat(300), "]".repeat(300)),
        r#"{"from": "14155550192", "id": "wamid.when", "timestamp": 1e999, "text": {"body": "STOP"}}"#.to_owned(),
        format!(
            r#"{{"from": "14155550193", "id": "wamid.deep", "timestamp": "1795341600", "context": {}{}, "text": {{"body": "STOP"}}}}"#,
            "[".repeat(300),
            "]".repeat(300)
        ),
        r#"{"from": "14155550191", "id": "wamid.cut", "timestamp": "1795341600", "text": {"body": "STOP \ud83d"}}"#
            .to_owned(),
    ];
    let good = Message::text(SHEENA, "STOP").with_id("wamid.good").at(world.seconds());
    let people =
        r#"[{"wa_id": "14155550123", "profile": {"name": "\udead"}}, {"wa_id": "14155550190", "profile": 1e999}]"#;
    let body = webhook(&[good.json()]).to_string();
    let body =
        body.replace(r#""messages":["#, &format!(r#""contacts": {people}, "messages":[{}, "#, broken.join(", ")));
    assert_eq!(world.post_text(&body).await, StatusCode::OK);
    assert_eq!(world.status(SHEENA).await, "opted_out");
    for number in ["14155550191", "14155550192", "14155550193"] {
        assert_eq!(world.status(number).await, "opted_out", "{number}");
    }
    assert_eq!(world.contact("14155550190").await, None);
}

#[tokio::test]
async fn a_stop_of_the_year_1970_counts_when_it_arrives() {
    let world = World::start().await;
    world.delivers(&Message::text(SHEENA, "STOP").with_id("wamid.zero").at(0)).await;
    assert_eq!(world.contact(SHEENA).await.unwrap()["status_changed_at"], world.shown(world.seconds()));
}

#[tokio::test]
async fn people_without_message_ids_are_told_apart() {
    let world = World::start().await;
    let from_nowhere = |phone: &str| {
        let message = json!({"timestamp": "1795341600", "type": "text", "text": {"body": "STOP"}});
        let mut change = webhook(&[message])["entry"][0]["changes"][0].take();
        change["value"]["contacts"] = json!([{"wa_id": phone}]);
        change
    };
    let body = json!({"entry": [{"changes": [from_nowhere("14155550101"), from_nowhere("14155550102")]}]});
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
    for number in ["14155550101", "14155550102"] {
        assert_eq!(world.status(number).await, "opted_out");
    }
}

#[tokio::test]
async fn a_stop_without_a_usable_time_counts_when_it_arrives_and_only_once() {
    let world = World::start().await;
    let stop = Message::text(SHEENA, "STOP").with_id("wamid.timeless");
    world.delivers(&stop).await;
    assert_eq!(world.status(SHEENA).await, "opted_out");
    world.says(SHEENA, "START").await;
    world.wait(60);
    world.delivers(&stop).await;
    assert_eq!(world.status(SHEENA).await, "opted_in");
    assert_eq!(world.history(SHEENA).await.len(), 2);
}

#[tokio::test]
async fn a_start_without_a_usable_time_is_ignored() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.wait(60);
    world.delivers(&Message::text(SHEENA, "START").with_id("wamid.timeless")).await;
    assert_eq!(world.status(SHEENA).await, "opted_out");
}

#[tokio::test]
async fn a_message_from_the_future_counts_once_even_when_its_time_has_come() {
    let world = World::start().await;
    let stop = Message::text(SHEENA, "STOP").with_id("wamid.early").at(world.seconds() + 400);
    world.delivers(&stop).await;
    let events = world.history(SHEENA).await;
    assert_eq!(events[0]["at"], world.shown(world.seconds()));
    world.says(SHEENA, "START").await;
    world.wait(200);
    world.delivers(&stop).await;
    assert_eq!(world.status(SHEENA).await, "opted_in");
    assert_eq!(world.history(SHEENA).await.len(), 2);
}

#[tokio::test]
async fn a_message_without_an_id_counts_once() {
    let world = World::start().await;
    let stop = Message::text(SHEENA, "STOP").at(world.seconds());
    world.delivers(&stop).await;
    world.delivers(&stop).await;
    assert_eq!(world.history(SHEENA).await.len(), 1);
}

#[tokio::test]
async fn while_keywords_are_off_a_stop_is_kept_in_the_history_but_not_heeded() {
    let world = World::start().await;
    world.change_settings(|settings| settings["enabled"] = false.into()).await;
    world.says(SHEENA, "STOP").await;
    assert_eq!(world.contact(SHEENA).await, None);
    let event = &world.history(SHEENA).await[0];
    assert_eq!(
        (&event["effect"], &event["reason"], &event["confirmation"]),
        (&json!("none"), &json!("disabled"), &Value::Null)
    );
}

#[tokio::test]
async fn keywords_are_read_afresh_for_each_message() {
    let world = World::start().await;
    world.says(SHEENA, "Basta").await;
    assert_eq!(world.contact(SHEENA).await, None);
    world.change_settings(|settings| settings["opt_out_keywords"] = json!(["STOP", "¡Basta!"])).await;
    world.says(SHEENA, "basta").await;
    assert_eq!(world.status(SHEENA).await, "opted_out");
}

#[tokio::test]
async fn one_mexican_customer_is_one_contact_under_either_spelling() {
    let world = World::start().await;
    world.says("5215512345678", "STOP").await;
    let contact = world.contact("+52 55 1234 5678".replace(' ', "%20").as_str()).await.unwrap();
    assert_eq!((&contact["id"], &contact["phone"]), (&json!("+525512345678"), &json!("5215512345678")));
}

#[tokio::test]
async fn two_tenants_share_a_customer_but_no_consent() {
    let world = World::start().await;
    world.register("200", "acme").await;
    world.says(SHEENA, "STOP").await;
    let acme = async || {
        let answer = world.ask_as("acme", tests::SCOPES, Method::GET, &format!("/contacts/{SHEENA}"), None).await;
        (answer.status, answer.body["status"].clone())
    };
    assert_eq!(acme().await.0, StatusCode::NOT_FOUND);
    let mut body = webhook(&[world.message(SHEENA, "STOP").json()]);
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "200".into();
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
    assert_eq!(acme().await, (StatusCode::OK, json!("opted_out")));
    world.says(SHEENA, "START").await;
    assert_eq!(acme().await, (StatusCode::OK, json!("opted_out")));
    assert_eq!(world.status(SHEENA).await, "opted_in");
}

#[tokio::test]
async fn the_handshake_gives_back_the_challenge_for_the_right_token_only() {
    let world = World::start().await;
    let ask = async |query: &str| {
        let request = Request::get(format!("/webhooks/whatsapp?{query}")).body(Body::empty()).unwrap();
        world.call(request).await
    };
    let right = ask("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=local-verify-token").await;
    assert_eq!((right.status, right.body), (StatusCode::OK, json!(1_158_201_444)));
    assert!(right.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/plain"));
    for wrong in [
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong",
        "hub.challenge=1&hub.verify_token=local-verify-token",
        "",
    ] {
        assert_eq!(ask(wrong).await.status, StatusCode::FORBIDDEN, "{wrong}");
    }
}

#[tokio::test]
async fn a_body_without_its_own_signature_is_refused() {
    let world = World::start().await;
    let body = webhook(&[Message::text(SHEENA, "STOP").with_id("wamid.1").at(world.seconds()).json()]).to_string();
    let good = sign(local::secrets::APP_SECRET, body.as_bytes());
    let post = async |signature: Option<&str>, body: &str| {
        let request = Request::post("/webhooks/whatsapp");
        let request = match signature {
            Some(signature) => request.header("X-Hub-Signature-256", signature),
            None => request,
        };
        world.call(request.body(Body::from(body.to_owned())).unwrap()).await.status
    };
    assert_eq!(post(None, &body).await, StatusCode::UNAUTHORIZED);
    assert_eq!(post(Some("sha256=00"), &body).await, StatusCode::UNAUTHORIZED);
    assert_eq!(post(Some(&sign("another-secret", body.as_bytes())), &body).await, StatusCode::UNAUTHORIZED);
    assert_eq!(post(Some(&good), &format!("{body} ")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(post(Some(&good.replace("sha256=", "")), &body).await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.contact(SHEENA).await, None);
    assert_eq!(post(Some(&good), &body).await, StatusCode::OK);
    assert_eq!(world.status(SHEENA).await, "opted_out");
}

#[tokio::test]
async fn an_apps_signature_counts_for_its_own_channels_only() {
    let world = World::start().await;
    world.system.secrets().put(
        "consent/acme",
        r#"{"app_secret": "acme-secret", "verify_token": ["a", "b"], "access_token": "acme-token"}"#,
    );
    let body = json!({"tenant_id": "acme", "display_phone_number": "15550783882", "secret_id": "consent/acme"});
    world.ask_as("acme", "consent/platform", Method::PUT, "/channels/200", Some(body)).await.expect(StatusCode::OK);
    let post = async |secret: &str, channel: &str, id: &str| {
        let mut body = webhook(&[Message::text(SHEENA, "STOP").with_id(id).at(world.seconds()).json()]);
        body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = channel.into();
        let body = body.to_string();
        let request = Request::post("/webhooks/whatsapp").header("x-hub-signature-256", sign(secret, body.as_bytes()));
        world.call(request.body(Body::from(body)).unwrap()).await.status
    };
    let acme =
        async || world.ask_as("acme", tests::SCOPES, Method::GET, &format!("/contacts/{SHEENA}"), None).await.status;
    assert_eq!(post(local::secrets::APP_SECRET, "200", "wamid.1").await, StatusCode::UNAUTHORIZED);
    assert_eq!(acme().await, StatusCode::NOT_FOUND, "the shared app spoke for a channel that is not its own");
    assert_eq!(post("acme-secret", local::DEMO_CHANNEL, "wamid.2").await, StatusCode::UNAUTHORIZED);
    assert_eq!(post("acme-secret", "200", "wamid.3").await, StatusCode::OK);
    assert_eq!(acme().await, StatusCode::OK);
    assert_eq!(world.contact(SHEENA).await, None);

    // The channel moves to the shared app, and the webhook still remembers it as it was.
    let body = json!({"tenant_id": "acme", "display_phone_number": "15550783882"});
    world.ask_as("acme", "consent/platform", Method::PUT, "/channels/200", Some(body)).await.expect(StatusCode::OK);
    assert_eq!(post(local::secrets::APP_SECRET, "200", "wamid.4").await, StatusCode::OK);
    let path = format!("/contacts/{SHEENA}/history");
    let history = world.ask_as("acme", tests::SCOPES, Method::GET, &path, None).await.expect(StatusCode::OK);
    assert_eq!(history["events"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn channels_of_one_app_count_whatever_their_secrets_are_called() {
    let world = World::start().await;
    let copy = json!({"app_secret": local::secrets::APP_SECRET, "verify_token": "x", "access_token": "own-token"});
    world.system.secrets().put("consent/copy", copy.to_string());
    for (channel, secret, from) in
        [("200", local::secrets::SECRET_ID, "14155550101"), ("201", "consent/copy", "14155550102")]
    {
        let body = json!({"tenant_id": "demo", "display_phone_number": "15550783882", "secret_id": secret});
        let path = format!("/channels/{channel}");
        world.ask_as("demo", "consent/platform", Method::PUT, &path, Some(body)).await.expect(StatusCode::OK);
        let mut body = webhook(&[world.message(from, "STOP").json()]);
        body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = channel.into();
        assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
        assert!(world.contact(from).await.is_some_and(|contact| contact["status"] == "opted_out"), "{secret}");
    }
}

#[tokio::test]
async fn an_empty_secret_signs_nothing() {
    let world = World::start().await;
    world.system.secrets().put("consent/empty", r#"{"app_secret": "", "verify_token": "x", "access_token": "x"}"#);
    let body = json!({"tenant_id": "acme", "display_phone_number": "15550783882", "secret_id": "consent/empty"});
    world.ask_as("acme", "consent/platform", Method::PUT, "/channels/200", Some(body)).await.expect(StatusCode::OK);
    let mut body = webhook(&[world.message(SHEENA, "STOP").json()]);
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "200".into();
    let body = body.to_string();
    let request = Request::post("/webhooks/whatsapp").header("x-hub-signature-256", sign("", body.as_bytes()));
    assert_eq!(world.call(request.body(Body::from(body)).unwrap()).await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

/// Signatures that are known to be right: app secret, body, HMAC, and what the body is answered with once it is let in.
const SIGNATURES: [(&str, &str, &str, StatusCode); 4] = [
    (
        "test_app_secret",
        r#"{"object":"whatsapp_business_account","entry":[]}"#,
        "dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756",
        StatusCode::OK,
    ),
    (
        "test_app_secret",
        r#"{"object": "whatsapp_business_account", "entry": []}"#,
        "56cbbaf4961c6cfdae48b7f116c047e5eb513d2c931baae63a2bc1afd26f803a",
        StatusCode::OK,
    ),
    (
        "otro_secreto",
        r#"{"object":"whatsapp_business_account","entry":[]}"#,
        "769b03d8c2ae6498f2d1e1f7299c0ba55448c69d741e7b0bb243d852d8a8d8c7",
        StatusCode::OK,
    ),
    // Signed as it has to be, but no JSON.
    ("secret", "test", "0329a06b62cd16b33eb6792be8c60b158d89a2ee3a876fce9a881ebb488c0914", StatusCode::BAD_REQUEST),
];

#[tokio::test]
async fn each_known_signature_lets_in_its_own_body_under_its_own_secret_and_nothing_else() {
    for (secret, ..) in SIGNATURES {
        let world = World::start().await;
        let app = json!({"app_secret": secret, "verify_token": "x", "access_token": "x"});
        world.system.secrets().put(local::secrets::SECRET_ID, app.to_string());
        for (its_secret, its_body, hmac, answer) in SIGNATURES {
            for (_, body, ..) in SIGNATURES {
                let right = its_secret == secret && its_body == body;
                let expected = if right { answer } else { StatusCode::UNAUTHORIZED };
                let header = format!("sha256={hmac}");
                assert_eq!(post_signed(&world, &header, body).await, expected, "{secret}: {hmac} of {body}");
            }
        }
    }
}

/// Posts a body with a signature of whatever.
async fn post_signed(world: &World, signature: &str, body: &str) -> StatusCode {
    let request = Request::post("/webhooks/whatsapp").header("x-hub-signature-256", signature);
    world.call(request.body(Body::from(body.to_owned())).unwrap()).await.status
}

#[tokio::test]
async fn a_body_is_signed_as_its_bytes_are_not_as_what_they_mean() {
    let world = World::start().await;
    world.change_settings(|settings| settings["opt_out_keywords"] = json!(["arret"])).await;
    let message = Message::text("14155550101", "ARRÊT/ 🛑").with_id("wamid.1").at(world.seconds());
    let raw = webhook(&[message.json()]).to_string();
    let escaped = raw.replace('Ê', r"\u00ca").replace('/', r"\/").replace('🛑', r"\ud83d\uded1");
    let signed = |body: &str| sign(local::secrets::APP_SECRET, body.as_bytes());
    assert_eq!(post_signed(&world, &signed(&raw), &escaped).await, StatusCode::UNAUTHORIZED);
    assert_eq!(post_signed(&world, &signed(&escaped), &raw).await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.contact("14155550101").await, None);
    assert_eq!(post_signed(&world, &signed(&escaped), &escaped).await, StatusCode::OK);
    assert_eq!(world.status("14155550101").await, "opted_out");
    assert_eq!(post_signed(&world, &signed(&raw), &raw).await, StatusCode::OK);
    let history = world.history("14155550101").await;
    assert_eq!((history.len(), &history[0]["words"]), (1, &json!("ARRÊT/ 🛑")), "one message, however it is written");
}

#[tokio::test]
async fn bodies_of_up_to_4_mebibytes_are_taken() {
    let world = World::start().await;
    let mut body = webhook(&[Message::text(SHEENA, "STOP").with_id("wamid.1").at(world.seconds()).json()]);
    body["padding"] = "x".repeat(3 * 1024 * 1024).into();
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
    assert_eq!(world.status(SHEENA).await, "opted_out");
    body["padding"] = "x".repeat(4 * 1024 * 1024).into();
    assert_eq!(world.post_webhook(&body).await, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn what_is_signed_but_no_json_is_delivered_again() {
    let world = World::start().await;
    let request = Request::post("/webhooks/whatsapp")
        .header("x-hub-signature-256", sign(local::secrets::APP_SECRET, b"{"))
        .body(Body::from("{"));
    assert_eq!(world.call(request.unwrap()).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_not_ours_is_taken_and_ignored() {
    let world = World::start().await;
    for body in [
        json!({}),
        json!([]),
        json!({"object": "whatsapp_business_account", "entry": []}),
        json!({"object": "page", "entry": [{"changes": [{"field": "feed", "value": 1}]}]}),
        json!({"entry": [{"changes": [{"field": "account_update", "value": {"event": "x"}}]}]}),
    ] {
        assert_eq!(world.post_webhook(&body).await, StatusCode::OK, "{body}");
    }
}
