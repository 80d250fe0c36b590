//! Webhook shapes that other projects' fixtures and Meta's pages show: each file in `corpus/webhooks/` is one of them.
//!
//! A file names the source of its shape, and the ids that have to be on the suppression list after its delivery with every
//! text (`{text}`) set to `STOP`. Expectations and shapes were written by hand, and all values in them are made up.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use axum::http::StatusCode;
use consent::log::Metric;
use futures::{StreamExt, stream};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tests::{Counted, World};

/// The reasons on the suppression list, by id.
type Suppressed = BTreeMap<String, String>;

/// Bodies that are delivered at the same moment.
const AT_ONCE: usize = 24;

/// One webhook body and what has to come of it.
struct Shape {
    /// The file's name.
    name: String,
    /// The ids that the suppression list gains.
    suppressed: Suppressed,
    /// The number of opt-outs without a sender.
    unreadable_opt_outs: usize,
    /// The body as it stands in the file, to the byte.
    body: String,
}

impl Shape {
    /// Every shape there is, by name.
    fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/webhooks");
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let file = fs::read_to_string(path).unwrap();
        let fields: BTreeMap<&str, &RawValue> =
            serde_json::from_str(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        for field in fields.keys() {
            assert!(["seen", "why", "suppressed", "unreadable_opt_outs", "body"].contains(field), "{name}: {field}");
        }
        assert!(fields["seen"].get().len() > 2, "{name} does not say where it was seen");
        let unreadable = fields.get("unreadable_opt_outs").map_or("0", |count| count.get());
        Self {
            suppressed: serde_json::from_str(fields["suppressed"].get()).unwrap(),
            unreadable_opt_outs: unreadable.parse().unwrap(),
            body: fields["body"].get().to_owned(),
            name,
        }
    }

    /// The body with every text set to `text`.
    fn saying(&self, text: &str) -> String {
        self.body.replace("{text}", text)
    }

    /// The entries of the body, in JSON and separated by commas.
    fn entries(&self, text: &str) -> Option<String> {
        let body = self.saying(text);
        let fields: BTreeMap<&str, &RawValue> = serde_json::from_str(&body).unwrap();
        let entries = fields.get("entry")?.get();
        let list = entries.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(entries).trim();
        (!list.is_empty()).then(|| list.to_owned())
    }
}

/// The suppression list of the demo tenant.
async fn suppressed(world: &World) -> Suppressed {
    let list = format!("T#{}#S#", local::DEMO_TENANT);
    let items = world.items().await.into_iter().filter(|item| text(&item["pk"]).starts_with(&list));
    items.map(|item| (text(&item["sk"]).to_owned(), text(&item["r"]).to_owned())).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test]
async fn each_shape_opts_out_exactly_whoever_says_stop_in_it() {
    let world = World::start().await;
    let shapes = Shape::all();
    let counted = Counted::from_now_on();
    let (mut expected, mut loud) = (Suppressed::new(), 0);
    let mut wrong = Vec::new();
    for shape in &shapes {
        let status = world.post_text(&shape.saying("STOP")).await;
        let before = std::mem::take(&mut expected);
        expected.extend(before.clone().into_iter().chain(shape.suppressed.clone()));
        let found = suppressed(&world).await;
        let unreadable = counted.count(Metric::UnreadableOptOut) - loud;
        if (status, &found, unreadable) != (StatusCode::OK, &expected, shape.unreadable_opt_outs) {
            let new: Vec<_> = found.iter().filter(|(id, _)| !before.contains_key(*id)).collect();
            wrong.push(format!("{}: {status}, {new:?}, {unreadable} unreadable", shape.name));
        }
        (expected, loud) = (found, loud + unreadable);
    }
    assert!(wrong.is_empty(), "{} of {} shapes:\n{}", wrong.len(), shapes.len(), wrong.join("\n"));
    assert!(shapes.len() >= 100, "{} shapes", shapes.len());
    for (id, reasons) in expected {
        let contact = world.contact(&id).await.unwrap();
        let shown = (contact["status"] == "opted_out", contact["provider_stopped"] == true);
        assert_eq!(shown, (reasons.contains('O'), reasons.contains('P')), "{id}");
    }
}

#[tokio::test]
async fn with_other_words_the_same_shapes_opt_nobody_out() {
    let world = World::start().await;
    for shape in Shape::all() {
        assert_eq!(world.post_text(&shape.saying("hello")).await, StatusCode::OK, "{}", shape.name);
        let expected = shape.suppressed.values().any(|reasons| reasons.contains('P'));
        let found = suppressed(&world).await;
        let unexpected = |(id, reasons): (&String, &String)| reasons != "P" || !expected && shape.body.contains(id);
        assert!(!found.iter().any(unexpected), "{}: {found:?}", shape.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_the_shapes_are_delivered_the_table_ends_the_same() {
    let shapes = Shape::all();
    let once = World::start().await;
    for shape in &shapes {
        once.post_text(&shape.saying("STOP")).await;
    }
    let expected = ended(&once).await;
    let reversed = World::start().await;
    for shape in shapes.iter().rev() {
        reversed.post_text(&shape.saying("STOP")).await;
    }
    assert_same(&expected, &ended(&reversed).await, "in reverse order");
    let repeated = World::start().await;
    let bodies = shapes.iter().flat_map(|shape| std::iter::repeat_n(shape.saying("STOP"), 3));
    stream::iter(bodies).for_each_concurrent(AT_ONCE, |body| deliver(&repeated, body)).await;
    assert_same(&expected, &ended(&repeated).await, "three times at once");
    let together = World::start().await;
    let entries: Vec<String> = shapes.iter().filter_map(|shape| shape.entries("STOP")).collect();
    deliver(&together, format!(r#"{{"object":"whatsapp_business_account","entry":[{}]}}"#, entries.join(","))).await;
    assert_same(&expected, &ended(&together).await, "as one body");
}

/// WhatsApp delivers a body until it is taken.
async fn deliver(world: &World, body: String) {
    while world.post_text(&body).await != StatusCode::OK {}
}

/// The items about people in the table in the end, by key, without the attributes that depend on the order of processing:
/// versions, the origin of a contact's status (`source`, `status_changed_at`), the result of an event's first processing
/// (`effect`, `reason`, `confirmation`), and with that the outbox.
async fn ended(world: &World) -> BTreeMap<String, Value> {
    const OF_PROCESSING: [&str; 6] = ["version", "source", "status_changed_at", "effect", "reason", "confirmation"];
    let of_people = |item: &Value| text(&item["pk"]).starts_with("T#") && item["sk"] != "SETTINGS";
    let items = world.items().await.into_iter().filter(of_people);
    items
        .map(|mut item| {
            item.as_object_mut().unwrap().retain(|field, _| !OF_PROCESSING.contains(&field.as_str()));
            (format!("{} {}", text(&item["pk"]), text(&item["sk"])), item)
        })
        .collect()
}

fn assert_same(expected: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>, how: &str) {
    let none = json!(null);
    let keys = expected.keys().chain(found.keys().filter(|key| !expected.contains_key(*key)));
    let differences: Vec<String> = keys
        .map(|key| (key, expected.get(key).unwrap_or(&none), found.get(key).unwrap_or(&none)))
        .filter(|(_, expected, found)| expected != found)
        .map(|(key, expected, found)| format!("{key}\n  once: {expected}\n  now:  {found}"))
        .collect();
    assert!(differences.is_empty(), "{how}:\n{}", differences.join("\n"));
}
