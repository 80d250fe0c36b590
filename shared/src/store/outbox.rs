//! Confirmations on their way: each is one item, kept under the time at which it is due, and gone once its fate is in the
//! history.
//!
//! Whoever wants to send one claims it first, which moves it to a later due time: a lease. So there is one sender at a
//! time, and if that one dies, the item becomes due again.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem, Update};
use futures::{Stream, stream};
use serde::{Deserialize, Serialize};

use super::key::{self, Item, Key};
use super::request::{Condition, WriteOutcome, from_item, to_item, unavailable, unreadable};
use super::{Store, StoreError};
use crate::callback::Callback;
use crate::event::{Confirmation, ConfirmationState, Event, HistoryKey};
use crate::id::{ChannelId, ContactId, EventId, Shard, TenantId};
use crate::time::Time;

/// Items in a page of the outbox: few enough that a page of each shard at a time is soon read and little to hold.
const PAGE: i32 = 250;

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
    /// How often it was moved: claimed or put off. The stream brings new items only, those with 0.
    pub attempt: u32,
    /// How often it was claimed.
    #[serde(default)]
    pub tries: u32,
    /// How often it was claimed and nothing more was heard of it.
    #[serde(default)]
    lost: u32,
    /// Whether somebody claimed it and may be sending it.
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

    /// How often it was claimed and nothing was heard of it: each of those may have been sent or not.
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

    fn history_key(&self) -> Key {
        Key::history(&self.item.tenant, &self.item.contact, &self.entry())
    }
}

impl Store {
    /// The items of one shard that are due by `now`, the most overdue first, page by page. One that can't be read stands as
    /// an error in its place. A page that can't be read is the last.
    pub fn due(
        &self,
        shard: Shard,
        now: Time,
    ) -> impl Stream<Item = Result<Vec<Result<Pending, StoreError>>, StoreError>> + Send {
        let query = self
            .client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk < :next")
            .expression_attribute_values(":pk", AttributeValue::S(key::outbox(shard)))
            .expression_attribute_values(":next", AttributeValue::S(format!("{:013}", now.next().millis())))
            .limit(PAGE);
        // Where the next page starts; none after the last one.
        stream::try_unfold(Some(None), move |start: Option<Option<Item>>| {
            let query = query.clone();
            async move {
                let Some(start) = start else { return Ok(None) };
                let answer = query.set_exclusive_start_key(start).send().await.map_err(unavailable)?;
                let items = answer.items.unwrap_or_default().into_iter().map(Pending::from_image).collect();
                Ok(Some((items, answer.last_evaluated_key.map(Some))))
            }
        })
    }

    /// Claims an item for sending: until `until`, nobody else does. None if somebody else claimed it, if it is gone, or if
    /// its entry is erased or has another fate than to be pending.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn claim(&self, pending: &Pending, until: Time) -> Result<Option<Pending>, StoreError> {
        let item = OutboxItem {
            attempt: pending.item.attempt + 1,
            tries: pending.item.tries + 1,
            lost: pending.lost(),
            taken: true,
            ..pending.item.clone()
        };
        let claimed = Pending { due: until, event: pending.event.clone(), item };
        let mut items = self.moved(pending, &claimed)?;
        items.push(self.require_pending(pending.history_key())?);
        Ok((self.transact(items).await? == WriteOutcome::Yes).then_some(claimed))
    }

    /// Puts a claimed item off, because its sending failed in a way that may pass. False if somebody else claimed it since.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn put_off(&self, claimed: &Pending, until: Time) -> Result<bool, StoreError> {
        let item = OutboxItem { attempt: claimed.item.attempt + 1, taken: false, ..claimed.item.clone() };
        let later = Pending { due: until, event: claimed.event.clone(), item };
        Ok(self.transact(self.moved(claimed, &later)?).await? == WriteOutcome::Yes)
    }

    /// Writes the fate of a pending confirmation into the history, and removes it from the outbox. False if the entry has
    /// a fate already or is erased: then only the item is removed.
    ///
    /// Whoever settles an item has claimed it, and no claim outlives the function that made it: nobody else is at it.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn settle(&self, claimed: &Pending, fate: &Confirmation) -> Result<bool, StoreError> {
        let record = self.record_fate(claimed.history_key(), ConfirmationState::Pending, fate)?;
        let removal = self.delete(claimed.key(), Condition::Always);
        if self.transact(vec![record, removal]).await? == WriteOutcome::Yes {
            return Ok(true);
        }
        self.discard(claimed).await?;
        Ok(false)
    }

    /// Removes an item whose history entry has a fate already or is erased.
    ///
    /// # Errors
    /// It could not be removed.
    pub async fn discard(&self, pending: &Pending) -> Result<(), StoreError> {
        self.transact(vec![self.delete(pending.key(), Condition::Always)]).await.map(drop)
    }

    /// The update of a history entry with the fate of its confirmation, on the condition that this is in the state `from`.
    /// It writes the fields that the fate has and leaves all others as they are, those of a later version included.
    pub(super) fn record_fate(
        &self,
        entry: Key,
        from: ConfirmationState,
        fate: &Confirmation,
    ) -> Result<TransactWriteItem, StoreError> {
        let fields = to_item("confirmation", fate)?;
        let assignments: Vec<String> = fields.keys().map(|field| format!("confirmation.#{field} = :{field}")).collect();
        let mut update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(entry.into_item()))
            .update_expression(format!("SET {}", assignments.join(", ")))
            .condition_expression("confirmation.#state = :from")
            .expression_attribute_values(":from", state(from)?);
        for (field, value) in fields {
            update = update.expression_attribute_values(format!(":{field}"), value);
            update = update.expression_attribute_names(format!("#{field}"), field);
        }
        let update = update.build().expect("table, key and expression are set");
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Requires an entry whose confirmation is pending.
    fn require_pending(&self, entry: Key) -> Result<TransactWriteItem, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&*self.table)
            .set_key(Some(entry.into_item()))
            .condition_expression("confirmation.#state = :pending")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":pending", state(ConfirmationState::Pending)?)
            .build()
            .expect("table, key and condition are set");
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// Moves an item to its next due time.
    fn moved(&self, from: &Pending, to: &Pending) -> Result<Vec<TransactWriteItem>, StoreError> {
        Ok(vec![
            self.delete(from.key(), Condition::Present),
            self.put(to.key(), to_item("outbox", &to.item)?, Condition::Absent),
        ])
    }
}

/// A state as the table has it.
fn state(state: ConfirmationState) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(state).map_err(|source| StoreError::Unreadable { kind: "confirmation", source })
}
