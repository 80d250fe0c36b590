//! The one rule of who may receive what, seen from everywhere that derives from it: the contact view, recipients in an event,
//! a list in S3, and the summaries of both.

use std::cmp::Reverse;

use aws_sdk_s3::primitives::ByteStream;
use axum::http::StatusCode;
use consent::contact::{Category, Status, Suppression};
use consent::eligibility::{OptIn, Reason, may_receive};
use serde_json::{Value, json};
use tests::{World, webhook};

const CATEGORIES: [Category; 4] = [Category::Marketing, Category::Utility, Category::Authentication, Category::Service];

/// A contact in one of the states that there can be.
struct Case {
    number: String,
    status: Status,
    suppression: Suppression,
}

/// A contact in every state: three statuses, stopped at the provider or not, blocked or not.
async fn cases(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for status in [Status::Unknown, Status::OptedIn, Status::OptedOut] {
        for (provider_stopped, blocked) in [(false, false), (true, false), (false, true), (true, true)] {
            let number = format!("+141555501{:02}", cases.len());
            match status {
                Status::Unknown => {}
                Status::OptedIn => drop(world.switch(&number, "opted_in").await),
                Status::OptedOut => drop(world.says(&number, "STOP").await),
            }
            if provider_stopped {
                assert_eq!(world.post_webhook(&provider_stop(world, &number)).await, StatusCode::OK);
            }
            if blocked {
                world.block(&number, true).await.expect(StatusCode::OK);
            }
            let opted_out = status == Status::OptedOut;
            cases.push(Case { number, status, suppression: Suppression { opted_out, blocked, provider_stopped } });
        }
    }
    cases
}

/// A body in which a customer uses WhatsApp's own control to stop marketing.
fn provider_stop(world: &World, number: &str) -> Value {
    let wa_id = number.trim_start_matches('+');
    let mut body = webhook(&[]);
    let change = &mut body["entry"][0]["changes"][0];
    change["field"] = "user_preferences".into();
    change["value"]["contacts"] = json!([{"wa_id": wa_id}]);
    change["value"]["user_preferences"] = json!([{"wa_id": wa_id, "category": "marketing_messages", "value": "stop",
        "timestamp": world.seconds().to_string()}]);
    body
}

/// The sentence that says how many are skipped for which reason.
fn summary(reasons: &[Option<Reason>]) -> String {
    let count = |reason| reasons.iter().filter(|skipped| **skipped == Some(reason)).count();
    let mut counts: Vec<(usize, Reason)> = Reason::ALL.iter().map(|reason| (count(*reason), *reason)).collect();
    counts.retain(|(count, _)| *count > 0);
    counts.sort_by_key(|(count, reason)| (Reverse(*count), *reason));
    let sentence = |(count, reason): &(usize, Reason)| {
        let contacts = if *count == 1 { "contact" } else { "contacts" };
        format!("{count} {contacts} skipped ({})", reason.as_str().replace('_', "-"))
    };
    let sentences: Vec<String> = counts.iter().map(sentence).collect();
    if sentences.is_empty() { "0 contacts skipped".to_owned() } else { sentences.join(", ") }
}

/// The skipped recipients of a campaign whose list is in S3, as its file tells them, and its summary.
async fn filter_list(world: &World, category: Category, recipients: &[String]) -> (Vec<String>, Value) {
    let list = format!("id\n{}\n", recipients.join("\n"));
    let s3 = world.system.s3();
    s3.put_object()
        .bucket(local::BUCKET)
        .key("demo/in.csv")
        .body(ByteStream::from(list.into_bytes()))
        .send()
        .await
        .unwrap();
    let campaign = json!({"tenant_id": "demo", "campaign_id": "spring-1", "category": category,
        "source": {"bucket": local::BUCKET, "key": "demo/in.csv", "format": "csv", "column": "id"},
        "destination": {"bucket": local::BUCKET, "prefix": "demo/out"}});
    let answer = world.filter(&campaign).await.unwrap();
    let key = answer["skipped"]["key"].as_str().unwrap();
    let object = s3.get_object().bucket(local::BUCKET).key(key).send().await.unwrap();
    let skipped = String::from_utf8(object.body.collect().await.unwrap().to_vec()).unwrap();
    (skipped.lines().skip(1).map(str::to_owned).collect(), answer["summary"].clone())
}

#[tokio::test]
async fn every_combination_of_reasons_is_the_same_from_everywhere() {
    let world = World::start().await;
    let cases = cases(&world).await;
    let mut recipients: Vec<String> = cases.iter().map(|case| case.number.clone()).collect();
    recipients.push("nobody".to_owned());
    // Further down, each of them is a repetition, whatever else stands against it.
    recipients.extend(cases.iter().map(|case| case.number.clone()));
    for required in [false, true] {
        world.change_settings(|settings| settings["require_opt_in"] = required.into()).await;
        for category in CATEGORIES {
            let why = |case: &Case| {
                let opt_in = if required { OptIn::required_of(case.status) } else { OptIn::NotRequired };
                may_receive(category, case.suppression, opt_in).err()
            };
            for case in &cases {
                let shown = world.contact(&case.number).await;
                let is_shown = case.status != Status::Unknown || case.suppression != Suppression::default();
                assert_eq!(shown.is_some(), is_shown, "{}", case.number);
                let Some(shown) = shown else { continue };
                let name = serde_json::to_value(category).unwrap();
                let may = &shown["can_receive"][name.as_str().unwrap()];
                assert_eq!(*may, json!(why(case).is_none()), "{category:?} {required} {:?}", case.suppression);
            }

            let mut reasons: Vec<Option<Reason>> = cases.iter().map(why).collect();
            reasons.push(Some(Reason::Invalid));
            reasons.resize(recipients.len(), Some(Reason::Duplicate));
            let skipped = || recipients.iter().zip(&reasons).filter_map(|(id, reason)| Some((id, (*reason)?)));
            let campaign = json!({"tenant_id": "demo", "category": category, "contacts": recipients});
            let report = world.filter(&campaign).await.unwrap();
            let expected: Vec<Value> = skipped().map(|(id, reason)| json!({"contact": id, "reason": reason})).collect();
            assert_eq!(report["skipped"], json!(expected), "{category:?} {required}");
            assert_eq!(report["summary"], summary(&reasons), "{category:?} {required}");

            let (listed, told) = filter_list(&world, category, &recipients).await;
            let rows = (2..).zip(recipients.iter().zip(&reasons));
            let row = |(line, (id, reason)): (i32, (&String, &Option<Reason>))| {
                reason.map(|reason| format!("{line},{id},{}", reason.as_str()))
            };
            assert_eq!(listed, rows.filter_map(row).collect::<Vec<_>>(), "{category:?} {required}");
            assert_eq!(told, summary(&reasons), "{category:?} {required}");
        }
    }
}
