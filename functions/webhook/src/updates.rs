//! Applies the updates of a body: reads the contacts once for each tenant, then decides and writes contact by contact.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;

use consent::channel::Extent;
use consent::contact::Source;
use consent::count;
use consent::decision::{Decision, MessageTime, decide_intent};
use consent::event::{Actor, Effect, Event, HistoryKey, Kind, UnappliedReason};
use consent::id::{EventId, TenantId, cut};
use consent::identity::{Person, Sighting};
use consent::log::Metric;
use consent::settings::{Intent, KeywordMatch, Settings};
use consent::store::{ChangeOutcome, ChangeRequest, ReadSet, Snapshot, Store, StoreError, TenantStore};
use consent::time::Time;
use futures::StreamExt;
use futures::stream;

use crate::meta::{Content, MessageText, Payload, Sender, Update};
use crate::redelivery::RedeliveryReason;
use crate::reports;
use crate::signed_body::{Channels, Owner};

/// Maximum number of tenants, and of contacts of one tenant, that are written in parallel.
const AT_ONCE: usize = 16;

/// Maximum length of a customer's words in the history, in bytes. The rest is cut off.
const WORDS_BYTES: usize = 1024;

/// Applies all updates and reports of a body. One failure does not stop the others. Returns the reason if the body has to be
/// delivered again.
///
/// # Errors
/// At least one change is not in the table. Applying the body again makes the missing changes and no others.
pub async fn apply_updates(
    store: &Store,
    payload: Payload,
    channels: &Channels<'_>,
    now: Time,
) -> Result<Option<RedeliveryReason>, StoreError> {
    for reason in payload.bad {
        count!(warn, Metric::BadUpdate, reason, "update skipped: it cannot be read");
    }
    for reason in payload.lost_opt_outs {
        count!(error, Metric::UnreadableOptOut, reason, "possible opt-out cannot be read");
    }
    let mut tenants: HashMap<TenantId, Vec<Incoming>> = HashMap::new();
    let mut waiting: HashMap<TenantId, Vec<(RedeliveryReason, Incoming)>> = HashMap::new();
    let mut postponed = None;
    for update in payload.updates {
        let owner = channels.owner(&update.channel, update.at(now));
        let incoming = |extent| Incoming::new(update, extent, now);
        match owner {
            Owner::Tenant(tenant, extent) => tenants.entry(tenant.clone()).or_default().push(incoming(extent)),
            Owner::Unproven(tenant, extent, why) => {
                waiting.entry(tenant.clone()).or_default().push((why, incoming(extent)));
            }
            Owner::Unknown(why) => match incoming(Extent::All) {
                incoming if incoming.sighting.is_none() => lost(&incoming),
                incoming if incoming.may_count() => postponed = first(postponed, Some(why)),
                _ => {}
            },
            Owner::Ignored => {}
        }
    }
    let each = tenants.into_iter().map(|(id, incoming)| apply_tenant_updates(store.tenant(&id), incoming, now));
    let outcomes: Vec<Result<(), StoreError>> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    let reported = reports::store_reports(store, payload.reports, channels, now).await;
    let each = waiting.into_iter().map(|(id, waiting)| postpone(store.tenant(&id), waiting, now));
    let left: Vec<Result<Option<RedeliveryReason>, StoreError>> =
        stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    outcomes.into_iter().chain([reported]).collect::<Result<(), StoreError>>()?;
    left.into_iter().try_fold(postponed, |postponed, left| Ok(first(postponed, left?)))
}

/// The first of two reasons, in the order of [`RedeliveryReason`].
fn first(one: Option<RedeliveryReason>, other: Option<RedeliveryReason>) -> Option<RedeliveryReason> {
    one.into_iter().chain(other).min()
}

/// An update with its time and its key in the history.
struct Incoming {
    update: Update,
    /// `All`, or `Restrictions` where only an opt-out or a provider stop counts.
    extent: Extent,
    /// The ids of the update's customer. None if the update does not name one.
    sighting: Option<Sighting>,
    time: MessageTime,
    key: HistoryKey,
    received_at: Time,
}

impl Incoming {
    fn new(update: Update, extent: Extent, now: Time) -> Self {
        let time = MessageTime::judge(update.seconds, now);
        let key = time.key(&update.id);
        let sighting = update.sender.as_ref().map(|sender| Sighting {
            ids: sender.ids.clone(),
            moved_to: match &update.content {
                Content::Moved(to) => Some(to.clone()),
                Content::Words(_) | Content::Control(_) => None,
            },
            at: Some(time.taught(now)),
            joins_at: time.joins(None, now),
        });
        Self { update, extent, sighting, time, key, received_at: now }
    }

