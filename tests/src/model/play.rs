//! Plays a history through the door, and compares what the system says with what must hold.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use consent::id::ContactId;
use serde_json::{Value, json};

use super::history::{Act, Change, Id, Says, Step, Update};
use super::rules::{Model, Reason};
use crate::World;

/// How often a request is made, at most.
const TRIES: usize = 3;

/// The seconds of a week: older updates are delivered no more.
const WEEK: i64 = 7 * 86_400;

/// What the campaign filter calls each reason.
const REASONS: [(Reason, &str); 3] =
    [(Reason::Blocked, "blocked"), (Reason::ProviderStopped, "provider_stopped"), (Reason::OptedOut, "opted_out")];

/// Something that must not be, and the step in which it was seen.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The number of the step.
    pub step: usize,
    /// What is wrong.
    pub what: String,
}

/// Why each id gets no marketing; those that get it are not in it.
type Skipped = BTreeMap<Id, Reason>;

/// The reasons that the suppression list has for each id.
type List = BTreeMap<Id, BTreeSet<Reason>>;

/// A history that is being played, for a tenant of its own.
struct Player<'a> {
    world: &'a World,
    tenant: String,
    channel: String,
    /// The second at which the history began, since 1970.
    begun: i64,
    now: i64,
    model: Model,
    /// What was delivered, by the number of its step.
    delivered: BTreeMap<usize, Vec<Update>>,
    list: List,
    /// Who was erased, and in which second.
    erased: Vec<(Id, i64)>,
}

/// Plays a history for a tenant of its own, which has this number in this world.
///
/// # Errors
/// Something that must not be.
pub async fn play(world: &World, tenant: usize, history: &[Step]) -> Result<(), Violation> {
    let tenant_name = format!("history-{tenant}");
    let channel = format!("2{tenant:014}");
    world.register(&channel, &tenant_name).await;
    let mut player = Player {
        world,
        tenant: tenant_name,
        channel,
        begun: world.seconds(),
        now: 0,
        model: Model::default(),
        delivered: BTreeMap::new(),
        list: List::new(),
        erased: Vec::new(),
    };
    for step in history {
        player.step(step).await.map_err(|what| Violation { step: step.number, what })?;
    }
    let last = history.last().map_or(0, |step| step.number);
    player.end().await.map_err(|what| Violation { step: last, what })
}

