//! From messages to consent: reads what a decision needs, once for each tenant, then decides and writes contact by contact.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::convert::Infallible;

use consent::contact::Contact;
use consent::decision::{Decision, MessageTime, decide_message};
use consent::event::{Effect, Event, HistoryKey, Kind, Reason};
use consent::id::{ChannelId, ContactId, EventId, SecretId, TenantId, cut};
use consent::log::METRICS;
use consent::settings::{Heard, Settings, Wish};
use consent::store::{Change, Channel, Person, Store, StoreError, Tenant};
use consent::time::Time;
use futures::StreamExt;
use futures::stream;

use crate::meta::{Message, Sender, Updates};

/// Contacts of one tenant that are written at a time.
const AT_ONCE: usize = 16;

/// Bytes of a customer's words that are kept, at most.
const WORDS_BYTES: usize = 1024;

/// Whose signature a body carries: it counts only for the channels of that app.
#[derive(Debug)]
pub enum Signer {
    /// The app of all channels that have none of their own.
    Shared,
    /// A tenant's own app, by its secret.
    Own(SecretId),
}

impl Signer {
    fn may_speak_for(&self, channel: &Channel) -> bool {
        match self {
            Self::Shared => channel.secret_id.is_none(),
            Self::Own(secret) => channel.secret_id.as_ref() == Some(secret),
        }
    }
}

/// Carries out all that `updates` asks for. One that fails holds up no other.
///
/// # Errors
/// Something is not in the table. Carrying out all of it again does what is missing and nothing else.
pub async fn take_in(store: &Store, updates: Updates, signer: &Signer, now: Time) -> Result<(), StoreError> {
    for reason in updates.bad {
        tracing::warn!(target: METRICS, metric = "bad_update", reason, "an update that can't be understood");
    }
    for reason in updates.lost_opt_outs {
        tracing::error!(target: METRICS, metric = "unreadable_opt_out", reason, "an opt-out of nobody knows whom");
    }
    let channels = channels(store, &updates.channels, signer, now).await?;
    let mut tenants: HashMap<TenantId, Vec<Incoming>> = HashMap::new();
    for message in updates.messages {
        if let Some(channel) = channels.get(&message.channel) {
            tenants.entry(channel.tenant.clone()).or_default().push(Incoming::new(message, now));
        }
    }
    let each = tenants.into_iter().map(|(id, incoming)| take_in_tenant(store.tenant(&id), incoming, now));
    let outcomes: Vec<Result<(), StoreError>> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    outcomes.into_iter().collect()
}

/// The channels that messages came on and that their signer may speak for. A message on any other is nobody's.
async fn channels(
    store: &Store,
    named: &BTreeSet<ChannelId>,
    signer: &Signer,
    now: Time,
) -> Result<HashMap<ChannelId, Channel>, StoreError> {
    let mut channels = store.channels(named, now).await?;
    // Before a message is turned away for good, what is remembered of its channel is looked at again.
    let turned_away: Vec<ChannelId> = foreign(&channels, signer).collect();
    if !turned_away.is_empty() {
        channels.extend(store.fresh_channels(&turned_away, now).await?);
    }
    for channel in named.iter().filter(|channel| !channels.contains_key(channel)) {
        tracing::error!(target: METRICS, metric = "unknown_channel", %channel, "messages on a channel that nobody registered");
    }
    for channel in foreign(&channels, signer) {
        tracing::error!(target: METRICS, metric = "foreign_channel", %channel, "messages signed by an app of another channel");
    }
    channels.retain(|_, channel| signer.may_speak_for(channel));
    Ok(channels)
}

fn foreign(channels: &HashMap<ChannelId, Channel>, signer: &Signer) -> impl Iterator<Item = ChannelId> {
    channels.iter().filter(|(_, channel)| !signer.may_speak_for(channel)).map(|(id, _)| id.clone())
}

/// A message with the time that it counts at and its place in the history.
struct Incoming {
    message: Message,
    time: MessageTime,
    key: HistoryKey,
}

impl Incoming {
    fn new(message: Message, now: Time) -> Self {
        let time = MessageTime::judge(message.seconds, now);
        let key = time.key(&message.id);
        Self { message, time, key }
    }

    fn id(&self) -> &EventId {
        &self.message.id
    }
}

