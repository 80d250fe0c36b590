//! The places of ids as the table has them: contacts, links, and what is left of somebody who was erased.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::key::{Item, Key};
use super::request::{Condition, from_item, to_item};
use super::{StoreError, TenantStore};
use crate::contact::{Contact, Latch};
use crate::id::ContactId;
use crate::identity::{IdRecord, IdRecords, IdState, PreviousHolder};
use crate::time::Time;

/// What was read of the places of ids: what stands there, and how to tell whether it still does.
#[derive(Clone, Debug, Default)]
pub struct ReadSet {
    pub(super) places: IdRecords,
    marks: HashMap<ContactId, ItemVersion>,
}

/// How an item is told from what stood in its place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ItemVersion {
    Absent,
    Version(i64),
    ErasedAt(i64),
}

#[derive(Serialize, Deserialize)]
struct ContactItem {
    #[serde(flatten)]
    contact: Contact,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<FormerItem>,
    /// Until when what happened under the id is erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased_until: Option<Time>,
    version: i64,
}

/// A link: to the contact of whoever goes by the id or, with `at`, of whoever has left it then.
#[derive(Serialize, Deserialize)]
struct LinkItem {
    to: ContactId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Time>,
    /// What stands at an id that was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remains: Option<Contact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<FormerItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased_until: Option<Time>,
    version: i64,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// What is left of somebody who was erased.
#[derive(Serialize, Deserialize)]
struct TombstoneItem {
    /// The letters of the suppression list.
    r: String,
    erased_at: Time,
    /// The times of what restricts and frees, where those are not of the erasure.
    #[serde(default, skip_serializing_if = "Latch::is_untouched")]
    opt_out: Latch,
    #[serde(default, skip_serializing_if = "Latch::is_untouched")]
    block: Latch,
    #[serde(default, skip_serializing_if = "Latch::is_untouched")]
    provider_stop: Latch,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<FormerItem>,
    /// Seconds since 1970 after which DynamoDB deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// None in tombstones of a version that never rewrote them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// How long after an erasure something old may still be delivered: WhatsApp gives up after seven days.
const LATE: Duration = Duration::from_hours(8 * 24);

#[derive(Serialize, Deserialize)]
struct FormerItem {
    to: ContactId,
    until: Time,
}

impl ReadSet {
    /// Whether a place was read.
    pub(super) fn has(&self, id: &ContactId) -> bool {
        self.places.contains_key(id)
    }

    /// Takes note of what stands in a place.
    pub(super) fn insert(&mut self, id: ContactId, item: Option<Item>) -> Result<(), StoreError> {
        let (place, mark) = match item {
            None => (IdRecord::default(), ItemVersion::Absent),
            Some(item) => read(item)?,
        };
        self.places.insert(id.clone(), place);
        self.marks.insert(id, mark);
        Ok(())
    }

    /// Takes over what else was read.
    pub(super) fn extend(&mut self, other: Self) {
        self.places.extend(other.places);
        self.marks.extend(other.marks);
    }

    /// Takes over what was read of places that are not known yet.
    pub(super) fn add(&mut self, other: &Self) {
        let new: Vec<&ContactId> = other.places.keys().filter(|id| !self.has(id)).collect();
        for id in new {
            self.copy(id, other);
        }
    }

    /// Takes it that places hold this, though it is not written yet.
    pub(super) fn assume(&mut self, places: &BTreeMap<ContactId, IdRecord>) {
        self.places.extend(places.iter().map(|(id, place)| (id.clone(), place.clone())));
    }

    /// Takes over what was read of one place.
    pub(super) fn copy(&mut self, id: &ContactId, from: &Self) {
        if let (Some(place), Some(mark)) = (from.places.get(id), from.marks.get(id)) {
            self.places.insert(id.clone(), place.clone());
            self.marks.insert(id.clone(), *mark);
        }
    }

