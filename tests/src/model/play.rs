//! Plays a history through the door, and compares what the system says with what must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use consent::id::ContactId;
use serde_json::{Value, json};

use super::history::{Act, Change, Id, Step, Update};
use super::rules::{Model, Reason};
use super::{report, wire};
use crate::World;

/// Maximum number of attempts at a request.
const TRIES: usize = 3;

/// The seconds of a week: older updates are delivered no more.
const WEEK: i64 = 7 * 86_400;

/// Something that must not be, and the step in which it was seen.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The number of the step.
    pub step: usize,
    /// The violated rule.
    pub what: String,
}

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
    /// The updates that were delivered, by the number of their step.
    delivered: BTreeMap<usize, Vec<Update>>,
    /// The numbers of the updates that came before the time at which they say that they happened.
    early: BTreeSet<usize>,
    list: List,
    /// The ids that were erased, each with its second.
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
        early: BTreeSet::new(),
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
        let mut may_free = step.act.may_free();
        match &step.act {
            Act::Deliver(updates) => {
                self.deliver(updates).await?;
                let early = updates.iter().filter(|update| update.second.is_some_and(|second| second > self.now));
                self.early.extend(early.map(|update| update.number));
                self.delivered.insert(step.number, updates.clone());
            }
            Act::DeliverAgain(number) => {
                let updates = self.delivered.get(number).cloned().unwrap_or_default();
                may_free = self.deliver_again(updates).await?;
            }
            Act::DeliverAllAgain => may_free = self.deliver_all_again().await?,
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
        self.look(may_free, step.number.is_multiple_of(4)).await
    }

    async fn deliver(&mut self, updates: &[Update]) -> Result<(), String> {
        let body = wire::body(updates, &self.channel, self.begun);
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

    async fn deliver_all_again(&mut self) -> Result<bool, String> {
        let all = self.delivered.values().flatten().cloned().collect();
        self.deliver_again(all).await
    }

    /// Delivers updates again that are not older than a week. Returns true if one of them may free an id: an update with a
    /// timestamp ahead of the clock may, if it is delivered again after an erasure, since the system has forgotten it.
    async fn deliver_again(&mut self, mut updates: Vec<Update>) -> Result<bool, String> {
        updates.retain(|update| update.second.is_none_or(|second| self.now - second < WEEK));
        if !updates.is_empty() {
            self.deliver(&updates).await?;
        }
        Ok(!self.erased.is_empty() && updates.iter().any(|update| self.early.contains(&update.number)))
    }

    async fn batch(&mut self, changes: &[Change]) -> Result<(), String> {
        let time = |second| self.world.shown(self.begun + second);
        let json: Vec<Value> = changes.iter().map(|change| wire::change(change, time)).collect();
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

    /// Has a contact erased, and checks that its history is empty.
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
            let older: BTreeSet<String> = older.map(wire::event_id).collect();
            let history = self.history(*id).await?;
            if let Some(event) = history.iter().find(|event| event["id"].as_str().is_some_and(|id| older.contains(id)))
            {
                return Err(format!("{id} was erased at {erased}, and in its history is {event}"));
            }
        }
        Ok(())
    }

    /// Checks that no id gets marketing that the model restricts and, unless an id may have been freed, none that got no
    /// marketing before.
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

    /// Asks the campaign filter about every id: why each is skipped who is.
    async fn filter(&self) -> Result<BTreeMap<Id, Reason>, String> {
        let contacts: Vec<String> = Id::all().map(Id::shown).collect();
        let campaign = json!({"tenant_id": self.tenant, "category": "marketing", "contacts": contacts});
        let mut report = self.world.filter(&campaign).await;
        for _ in 1..TRIES {
            if report.is_err() {
                report = self.world.filter(&campaign).await;
            }
        }
        report::skipped(&report?)
    }

    /// The suppression list in the table.
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

    /// The end of a history. All that was delivered changes nothing when it comes again, those who were erased have left no
    /// words, every id of a person leads to one contact, and contacts and suppression list agree.
    async fn end(&mut self) -> Result<(), String> {
        let may_free = self.deliver_all_again().await?;
        self.look(may_free, true).await?;
        self.find_no_words().await?;
        self.agree().await
    }

    /// Compares contacts with the suppression list, under every id.
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
            let kept = contact["id"].as_str().and_then(|kept| contacts.get(kept));
            match kept {
                None if list[&id].is_empty() => continue,
                None => return Err(format!("{id} is {:?}, and nothing is known of it", list[&id])),
                Some(kept) if kept == contact => {}
                Some(kept) => return Err(format!("{id} leads to {contact}, and its own id to {kept}")),
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
}
