//! Contacts: read with what a decision needs, changed in one transaction with all that follows from the change.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::key::{self, Item, Key};
use super::outbox::OutboxItem;
use super::request::{ATTEMPTS, Condition, Written, from_item, pause, to_item, unavailable, unreadable};
use super::{StoreError, Tenant};
use crate::contact::{Contact, Suppression};
use crate::decision::Decision;
use crate::event::HistoryKey;
use crate::id::{ContactId, Shard};
use crate::settings::SavedSettings;
use crate::time::Time;

/// The store as a batch of updates needs to know it.
#[derive(Debug)]
pub struct Briefing {
    /// The tenant's settings, where it has any.
    pub settings: Option<SavedSettings>,
    people: HashMap<ContactId, Result<Person, StoreError>>,
    seen: HashSet<(ContactId, HistoryKey)>,
}

impl Briefing {
    /// What was stored about someone.
    ///
    /// # Errors
    /// It can't be read. That concerns nobody else.
    pub fn person(&self, id: &ContactId) -> Result<Person, StoreError> {
        match self.people.get(id) {
            None => Ok(Person::default()),
            Some(Ok(person)) => Ok(person.clone()),
            Some(Err(_)) => Err(unreadable("contact")),
        }
    }

    /// Whether an event is in someone's history already.
    #[must_use]
    pub fn has_seen(&self, id: &ContactId, key: &HistoryKey) -> bool {
        self.seen.contains(&(id.clone(), key.clone()))
    }
}

/// What was stored about someone when it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The contact; empty where nothing is stored.
    pub contact: Contact,
    place: Place,
}

/// What stands in a contact's place, as far as a write must be conditional on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Empty,
    Contact {
        version: i64,
    },
    Tombstone {
        erased_at: i64,
    },
}

/// How a change of a contact ended.
#[derive(Debug)]
pub enum Change<R> {
    /// It was decided and is in the table.
    Made {
        /// What was decided.
        decision: Box<Decision>,
        /// What is stored now.
        person: Box<Person>,
    },
    /// The event is in the history already; nothing was written.
    Repeat,
    /// The decision was not to change anything, for this reason; nothing was written.
    Refused(R),
}

/// Where a page of contacts begins: behind this id, or at the beginning of the shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The shard.
    pub shard: Shard,
    /// The last id that was looked at in that shard.
    pub after: Option<ContactId>,
}

/// Some contacts, and where to go on.
#[derive(Debug)]
pub struct ContactPage {
    /// The contacts, by shard and id.
    pub contacts: Vec<(ContactId, Contact)>,
    /// Where the next page begins, unless this is the last one.
    pub next: Option<Position>,
}

#[derive(Serialize, Deserialize)]
struct ContactItem {
    #[serde(flatten)]
    contact: Contact,
    version: i64,
}

#[derive(Serialize, Deserialize)]
struct TombstoneItem {
    r: String,
    erased_at: Time,
}

impl Tenant {
    /// Reads, in one call per hundred keys, the settings, these contacts, and which of these events happened before.
    ///
    /// # Errors
    /// Something could not be read.
    pub async fn briefing(&self, about: &[(&ContactId, Option<&HistoryKey>)]) -> Result<Briefing, StoreError> {
        let contacts = about.iter().map(|(id, _)| Key::contact(&self.id, id));
        let events = about.iter().filter_map(|(id, event)| event.map(|event| Key::history(&self.id, id, event)));
        let settings = Key::settings(&self.id);
        let mut items = self.store.batch_get(std::iter::once(settings.clone()).chain(contacts).chain(events)).await?;
        let settings = items.remove(&settings).map(super::settings::saved).transpose()?;
        let (mut people, mut seen) = (HashMap::new(), HashSet::new());
        for (id, event) in about {
            if let Some(item) = items.get(&Key::contact(&self.id, id)) {
                people.insert((*id).clone(), person(item.clone()));
            }
            if let Some(event) = event
                && items.contains_key(&Key::history(&self.id, id, event))
            {
                seen.insert(((*id).clone(), (*event).clone()));
            }
        }
        Ok(Briefing { settings, people, seen })
    }