    fn id(&self) -> &EventId {
        &self.update.id
    }

    /// The keys that the update may have in the history. It has two where its time depends on the time of processing.
    fn history_keys(&self) -> Vec<HistoryKey> {
        [self.key.clone()].into_iter().chain(self.time.sibling(self.id())).collect()
    }

    /// Returns true if the update may change or record something for a tenant whose keywords are not known.
    fn may_count(&self) -> bool {
        match &self.update.content {
            Content::Control(intent) => self.time.at(*intent, Time::default()).is_some(),
            Content::Words(_) | Content::Moved(_) => true,
        }
    }

    /// Returns true if the update changes or records something for a tenant with these settings.
    fn counts(&self, settings: &Settings, now: Time) -> bool {
        let intent = self.intent(settings);
        let has_time = intent.is_none_or(|intent| self.time.at(intent, now).is_some());
        has_time && self.event(settings, now).is_some()
    }

    /// Returns true for an opt-out that may be a new one although the history has an equal one: it has no id and no time to
    /// tell it from the other.
    fn may_be_new(&self, intent: Option<Intent>, settings: &Settings) -> bool {
        let is_applied = settings.enabled() || matches!(self.update.content, Content::Control(_));
        intent == Some(Intent::OptOut) && is_applied && !self.update.has_own_id && self.time == MessageTime::Missing
    }

    /// The intent of the update under these settings. None if it has none, or if it does not count on this channel.
    fn intent(&self, settings: &Settings) -> Option<Intent> {
        let intent = match &self.update.content {
            Content::Words(texts) => matched(settings, texts).map(|matched| matched.intent),
            Content::Control(intent) => Some(*intent),
            Content::Moved(_) => None,
        };
        intent.filter(|intent| self.extent == Extent::All || *intent == Intent::OptOut)
    }

    /// The event for the history. None for words without a keyword, and for an update that does not count.
    fn event(&self, settings: &Settings, at: Time) -> Option<Event> {
        if self.extent == Extent::Restrictions && self.intent(settings) != Some(Intent::OptOut) {
            return None;
        }
        let event = Event {
            at,
            channel: Some(self.update.channel.clone()),
            ..Event::new(Kind::ProviderStop, Source::Provider, Actor::Customer, self.key.clone(), self.received_at)
        };
        match &self.update.content {
            Content::Words(texts) => {
                let matched = matched(settings, texts)?;
                let MessageText { words, source, .. } = &texts[matched.text];
                Some(Event {
                    kind: matched.intent.into(),
                    source: *source,
                    words: Some(cut(words, WORDS_BYTES).to_owned()),
                    keyword: Some(matched.keyword.to_string()),
                    ..event
                })
            }
            Content::Control(Intent::OptOut) => Some(event),
            Content::Control(Intent::OptIn) => Some(Event { kind: Kind::ProviderResume, ..event }),
            Content::Moved(_) => Some(Event { kind: Kind::IdChange, ..event }),
        }
    }

    /// The event for the history if this update merges two contacts.
    fn merge(&self, at: Time) -> Event {
        let key = self.time.key(&self.id().merge());
        Event {
            at,
            channel: Some(self.update.channel.clone()),
            ..Event::new(Kind::Merge, Source::Merge, Actor::System, key, self.received_at)
        }
    }
}

/// An update with a sender, ready for the decision.
struct Applicable {
    sender: Sender,
    sighting: Sighting,
    /// The event for the history. None if the update only links ids.
    event: Option<Event>,
    /// The keys of the event in the history if the update was processed before.
    history_keys: Vec<HistoryKey>,
    /// The event for the history if the update merges two contacts.
    merge: Event,
    /// True if the history has an equal update, and this one may be a repeat of it or a new one.
    is_ambiguous: bool,
}

