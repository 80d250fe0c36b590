//! The tests' harness: the whole system on the embedded engine, a clock that the tests move, and a method for each request.

#![expect(
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    clippy::unwrap_used,
    reason = "for tests, where a panic is the way to say that something is wrong"
)]

mod calls;
pub mod cost;
mod counted;
pub mod model;
mod requests;
mod stream;
mod whatsapp;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use consent::clock::Clock;
use consent::time::Time;
use http_body_util::BodyExt;
use local::engine::Storage;
use local::token::Scopes;
use local::{DynamoDb, Options, System};
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub use calls::{Calls, Fault};
pub use counted::Counted;
pub use requests::{Requests, TableRequest};
pub use stream::attributes;
pub use whatsapp::{Message, sign, webhook};

/// Every scope that a user of a tenant can have.
pub const SCOPES: &str = "consent/read consent/write consent/admin";

/// The whole system, as a test drives it.
pub struct World {
    /// The system.
    pub system: System,
    /// Its time: it stands still unless the test moves it.
    pub clock: Clock,
    /// The calls of the table; they can be counted, and made to fail.
    pub calls: Calls,
    /// The requests to the table.
    pub requests: Requests,
    messages: AtomicU64,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body: JSON, or text, or null where there is none.
    pub body: Value,
}

impl World {
    /// A system whose table has no stream: nothing is sent unless the test sweeps the outbox.
    pub async fn start() -> Self {
        Self::with(false, Storage::Memory, &[]).await
    }

    /// The same, where some channels are known not to be ours.
    pub async fn ignoring(channels: &[&str]) -> Self {
        Self::with(false, Storage::Memory, channels).await
    }

    /// A system whose table has its stream, so that confirmations go out by themselves.
    pub async fn with_stream() -> Self {
        Self::with(true, Storage::Temporary, &[]).await
    }

    async fn with(stream: bool, storage: Storage, ignored: &[&str]) -> Self {
        counted::open();
        let clock = Clock::manual("2026-11-22T10:00:00Z".parse().unwrap());
        let calls = Calls::default();
        let requests = Requests::default();
        let options = Options {
            dynamodb: DynamoDb::Embedded { address: "127.0.0.1:0".to_owned(), storage },
            clock: clock.clone(),
            ignored_channels: ignored.iter().map(|channel| channel.parse().unwrap()).collect(),
            stream,
            schedules: false,
            interceptors: vec![calls.interceptor().await, requests.interceptor()],
            ..Options::default()
        };
        let system = System::start(options).await.unwrap();
        calls.engine(system.engine().unwrap().database());
        Self { system, clock, calls, requests, messages: AtomicU64::new(0) }
    }

    /// Now, in whole seconds since 1970, as WhatsApp counts.
    pub fn seconds(&self) -> i64 {
        self.clock.now().seconds()
    }

    /// Moves the time.
    pub fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A message of a customer who writes `text` now.
    pub fn message(&self, from: &str, text: &str) -> Message {
        let number = self.messages.fetch_add(1, Ordering::Relaxed);
        Message::text(from, text).with_id(&format!("wamid.{number}")).at(self.seconds())
    }

    /// A customer writes `text`, a second after whatever was before; the webhook answers 200.
    pub async fn says(&self, from: &str, text: &str) -> Message {
        self.wait(1);
        let message = self.message(from, text);
        self.delivers(&message).await;
        message
    }

    /// WhatsApp delivers a message; the webhook answers 200.
    pub async fn delivers(&self, message: &Message) {
        assert_eq!(self.deliver(message).await, StatusCode::OK);
    }

    /// WhatsApp delivers a message, well signed.
    pub async fn deliver(&self, message: &Message) -> StatusCode {
        self.post_webhook(&webhook(&[message.json()])).await
    }

    /// WhatsApp posts a body, well signed.
    pub async fn post_webhook(&self, body: &Value) -> StatusCode {
        self.post_text(&body.to_string()).await
    }

    /// WhatsApp posts a text that may be no good JSON, well signed.
    pub async fn post_text(&self, body: &str) -> StatusCode {
        self.post_signed(local::secrets::APP_SECRET, body).await
    }