impl Player<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        if let Ok(seconds @ 1..) = u64::try_from(step.second - self.now) {
            self.world.clock.advance(Duration::from_secs(seconds));
            self.now = step.second;
        }
        match &step.act {
            Act::Deliver(updates) => {
                self.deliver(updates).await?;
                self.delivered.insert(step.number, updates.clone());
            }
            Act::DeliverAgain(number) => {
                let updates = self.delivered.get(number).cloned().unwrap_or_default();
                self.deliver_again(updates).await?;
            }
            Act::DeliverAllAgain => self.deliver_all_again().await?,
            Act::Switch(id, opts_in) => {
                let status = if *opts_in { "opted_in" } else { "opted_out" };
                let path = format!("/contacts/{}/consent", id.shown());
                self.ask(Method::PUT, &path, Some(json!({"status": status})), &[StatusCode::OK]).await?;
                self.model.switch(*id, *opts_in, self.now);
            }
            Act::Block(id, blocks) => {
                let method = if *blocks { Method::PUT } else { Method::DELETE };
                let path = format!("/contacts/{}/block", id.shown());
                let good: &[StatusCode] =
                    if *blocks { &[StatusCode::OK] } else { &[StatusCode::OK, StatusCode::NOT_FOUND] };
                self.ask(method, &path, None, good).await?;
                self.model.block(*id, *blocks, self.now);
            }
            Act::Batch(changes) => self.batch(changes).await?,
            Act::Erase(id) => self.erase(*id).await?,
        }
        self.look(step.act.may_free(), step.number.is_multiple_of(4)).await
    }

    async fn deliver(&mut self, updates: &[Update]) -> Result<(), String> {
        let body = self.body(updates);
        let mut status = self.world.post_webhook(&body).await;
        // On a machine that is slow for a moment calls of the table run out of time.
        for _ in 1..TRIES {
            if !status.is_server_error() {
                break;
            }
            status = self.world.post_webhook(&body).await;
        }
        if status != StatusCode::OK {
            return Err(format!("the webhook answers {status}"));
        }
        for update in updates {
            self.model.hear(update, self.now);
        }
        Ok(())
    }

    async fn deliver_all_again(&mut self) -> Result<(), String> {
        let all = self.delivered.values().flatten().cloned().collect();
        self.deliver_again(all).await
    }

    /// WhatsApp delivers again what is not older than a week.
    async fn deliver_again(&mut self, mut updates: Vec<Update>) -> Result<(), String> {
        updates.retain(|update| update.second.is_none_or(|second| self.now - second < WEEK));
        if updates.is_empty() { Ok(()) } else { self.deliver(&updates).await }
    }

    async fn batch(&mut self, changes: &[Change]) -> Result<(), String> {
        let json: Vec<Value> = changes.iter().map(|change| self.change(change)).collect();
        let body = Some(json!({"changes": json}));
        let report = self.ask(Method::POST, "/contacts/batch", body, &[StatusCode::OK]).await?;
        for (change, result) in changes.iter().zip(report["results"].as_array().into_iter().flatten()) {
            match result["outcome"].as_str() {
                Some("changed" | "unchanged") => self.model.batch(change, self.now),
                Some("refused") if change.opts_in => {}
                _ => return Err(format!("the batch's change {change} ends as {result}")),
            }
        }
        Ok(())
    }

    /// Has somebody erased. Nothing may be left of the history then.
    async fn erase(&mut self, id: Id) -> Result<(), String> {
        let path = format!("/contacts/{}", id.shown());
        self.ask(Method::DELETE, &path, None, &[StatusCode::NO_CONTENT]).await?;
        self.model.erase(id, self.now);
        self.erased.push((id, self.now));
        match self.history(id).await?[..] {
            [] => Ok(()),
            [ref event, ..] => Err(format!("{id} was erased, and in its history is {event}")),
        }
    }

    /// The newest entries of a history.
    async fn history(&self, id: Id) -> Result<Vec<Value>, String> {
        let path = format!("/contacts/{}/history?limit=100", id.shown());
        let history = self.ask(Method::GET, &path, None, &[StatusCode::OK]).await?;
        Ok(history["events"].as_array().cloned().unwrap_or_default())
    }

    /// Sees to it that messages from before an erasure have left no words, however often they came again.
    async fn find_no_words(&self) -> Result<(), String> {
        for (id, erased) in self.erased.iter().filter(|(id, _)| self.model.is_of_one_person(*id)) {
            let older = self
                .delivered
                .values()
                .flatten()
                .filter(|update| update.ids.contains(id) && update.second.is_some_and(|second| second <= *erased));
            let older: BTreeSet<String> = older.map(event_id).collect();
            let history = self.history(*id).await?;
            if let Some(event) = history.iter().find(|event| event["id"].as_str().is_some_and(|id| older.contains(id)))
            {
                return Err(format!("{id} was erased at {erased}, and in its history is {event}"));
            }
        }
        Ok(())
    }

    /// Looks who gets marketing, and compares. What may free nobody has freed nobody.
    async fn look(&mut self, may_free: bool, asks_the_filter: bool) -> Result<(), String> {
        let list = self.list()?;
        for ((id, reason), why) in self.model.restricted() {
            if !list[&id].contains(&reason) {
                return Err(format!("{id} is {reason:?} no more: {why}"));
            }
        }
        for (id, reasons) in self.list.iter().filter(|_| !may_free) {
            if let Some(reason) = reasons.difference(&list[id]).next() {
                return Err(format!("{id} is {reason:?} no more, and nothing has freed anybody"));
            }
        }
        if asks_the_filter {
            let skipped = self.filter().await?;
            // Of several reasons, the first is given.
            let first = |(id, reasons): (&Id, &BTreeSet<Reason>)| Some((*id, *reasons.first()?));
            let listed: BTreeMap<Id, Reason> = list.iter().filter_map(first).collect();
            if skipped != listed {
                return Err(format!("the filter skips {skipped:?}, and the list says {list:?}"));
            }
        }
        self.list = list;
        Ok(())
    }

    /// Asks the campaign filter about every id, and checks its sums.
    async fn filter(&self) -> Result<Skipped, String> {
        let ids: BTreeMap<String, Id> = Id::all().map(|id| (id.shown(), id)).collect();
        let campaign =
            json!({"tenant_id": self.tenant, "category": "marketing", "contacts": ids.keys().collect::<Vec<_>>()});
        let mut report = self.world.filter(&campaign).await;
        for _ in 1..TRIES {
            if report.is_err() {
                report = self.world.filter(&campaign).await;
            }
        }
        let report = report?;
        let mut skipped = Skipped::new();
        let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
        for entry in report["skipped"].as_array().into_iter().flatten() {
            let id = entry["contact"].as_str().and_then(|contact| ids.get(contact));
            let reason = REASONS.into_iter().find(|(_, name)| entry["reason"] == *name);
            let (Some(id), Some((reason, _))) = (id, reason) else {
                return Err(format!("the filter skips {entry}"));
            };
            skipped.insert(*id, reason);
            *counts.entry(reason).or_default() += 1;
        }
        // Most first; of equally many, in the order of the reasons.
        let mut most: Vec<(Reason, usize)> = counts.iter().map(|(reason, count)| (*reason, *count)).collect();
        most.sort_by_key(|(_, count)| Reverse(*count));
        let words = most.iter().map(|(reason, count)| {
            let name = REASONS.into_iter().find(|(same, _)| same == reason).map_or("", |(_, name)| name);
            format!("{count} contact{} skipped ({})", if *count == 1 { "" } else { "s" }, name.replace('_', "-"))
        });
        let words: Vec<String> = words.collect();
        let summary = if words.is_empty() { "0 contacts skipped".to_owned() } else { words.join(", ") };
        let eligible = report["eligible"].as_array().map_or(0, Vec::len);
        let counted = REASONS
            .iter()
            .all(|(reason, name)| report["counts"][name] == counts.get(reason).copied().unwrap_or_default());
        let adds_up = report["total"] == ids.len()
            && eligible + skipped.len() == ids.len()
            && report["counts"]["eligible"] == eligible
            && counted
            && report["summary"] == summary;
        if adds_up { Ok(skipped) } else { Err(format!("the filter's report does not add up: {report}")) }
    }

    /// What the suppression list says of every id, as the table has it.
    fn list(&self) -> Result<List, String> {
        let key = |id: Id| {
            let id = id.shown();
            let shard = id.parse::<ContactId>().unwrap().shard();
            json!({"pk": {"S": format!("T#{}#S#{shard}", self.tenant)}, "sk": {"S": id}})
        };
        let keys: Vec<Value> = Id::all().map(key).collect();
        let request = json!({"RequestItems": {local::TABLE: {"Keys": keys, "ConsistentRead": true}}});
        let engine = self.world.system.engine().unwrap().database();
        let answer = engine.batch_get_item(serde_json::from_value(request).unwrap());
        let answer = serde_json::to_value(answer.map_err(|error| error.to_string())?).unwrap();
        let items = answer["Responses"][local::TABLE].as_array().into_iter().flatten();
        let listed: BTreeMap<&str, &str> =
            items.filter_map(|item| Some((item["sk"]["S"].as_str()?, item["r"]["S"].as_str()?))).collect();
        let reasons = |id: Id| {
            let letters = listed.get(&*id.shown()).copied().unwrap_or_default();
            let reasons = [('O', Reason::OptedOut), ('B', Reason::Blocked), ('P', Reason::ProviderStopped)];
            reasons.into_iter().filter(|(letter, _)| letters.contains(*letter)).map(|(_, reason)| reason).collect()
        };
        Ok(Id::all().map(|id| (id, reasons(id))).collect())
    }

    /// The end of a history: contacts and suppression list agree, every id of a person leads to one contact, and all that
    /// was ever delivered changes nothing when it comes again.
    async fn end(&mut self) -> Result<(), String> {
        self.deliver_all_again().await?;
        self.look(false, true).await?;
        self.find_no_words().await?;
        self.agree().await
    }

    async fn agree(&self) -> Result<(), String> {
        let mut contacts: BTreeMap<String, Value> = BTreeMap::new();
        for id in Id::all() {
            let path = format!("/contacts/{}", id.shown());
            let contact = self.ask(Method::GET, &path, None, &[StatusCode::OK, StatusCode::NOT_FOUND]).await?;
            contacts.insert(id.shown(), contact);
        }
        let list = self.list()?;
        for id in Id::all() {
            let contact = &contacts[&id.shown()];
            if contact["id"].is_null() {
                continue;
            }
            let kept = contact["id"].as_str().and_then(|kept| contacts.get(kept));
            if kept != Some(contact) {
                return Err(format!("{id} leads to {contact}, and its own id to {kept:?}"));
            }
            if contact["id"] != id.shown() && contact["user_id"] != id.shown() {
                continue;
            }
            let says = [
                (contact["status"] == "opted_out", Reason::OptedOut),
                (contact["blocked"] == true, Reason::Blocked),
                (contact["provider_stopped"] == true, Reason::ProviderStopped),
            ];
            let says: BTreeSet<Reason> =
                says.into_iter().filter(|(applies, _)| *applies).map(|(_, reason)| reason).collect();
            if says != list[&id] {
                return Err(format!("the list says {:?} of {id}, and its contact {contact}", list[&id]));
            }
        }
        Ok(())
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>, good: &[StatusCode]) -> Result<Value, String> {
        let mut left = TRIES;
        loop {
            left -= 1;
            let answer = self.world.ask_as(&self.tenant, crate::SCOPES, method.clone(), path, body.clone()).await;
            if good.contains(&answer.status) {
                return Ok(answer.body);
            }
            if left == 0 || !answer.status.is_server_error() {
                return Err(format!("{method} {path} is answered with {}: {}", answer.status, answer.body));
            }
        }
    }

    fn time(&self, second: i64) -> String {
        self.world.shown(self.begun + second)
    }

    fn change(&self, change: &Change) -> Value {
        let mut json =
            json!({"id": change.id.shown(), "status": if change.opts_in { "opted_in" } else { "opted_out" }});
        if let Some(second) = change.obtained {
            json["evidence"] = json!({"text": "paper form", "obtained_at": self.time(second)});
        }
        json
    }

    /// The body with which WhatsApp posts some updates.
    fn body(&self, updates: &[Update]) -> Value {
        let changes: Vec<Value> = updates.iter().map(|update| self.webhook_change(update)).collect();
        json!({"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": changes}]})
    }

    fn webhook_change(&self, update: &Update) -> Value {
        let id = message_id(update);
        let timestamp = update.second.map(|second| (self.begun + second).to_string());
        let with_ids = |mut json: Value, phone: &str, user: &str| {
            for id in &update.ids {
                json[if id.is_phone() { phone } else { user }] = id.on_the_wire().into();
            }
            if let Some(timestamp) = &timestamp {
                json["timestamp"] = timestamp.as_str().into();
            }
            json
        };
        let message = |json: Value| ("messages", "messages", with_ids(json, "from", "from_user_id"));
        let text = |words: &str| message(json!({"id": id, "type": "text", "text": {"body": words}}));
        let control = |value: &str| {
            let json = json!({"id": id, "category": "marketing_messages", "value": value});
            ("user_preferences", "user_preferences", with_ids(json, "wa_id", "user_id"))
        };
        let system = |system: Value| json!({"id": id, "type": "system", "system": system});
        let (field, list, json) = match update.says {
            Says::Stop => text("STOP"),
            Says::Start => text("START"),
            Says::Hello => text("hello"),
            Says::ProviderStop => control("stop"),
            Says::ProviderResume => control("resume"),
            Says::FailedSend => {
                let json = json!({"id": id, "status": "failed", "errors": [{"code": 131_050, "title": "stopped"}]});
                ("messages", "statuses", with_ids(json, "recipient_id", "recipient_user_id"))
            }
            Says::MovedTo(to @ Id::Phone(_)) => {
                message(system(json!({"type": "user_changed_number", "wa_id": to.on_the_wire()})))
            }
            Says::MovedTo(to @ Id::User(_)) => {
                let from = update.ids.first().map(|id| id.on_the_wire());
                let system = system(
                    json!({"type": "user_changed_user_id", "user_id": to.on_the_wire(), "previous_user_id": from}),
                );
                message(system)
            }
        };
        let mut value = json!({"messaging_product": "whatsapp",
            "metadata": {"display_phone_number": local::DEMO_NUMBER, "phone_number_id": self.channel}});
        value[list] = json!([json]);
        json!({"field": field, "value": value})
    }
}

/// The id of the message that an update is, or is about.
fn message_id(update: &Update) -> String {
    format!("wamid.{}", update.number)
}

/// The id under which an update stands in the history.
fn event_id(update: &Update) -> String {
    let prefix = if update.says == Says::FailedSend { "131050." } else { "" };
    format!("{prefix}{}", message_id(update))
}