async fn apply_tenant_updates(tenant: TenantStore, incoming: Vec<Incoming>, now: Time) -> Result<(), StoreError> {
    let about: Vec<_> =
        incoming.iter().filter_map(|incoming| Some((incoming.sighting.as_ref()?, Some(&incoming.key)))).collect();
    let mut snapshot = tenant.snapshot(&about).await?;
    let settings = settings(&snapshot);

    let mut applicable = Vec::new();
    let mut seen_before = HashSet::new();
    for incoming in &incoming {
        let intent = incoming.intent(&settings);
        let (Some(sender), Some(sighting)) = (&incoming.update.sender, &incoming.sighting) else {
            unattributed(&tenant, incoming, intent);
            continue;
        };
        let Some(home) = sighting.ids.home() else { continue };
        let is_repeat = snapshot.has_seen(home, &incoming.key);
        let is_ambiguous = is_repeat && incoming.may_be_new(intent, &settings);
        if (is_repeat && !is_ambiguous) || !seen_before.insert((home, &incoming.key)) {
            continue;
        }
        let at = match intent {
            Some(intent) => incoming.time.at(intent, now),
            None => Some(incoming.time.taught(now)),
        };
        let Some(at) = at else {
            bad(&tenant, incoming, "opt-in without a readable timestamp");
            continue;
        };
        let event = incoming.event(&settings, at);
        let teaches = incoming.extent == Extent::All && sighting.ids.iter().count() > 1;
        if event.is_none() && !teaches {
            continue;
        }
        let sighting = Sighting { joins_at: incoming.time.joins(intent, now), ..sighting.clone() };
        let history_keys = if event.is_some() && !is_ambiguous { incoming.history_keys() } else { Vec::new() };
        let merge = incoming.merge(sighting.joins_at);
        applicable.push(Applicable { sender: sender.clone(), sighting, event, history_keys, merge, is_ambiguous });
    }
    tenant.follow(&mut snapshot, &applicable.iter().map(|applicable| &applicable.sighting).collect::<Vec<_>>()).await?;
    let people = snapshot.by_person(applicable, |applicable| &applicable.sighting);
    let each = people
        .into_iter()
        .map(|(read_set, applicable)| apply_person_updates(&tenant, &settings, read_set, applicable, now));
    let outcomes: Vec<Result<(), StoreError>> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    outcomes.into_iter().collect()
}

/// Returns the reason to have these updates delivered again. They can't be carried out yet; None if none of them counts, or
/// if all that count are in the history already.
async fn postpone(
    tenant: TenantStore,
    waiting: Vec<(RedeliveryReason, Incoming)>,
    now: Time,
) -> Result<Option<RedeliveryReason>, StoreError> {
    let keys = |incoming: &Incoming| incoming.sighting.clone().map(|sighting| (sighting, incoming.history_keys()));
    let keys: Vec<(Sighting, Vec<HistoryKey>)> = waiting.iter().filter_map(|(_, incoming)| keys(incoming)).collect();
    let about: Vec<_> =
        keys.iter().flat_map(|(sighting, keys)| keys.iter().map(move |key| (sighting, Some(key)))).collect();
    let snapshot = tenant.snapshot(&about).await?;
    let settings = settings(&snapshot);
    let mut postponed = None;
    for (why, incoming) in &waiting {
        let intent = incoming.intent(&settings);
        let Some(home) = incoming.sighting.as_ref().and_then(|sighting| sighting.ids.home()) else {
            unattributed(&tenant, incoming, intent);
            continue;
        };
        let is_repeat = incoming.history_keys().iter().any(|key| snapshot.has_seen(home, key));
        let is_done = is_repeat && (!incoming.may_be_new(intent, &settings) || stands(&snapshot, incoming));
        if !is_done && incoming.counts(&settings, now) {
            postponed = first(postponed, Some(*why));
        }
    }
    Ok(postponed)
}

/// Returns true if the contact is still opted out (or stopped) by an earlier update that is equal to this one.
fn stands(snapshot: &Snapshot, incoming: &Incoming) -> bool {
    let person = incoming.sighting.as_ref().and_then(|sighting| snapshot.person(sighting).ok());
    person.is_some_and(|person| match incoming.update.content {
        Content::Control(_) => person.contact.provider_stop.holds(),
        Content::Words(_) | Content::Moved(_) => person.contact.opt_out.holds(),
    })
}

/// The tenant's settings. A tenant that has saved none has the defaults, whose keywords include STOP.
fn settings(snapshot: &Snapshot) -> Settings {
    snapshot.settings.as_ref().map_or_else(Settings::default, |saved| saved.settings.clone())
}

fn matched<'a>(settings: &'a Settings, texts: &[MessageText]) -> Option<KeywordMatch<'a>> {
    settings.judge(texts.iter().map(|texts| &texts.candidate))
}