    /// An app posts a text, signed with its secret.
    pub async fn post_signed(&self, app_secret: &str, body: &str) -> StatusCode {
        let request = Request::post("/webhooks/whatsapp")
            .header("x-hub-signature-256", sign(app_secret, body.as_bytes()))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()));
        self.call(request.unwrap()).await.status
    }

    /// A user of the demo tenant, with every scope, asks the dashboard's API.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.ask_as("demo", SCOPES, method, path, body).await
    }

    /// A user of some tenant, with these scopes, asks the dashboard's API.
    pub async fn ask_as(&self, tenant: &str, scopes: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let token = self.system.token(tenant, Scopes(scopes));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json");
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.call(request.body(body).unwrap()).await
    }

    /// A request as it stands, through the gateway.
    pub async fn call(&self, request: Request) -> Answer {
        Answer::read(self.system.gateway().call(request).await).await
    }

    /// An event as API Gateway makes it, handed to a function as it stands.
    pub async fn hand(&self, function: &str, event: String) -> Answer {
        Answer::read(self.system.gateway().deliver(function, event).await).await
    }

    /// `GET /contacts/{id}`: the contact, where something is known of it.
    pub async fn contact(&self, id: &str) -> Option<Value> {
        let answer = self.ask(Method::GET, &format!("/contacts/{id}"), None).await;
        match answer.status {
            StatusCode::OK => Some(answer.body),
            StatusCode::NOT_FOUND => None,
            status => panic!("{status}: {}", answer.body),
        }
    }

    /// The status of a contact. Panics if nothing is known of it.
    pub async fn status(&self, id: &str) -> String {
        self.contact(id).await.unwrap()["status"].as_str().unwrap().to_owned()
    }

    /// All of a contact's history, newest first.
    pub async fn history(&self, id: &str) -> Vec<Value> {
        let mut events = Vec::new();
        let mut path = format!("/contacts/{id}/history?limit=100");
        loop {
            let mut page = self.ask(Method::GET, &path, None).await.expect(StatusCode::OK);
            events.append(page["events"].as_array_mut().unwrap());
            match page["cursor"].as_str() {
                Some(cursor) => path = format!("/contacts/{id}/history?limit=100&cursor={cursor}"),
                None => return events,
            }
        }
    }

    /// Staff switches a contact.
    pub async fn switch(&self, id: &str, status: &str) -> Value {
        let path = format!("/contacts/{id}/consent");
        self.ask(Method::PUT, &path, Some(json!({"status": status}))).await.expect(StatusCode::OK)
    }

    /// Staff blocks a contact, or lifts the block.
    pub async fn block(&self, id: &str, blocked: bool) -> Answer {
        let method = if blocked { Method::PUT } else { Method::DELETE };
        self.ask(method, &format!("/contacts/{id}/block"), None).await
    }

    /// The demo tenant's settings, changed.
    pub async fn change_settings(&self, change: impl FnOnce(&mut Value)) {
        let mut settings = self.ask(Method::GET, "/settings", None).await.expect(StatusCode::OK);
        for read_only in ["version", "updated_at", "updated_by"] {
            settings.as_object_mut().unwrap().remove(read_only);
        }
        change(&mut settings);
        self.ask(Method::PUT, "/settings", Some(settings)).await.expect(StatusCode::OK);
    }

    /// Gives a tenant a channel of the shared app.
    pub async fn register(&self, channel: &str, tenant: &str) {
        self.put_channel(channel, tenant, None).await.expect(StatusCode::OK);
    }

    /// Gives a tenant a channel of an app of its own.
    pub async fn register_with(&self, channel: &str, tenant: &str, secret_id: &str) {
        self.put_channel(channel, tenant, Some(secret_id)).await.expect(StatusCode::OK);
    }

    /// `PUT /channels/{channel}`
    pub async fn put_channel(&self, channel: &str, tenant: &str, secret_id: Option<&str>) -> Answer {
        let body = json!({"tenant_id": tenant, "display_phone_number": "15550783881", "secret_id": secret_id});
        self.ask_as("platform", "consent/platform", Method::PUT, &format!("/channels/{channel}"), Some(body)).await
    }

    /// The status of a tenant's contact. None if nothing is known of it.
    pub async fn status_at(&self, tenant: &str, id: &str) -> Option<String> {
        let answer = self.ask_as(tenant, SCOPES, Method::GET, &format!("/contacts/{id}"), None).await;
        answer.body["status"].as_str().filter(|_| answer.status == StatusCode::OK).map(str::to_owned)
    }

    /// The secret of a WhatsApp app, from now on.
    pub fn put_secret(&self, id: &str, app_secret: &str) {
        let app = json!({"app_secret": app_secret, "verify_token": "x", "access_token": format!("{app_secret}-token")});
        self.system.secrets().put(id, app.to_string());
    }

    /// The campaign filter's answer, or the type of its error.
    pub async fn filter(&self, campaign: &Value) -> Result<Value, String> {
        let event = serde_json::value::to_raw_value(campaign).unwrap();
        match self.system.functions().invoke("campaign-filter", event).await.unwrap() {
            Ok(answer) => Ok(serde_json::from_str(&answer).unwrap()),
            Err(diagnostic) => Err(diagnostic.error_type),
        }
    }

    /// The type and the text of the campaign filter's error.
    ///
    /// # Panics
    /// There is none.
    pub async fn filter_error(&self, campaign: &Value) -> (String, String) {
        let event = serde_json::value::to_raw_value(campaign).unwrap();
        let outcome = self.system.functions().invoke("campaign-filter", event).await.unwrap();
        let diagnostic = outcome.expect_err("an error");
        (diagnostic.error_type, diagnostic.error_message)
    }

    /// Every item of the table, in the order of the keys.
    pub async fn items(&self) -> Vec<Value> {
        let items = self.system.dynamodb().scan().table_name(local::TABLE).into_paginator().items().send();
        let items = items.collect::<Result<Vec<_>, _>>().await.unwrap().into_iter();
        let mut items: Vec<Value> = items.map(|item| serde_dynamo::from_item(item).unwrap()).collect();
        items.sort_by_key(|item| (item["pk"].to_string(), item["sk"].to_string()));
        items
    }

    /// The number of confirmations in the outbox.
    pub async fn outbox(&self) -> usize {
        let items = self.items().await;
        items.iter().filter(|item| item["pk"].as_str().unwrap().starts_with("OUTBOX#")).count()
    }

    /// The update in which WhatsApp reports the state of the last message that it accepted.
    pub fn status_of_the_last(&self, state: &str) -> Value {
        let sent = self.system.graph().outbox().pop().unwrap();
        let errors = json!([{"code": 131_026, "title": "Message undeliverable"}]);
        let mut body = webhook(&[]);
        body["entry"][0]["changes"][0]["value"]["statuses"] = json!([{"id": "wamid.answer", "status": state,
            "timestamp": self.seconds().to_string(), "biz_opaque_callback_data": sent["biz_opaque_callback_data"],
            "recipient_id": sent["to"].as_str().unwrap_or_default().trim_start_matches('+'),
            "errors": if state == "failed" { errors } else { Value::Null }}]);
        body
    }

    /// The event with which the table's stream brings all that is in the outbox now.
    pub async fn outbox_event(&self) -> Box<RawValue> {
        let items = self.items().await;
        let outbox = items.iter().filter(|item| item["pk"].as_str().unwrap().starts_with("OUTBOX#"));
        serde_json::value::to_raw_value(&stream::inserted(outbox)).unwrap()
    }

    /// Has `confirmation` handle an event to the end.
    pub async fn confirm(&self, event: &RawValue) {
        let answer = self.system.functions().invoke("confirmation", event.to_owned()).await.unwrap();
        assert_eq!(answer.unwrap(), r#"{"batchItemFailures":[]}"#);
    }

    /// Has `confirmation` begin with an event, and kills it wherever it is when `moment` has come.
    pub async fn confirm_until<T>(&self, moment: impl Future<Output = T>, event: &RawValue) {
        let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (functions, event) = (self.system.functions().clone(), event.to_owned());
        process.spawn(async move { functions.invoke("confirmation", event).await });
        moment.await;
        let died = tokio::task::spawn_blocking(|| process.shutdown_timeout(Duration::from_mins(1)));
        died.await.unwrap();
    }

    /// Sweeps the outbox, as the schedule does every minute.
    pub async fn sweep(&self) {
        for outcome in self.system.run_schedules().await {
            outcome.unwrap();
        }
    }

    /// The texts that were sent, oldest first, each with its recipient.
    pub fn sent(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let sent = self.system.graph().outbox().into_iter();
        sent.map(|message| (text(&message["to"]), text(&message["text"]["body"]))).collect()
    }

    /// The time as the API shows it.
    pub fn shown(&self, seconds: i64) -> String {
        Time::from_millis(seconds * 1000).to_string()
    }
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into())
        };
        Self { status: parts.status, headers: parts.headers, body }
    }

    /// The body of an answer that has this status.
    ///
    /// # Panics
    /// It has another one.
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The fields that the refusal names, where it is a problem document with this status.
    ///
    /// # Panics
    /// It is none.
    #[track_caller]
    pub fn problem(self, status: StatusCode) -> Vec<String> {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{}", self.body);
        assert_eq!(self.body["status"], status.as_u16(), "{}", self.body);
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        errors.into_iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}