    /// Decides on a contact and writes what was decided: contact, suppression list, history and outbox in one
    /// transaction. Where the contact changed since it was read, it is read and decided again.
    ///
    /// `known` is what was read before; without it, it is read now. If the event turns out to be in the history by now, in
    /// one of `places`, nothing is written. `recipient` is who a confirmation goes to.
    ///
    /// # Errors
    /// It could not be read or written. Whether it was written is then not known; asking again finds out.
    pub async fn change<R>(
        &self,
        id: &ContactId,
        known: Option<Person>,
        places: &[HistoryKey],
        recipient: Option<&str>,
        now: Time,
        decide: impl Fn(&Contact) -> Result<Decision, R>,
    ) -> Result<Change<R>, StoreError> {
        let mut known = known;
        for attempt in 1..=ATTEMPTS {
            let person = match known.take() {
                Some(person) => person,
                None => match self.fresh(id, places).await? {
                    Some(person) => person,
                    None => return Ok(Change::Repeat),
                },
            };
            let decision = match decide(&person.contact) {
                Ok(decision) => decision,
                Err(refusal) => return Ok(Change::Refused(refusal)),
            };
            // A little later each time: the outbox could have another event of this id and time.
            let due = now.plus(Duration::from_millis(u64::from(attempt - 1)));
            let (items, after) = self.transaction(id, &person, &decision, recipient, due)?;
            if items.is_empty() || self.store.transact(items).await? == Written::Yes {
                return Ok(Change::Made { decision: Box::new(decision), person: Box::new(after) });
            }
            pause(attempt).await;
        }
        Err(StoreError::Contended)
    }

    /// Reads someone again after a race; none if the event is in the history by now.
    async fn fresh(&self, id: &ContactId, places: &[HistoryKey]) -> Result<Option<Person>, StoreError> {
        let contact = Key::contact(&self.id, id);
        let entries: Vec<Key> = places.iter().map(|place| Key::history(&self.id, id, place)).collect();
        let mut items = self.store.batch_get(entries.iter().cloned().chain([contact.clone()])).await?;
        if entries.iter().any(|entry| items.contains_key(entry)) {
            return Ok(None);
        }
        items.remove(&contact).map_or_else(|| Ok(Person::default()), person).map(Some)
    }