/// Applies one person's updates in the order of the body. Each is decided on the contact as the one before left it.
async fn apply_person_updates(
    tenant: &TenantStore,
    settings: &Settings,
    mut read_set: ReadSet,
    applicable: Vec<Applicable>,
    now: Time,
) -> Result<(), StoreError> {
    for Applicable { sender, sighting, event, history_keys, merge, is_ambiguous } in applicable {
        let request =
            ChangeRequest { sighting: &sighting, history_keys: &history_keys, recipient: Some(&sender.recipient) };
        let decide = |person: &Person| {
            let event = if is_ambiguous {
                event.clone().and_then(|event| renewed_opt_out(event, person))
            } else {
                event.clone()
            };
            let decision = match event {
                Some(event) if event.kind == Kind::IdChange && !person.moved => Decision::nothing(&person.contact),
                Some(event) if event.kind == Kind::IdChange => Decision::note(&person.contact, event),
                Some(event) => decide_intent(settings, &person.contact, event, &sender.profile),
                None => Decision::nothing(&person.contact),
            };
            Ok::<_, Infallible>(decision.after_merge(person.tightened.then(|| merge.clone())))
        };
        if let ChangeOutcome::Made { decision, .. } = tenant.change(request, &mut read_set, now, decide).await? {
            report(tenant, &decision);
        }
    }
    Ok(())
}

/// A new event for an opt-out that is equal to an earlier one, and so may be a repeat of it.
///
/// None while the earlier opt-out stands: there is nothing to do. If it was lifted since, the new one is applied, because an
/// opt-out applied twice does less harm than one lost. The time of the lifting becomes part of the event's id, so a repeat
/// of the new opt-out is recognised.
fn renewed_opt_out(event: Event, person: &Person) -> Option<Event> {
    let latch = match event.kind {
        Kind::OptOut => person.contact.opt_out,
        Kind::ProviderStop => person.contact.provider_stop,
        _ => return None,
    };
    if latch.holds() {
        return None;
    }
    let key = HistoryKey { id: event.key.id.after(latch.lifted), ..event.key };
    Some(Event { key, at: event.at.max(latch.lifted.unwrap_or_default()), ..event })
}

/// Logs a decision and counts it under its metric.
fn report(tenant: &TenantStore, decision: &Decision) {
    for entry in decision.merge.iter().chain(&decision.entry) {
        let metric = match (entry.event.kind, entry.effect, entry.reason) {
            (Kind::OptOut, _, Some(UnappliedReason::Disabled)) => Metric::OptOutDisabled,
            (Kind::OptOut, Effect::Superseded, _) => Metric::OptOutSuperseded,
            (Kind::OptOut, Effect::Changed, _) => Metric::OptOut,
            (Kind::OptIn, Effect::Changed, _) => Metric::OptIn,
            (Kind::ProviderStop, Effect::Changed, _) => Metric::ProviderStop,
            (Kind::ProviderResume, Effect::Changed, _) => Metric::ProviderResume,
            (Kind::Merge, ..) => Metric::Merge,
            (Kind::IdChange, ..) => Metric::IdChange,
            _ => Metric::WishWithoutEffect,
        };
        let event = entry.event.key.id.log_name();
        count!(info, metric, tenant = %tenant.id(), event, "update processed");
    }
}

/// Logs an update without a sender. An opt-out is an error, since it is lost.
fn unattributed(tenant: &TenantStore, incoming: &Incoming, intent: Option<Intent>) {
    match intent {
        Some(Intent::OptOut) => {
            let event = incoming.id().log_name();
            count!(error, Metric::UnreadableOptOut, tenant = %tenant.id(), event, "opt-out without a sender");
        }
        Some(Intent::OptIn) => bad(tenant, incoming, "opt-in without a sender"),
        None => bad(tenant, incoming, "update without a sender"),
    }
}

/// Logs an update without a sender and without a tenant, if it is an opt-out for every tenant.
fn lost(incoming: &Incoming) {
    if incoming.update.content.is_opt_out() {
        let (channel, event) = (&incoming.update.channel, incoming.id().log_name());
        count!(error, Metric::UnreadableOptOut, %channel, event, "opt-out without a sender");
    }
}

fn bad(tenant: &TenantStore, incoming: &Incoming, reason: &str) {
    let event = incoming.id().log_name();
    count!(warn, Metric::BadUpdate, tenant = %tenant.id(), event, reason, "update skipped: it cannot be read");
}
