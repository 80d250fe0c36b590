//! Confirmations on their way: each is one item, kept under the time at which it is due, and gone once its fate is in the
//! history.
//!
//! Whoever wants to send one takes it first, which moves it to a later due time. So there is one sender at a time, and
//! if that one dies, the item becomes due again.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::key::{self, Item, Key};
use super::request::{Condition, Written, from_item, to_item, unavailable, unreadable};
use super::{Store, StoreError};
use crate::callback::Callback;
use crate::event::{Confirmation, Event, HistoryKey};
use crate::id::{ChannelId, ContactId, EventId, Shard, TenantId};
use crate::time::Time;

/// What an item of the outbox holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxItem {
    /// The tenant.
    pub tenant: TenantId,
    /// The contact whose history has the text and gets the outcome.
    pub contact: ContactId,
    /// The time part of the entry's place in that history; the other part is the event's id.
    entry: Time,
    /// The channel that the customer wrote to, and that the answer comes from.
    pub channel: ChannelId,
    /// The customer's id as received, in the form the Graph API takes.
    pub to: String,
    /// How often it was moved: taken or put off. The stream brings new items only, those with 0.
    pub attempt: u32,
    /// How often it was taken.
    #[serde(default)]
    pub tries: u32,
    /// How often it was taken and nothing more was heard of it.
    #[serde(default)]
    lost: u32,
    /// Whether somebody took it and may be sending it.
    #[serde(default)]
    taken: bool,
}

/// An item of the outbox in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// When it is due.
    pub due: Time,
    /// The event that it confirms.
    pub event: EventId,
    /// The item.
    pub item: OutboxItem,
}

impl OutboxItem {
    /// The intent to confirm an event.
    pub(super) fn new(tenant: &TenantId, contact: &ContactId, event: &Event, channel: &ChannelId, to: &str) -> Self {
        Self {
            tenant: tenant.clone(),
            contact: contact.clone(),
            entry: event.key.time,
            channel: channel.clone(),
            to: to.to_owned(),
            attempt: 0,
            tries: 0,
            lost: 0,
            taken: false,
        }
    }
}

impl Pending {
    /// Reads an item as the table's stream brings it.
    ///
    /// # Errors
    /// It is no item of the outbox.
    pub fn from_image(image: Item) -> Result<Self, StoreError> {
        let place = Key::of(&image).and_then(|key| key::from_timed(&key.sk));
        let HistoryKey { time: due, id: event } = place.ok_or_else(|| unreadable("outbox"))?;
        Ok(Self { due, event, item: from_item("outbox", image)? })
    }

    /// The place of the event in the contact's history.
    #[must_use]
    pub fn entry(&self) -> HistoryKey {
        HistoryKey { time: self.item.entry, id: self.event.clone() }
    }

    /// How often it was taken and nothing was heard of it: each of those may have been sent or not.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.item.lost + u32::from(self.item.taken)
    }

    /// What the message carries, so that its statuses find the entry.
    #[must_use]
    pub fn callback(&self) -> Callback {
        Callback { contact: self.item.contact.clone(), entry: self.entry() }
    }

    fn key(&self) -> Key {
        Key::outbox(self.due, &self.event)
    }
}

impl Store {
    /// Up to `limit` items of one shard that are due by `now`, the most overdue first. One that can't be read stands as
    /// an error in its place.
    ///
    /// # Errors
    /// None could be read.
    pub async fn due(
        &self,
        shard: Shard,
        now: Time,
        limit: u16,
    ) -> Result<Vec<Result<Pending, StoreError>>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk < :next")
            .expression_attribute_values(":pk", AttributeValue::S(key::outbox(shard)))
            .expression_attribute_values(":next", AttributeValue::S(format!("{:013}", now.next().millis())))
            .limit(limit.into())
            .send()
            .await
            .map_err(unavailable)?;
        Ok(answer.items.unwrap_or_default().into_iter().map(Pending::from_image).collect())
    }

    /// Takes an item for sending: until `until`, nobody else does. None if somebody else took it, or it is gone.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn take(&self, pending: &Pending, until: Time) -> Result<Option<Pending>, StoreError> {
        let item = OutboxItem {
            attempt: pending.item.attempt + 1,
            tries: pending.item.tries + 1,
            lost: pending.lost(),
            taken: true,
            ..pending.item.clone()
        };
        self.reschedule(pending, Pending { due: until, event: pending.event.clone(), item }).await
    }

    /// Puts a taken item off, because its sending failed in a way that may pass. None if somebody else took it since.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn put_off(&self, taken: &Pending, until: Time) -> Result<Option<Pending>, StoreError> {
        let item = OutboxItem { attempt: taken.item.attempt + 1, taken: false, ..taken.item.clone() };
        self.reschedule(taken, Pending { due: until, event: taken.event.clone(), item }).await
    }

    /// Writes a confirmation's fate into the history and removes it from the outbox. False if somebody else took it
    /// since, or it is gone; then nothing is written.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn settle(&self, pending: &Pending, fate: &Confirmation) -> Result<bool, StoreError> {
        let entry = Key::history(&pending.item.tenant, &pending.item.contact, &pending.entry());
        let fate = AttributeValue::M(to_item("confirmation", fate)?);
        let record = self.update(entry, "SET confirmation = :fate", [(":fate".to_owned(), fate)], Condition::Present);
        let removal = self.delete(pending.key(), Condition::Present);
        Ok(self.transact(vec![record, removal]).await? == Written::Yes)
    }

    /// Removes an item whose history entry was erased.
    ///
    /// # Errors
    /// It could not be removed.
    pub async fn discard(&self, pending: &Pending) -> Result<(), StoreError> {
        self.transact(vec![self.delete(pending.key(), Condition::Always)]).await.map(drop)
    }

    async fn reschedule(&self, from: &Pending, to: Pending) -> Result<Option<Pending>, StoreError> {
        let items = vec![
            self.delete(from.key(), Condition::Present),
            self.put(to.key(), to_item("outbox", &to.item)?, Condition::Absent),
        ];
        Ok((self.transact(items).await? == Written::Yes).then_some(to))
    }
}
