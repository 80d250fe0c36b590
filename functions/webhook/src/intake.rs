//! From messages to consent: reads what a decision needs, once for each tenant, then decides and writes contact by contact.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;

use consent::contact::{Contact, Source};
use consent::decision::{Decision, MessageTime, decide_wish};
use consent::event::{Effect, Event, HistoryKey, Kind, Reason};
use consent::id::{ChannelId, ContactId, EventId, TenantId, cut};
use consent::log::METRICS;
use consent::settings::{Heard, Settings, Wish};
use consent::store::{Change, Channel, Person, Store, StoreError, Tenant};
use consent::time::Time;
use futures::StreamExt;
use futures::stream;

use crate::meta::{Content, Findings, Said, Sender, Update};

/// Contacts of one tenant that are written at a time.
const AT_ONCE: usize = 16;

/// Bytes of a customer's words that are kept, at most.
const WORDS_BYTES: usize = 1024;

/// Carries out all that a body asks for on `channels`, those that it speaks for. One that fails holds up no other.
///
/// # Errors
/// Something is not in the table. Carrying out all of it again does what is missing and nothing else.
pub async fn take_in(
    store: &Store,
    findings: Findings,
    channels: &HashMap<ChannelId, Channel>,
    now: Time,
) -> Result<(), StoreError> {
    for reason in findings.bad {
        tracing::warn!(target: METRICS, metric = "bad_update", reason, "an update that can't be understood");
    }
    for reason in findings.lost_opt_outs {
        tracing::error!(target: METRICS, metric = "unreadable_opt_out", reason, "an opt-out of nobody knows whom");
    }
    let mut tenants: HashMap<TenantId, Vec<Incoming>> = HashMap::new();
    for update in findings.updates {
        if let Some(channel) = channels.get(&update.channel) {
            tenants.entry(channel.tenant.clone()).or_default().push(Incoming::new(update, now));
        }
    }
    let each = tenants.into_iter().map(|(id, incoming)| take_in_tenant(store.tenant(&id), incoming, now));
    let outcomes: Vec<Result<(), StoreError>> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    for (channel, callback, report) in findings.reports {
        if let Some(channel) = channels.get(&channel)
            && store.tenant(&channel.tenant).report_confirmation(&callback, &report, now).await?
        {
            let event = callback.entry.id.log_name();
            tracing::info!(tenant = %channel.tenant, event, "WhatsApp reported the fate of a confirmation");
        }
    }
    outcomes.into_iter().collect()
}

/// An update with the time that it counts at and its place in the history.
struct Incoming {
    update: Update,
    time: MessageTime,
    key: HistoryKey,
}

impl Incoming {
    fn new(update: Update, now: Time) -> Self {
        let time = MessageTime::judge(update.seconds, now);
        let key = time.key(&update.id);
        Self { update, time, key }
    }

    fn id(&self) -> &EventId {
        &self.update.id
    }

    /// What it asks for, if it asks for anything.
    fn wish(&self, settings: &Settings) -> Option<Wish> {
        match &self.update.content {
            Content::Words(said) => heard(settings, said).map(|heard| heard.wish),
            Content::Control(wish) => Some(*wish),
        }
    }

    /// The event that it is, at the time that counts.
    fn event(&self, settings: &Settings, at: Time, now: Time) -> Option<Event> {
        let event = Event {
            key: self.key.clone(),
            sibling: self.time.sibling(self.id()),
            at,
            received_at: now,
            kind: Kind::ProviderStop,
            source: Source::Provider,
            by: "customer".to_owned(),
            channel: Some(self.update.channel.clone()),
            words: None,
            keyword: None,
            note: None,
            evidence: None,
        };
        match &self.update.content {
            Content::Words(said) => {
                let heard = heard(settings, said)?;
                let Said { words, source, .. } = &said[heard.text];
                Some(Event {
                    kind: heard.wish.into(),
                    source: *source,
                    words: Some(cut(words, WORDS_BYTES).to_owned()),
                    keyword: Some(heard.keyword.to_string()),
                    ..event
                })
            }
            Content::Control(Wish::OptOut) => Some(event),
            Content::Control(Wish::OptIn) => Some(Event { kind: Kind::ProviderResume, ..event }),
        }
    }
}

