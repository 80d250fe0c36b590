//! Whose signature a body carries, and for which channels it therefore speaks.
//!
//! The secret belongs to a WhatsApp app. Most channels share one; a channel with a secret of its own counts only where
//! that one signed too. Several secrets may be of one app, each with an access token of its own, so every channel is
//! checked against its own secret, not against whichever matched first.

use std::collections::{BTreeSet, HashMap, HashSet};

use consent::count;
use consent::id::{ChannelId, SecretId, TenantId};
use consent::log::Metric;
use consent::secrets::SecretsError;
use consent::store::{Channel, StoreError};
use consent::time::Time;
use futures::{StreamExt, stream};

use crate::envelope::Body;
use crate::intake::Postponed;
use crate::signature::Signature;
use crate::{App, WebhookError, meta};

/// Channels of a body that are looked up before its signature holds, at most.
const MAX_UNSIGNED_CHANNELS: usize = 50;

/// Secrets that are fetched at a time.
const AT_ONCE: usize = 16;

/// A body with its signature.
pub struct Seal<'a> {
    app: &'a App,
    signature: Signature,
    body: &'a [u8],
    now: Time,
    /// The secrets that were tried, and whether each signed the body.
    tried: HashMap<SecretId, Proof>,
}

/// Whether a secret signed a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Signed,
    NotSigned,
    /// The secret could not be read.
    Unknown,
}

/// The tenant that an update belongs to, as far as the body's signature proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// The update counts for this tenant.
    Tenant(&'a TenantId),
    /// The update belongs to this tenant and can't be carried out yet.
    Unproven(&'a TenantId, Postponed),
    /// The channel is nobody's.
    Nobody,
    /// The channel is known not to be ours.
    Ignored,
}

/// The channels of a body, with what its signature proves of each.
pub struct Channels<'a> {
    registered: HashMap<ChannelId, (Channel, Proof)>,
    ignored: &'a BTreeSet<ChannelId>,
}

impl Channels<'_> {
    /// The tenant that an update on a channel belongs to.
    pub fn owner(&self, channel: &ChannelId) -> Owner<'_> {
        match self.registered.get(channel) {
            Some((channel, Proof::Signed)) => Owner::Tenant(&channel.tenant),
            Some((channel, Proof::NotSigned)) => Owner::Unproven(&channel.tenant, Postponed::ForeignChannel),
            Some((channel, Proof::Unknown)) => Owner::Unproven(&channel.tenant, Postponed::SecretUnavailable),
            None if self.ignored.contains(channel) => Owner::Ignored,
            None => Owner::Nobody,
        }
    }
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
        Err(missing.map_or(WebhookError::BadSignature, WebhookError::Secrets))
    }

    /// What the signature proves of each of these channels.
    pub async fn channels(&mut self, named: &BTreeSet<ChannelId>) -> Result<Channels<'a>, StoreError> {
        let mut channels = self.app.store.channels(named, self.now).await?;
        self.try_secrets(channels.values()).await;
        // Before anything is turned away, what is remembered of its channel is looked at again.
        let doubtful: Vec<&ChannelId> =
            channels.iter().filter(|(_, channel)| self.proof(channel) != Proof::Signed).map(|(id, _)| id).collect();
        if !doubtful.is_empty() {
            let fresh = self.app.store.fresh_channels(doubtful, self.now).await?;
            self.try_secrets(fresh.values()).await;
            channels.extend(fresh);
        }
        let ignored = &self.app.ignored_channels;
        for channel in named.iter().filter(|channel| !channels.contains_key(channel) && !ignored.contains(channel)) {
            count!(error, Metric::UnknownChannel, %channel, "updates on a channel that nobody registered");
        }
        let registered: HashMap<ChannelId, (Channel, Proof)> =
            channels.into_iter().map(|(id, channel)| (id, (channel.clone(), self.proof(&channel)))).collect();
        for (channel, _) in registered.iter().filter(|(_, (_, proof))| *proof == Proof::NotSigned) {
            count!(error, Metric::ForeignChannel, %channel, "updates signed by an app of another channel");
        }
        Ok(Channels { registered, ignored })
    }

    /// Tries the secrets of some channels. Each that can't be had is logged and holds up no other.
    async fn try_secrets(&mut self, channels: impl IntoIterator<Item = &Channel>) {
        let (app, now) = (self.app, self.now);
        let is_open = |secret: &SecretId| !matches!(self.tried.get(secret), Some(Proof::Signed | Proof::NotSigned));
        let secrets: HashSet<SecretId> =
            channels.into_iter().map(|channel| app.secret_of(channel).clone()).filter(is_open).collect();
        let fetch = async |secret: SecretId| {
            let fetched = app.secrets.app(&secret, now).await;
            (secret, fetched)
        };
        let fetched: Vec<_> = stream::iter(secrets).map(fetch).buffer_unordered(AT_ONCE).collect().await;
        for (secret, fetched) in fetched {
            let proof = match fetched {
                Ok(secrets) => self.compare(&secrets.app_secret),
                Err(error) => {
                    count!(error, Metric::SecretsUnavailable, %error, "a channel's updates have to wait");
                    Proof::Unknown
                }
            };
            self.tried.insert(secret, proof);
        }
    }

    /// Whether a channel's secret signed the body, as far as it was tried.
    fn proof(&self, channel: &Channel) -> Proof {
        self.tried.get(self.app.secret_of(channel)).copied().unwrap_or(Proof::Unknown)
    }

    fn compare(&self, app_secret: &str) -> Proof {
        if self.signature.is_of(self.body, app_secret) { Proof::Signed } else { Proof::NotSigned }
    }

    /// Whether a secret signed the body.
    async fn is_by(&mut self, secret: &SecretId) -> Result<bool, SecretsError> {
        let secrets = self.app.secrets.app(secret, self.now).await?;
        let proof = self.compare(&secrets.app_secret);
        self.tried.insert(secret.clone(), proof);
        Ok(proof == Proof::Signed)
    }
}
