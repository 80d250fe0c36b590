//! The places of ids as the table has them: contacts, links, and what is left of somebody who was erased.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::key::{Item, Key};
use super::request::{Condition, from_item, to_item};
use super::{StoreError, Tenant};
use crate::contact::{Contact, Suppression};
use crate::id::ContactId;
use crate::identity::{Former, Place, Places, Standing};
use crate::time::Time;

/// What was read of the places of ids: what stands there, and how to tell whether it still does.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub(super) places: Places,
    marks: HashMap<ContactId, Mark>,
}

/// How an item is told from what stood in its place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
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
    version: i64,
}

#[derive(Serialize, Deserialize)]
struct TombstoneItem {
    r: String,
    erased_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<FormerItem>,
}

#[derive(Serialize, Deserialize)]
struct FormerItem {
    to: ContactId,
    until: Time,
}

impl Known {
    /// Whether a place was read.
    pub(super) fn has(&self, id: &ContactId) -> bool {
        self.places.contains_key(id)
    }

    /// Takes note of what stands in a place.
    pub(super) fn insert(&mut self, id: ContactId, item: Option<Item>) -> Result<(), StoreError> {
        let (place, mark) = match item {
            None => (Place::default(), Mark::Absent),
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

    /// Takes over what was read of one place.
    pub(super) fn copy(&mut self, id: &ContactId, from: &Self) {
        if let (Some(place), Some(mark)) = (from.places.get(id), from.marks.get(id)) {
            self.places.insert(id.clone(), place.clone());
            self.marks.insert(id.clone(), *mark);
        }
    }

    fn unchanged(&self, id: &ContactId) -> Condition {
        match self.marks.get(id) {
            None | Some(Mark::Absent) => Condition::Absent,
            Some(Mark::Version(version)) => Condition::Equals("version", *version),
            Some(Mark::ErasedAt(at)) => Condition::Equals("erased_at", *at),
        }
    }
}

/// What a change writes into places and the suppression list, and what is known afterwards.
pub(super) struct Rewrite {
    pub(super) items: Vec<TransactWriteItem>,
    pub(super) known: Known,
}

impl Tenant {
    /// Writes what has to stand in places, each on the condition that it still holds what was read. `counted` is a contact
    /// whose version counts up in any case; without anything to write, nothing is.
    pub(super) fn rewrite(
        &self,
        known: &Known,
        after: &BTreeMap<ContactId, Place>,
        counted: Option<&ContactId>,
        now: Time,
    ) -> Result<Rewrite, StoreError> {
        let mut rewrite = Rewrite { items: Vec::new(), known: known.clone() };
        let mut unwritten = Vec::new();
        for (id, place) in after {
            let counts = counted == Some(id) && matches!(place.now, Standing::Contact(_));
            if known.places.get(id) == Some(place) && !counts {
                unwritten.push(id);
                continue;
            }
            // Not 1: a writer that still holds a version from before an erasure must not find it again.
            let version = match known.marks.get(id) {
                Some(Mark::Version(version)) => version + 1,
                _ => now.millis(),
            };
            let key = Key::contact(&self.id, id);
            let (item, mark) = written(place, version)?;
            rewrite.items.push(match item {
                Some(item) => self.store.put(key, item, known.unchanged(id)),
                None => self.store.delete(key, known.unchanged(id)),
            });
            rewrite.known.places.insert(id.clone(), place.clone());
            rewrite.known.marks.insert(id.clone(), mark);
        }
        if rewrite.items.is_empty() && counted.is_none() {
            return Ok(rewrite);
        }
        for id in unwritten {
            rewrite.items.push(self.store.require(Key::contact(&self.id, id), known.unchanged(id)));
        }
        let before = listed(after.keys().filter_map(|id| known.places.get_key_value(id)));
        let now = listed(after.iter());
        let changed: BTreeSet<&ContactId> = before.keys().chain(now.keys()).collect();
        for id in changed.into_iter().filter(|id| before.get(id) != now.get(id)) {
            rewrite.items.push(self.suppress(id, now.get(id).copied().unwrap_or_default()));
        }
        Ok(rewrite)
    }

    fn suppress(&self, id: &ContactId, suppression: Suppression) -> TransactWriteItem {
        let key = Key::suppression(&self.id, id);
        if suppression.is_empty() {
            self.store.delete(key, Condition::Always)
        } else {
            let letters = Item::from([("r".to_owned(), AttributeValue::S(suppression.letters()))]);
            self.store.put(key, letters, Condition::Always)
        }
    }
}

/// What the suppression list says of the ids whose places these are, and of those by which the contacts there go as well.
fn listed<'a>(places: impl Iterator<Item = (&'a ContactId, &'a Place)>) -> BTreeMap<ContactId, Suppression> {
    let mut listed = BTreeMap::new();
    for (id, place) in places {
        match &place.now {
            Standing::Vacant(remains) => {
                listed.insert(id.clone(), remains.suppression());
            }
            Standing::Erased { suppression, .. } => {
                listed.insert(id.clone(), *suppression);
            }
            Standing::Contact(contact) => {
                let linked = contact.user_id.as_ref().map(ContactId::from);
                listed.extend(linked.into_iter().chain([id.clone()]).map(|id| (id, contact.suppression())));
            }
            // The contact that it leads to knows of it.
            Standing::Link(_) => {}
        }
    }
    listed.retain(|_, suppression| !suppression.is_empty());
    listed
}

/// The contact that stands in a place, if it is one or what is left of one.
pub(super) fn listed_contact(item: Item) -> Result<Option<Contact>, StoreError> {
    Ok(match read(item)?.0.now {
        Standing::Contact(contact) => Some(*contact),
        Standing::Erased { suppression, at } => Some(Contact::erased(suppression, at)),
        Standing::Vacant(_) | Standing::Link(_) => None,
    })
}

/// What stands in a place, as an item says it.
fn read(item: Item) -> Result<(Place, Mark), StoreError> {
    if item.contains_key("erased_at") {
        let TombstoneItem { r, erased_at: at, former } = from_item("tombstone", item)?;
        let now = Standing::Erased { suppression: Suppression::from_letters(&r), at };
        return Ok((Place { former: former.map(Into::into), now }, Mark::ErasedAt(at.millis())));
    }
    if item.contains_key("to") {
        let LinkItem { to, at, remains, former, version } = from_item("link", item)?;
        let place = match at {
            None => Place { former: former.map(Into::into), now: Standing::Link(to) },
            Some(until) => Place {
                former: Some(Former { to, until }),
                now: Standing::Vacant(Box::new(remains.unwrap_or_default())),
            },
        };
        return Ok((place, Mark::Version(version)));
    }
    let ContactItem { contact, former, version } = from_item("contact", item)?;
    let place = Place { former: former.map(Into::into), now: Standing::Contact(Box::new(contact)) };
    Ok((place, Mark::Version(version)))
}

/// The item that says what stands in a place, if it takes one.
fn written(place: &Place, version: i64) -> Result<(Option<Item>, Mark), StoreError> {
    let former = place.former.clone();
    let item = match (&place.now, former) {
        (Standing::Vacant(_), None) => return Ok((None, Mark::Absent)),
        (Standing::Vacant(remains), Some(Former { to, until })) => {
            let remains = Some((**remains).clone()).filter(|remains| *remains != Contact::default());
            to_item("link", LinkItem { to, at: Some(until), remains, former: None, version })?
        }
        (Standing::Link(to), former) => {
            let former = former.map(Into::into);
            to_item("link", LinkItem { to: to.clone(), at: None, remains: None, former, version })?
        }
        (Standing::Contact(contact), former) => {
            let (contact, former) = ((**contact).clone(), former.map(Into::into));
            to_item("contact", ContactItem { contact, former, version })?
        }
        (Standing::Erased { suppression, at }, former) => {
            let tombstone = TombstoneItem { r: suppression.letters(), erased_at: *at, former: former.map(Into::into) };
            return Ok((Some(to_item("tombstone", tombstone)?), Mark::ErasedAt(at.millis())));
        }
    };
    Ok((Some(item), Mark::Version(version)))
}

impl From<FormerItem> for Former {
    fn from(FormerItem { to, until }: FormerItem) -> Self {
        Self { to, until }
    }
}

impl From<Former> for FormerItem {
    fn from(Former { to, until }: Former) -> Self {
        Self { to, until }
    }
}
