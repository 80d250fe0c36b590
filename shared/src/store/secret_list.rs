//! The list of all secrets that channels name, so that each can be tried on a body before anything in it is believed.
//!
//! One item has an attribute for each secret, named after it, with the set of the channels that name it. DynamoDB adds to
//! such a set, takes from it, and forgets it once it is empty, so the list need not be read to change it.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

use super::Store;
use super::key::{Item, ItemKey};
use super::request::Condition;
use crate::id::{ChannelId, SecretId};

/// The beginning of the name of a secret's attribute, before the secret's id.
const PREFIX: &str = "secret:";

/// The secrets that channels name, each with those channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SecretList(BTreeMap<SecretId, BTreeSet<String>>);

/// A change of the list: the secret that a channel named and the one that it names.
pub(super) struct Listing<'a> {
    /// The channel.
    pub channel: &'a ChannelId,
    /// The secret that it named.
    pub before: Option<&'a SecretId>,
    /// The secret that it names.
    pub after: Option<&'a SecretId>,
}

impl SecretList {
    /// Reads the item; without one, the list is empty.
    pub fn read(item: Option<Item>) -> Self {
        let secrets = item.into_iter().flatten().filter_map(|(name, value)| {
            let secret = name.strip_prefix(PREFIX)?.parse().ok()?;
            Some((secret, value.as_ss().ok()?.iter().cloned().collect()))
        });
        Self(secrets.collect())
    }

    /// The secrets.
    pub fn ids(&self) -> impl Iterator<Item = &SecretId> {
        self.0.keys()
    }

    /// True if a channel names a secret, as the list has it.
    pub fn has(&self, secret: &SecretId, channel: &ChannelId) -> bool {
        self.0.get(secret).is_some_and(|channels| channels.contains(channel.as_str()))
    }

    /// Takes note that a channel names a secret.
    pub fn add(&mut self, secret: SecretId, channel: &ChannelId) {
        self.0.entry(secret).or_default().insert(channel.to_string());
    }
}

impl Store {
    /// The write that brings the list up to date, if there is anything to do.
    pub(super) fn list_secrets(&self, listing: &Listing<'_>) -> Option<TransactWriteItem> {
        let &Listing { channel, before, after } = listing;
        let gone = before.filter(|before| after != Some(before));
        let actions = [after.map(|_| "ADD #after :channel"), gone.map(|_| "DELETE #before :channel")];
        let expression: Vec<&str> = actions.into_iter().flatten().collect();
        if expression.is_empty() {
            return None;
        }
        let names = [("#after", after), ("#before", gone)];
        let names =
            names.into_iter().filter_map(|(name, secret)| Some((name.to_owned(), format!("{PREFIX}{}", secret?))));
        let channel = AttributeValue::Ss(vec![channel.to_string()]);
        let values = [(":channel".to_owned(), channel)];
        Some(self.update_named(ItemKey::secrets(), &expression.join(" "), names, values, Condition::Always))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_secret_of_ours_in_the_item_is_passed_over() {
        let set = |ids: &[&str]| AttributeValue::Ss(ids.iter().map(|id| (*id).to_owned()).collect());
        let item = Item::from([
            ("pk".to_owned(), AttributeValue::S("SECRETS".to_owned())),
            ("secret:consent/acme".to_owned(), set(&["200", "201"])),
            ("secret:not a secret".to_owned(), set(&["200"])),
            ("secret:consent/later".to_owned(), AttributeValue::N("1".to_owned())),
            ("later".to_owned(), set(&["200"])),
        ]);
        let list = SecretList::read(Some(item));
        let acme = "consent/acme".parse().unwrap();
        assert_eq!(list.ids().collect::<Vec<_>>(), [&acme]);
        assert!(list.has(&acme, &"201".parse().unwrap()) && !list.has(&acme, &"202".parse().unwrap()));
        assert_eq!(SecretList::read(None), SecretList::default());
    }
}
