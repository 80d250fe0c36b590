//! Channels in the table, and their cache.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

use super::key::{Item, ItemKey};
use super::request::{Condition, from_item, to_item, until_written};
use super::secret_list::{Listing, SecretList};
use super::{Store, StoreError};
use crate::channel::{Channel, Holders, InvalidHolder};
use crate::id::{ChannelId, SecretId};
use crate::time::Time;

/// The time for which a channel that was found, and the list of secrets, are cached.
const CACHED: Duration = Duration::from_mins(1);

/// The most items that are read before the signature of a body holds.
const MAX_UNSIGNED_READS: usize = 2;

/// Channels with a holder, and the list of secrets, each with the time when it was read. A channel
/// that nobody holds is never remembered: it may be registered any moment, and messages for it must count from then on.
#[derive(Debug, Default)]
pub(super) struct Cache {
    channels: HashMap<ChannelId, (Holders, Time)>,
    secrets: Option<(SecretList, Time)>,
}

/// The secrets that may have signed a body.
#[derive(Clone, Debug, Default)]
pub struct SigningSecrets {
    /// The secrets of the channels that the body names, as far as they were looked up.
    pub named: Vec<SecretId>,
    /// The secrets of all channels, as far as they are known.
    pub listed: Vec<SecretId>,
}

/// The result of looking channels up.
#[derive(Debug, Default)]
pub struct ChannelLookup {
    /// The channels that can be read. Channels that never had a holder are missing.
    pub channels: HashMap<ChannelId, Holders>,
    /// The channels whose item can't be read.
    pub unreadable: Vec<ChannelId>,
}