    /// All that a decision writes, and what is stored afterwards. A confirmation is due at `due`.
    fn transaction(
        &self,
        id: &ContactId,
        before: &Person,
        decision: &Decision,
        recipient: Option<&str>,
        due: Time,
    ) -> Result<(Vec<TransactWriteItem>, Person), StoreError> {
        let mut items = Vec::with_capacity(5);
        let mut after = before.clone();
        let place = Key::contact(&self.id, id);
        // Whatever goes into the history of a contact counts its version up, so that an erasure misses none of it.
        let counts = decision.entry.is_some() && matches!(before.place, Place::Contact { .. });
        if decision.contact != before.contact || counts {
            let version = match before.place {
                Place::Contact { version } => version + 1,
                // Not 1: a writer that still holds a version from before an erasure must not find it again.
                Place::Empty | Place::Tombstone { .. } => due.millis(),
            };
            after = Person { contact: decision.contact.clone(), place: Place::Contact { version } };
            let item = to_item("contact", ContactItem { contact: decision.contact.clone(), version })?;
            items.push(self.store.put(place, item, before.place.unchanged()));
            let suppression = decision.contact.suppression();
            if suppression != before.contact.suppression() {
                items.push(self.suppress(id, suppression));
            }
        } else if decision.entry.is_some() {
            items.push(self.store.require(place, before.place.unchanged()));
        }
        if let Some(entry) = &decision.entry {
            let key = Key::history(&self.id, id, &entry.event.key);
            items.push(self.store.put(key, to_item("history", entry)?, Condition::Absent));
            if let Some(sibling) = &entry.event.sibling {
                items.push(self.store.require(Key::history(&self.id, id, sibling), Condition::Absent));
            }
            if let (Some(channel), Some(recipient), true) = (&entry.event.channel, recipient, decision.confirms()) {
                let outbox = OutboxItem::new(&self.id, id, &entry.event, channel, recipient);
                items.push(self.store.put(
                    Key::outbox(due, &entry.event.key.id),
                    to_item("outbox", outbox)?,
                    Condition::Absent,
                ));
            }
        }
        Ok((items, after))
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

    /// Up to `limit` contacts that are `wanted`, among those whose id begins with `prefix`. The page may be shorter than
    /// that and still not be the last one: looking for rare contacts ends after two thousand of them.
    ///
    /// # Errors
    /// Something could not be read.
    pub async fn contacts(
        &self,
        from: &Position,
        prefix: &str,
        limit: usize,
        wanted: impl Fn(&Contact) -> bool,
    ) -> Result<ContactPage, StoreError> {
        let mut contacts = Vec::new();
        let mut looked_at = 0;
        let mut from = from.clone();
        loop {
            let (items, last) = self.contacts_after(&from, prefix).await?;
            looked_at += items.len();
            for (id, item) in items {
                from.after = Some(id.clone());
                if item.contains_key("to") {
                    continue;
                }
                let contact = person(item)?.contact;
                if contact.is_known() && wanted(&contact) {
                    contacts.push((id, contact));
                    if contacts.len() == limit {
                        return Ok(ContactPage { contacts, next: Some(from) });
                    }
                }
            }
            if last {
                match from.shard.and_later().nth(1) {
                    Some(shard) => from = Position { shard, after: None },
                    None => return Ok(ContactPage { contacts, next: None }),
                }
            }
            if looked_at >= LOOKED_AT {
                return Ok(ContactPage { contacts, next: Some(from) });
            }
        }
    }

    /// The items of a shard behind a position, and whether they were its last.
    async fn contacts_after(
        &self,
        from: &Position,
        prefix: &str,
    ) -> Result<(Vec<(ContactId, Item)>, bool), StoreError> {
        let partition = key::contacts(&self.id, from.shard);
        let start = from.after.as_ref().map(|after| Key { pk: partition.clone(), sk: after.to_string() }.into_item());
        let query = self.store.client.query().table_name(&*self.store.table).consistent_read(true);
        let query = if prefix.is_empty() {
            query.key_condition_expression("pk = :pk")
        } else {
            query
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()))
        };
        let answer = query
            .expression_attribute_values(":pk", AttributeValue::S(partition))
            .set_exclusive_start_key(start)
            .limit(PAGE)
            .send()
            .await
            .map_err(unavailable)?;
        let last = answer.last_evaluated_key.is_none();
        let id = |item: &Item| Key::of(item)?.sk.parse().ok();
        let items = answer.items.unwrap_or_default().into_iter();
        let items = items.map(|item| Ok((id(&item).ok_or_else(|| unreadable("contact"))?, item)));
        Ok((items.collect::<Result<_, StoreError>>()?, last))
    }

    /// Forgets someone: contact and history go. Of someone suppressed, the suppression item and a tombstone with the
    /// reasons stay. Doing it again finishes what an earlier attempt left.
    ///
    /// # Errors
    /// Something could not be read or written; the erasure can be asked for again.
    pub async fn erase(&self, id: &ContactId, now: Time) -> Result<(), StoreError> {
        for attempt in 1..=ATTEMPTS {
            let person = self.fresh(id, &[]).await?.unwrap_or_default();
            // Listed before the contact goes: what comes in later belongs to whoever writes after the erasure.
            let entries = self.history_keys(id).await?;
            let place = Key::contact(&self.id, id);
            let suppression = person.contact.suppression();
            let write = match person.place {
                Place::Empty | Place::Tombstone { .. } if entries.is_empty() => None,
                // Nothing to change here, but the entries must still be of nobody else.
                Place::Empty | Place::Tombstone { .. } => Some(self.store.require(place, person.place.unchanged())),
                Place::Contact { .. } if suppression.is_empty() => {
                    Some(self.store.delete(place, person.place.unchanged()))
                }
                Place::Contact { .. } => {
                    let tombstone = TombstoneItem {
                        r: suppression.letters(),
                        erased_at: now.max(person.contact.newest().unwrap_or(now)),
                    };
                    Some(self.store.put(place, to_item("tombstone", tombstone)?, person.place.unchanged()))
                }
            };
            let written = match write {
                Some(write) => self.store.transact(vec![write]).await?,
                None => Written::Yes,
            };
            if written == Written::Yes {
                return self.delete_all(&entries).await;
            }
            pause(attempt).await;
        }
        Err(StoreError::Contended)
    }
}

/// Contacts that one query reads.
const PAGE: i32 = 250;

/// Contacts that the making of one page looks at before it gives up finding more.
const LOOKED_AT: usize = 2_000;

impl Place {
    fn unchanged(self) -> Condition {
        match self {
            Self::Empty => Condition::Absent,
            Self::Contact { version } => Condition::Equals("version", version),
            Self::Tombstone { erased_at } => Condition::Equals("erased_at", erased_at),
        }
    }
}

/// What stands in a contact's place.
fn person(item: Item) -> Result<Person, StoreError> {
    if item.contains_key("erased_at") {
        let tombstone: TombstoneItem = from_item("tombstone", item)?;
        return Ok(Person {
            contact: Contact::erased(Suppression::from_letters(&tombstone.r), tombstone.erased_at),
            place: Place::Tombstone { erased_at: tombstone.erased_at.millis() },
        });
    }
    let ContactItem { contact, version } = from_item("contact", item)?;
    Ok(Person { contact, place: Place::Contact { version } })
}
