//! Every call of the table is one that the function's policy in the template allows. AWS does not say whether
//! `dynamodb:LeadingKeys` holds the keys of one item of a transaction or those of all of them, so both are tried.

use std::fs;
use std::path::Path;

use local::template::Template;
use serde_json::value::RawValue;
use tests::{TableRequest, World};

const SHEENA: &str = "14155550123";

/// The requests that a function's policies don't allow.
fn denied(function: &str, requests: &[TableRequest]) -> Vec<String> {
    let template = Template::embedded().unwrap();
    let allows = |action: &str, keys: &[String]| {
        let permissions = template.permissions.get(function).into_iter().flatten();
        permissions.clone().any(|permission| permission.allows(action, keys.iter().map(String::as_str)))
    };
    let mut denied = Vec::new();
    for request in requests {
        let all: Vec<String> = request.parts.iter().flat_map(|(_, keys)| keys.clone()).collect();
        for (action, keys) in &request.parts {
            if !allows(action, keys) {
                denied.push(format!("{function}: {action} on {keys:?}"));
            } else if !allows(action, &all) {
                denied.push(format!("{function}: {action} in a transaction on {all:?}"));
            }
        }
    }
    denied
}

#[tokio::test]
async fn what_an_event_leads_to_is_allowed_however_the_keys_of_a_transaction_are_checked() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let event = fs::read_to_string(&path).unwrap();
        let world = World::start().await;
        world.delivers(&world.message(SHEENA, "STOP").at(world.seconds() - 3600)).await;
        world.requests.take();
        let is_of = |function: &&str| name.starts_with(&format!("{function}-"));
        let functions = ["webhook", "settings", "contacts", "campaign-filter", "confirmation"];
        let function = functions.into_iter().find(is_of).unwrap();
        if ["webhook", "settings", "contacts"].contains(&function) {
            world.hand(function, event).await;
        } else {
            let _ = world.system.functions().invoke(function, RawValue::from_string(event).unwrap()).await.unwrap();
        }
        let requests = world.requests.take();
        seen += requests.len();
        assert_eq!(denied(function, &requests), Vec::<String>::new(), "{name}");
    }
    assert!(seen > 200, "only {seen} requests were seen");
}

#[tokio::test]
async fn what_a_sweep_does_is_allowed_whatever_becomes_of_a_confirmation() {
    let world = World::start().await;
    for (index, code) in [0, 131_050, 131_026, 130_472, 131_000].into_iter().enumerate() {
        if code > 0 {
            world.system.graph().refuse([code]);
        }
        world.says(&format!("141555501{index:02}"), "STOP").await;
        world.wait(1);
        world.requests.take();
        for pause in [60, 120, 3_600, 90_000] {
            world.sweep().await;
            world.wait(pause);
        }
        let requests = world.requests.take();
        assert!(requests.iter().any(|request| request.parts.len() > 1), "nothing was written");
        assert_eq!(denied("confirmation", &requests), Vec::<String>::new(), "{code}");
    }
}