/// The reason for which a channel was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The channel is another tenant's.
    #[error(transparent)]
    Taken(#[from] InvalidHolder),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// A channel as it is registered; none if it has no holder.
    ///
    /// # Errors
    /// The channel could not be read.
    pub async fn channel(&self, id: &ChannelId, now: Time) -> Result<Option<Channel>, StoreError> {
        if let Some(holders) = self.cache().channel(id, now) {
            return Ok(holders.current().cloned());
        }
        let holders = self.read_item(id).await?.map(|(holders, _)| holders);
        if let Some(holders) = &holders {
            self.cache().remember(id.clone(), holders.clone(), now);
        }
        Ok(holders.and_then(|holders| holders.current().cloned()))
    }

    /// The channels among these that have or had a holder.
    ///
    /// # Errors
    /// The table could not be read.
    pub async fn channels<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a ChannelId>,
        now: Time,
    ) -> Result<ChannelLookup, StoreError> {
        let (mut found, mut asked) = (ChannelLookup::default(), HashMap::new());
        for id in ids {
            match self.cache().channel(id, now) {
                Some(holders) => drop(found.channels.insert(id.clone(), holders)),
                None => drop(asked.insert(ItemKey::channel(id), id.clone())),
            }
        }
        if !asked.is_empty() {
            let mut items = self.batch_get(asked.keys().cloned().chain([ItemKey::secrets()])).await?;
            self.cache().secrets = Some((SecretList::read(items.remove(&ItemKey::secrets())), now));
            for (key, item) in items {
                let Some(id) = asked.remove(&key) else { continue };
                match from_item::<Holders>("channel", item) {
                    Ok(holders) => {
                        self.cache().remember(id.clone(), holders.clone(), now);
                        found.channels.insert(id, holders);
                    }
                    Err(error) => {
                        tracing::error!(channel = %id, %error, "channel item cannot be read");
                        found.unreadable.push(id);
                    }
                }
            }
        }
        self.complete_list(found.channels.keys()).await;
        Ok(found)
    }

    /// The channels among these that have or had a holder, read anew: for a caller that would turn something away because of
    /// the cache.
    ///
    /// # Errors
    /// The table could not be read.
    pub async fn fresh_channels<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a ChannelId>,
        now: Time,
    ) -> Result<ChannelLookup, StoreError> {
        let ids: Vec<&ChannelId> = ids.into_iter().collect();
        self.cache().channels.retain(|id, _| !ids.contains(&id));
        self.channels(ids, now).await
    }

    /// The secrets that may have signed a body which names these channels, as far as they are cached.
    #[must_use]
    pub fn remembered_signers(&self, named: &[ChannelId], now: Time) -> SigningSecrets {
        let cache = self.cache();
        let channels = named.iter().filter_map(|id| cache.channel(id, now));
        SigningSecrets {
            named: channels.flat_map(|holders| secrets(&holders, now)).collect(),
            listed: cache.list(now).map(|list| list.ids().cloned().collect()).unwrap_or_default(),
        }
    }

    /// The same, after reading at most two items of the table: the list of all secrets, unless it is remembered, and as
    /// many of the named channels as there is room for.
    ///
    /// Which ones is left to chance: a body that names more of them is delivered again, and then others are looked up.
    ///
    /// # Errors
    /// The table could not be read.
    pub async fn signers(&self, named: &[ChannelId], now: Time) -> Result<SigningSecrets, StoreError> {
        let mut keys = HashMap::new();
        {
            let cache = self.cache();
            if cache.list(now).is_none() {
                keys.insert(ItemKey::secrets(), None);
            }
            let mut unknown: Vec<&ChannelId> = named.iter().filter(|id| cache.channel(id, now).is_none()).collect();
            fastrand::shuffle(&mut unknown);
            let room = MAX_UNSIGNED_READS - keys.len();
            keys.extend(unknown.into_iter().take(room).map(|id| (ItemKey::channel(id), Some(id.clone()))));
        }
        let mut items = if keys.is_empty() { HashMap::new() } else { self.batch_get(keys.keys().cloned()).await? };
        let mut signers = self.remembered_signers(named, now);
        for (key, id) in keys {
            let item = items.remove(&key);
            match id {
                None => {
                    let list = SecretList::read(item);
                    signers.listed = list.ids().cloned().collect();
                    self.cache().secrets = Some((list, now));
                }
                // A channel that can't be read names no secret. Once a signature holds, that is an error.
                Some(id) => {
                    let Some(holders) = item.and_then(|item| from_item::<Holders>("channel", item).ok()) else {
                        continue;
                    };
                    signers.named.extend(secrets(&holders, now));
                    self.cache().remember(id, holders, now);
                }
            }
        }
        Ok(signers)
    }

    /// Registers a channel, or changes what is known of it. A tenant's first channel gives it default settings.
    ///
    /// # Errors
    /// The channel is another tenant's, or was a moment ago, or could not be written.
    pub async fn register_channel(&self, id: &ChannelId, channel: &Channel, now: Time) -> Result<(), RegisterError> {
        let attempt = |_, ()| async move {
            let stored = self.read_item(id).await?;
            let after = match &stored {
                Some((holders, _)) => holders.given(channel.clone(), now)?,
                None => Holders::first(channel.clone(), now),
            };
            let mut items = self.rewrite(id, stored.as_ref(), &after)?;
            items.push(self.default_settings(&channel.tenant, now)?);
            Ok(self.transact(items).await?.or_again())
        };
        until_written((), attempt).await
    }

    /// Takes a channel back from its tenant, if it has one.
    ///
    /// # Errors
    /// The channel could not be read or written.
    pub async fn release_channel(&self, id: &ChannelId, now: Time) -> Result<(), StoreError> {
        let attempt = |_, ()| async move {
            let stored = self.read_item(id).await?;
            let Some(after) = stored.as_ref().and_then(|(holders, _)| holders.released(now)) else {
                return Ok(ControlFlow::Break(()));
            };
            let items = self.rewrite(id, stored.as_ref(), &after)?;
            Ok(self.transact(items).await?.or_again())
        };
        until_written((), attempt).await
    }

    /// A channel with the version that its item has, where it has one: versions that kept no holders wrote none.
    async fn read_item(&self, id: &ChannelId) -> Result<Option<(Holders, Option<i64>)>, StoreError> {
        let Some(item) = self.batch_get([ItemKey::channel(id)]).await?.into_values().next() else { return Ok(None) };
        let version = item.get("version").and_then(|version| version.as_n().ok()?.parse().ok());
        Ok(Some((from_item("channel", item)?, version)))
    }

    /// The writes that make the item of a channel what it is to be, and the list of secrets with it. Fields that this
    /// version does not know stay.
    fn rewrite<'a>(
        &self,
        id: &ChannelId,
        before: Option<&'a (Holders, Option<i64>)>,
        after: &'a Holders,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let version = before.and_then(|(_, version)| *version);
        let condition = match (before, version) {
            (None, _) => Condition::Absent,
            (Some(_), Some(version)) => Condition::Equals("version", version),
            (Some(_), None) => Condition::Unversioned,
        };
        let mut item: Item = to_item("channel", after)?;
        // Of former holders only a new one is added, so that what this version does not know of the others stays.
        let known = before.map_or(0, |(holders, _)| holders.former.len());
        let former = after.former.iter().skip(known).map(|holder| Ok(AttributeValue::M(to_item("channel", holder)?)));
        item.insert("former".to_owned(), AttributeValue::L(former.collect::<Result<_, StoreError>>()?));
        item.insert("version".to_owned(), AttributeValue::N((version.unwrap_or(0) + 1).to_string()));
        let gone: Vec<&str> = OPTIONAL.into_iter().filter(|name| !item.contains_key(*name)).collect();
        let set = item.keys().map(|name| match name.as_str() {
            "former" => "former = list_append(if_not_exists(former, :none), :former)".to_owned(),
            name => format!("{name} = :{name}"),
        });
        let set: Vec<String> = set.collect();
        let remove = if gone.is_empty() { String::new() } else { format!(" REMOVE {}", gone.join(", ")) };
        let expression = format!("SET {}{remove}", set.join(", "));
        let values = item.into_iter().map(|(name, value)| (format!(":{name}"), value));
        let values = values.chain([(":none".to_owned(), AttributeValue::L(Vec::new()))]);
        let channel = self.update(ItemKey::channel(id), &expression, values, condition);
        let before = before.and_then(|(holders, _)| holders.current());
        let named = |channel: Option<&'a Channel>| channel.and_then(|channel| channel.secret_id.as_ref());
        let listing = Listing { channel: id, before: named(before), after: named(after.current()) };
        Ok([Some(channel), self.list_secrets(&listing)].into_iter().flatten().collect())
    }

    /// Adds to the list of secrets what it lacks of these channels: those that were registered before there was a list. It
    /// is of no consequence if that fails; their secrets are found by the channels, and the next reader tries again.
    async fn complete_list(&self, channels: impl Iterator<Item = &ChannelId>) {
        let unlisted = self.cache().unlisted(channels);
        for (id, secret) in unlisted {
            let listing = Listing { channel: &id, before: None, after: Some(&secret) };
            match self.transact(self.list_secrets(&listing).into_iter().collect()).await {
                Ok(_) => self.cache().listed(secret, &id),
                Err(error) => tracing::warn!(channel = %id, %error, "channel secret not added to the list"),
            }
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        Mutex::lock(&self.channels).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The optional attributes of a channel's item.
const OPTIONAL: [&str; 3] = ["secret_id", "since", "released_at"];

impl Cache {
    fn channel(&self, id: &ChannelId, now: Time) -> Option<Holders> {
        let (holders, read) = self.channels.get(id)?;
        (now < read.plus(CACHED)).then(|| holders.clone())
    }

    fn list(&self, now: Time) -> Option<&SecretList> {
        self.secrets.as_ref().filter(|(_, read)| now < read.plus(CACHED)).map(|(list, _)| list)
    }

    /// The channels among these whose secrets are not on the list. A channel that was read before the list tells nothing:
    /// it may have changed since.
    fn unlisted<'a>(&self, channels: impl Iterator<Item = &'a ChannelId>) -> Vec<(ChannelId, SecretId)> {
        let Some((list, list_read)) = &self.secrets else { return Vec::new() };
        let unlisted = channels.filter_map(|id| {
            let (holders, _) = self.channels.get(id).filter(|(_, read)| read >= list_read)?;
            let secret = holders.current()?.secret_id.as_ref().filter(|secret| !list.has(secret, id))?;
            Some((id.clone(), secret.clone()))
        });
        unlisted.collect()
    }

    fn listed(&mut self, secret: SecretId, channel: &ChannelId) {
        if let Some((list, _)) = &mut self.secrets {
            list.add(secret, channel);
        }
    }

    fn remember(&mut self, id: ChannelId, holders: Holders, now: Time) {
        match holders.current() {
            Some(_) => drop(self.channels.insert(id, (holders, now))),
            None => drop(self.channels.remove(&id)),
        }
    }
}

fn secrets(holders: &Holders, now: Time) -> Vec<SecretId> {
    holders.secrets(now).flatten().cloned().collect()
}
