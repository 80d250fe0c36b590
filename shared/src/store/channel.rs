//! Which tenant a WhatsApp number belongs to.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::key::Key;
use super::request::{ATTEMPTS, Condition, Written, from_item, pause, to_item};
use super::{Store, StoreError};
use crate::id::{ChannelId, SecretId, TenantId};
use crate::time::Time;

/// How long a channel that was found is believed to be as it was.
const CACHED: Duration = Duration::from_mins(1);

/// Channels that were found, and when they were. One that was not found is never remembered: it may be registered any
/// moment, and messages for it must count from then on.
pub(super) type Cache = Mutex<HashMap<ChannelId, (Channel, Time)>>;

/// A tenant's WhatsApp number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Whose it is. Never changes.
    pub tenant: TenantId,
    /// The number, as people read it.
    pub display_phone_number: String,
    /// The secret of the tenant's own WhatsApp app, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_id: Option<SecretId>,
}

/// The channel was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// It belongs to another tenant.
    #[error("the channel belongs to another tenant")]
    Taken,
    /// The table did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// The channels among these that are known.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn channels<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a ChannelId>,
        now: Time,
    ) -> Result<HashMap<ChannelId, Channel>, StoreError> {
        let (mut found, mut asked) = (HashMap::new(), HashMap::new());
        for id in ids {
            match self.cached(id, now) {
                Some(channel) => drop(found.insert(id.clone(), channel)),
                None => drop(asked.insert(Key::channel(id), id.clone())),
            }
        }
        for (key, item) in self.batch_get(asked.keys().cloned()).await? {
            let channel: Channel = from_item("channel", item)?;
            if let Some(id) = asked.remove(&key) {
                self.remember(id.clone(), channel.clone(), now);
                found.insert(id, channel);
            }
        }
        Ok(found)
    }

    /// The channels among these that are known, as they are at this moment: for whoever would turn something away on the
    /// strength of what is remembered.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn fresh_channels<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a ChannelId>,
        now: Time,
    ) -> Result<HashMap<ChannelId, Channel>, StoreError> {
        let ids: Vec<&ChannelId> = ids.into_iter().collect();
        {
            let mut cache = self.channels.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            cache.retain(|id, _| !ids.contains(&id));
        }
        self.channels(ids, now).await
    }

    /// Registers a channel, or changes what is known of it. A tenant's first channel gives it default settings.
    ///
    /// # Errors
    /// The channel belongs to another tenant, or could not be written.
    pub async fn register_channel(&self, id: &ChannelId, channel: &Channel, now: Time) -> Result<(), RegisterError> {
        let key = Key::channel(id);
        for attempt in 1..=ATTEMPTS {
            let stored = self.batch_get([key.clone()]).await?.into_values().next();
            let stored: Option<Channel> = stored.map(|item| from_item("channel", item)).transpose()?;
            let condition = match stored {
                Some(stored) if stored.tenant != channel.tenant => return Err(RegisterError::Taken),
                Some(_) => Condition::Present,
                None => Condition::Absent,
            };
            let write = self.put(key.clone(), to_item("channel", channel)?, condition);
            if self.transact(vec![write, self.default_settings(&channel.tenant, now)?]).await? == Written::Yes {
                return Ok(());
            }
            pause(attempt).await;
        }
        Err(StoreError::Contended.into())
    }

    fn cached(&self, id: &ChannelId, now: Time) -> Option<Channel> {
        let cache = self.channels.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        cache.get(id).filter(|(_, since)| now < since.plus(CACHED)).map(|(channel, _)| channel.clone())
    }

    fn remember(&self, id: ChannelId, channel: Channel, now: Time) {
        let mut cache = self.channels.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        cache.insert(id, (channel, now));
    }
}
