//! Whose signature a body carries, and for which channels it therefore speaks.
//!
//! The secret belongs to a WhatsApp app. Most channels share one; a channel with a secret of its own counts only where
//! that one signed too. Several secrets may be of one app, each with an access token of its own, so every channel is
//! checked against its own secret, not against whichever matched first.

use std::collections::{BTreeSet, HashMap};

use consent::count;
use consent::id::{ChannelId, SecretId};
use consent::log::Metric;
use consent::secrets::SecretsError;
use consent::store::{Channel, StoreError};
use consent::time::Time;

use crate::envelope::Body;
use crate::signature::Signature;
use crate::{App, WebhookError, meta};

/// Channels of a body that are looked up before its signature holds, at most.
const MAX_UNSIGNED_CHANNELS: usize = 50;

/// A body with its signature.
pub struct Seal<'a> {
    app: &'a App,
    signature: Signature,
    body: &'a [u8],
    now: Time,
    /// The secrets that were tried, and whether each signed the body.
    tried: HashMap<SecretId, bool>,
}

impl<'a> Seal<'a> {
    /// A body with the signature that came with it.
    pub fn new(app: &'a App, signature: Signature, body: &'a [u8], now: Time) -> Self {
        Self { app, signature, body, now, tried: HashMap::new() }
    }

    /// Makes sure that some secret of ours signed the body: the shared one, or the own one of a channel that it names.
    ///
    /// A secret that can't be had signs nothing for now. Only where no other did is it the reason to refuse.
    pub async fn verify(&mut self) -> Result<(), WebhookError> {
        let mut missing = None;
        match self.is_by(&self.app.secrets.default_id().clone()).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => missing = Some(error),
        }
        let mut named = meta::channels(&Body::new(self.body));
        named.truncate(MAX_UNSIGNED_CHANNELS);
        let channels = self.app.store.channels(&named, self.now).await?;
        for own in channels.into_values().filter_map(|channel| channel.secret_id) {
            match self.is_by(&own).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => missing = Some(error),
            }
        }
        Err(missing.map_or(WebhookError::Unsigned, WebhookError::Secrets))
    }

    /// The channels among these for which the body speaks. What comes on any other is nobody's.
    pub async fn channels(&mut self, named: &BTreeSet<ChannelId>) -> Result<HashMap<ChannelId, Channel>, WebhookError> {
        let mut channels = self.app.store.channels(named, self.now).await?;
        // Before anything is turned away for good, what is remembered of its channel is looked at again.
        let doubtful = self.foreign(&channels).await?;
        if !doubtful.is_empty() {
            channels.extend(self.fresh(&doubtful).await?);
        }
        for channel in named.iter().filter(|channel| !channels.contains_key(channel)) {
            count!(error, Metric::UnknownChannel, %channel, "updates on a channel that nobody registered");
        }
        for channel in self.foreign(&channels).await? {
            count!(error, Metric::ForeignChannel, %channel, "updates signed by an app of another channel");
            channels.remove(&channel);
        }
        Ok(channels)
    }

    async fn fresh(&self, channels: &[ChannelId]) -> Result<HashMap<ChannelId, Channel>, StoreError> {
        self.app.store.fresh_channels(channels, self.now).await
    }

    /// Those of the channels for which the body does not speak.
    async fn foreign(&mut self, channels: &HashMap<ChannelId, Channel>) -> Result<Vec<ChannelId>, SecretsError> {
        let mut foreign = Vec::new();
        for (id, channel) in channels {
            let secret = channel.secret_id.as_ref().unwrap_or(self.app.secrets.default_id()).clone();
            if !self.is_by(&secret).await? {
                foreign.push(id.clone());
            }
        }
        Ok(foreign)
    }

    /// Whether a secret signed the body.
    async fn is_by(&mut self, secret: &SecretId) -> Result<bool, SecretsError> {
        if let Some(signed) = self.tried.get(secret) {
            return Ok(*signed);
        }
        let secrets = self.app.secrets.app(secret, self.now).await?;
        let signed = self.signature.is_of(self.body, &secrets.app_secret);
        self.tried.insert(secret.clone(), signed);
        Ok(signed)
    }
}