async fn take_in_tenant(tenant: Tenant, incoming: Vec<Incoming>, now: Time) -> Result<(), StoreError> {
    let about: Vec<_> = incoming
        .iter()
        .filter_map(|incoming| Some((&incoming.message.sender.as_ref()?.id, Some(&incoming.key))))
        .collect();
    let briefing = tenant.briefing(&about).await?;
    // Without settings a tenant could not even switch keywords off: the defaults, which heed STOP, hold.
    let settings = briefing.settings.as_ref().map_or_else(Settings::default, |saved| saved.settings.clone());

    let mut wishes: HashMap<ContactId, Vec<Heeded>> = HashMap::new();
    let mut heard_before = HashSet::new();
    for incoming in &incoming {
        let Some(heard) = settings.judge(incoming.message.said.iter().map(|said| &said.candidate)) else { continue };
        let Some(sender) = &incoming.message.sender else {
            unattributed(&tenant, incoming, heard.wish);
            continue;
        };
        if briefing.has_seen(&sender.id, &incoming.key) || !heard_before.insert((&sender.id, &incoming.key)) {
            continue;
        }
        match incoming.time.at(heard.wish, now) {
            Some(at) => {
                let heeded = Heeded { event: event(incoming, &heard, at, now), sender: sender.clone() };
                wishes.entry(sender.id.clone()).or_default().push(heeded);
            }
            None => bad(&tenant, incoming, "an opt-in without a readable timestamp"),
        }
    }
    let each =
        wishes.into_iter().map(|(id, wishes)| take_in_contact(&tenant, &settings, briefing.person(&id), wishes, now));
    let outcomes: Vec<Result<(), StoreError>> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    outcomes.into_iter().collect()
}

/// A keyword message of a known sender, ready to be decided.
struct Heeded {
    event: Event,
    sender: Sender,
}

/// Carries out one contact's wishes in the order of the body, each on what the one before left.
async fn take_in_contact(
    tenant: &Tenant,
    settings: &Settings,
    person: Person,
    wishes: Vec<Heeded>,
    now: Time,
) -> Result<(), StoreError> {
    let mut person = Some(person);
    for Heeded { event, sender } in wishes {
        let places: Vec<HistoryKey> = [Some(event.key.clone()), event.sibling.clone()].into_iter().flatten().collect();
        let decide =
            |contact: &Contact| Ok::<_, Infallible>(decide_message(settings, contact, event.clone(), &sender.profile));
        let change = tenant.change(&sender.id, person.take(), &places, Some(&sender.recipient), now, decide).await?;
        if let Change::Made { decision, person: after } = change {
            report(tenant, &event, &decision);
            person = Some(*after);
        }
    }
    Ok(())
}

fn event(incoming: &Incoming, heard: &Heard, at: Time, now: Time) -> Event {
    let said = &incoming.message.said[heard.text];
    Event {
        key: incoming.key.clone(),
        sibling: incoming.time.sibling(incoming.id()),
        at,
        received_at: now,
        kind: heard.wish.into(),
        source: said.source,
        by: "customer".to_owned(),
        channel: Some(incoming.message.channel.clone()),
        words: Some(cut(&said.words, WORDS_BYTES).to_owned()),
        keyword: Some(heard.keyword.to_string()),
        note: None,
        evidence: None,
    }
}

/// Says what a wish came to, and counts what staff may have to look at.
fn report(tenant: &Tenant, event: &Event, decision: &Decision) {
    let metric = match (event.kind, decision.effect(), decision.reason()) {
        (Kind::OptOut, _, Some(Reason::Disabled)) => "opt_out_disabled",
        (Kind::OptOut, Effect::Superseded, _) => "opt_out_superseded",
        (Kind::OptOut, Effect::Changed, _) => "opt_out",
        (Kind::OptIn, Effect::Changed, _) => "opt_in",
        _ => "keyword_without_effect",
    };
    let message = event.key.id.log_name();
    tracing::info!(target: METRICS, metric, tenant = %tenant.id(), message, "a keyword was decided on");
}

/// A keyword that nobody can be found for. A lost opt-out is the one thing that may not happen, so that one is loud.
fn unattributed(tenant: &Tenant, incoming: &Incoming, wish: Wish) {
    match wish {
        Wish::OptOut => {
            let message = incoming.id().log_name();
            tracing::error!(target: METRICS, metric = "unreadable_opt_out", tenant = %tenant.id(), message, "an opt-out of nobody knows whom");
        }
        Wish::OptIn => bad(tenant, incoming, "an opt-in without a sender"),
    }
}

fn bad(tenant: &Tenant, incoming: &Incoming, reason: &str) {
    let message = incoming.id().log_name();
    tracing::warn!(target: METRICS, metric = "bad_update", tenant = %tenant.id(), message, reason, "an update that can't be understood");
}