    fn unchanged(&self, id: &ContactId) -> Condition {
        match self.marks.get(id) {
            None | Some(ItemVersion::Absent) => Condition::Absent,
            Some(ItemVersion::Version(version)) => Condition::Equals("version", *version),
            Some(ItemVersion::ErasedAt(at)) => Condition::Equals("erased_at", *at),
        }
    }
}

/// What a change writes into places and the suppression list, and what is known afterwards.
pub(super) struct Rewrite {
    pub(super) items: Vec<TransactWriteItem>,
    pub(super) known: ReadSet,
}

impl TenantStore {
    /// Writes what has to stand in places, each on the condition that it still holds what was read. `counted` are contacts
    /// whose versions count up in any case; without anything to write, nothing is.
    pub(super) fn rewrite(
        &self,
        known: &ReadSet,
        after: &BTreeMap<ContactId, IdRecord>,
        counted: &BTreeSet<ContactId>,
        now: Time,
    ) -> Result<Rewrite, StoreError> {
        let mut rewrite = Rewrite { items: Vec::new(), known: known.clone() };
        let mut unwritten = Vec::new();
        for (id, place) in after {
            let counts = counted.contains(id) && matches!(place.now, IdState::Contact(_) | IdState::Erased(_));
            if known.places.get(id) == Some(place) && !counts {
                unwritten.push(id);
                continue;
            }
            // Not 1: a writer that still holds a version from before an erasure must not find it again.
            let version = match known.marks.get(id) {
                Some(ItemVersion::Version(version)) => version + 1,
                _ => now.millis(),
            };
            let key = Key::contact(&self.id, id);
            let (item, mark) = written(place, version, now)?;
            rewrite.items.push(match item {
                Some(item) => self.store.put(key, item, known.unchanged(id)),
                None => self.store.delete(key, known.unchanged(id)),
            });
            rewrite.known.places.insert(id.clone(), place.clone());
            rewrite.known.marks.insert(id.clone(), mark);
        }
        if rewrite.items.is_empty() && counted.is_empty() {
            return Ok(rewrite);
        }
        for id in unwritten {
            rewrite.items.push(self.store.require(Key::contact(&self.id, id), known.unchanged(id)));
        }
        let before = listed(after.keys().filter_map(|id| known.places.get_key_value(id)));
        let now = listed(after.iter());
        let changed: BTreeSet<&ContactId> = before.keys().chain(now.keys()).collect();
        for id in changed.into_iter().filter(|id| before.get(id) != now.get(id)) {
            rewrite.items.push(self.suppress(id, now.get(id)));
        }
        Ok(rewrite)
    }

