//! The keys of the table, all of them, and nothing else.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::event::HistoryKey;
use crate::id::{ChannelId, ContactId, EventId, Shard, TenantId};
use crate::time::Time;

/// An item as DynamoDB has it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The key of an item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ItemKey {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl ItemKey {
    pub(super) fn channel(id: &ChannelId) -> Self {
        Self { pk: format!("CHANNEL#{id}"), sk: "CHANNEL".to_owned() }
    }

    pub(super) fn secrets() -> Self {
        Self { pk: "SECRETS".to_owned(), sk: "SECRETS".to_owned() }
    }

    pub(super) fn settings(tenant: &TenantId) -> Self {
        Self { pk: format!("T#{tenant}"), sk: "SETTINGS".to_owned() }
    }

    pub(super) fn contact(tenant: &TenantId, id: &ContactId) -> Self {
        Self { pk: contacts(tenant, id.shard()), sk: id.to_string() }
    }

    pub(super) fn suppression(tenant: &TenantId, id: &ContactId) -> Self {
        Self { pk: suppressions(tenant, id.shard()), sk: id.to_string() }
    }

    pub(super) fn history(tenant: &TenantId, id: &ContactId, key: &HistoryKey) -> Self {
        Self { pk: history(tenant, id), sk: timed(key.time, &key.id) }
    }

    pub(super) fn outbox(due: Time, event: &EventId) -> Self {
        Self { pk: outbox(event.shard()), sk: timed(due, event) }
    }

    pub(super) fn of(item: &Item) -> Option<Self> {
        let text = |name| item.get(name)?.as_s().ok().cloned();
        Some(Self { pk: text("pk")?, sk: text("sk")? })
    }

    pub(super) fn into_item(self) -> Item {
        Item::from([("pk".to_owned(), AttributeValue::S(self.pk)), ("sk".to_owned(), AttributeValue::S(self.sk))])
    }
}

/// The partition of a tenant's contacts, links and tombstones of one shard.
pub(super) fn contacts(tenant: &TenantId, shard: Shard) -> String {
    format!("T#{tenant}#C#{shard}")
}

/// The partition of a tenant's suppression list of one shard.
pub(super) fn suppressions(tenant: &TenantId, shard: Shard) -> String {
    format!("T#{tenant}#S#{shard}")
}

/// The partition of what happened to one contact.
pub(super) fn history(tenant: &TenantId, id: &ContactId) -> String {
    format!("T#{tenant}#H#{id}")
}

/// The partition of the outbox of one shard.
pub(super) fn outbox(shard: Shard) -> String {
    format!("OUTBOX#{shard}")
}

/// A sort key in the order of time. Thirteen digits of milliseconds last until the year 2286.
pub(super) fn timed(time: Time, id: &EventId) -> String {
    format!("{:013}#{id}", time.millis())
}

/// Reads what [`timed`] wrote.
pub(super) fn from_timed(text: &str) -> Option<HistoryKey> {
    let (time, id) = text.split_once('#')?;
    Some(HistoryKey { time: Time::from_millis(time.parse().ok()?), id: EventId::from(id.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_design() {
        let tenant: TenantId = "demo".parse().unwrap();
        let contact: ContactId = "+14155550123".parse().unwrap();
        let shard = contact.shard();
        let event = EventId::from("wamid.A#B".to_owned());
        let key = HistoryKey { time: Time::from_millis(5), id: event.clone() };
        let text = |key: ItemKey| format!("{} {}", key.pk, key.sk);
        assert_eq!(text(ItemKey::channel(&"106".parse().unwrap())), "CHANNEL#106 CHANNEL");
        assert_eq!(text(ItemKey::secrets()), "SECRETS SECRETS");
        assert_eq!(text(ItemKey::settings(&tenant)), "T#demo SETTINGS");
        assert_eq!(text(ItemKey::contact(&tenant, &contact)), format!("T#demo#C#{shard} +14155550123"));
        assert_eq!(text(ItemKey::suppression(&tenant, &contact)), format!("T#demo#S#{shard} +14155550123"));
        assert_eq!(text(ItemKey::history(&tenant, &contact, &key)), "T#demo#H#+14155550123 0000000000005#wamid.A#B");
        assert_eq!(from_timed("0000000000005#wamid.A#B"), Some(key));
        assert!(text(ItemKey::outbox(Time::from_millis(5), &event)).starts_with("OUTBOX#"));
    }

    #[test]
    fn later_sorts_later() {
        let event = EventId::unique();
        let [early, late] = [999, 1_795_341_600_000].map(|millis| timed(Time::from_millis(millis), &event));
        assert!(early < late);
    }
}