async fn take_in_tenant(tenant: Tenant, incoming: Vec<Incoming>, now: Time) -> Result<(), StoreError> {
    let about: Vec<_> = incoming
        .iter()
        .filter_map(|incoming| Some((&incoming.update.sender.as_ref()?.id, Some(&incoming.key))))
        .collect();
    let briefing = tenant.briefing(&about).await?;
    // Without settings a tenant could not even switch keywords off: the defaults, which heed STOP, hold.
    let settings = briefing.settings.as_ref().map_or_else(Settings::default, |saved| saved.settings.clone());

    let mut wishes: HashMap<ContactId, Vec<Heeded>> = HashMap::new();
    let mut heard_before = HashSet::new();
    for incoming in &incoming {
        let Some(wish) = incoming.wish(&settings) else { continue };
        let Some(sender) = &incoming.update.sender else {
            unattributed(&tenant, incoming, wish);
            continue;
        };
        if briefing.has_seen(&sender.id, &incoming.key) || !heard_before.insert((&sender.id, &incoming.key)) {
            continue;
        }
        match incoming.time.at(wish, now).and_then(|at| incoming.event(&settings, at, now)) {
            Some(event) => {
                wishes.entry(sender.id.clone()).or_default().push(Heeded { event, sender: sender.clone() });
            }
            None => bad(&tenant, incoming, "an opt-in without a readable timestamp"),
        }
    }
    let each =
        wishes.into_iter().map(|(id, wishes)| take_in_contact(&tenant, &settings, briefing.person(&id), wishes, now));
    let outcomes: Vec<Result<(), StoreError>> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    outcomes.into_iter().collect()
}

fn heard<'a>(settings: &'a Settings, said: &[Said]) -> Option<Heard<'a>> {
    settings.judge(said.iter().map(|said| &said.candidate))
}

/// A wish of a known customer, ready to be decided.
struct Heeded {
    event: Event,
    sender: Sender,
}

/// Carries out one contact's wishes in the order of the body, each on what the one before left.
async fn take_in_contact(
    tenant: &Tenant,
    settings: &Settings,
    person: Result<Person, StoreError>,
    wishes: Vec<Heeded>,
    now: Time,
) -> Result<(), StoreError> {
    let mut person = Some(person?);
    for Heeded { event, sender } in wishes {
        let places: Vec<HistoryKey> = [Some(event.key.clone()), event.sibling.clone()].into_iter().flatten().collect();
        let decide =
            |contact: &Contact| Ok::<_, Infallible>(decide_wish(settings, contact, event.clone(), &sender.profile));
        let change = tenant.change(&sender.id, person.take(), &places, Some(&sender.recipient), now, decide).await?;
        if let Change::Made { decision, person: after } = change {
            report(tenant, &event, &decision);
            person = Some(*after);
        }
    }
    Ok(())
}

/// Says what a wish came to, and counts what staff may have to look at.
fn report(tenant: &Tenant, event: &Event, decision: &Decision) {
    let metric = match (event.kind, decision.effect(), decision.reason()) {
        (Kind::OptOut, _, Some(Reason::Disabled)) => "opt_out_disabled",
        (Kind::OptOut, Effect::Superseded, _) => "opt_out_superseded",
        (Kind::OptOut, Effect::Changed, _) => "opt_out",
        (Kind::OptIn, Effect::Changed, _) => "opt_in",
        (Kind::ProviderStop, Effect::Changed, _) => "provider_stop",
        (Kind::ProviderResume, Effect::Changed, _) => "provider_resume",
        _ => "wish_without_effect",
    };
    let event = event.key.id.log_name();
    tracing::info!(target: METRICS, metric, tenant = %tenant.id(), event, "a wish was decided on");
}

/// A wish that nobody can be found for. A lost opt-out is the one thing that may not happen, so that one is loud.
fn unattributed(tenant: &Tenant, incoming: &Incoming, wish: Wish) {
    match wish {
        Wish::OptOut => {
            let event = incoming.id().log_name();
            tracing::error!(target: METRICS, metric = "unreadable_opt_out", tenant = %tenant.id(), event, "an opt-out of nobody knows whom");
        }
        Wish::OptIn => bad(tenant, incoming, "an opt-in without a sender"),
    }
}

fn bad(tenant: &Tenant, incoming: &Incoming, reason: &str) {
    let event = incoming.id().log_name();
    tracing::warn!(target: METRICS, metric = "bad_update", tenant = %tenant.id(), event, reason, "an update that can't be understood");
}