    /// Puts an id on the suppression list for these reasons, or takes it off. Other fields of an entry stay.
    fn suppress(&self, id: &ContactId, reasons: Option<&String>) -> TransactWriteItem {
        let key = Key::suppression(&self.id, id);
        match reasons {
            None => self.store.delete(key, Condition::Always),
            Some(reasons) => {
                let values = [(":r".to_owned(), AttributeValue::S(reasons.clone()))];
                self.store.update(key, "SET r = :r", values, Condition::Always)
            }
        }
    }
}

/// The letters with which the ids stand on the suppression list whose places these are, and those by which the contacts
/// there go as well.
fn listed<'a>(places: impl Iterator<Item = (&'a ContactId, &'a IdRecord)>) -> BTreeMap<ContactId, String> {
    let mut listed = BTreeMap::new();
    for (id, place) in places {
        match &place.now {
            IdState::Vacant(remains) => {
                listed.insert(id.clone(), remains.reasons());
            }
            IdState::Erased(tombstone) => {
                listed.insert(id.clone(), tombstone.reasons());
            }
            IdState::Contact(contact) => {
                let linked = contact.user_id.as_ref().map(ContactId::from);
                listed.extend(linked.into_iter().chain([id.clone()]).map(|id| (id, contact.reasons())));
            }
            // The contact that it leads to knows of it.
            IdState::Link(_) => {}
        }
    }
    listed.retain(|_, reasons| !reasons.is_empty());
    listed
}

/// The contact that stands in a place, if it is one or what is left of one.
pub(super) fn listed_contact(item: Item) -> Result<Option<Contact>, StoreError> {
    Ok(match read(item)?.0.now {
        IdState::Contact(contact) => Some(*contact),
        IdState::Erased(tombstone) => Some(*tombstone),
        IdState::Vacant(_) | IdState::Link(_) => None,
    })
}

/// What stands in a place, as an item says it.
fn read(mut item: Item) -> Result<(IdRecord, ItemVersion), StoreError> {
    // What is left over are fields of a later version, and the key is none of those.
    item.remove("pk");
    item.remove("sk");
    if item.contains_key("erased_at") {
        let tombstone: TombstoneItem = from_item("tombstone", item)?;
        let at = tombstone.erased_at;
        let mark = tombstone.version.map_or(ItemVersion::ErasedAt(at.millis()), ItemVersion::Version);
        let now = IdState::Erased(Box::new(tombstone.contact()));
        let former = tombstone.former.map(Into::into);
        return Ok((IdRecord { other: tombstone.other, former, erased_until: Some(at), now }, mark));
    }
    if item.contains_key("to") {
        let LinkItem { to, at, remains, former, erased_until, version, other } = from_item("link", item)?;
        let (former, now) = match at {
            None => (former.map(Into::into), IdState::Link(to)),
            Some(until) => (Some(PreviousHolder { to, until }), IdState::Vacant(Box::new(remains.unwrap_or_default()))),
        };
        return Ok((IdRecord { other, former, erased_until, now }, ItemVersion::Version(version)));
    }
    let ContactItem { contact, former, erased_until, version } = from_item("contact", item)?;
    let now = IdState::Contact(Box::new(contact));
    Ok((
        IdRecord { former: former.map(Into::into), erased_until, now, ..IdRecord::default() },
        ItemVersion::Version(version),
    ))
}

/// The item that says what stands in a place, if it takes one.
fn written(place: &IdRecord, version: i64, time: Time) -> Result<(Option<Item>, ItemVersion), StoreError> {
    let IdRecord { other, former, erased_until, now } = place.clone();
    let erased_until = erased_until.filter(|until| time < until.plus(LATE));
    let item = match (now, former) {
        (IdState::Vacant(remains), None) => match erased_until {
            None => return Ok((None, ItemVersion::Absent)),
            Some(until) => to_item("tombstone", TombstoneItem::new(&remains.erased(until), None, version, other))?,
        },
        (IdState::Vacant(remains), Some(PreviousHolder { to, until })) => {
            let remains = Some(*remains).filter(|remains| *remains != Contact::default());
            to_item("link", LinkItem { to, at: Some(until), remains, former: None, erased_until, version, other })?
        }
        (IdState::Link(to), former) => {
            let former = former.map(Into::into);
            to_item("link", LinkItem { to, at: None, remains: None, former, erased_until, version, other })?
        }
        (IdState::Contact(contact), former) => {
            let former = former.map(Into::into);
            to_item("contact", ContactItem { contact: *contact, former, erased_until, version })?
        }
        (IdState::Erased(contact), former) => {
            to_item("tombstone", TombstoneItem::new(&contact, former.map(Into::into), version, other))?
        }
    };
    Ok((Some(item), ItemVersion::Version(version)))
}

impl TombstoneItem {
    fn new(contact: &Contact, former: Option<FormerItem>, version: i64, other: Map<String, Value>) -> Self {
        let erased_at = contact.erased_at().unwrap_or_default();
        let r = contact.reasons();
        // Nothing that suppresses expires, and nothing that came after the erasure.
        let expires = r.is_empty() && contact.newest() <= Some(erased_at) && former.is_none();
        Self {
            expires_at: expires.then(|| erased_at.plus(LATE).seconds()),
            r,
            erased_at,
            opt_out: contact.opt_out,
            block: contact.block,
            provider_stop: contact.provider_stop,
            former,
            version: Some(version),
            other,
        }
    }

    fn contact(&self) -> Contact {
        // A tombstone without times stands since the erasure.
        let latch = |latch: Latch, letter| match latch {
            latch if latch.is_untouched() && self.r.contains(letter) => Latch { set: Some(self.erased_at), ..latch },
            latch => latch,
        };
        let kept = Contact {
            opt_out: latch(self.opt_out, 'O'),
            block: latch(self.block, 'B'),
            provider_stop: latch(self.provider_stop, 'P'),
            other_reasons: self.r.chars().filter(|letter| !"OBP".contains(*letter)).collect(),
            ..Contact::default()
        };
        kept.erased(self.erased_at)
    }
}

impl From<FormerItem> for PreviousHolder {
    fn from(FormerItem { to, until }: FormerItem) -> Self {
        Self { to, until }
    }
}

impl From<PreviousHolder> for FormerItem {
    fn from(PreviousHolder { to, until }: PreviousHolder) -> Self {
        Self { to, until }
    }
}
