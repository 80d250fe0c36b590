//! The outbox: confirmations on their way. Each is one item, kept under the time at which it is due, and removed once its
//! fate is in the history.
//!
//! A sender claims an item first, which moves it to a later due time: a lease, which is a [`Claim`]. So there is one sender
//! at a time, and if that one dies, the item becomes due again.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem, Update};
use futures::{Stream, stream};
use serde::{Deserialize, Serialize};

use super::key::{self, Item, ItemKey};
use super::query::SortKeys;
use super::request::{Condition, WriteOutcome, from_item, to_attribute, to_item, unavailable, unreadable};
use super::{Store, StoreError};
use crate::callback::Callback;
use crate::event::{Confirmation, ConfirmationState, Event, HistoryKey};
use crate::id::{ChannelId, ContactId, EventId, Shard, TenantId};
use crate::time::Time;

/// Items in a page of the outbox: few enough that a page of each shard at a time is soon read and little to hold.
const PAGE: i32 = 250;

/// The content of an item of the outbox: the intent to confirm an event.
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
    /// Moves so far: claims and postponements. The stream brings new items only, those with 0.
    pub attempt: u32,
    /// Claims so far.
    #[serde(default)]
    pub tries: u32,
    /// Earlier claims of which nothing more was heard.
    #[serde(default)]
    lost: u32,
    /// True while the item is claimed and may be being sent.
    #[serde(default)]
    taken: bool,
}

/// An item that waits in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The time from which it is due.
    pub due: Time,
    /// The event that it confirms.
    pub event: EventId,
    /// The item.
    pub item: OutboxItem,
}

/// A lease on an item: until it runs out, its holder alone sends the confirmation. Only [`Store::claim`] makes one, and
/// only a claim can be settled or put off, which ends it.
#[derive(Debug)]
pub struct Claim(Pending);

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
    /// The image is no item of the outbox, or can't be read.
    pub fn from_image(image: Item) -> Result<Self, StoreError> {
        let place = ItemKey::of(&image).and_then(|key| key::from_timed(&key.sk));
        let HistoryKey { time: due, id: event } = place.ok_or_else(|| unreadable("outbox"))?;
        Ok(Self { due, event, item: from_item("outbox", image)? })
    }

    /// The key of the event in the contact's history.
    #[must_use]
    pub fn entry(&self) -> HistoryKey {
        HistoryKey { time: self.item.entry, id: self.event.clone() }
    }

    /// Claims of which nothing was heard: each of those may have been sent or not.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.item.lost + u32::from(self.item.taken)
    }

    fn key(&self) -> ItemKey {
        ItemKey::outbox(self.due, &self.event)
    }

    fn history_key(&self) -> ItemKey {
        ItemKey::history(&self.item.tenant, &self.item.contact, &self.entry())
    }
}

impl Claim {
    /// The event that the item confirms.
    #[must_use]
    pub fn event(&self) -> &EventId {
        &self.0.event
    }

    /// The claimed item.
    #[must_use]
    pub fn item(&self) -> &OutboxItem {
        &self.0.item
    }

    /// The key of the event in the contact's history.
    #[must_use]
    pub fn entry(&self) -> HistoryKey {
        self.0.entry()
    }

    /// Claims before this one of which nothing was heard: each of those may have been sent or not.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.0.item.lost
    }

    /// The data that the message carries, so that its statuses find the entry.
    #[must_use]
    pub fn callback(&self) -> Callback {
        Callback { contact: self.0.item.contact.clone(), entry: self.entry() }
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
        let due = SortKeys::Before(format!("{:013}", now.next().millis()));
        let query = self.query(key::outbox(shard), due).limit(PAGE);
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

    /// Claims an item for sending, until the time `until`. None if another sender claimed it, if it is gone, or if
    /// its entry is erased or has another fate than to be pending.
    ///
    /// # Errors
    /// The item could not be written. If it was nevertheless, the lease runs out.
    pub async fn claim(&self, pending: &Pending, until: Time) -> Result<Option<Claim>, StoreError> {
        let item = OutboxItem {
            attempt: pending.item.attempt + 1,
            tries: pending.item.tries + 1,
            lost: pending.lost(),
            taken: true,
            ..pending.item.clone()
        };
        let claimed = Pending { due: until, event: pending.event.clone(), item };
        let mut items = self.moved(Move { from: pending, to: &claimed })?;
        items.push(self.require_pending(pending.history_key())?);
        Ok((self.transact(items).await? == WriteOutcome::Written).then_some(Claim(claimed)))
    }

    /// Ends a claim by putting its item off, because its sending failed in a way that may pass. False if the lease had run
    /// out and the item was claimed again.
    ///
    /// # Errors
    /// The item could not be written. The claim ends when its lease runs out.
    pub async fn put_off(&self, claim: Claim, until: Time) -> Result<bool, StoreError> {
        let Claim(claimed) = claim;
        let item = OutboxItem { attempt: claimed.item.attempt + 1, taken: false, ..claimed.item.clone() };
        let later = Pending { due: until, event: claimed.event.clone(), item };
        Ok(self.transact(self.moved(Move { from: &claimed, to: &later })?).await? == WriteOutcome::Written)
    }

    /// Ends a claim by writing the fate of the pending confirmation into the history, and removes the item from the outbox.
    /// False if the entry has a fate already or is erased: then only the item is removed.
    ///
    /// No claim outlives the function that made it, so no other sender is at the item.
    ///
    /// # Errors
    /// The fate could not be written. The claim ends when its lease runs out.
    pub async fn settle(&self, claim: Claim, fate: &Confirmation) -> Result<bool, StoreError> {
        let Claim(claimed) = claim;
        let record = self.record_fate(claimed.history_key(), ConfirmationState::Pending, fate)?;
        let removal = self.delete(claimed.key(), Condition::Always);
        if self.transact(vec![record, removal]).await? == WriteOutcome::Written {
            return Ok(true);
        }
        self.discard(&claimed).await?;
        Ok(false)
    }

    /// Removes an item whose history entry has a fate already or is erased.
    ///
    /// # Errors
    /// The item could not be removed.
    pub async fn discard(&self, pending: &Pending) -> Result<(), StoreError> {
        self.transact(vec![self.delete(pending.key(), Condition::Always)]).await.map(drop)
    }

    /// The update of a history entry with the fate of its confirmation, on the condition that this is in the state `from`.
    /// The fields that the fate has are written; all others stay as they are, those of a later version included.
    pub(super) fn record_fate(
        &self,
        entry: ItemKey,
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
    fn require_pending(&self, entry: ItemKey) -> Result<TransactWriteItem, StoreError> {
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
    fn moved(&self, Move { from, to }: Move) -> Result<Vec<TransactWriteItem>, StoreError> {
        Ok(vec![
            self.delete(from.key(), Condition::Present),
            self.put(to.key(), to_item("outbox", &to.item)?, Condition::Absent),
        ])
    }
}

/// The move of an item to its next due time.
#[derive(Clone, Copy)]
struct Move<'a> {
    from: &'a Pending,
    to: &'a Pending,
}

/// A state as the table has it.
fn state(state: ConfirmationState) -> Result<AttributeValue, StoreError> {
    to_attribute("confirmation", state)
}
