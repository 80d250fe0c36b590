//! The items of records: contacts, links and tombstones, as the table has them.
//!
//! A record ([`IdRecord`]) is all that is kept under one id. Its item has one of three shapes, told apart by an attribute:
//! `erased_at` makes it a tombstone, `to` a link, and neither a contact. An empty record has no item.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::StoreError;
use super::key::Item;
use super::request::{from_item, to_item};
use crate::contact::{Contact, Latch};
use crate::id::ContactId;
use crate::identity::{IdRecord, IdState, PreviousHolder};
use crate::time::Time;

/// The version of a record's item, by which it is told from what stood there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemVersion {
    /// There is no item.
    Absent,
    /// The item's attribute `version`.
    Version(i64),
    /// The time of erasure of a tombstone without a version, in milliseconds since 1970.
    ErasedAt(i64),
}

/// The item of a contact.
#[derive(Serialize, Deserialize)]
struct ContactItem {
    #[serde(flatten)]
    contact: Contact,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<FormerItem>,
    /// The time up to which events under the id are erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased_until: Option<Time>,
    version: i64,
}

/// The item of a link: to the contact of the id's holder or, with `at`, of its previous holder, who left it then.
#[derive(Serialize, Deserialize)]
struct LinkItem {
    to: ContactId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Time>,
    /// The restrictions that stay at an id that was left.
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

/// The item of a tombstone: what stays of a contact that was erased.
#[derive(Serialize, Deserialize)]
struct TombstoneItem {
    /// The letters of the suppression list.
    r: String,
    erased_at: Time,
    /// The times of opt-outs and opt-ins. In tombstones of older versions all three pairs are missing.
    #[serde(default, skip_serializing_if = "Latch::is_untouched")]
    opt_out: Latch,
    #[serde(default, skip_serializing_if = "Latch::is_untouched")]
    block: Latch,
    #[serde(default, skip_serializing_if = "Latch::is_untouched")]
    provider_stop: Latch,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<FormerItem>,
    /// The time to live: seconds since 1970 after which DynamoDB deletes the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// The version; none in tombstones of older versions, which never rewrote them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// The time after an erasure in which older events may still be delivered: WhatsApp gives up after seven days
/// (<https://developers.facebook.com/docs/whatsapp/cloud-api/guides/set-up-webhooks>), and one is for safety.
const LATE: Duration = Duration::from_hours(8 * 24);

/// The previous holder of an id, as items have it.
#[derive(Serialize, Deserialize)]
struct FormerItem {
    to: ContactId,
    until: Time,
}

/// The contact that an item is or, of a tombstone, what stays of it; none for links.
pub(super) fn listed_contact(item: Item) -> Result<Option<Contact>, StoreError> {
    Ok(match read(item)?.0.now {
        IdState::Contact(contact) => Some(*contact),
        IdState::Erased(tombstone) => Some(*tombstone),
        IdState::Vacant(_) | IdState::Link(_) => None,
    })
}

/// Reads the item of a record.
pub(super) fn read(mut item: Item) -> Result<(IdRecord, ItemVersion), StoreError> {
    // What is left over are fields of a later version, and the key is none of those.
    item.remove("pk");
    item.remove("sk");
    if item.contains_key("erased_at") {
        let tombstone: TombstoneItem = from_item("tombstone", item)?;
        let at = tombstone.erased_at;
        let version = tombstone.version.map_or(ItemVersion::ErasedAt(at.millis()), ItemVersion::Version);
        let now = IdState::Erased(Box::new(tombstone.contact()));
        let former = tombstone.former.map(Into::into);
        return Ok((IdRecord { other: tombstone.other, former, erased_until: Some(at), now }, version));
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

/// The item of a record, where it takes one, and its version. An erasure is forgotten [`LATE`] after it.
pub(super) fn written(record: &IdRecord, version: i64, now: Time) -> Result<(Option<Item>, ItemVersion), StoreError> {
    let IdRecord { other, former, erased_until, now: state } = record.clone();
    let erased_until = erased_until.filter(|until| now < until.plus(LATE));
    let item = match (state, former) {
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
