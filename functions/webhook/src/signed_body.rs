//! Signed bodies: whose signature a body carries, and for which channels it therefore speaks.
//!
//! The secret belongs to a WhatsApp app. Most channels share one; a channel with a secret of its own counts only where
//! that one signed too. Several secrets may be of one app, each with an access token of its own, so every update is
//! checked against the secret of the tenant that it belongs to, not against whichever matched first.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use consent::channel::{Extent, Holders};
use consent::count;
use consent::id::{ChannelId, SecretId, TenantId};
use consent::log::Metric;
use consent::store::{ChannelLookup, StoreError};
use consent::time::Time;
use futures::{StreamExt, stream};

use crate::envelope::BodyText;
use crate::signature::Signature;
use crate::updates::RedeliveryReason;
use crate::{WebhookApp, WebhookError, meta};

/// Secrets that are fetched at a time.
const AT_ONCE: usize = 16;

/// Secrets of named channels that are fetched before the signature holds, at most.
const LIKELY: usize = 2;

/// The time limit for fetching all other secrets before the signature holds. Secrets that were fetched stay remembered.
const GUESSING: Duration = Duration::from_secs(3);

/// A body with its signature.
pub struct SignedBody<'a> {
    app: &'a WebhookApp,
    signature: Signature,
    body: &'a [u8],
    now: Time,
    /// The secrets that were tried, and whether each signed the body.
    tried: HashMap<SecretId, Proof>,
}

/// The proof by one secret that a body is WhatsApp's.
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
    Tenant(&'a TenantId, Extent),
    /// The update belongs to this tenant and can't be carried out yet.
    Unproven(&'a TenantId, Extent, RedeliveryReason),
    /// The tenant is not known.
    Unknown(RedeliveryReason),
    /// The channel is known not to be ours.
    Ignored,
}

/// The channels of a body, with what its signature proves of each.
pub struct Channels<'a> {
    found: ChannelLookup,
    tried: HashMap<SecretId, Proof>,
    app: &'a WebhookApp,
}

impl Channels<'_> {
    /// The tenant that an update of this time on a channel belongs to.
    pub fn owner(&self, channel: &ChannelId, at: Time) -> Owner<'_> {
        let Some(holders) = self.found.channels.get(channel) else { return self.nobody(channel) };
        let Some(holder) = holders.at(at) else { return self.nobody(channel) };
        match (self.proof(holder.secret_id), holders.current()) {
            (Proof::Signed, _) => Owner::Tenant(holder.tenant, holder.extent),
            (Proof::Unknown, _) => Owner::Unproven(holder.tenant, holder.extent, RedeliveryReason::Unavailable),
            // It was written while another tenant held the channel, but never to that tenant's app: as in a time when
            // nobody held it.
            (Proof::NotSigned, Some(current))
                if current.tenant != *holder.tenant && self.proof(current.secret_id.as_ref()) == Proof::Signed =>
            {
                Owner::Tenant(&current.tenant, Extent::Restrictions)
            }
            (Proof::NotSigned, _) => Owner::Unproven(holder.tenant, holder.extent, RedeliveryReason::ForeignChannel),
        }
    }

    fn nobody(&self, channel: &ChannelId) -> Owner<'_> {
        if self.found.unreadable.contains(channel) {
            Owner::Unknown(RedeliveryReason::Unavailable)
        } else if self.app.ignored_channels.contains(channel) {
            Owner::Ignored
        } else {
            Owner::Unknown(RedeliveryReason::UnknownChannel)
        }
    }

    /// The proof by a secret, as far as it was tried. Without a secret of its own a channel has the shared one.
    fn proof(&self, own: Option<&SecretId>) -> Proof {
        let secret = own.unwrap_or(self.app.secrets.default_id());
        self.tried.get(secret).copied().unwrap_or(Proof::Unknown)
    }

    /// Counts the channels that need attention.
    fn count(&self, named: &BTreeSet<ChannelId>) {
        for channel in named {
            let current = self.found.channels.get(channel).and_then(Holders::current);
            match current.map(|current| self.proof(current.secret_id.as_ref())) {
                Some(Proof::NotSigned) => {
                    count!(error, Metric::ForeignChannel, %channel, "channel updates signed with another channel's secret");
                }
                // The secret that can't be read is counted by itself.
                Some(Proof::Signed | Proof::Unknown) => {}
                None => match self.nobody(channel) {
                    Owner::Unknown(RedeliveryReason::Unavailable) => {
                        count!(error, Metric::StoreUnavailable, %channel, "channel item cannot be read");
                    }
                    Owner::Ignored => {}
                    _ => count!(error, Metric::UnknownChannel, %channel, "updates on an unregistered channel"),
                },
            }
        }
    }
}

impl<'a> SignedBody<'a> {
    /// A body with the signature that came with it.
    pub fn new(app: &'a WebhookApp, signature: Signature, body: &'a [u8], now: Time) -> Self {
        Self { app, signature, body, now, tried: HashMap::new() }
    }

    /// Makes sure that some secret of ours signed the body.
    ///
    /// Secrets that are remembered are tried without asking anybody. Then those are fetched that the channels named in the
    /// body make likely, for which at most two items of the table are read, and last all others.
    pub async fn verify(&mut self) -> Result<(), WebhookError> {
        let (app, now) = (self.app, self.now);
        let default = app.secrets.default_id();
        let named = meta::channels(&BodyText::new(self.body));
        let known = app.store.remembered_signers(&named, now);
        let remembered = self.remembered([default].into_iter().chain(&known.named).chain(&known.listed));
        if self.is_by(remembered).await {
            return Ok(());
        }
        let likely = self.likely(known.named.clone());
        if self.is_by(likely.into_iter().chain([default.clone()])).await {
            return Ok(());
        }
        let read = app.store.signers(&named, now).await?;
        let remembered = self.remembered(read.named.iter().chain(&read.listed));
        if self.is_by(remembered).await {
            return Ok(());
        }
        let likely = self.likely(read.named.clone());
        if self.is_by(likely).await {
            return Ok(());
        }
        let is_new = |id: &SecretId| app.secrets.remembered(id, now).is_none() && !app.secrets.was_missed(id, now);
        let others: Vec<SecretId> = read.listed.into_iter().filter(is_new).collect();
        let _ = tokio::time::timeout(GUESSING, self.try_secrets(others.into_iter().collect())).await;
        if self.is_signed() {
            return Ok(());
        }
        // A secret that can't be read signs nothing for now. Where it may well be the one, that is no bad signature.
        let mut likely = [default].into_iter().chain(&known.named).chain(&read.named);
        if likely.any(|id| self.tried.get(id) == Some(&Proof::Unknown)) {
            return Err(WebhookError::RedeliveryReason(RedeliveryReason::Unavailable));
        }
        Err(WebhookError::BadSignature)
    }

    /// The channels of a body, with what the signature proves of each. `updates` are the times of its updates.
    pub async fn channels(
        mut self,
        named: &BTreeSet<ChannelId>,
        updates: &[(&ChannelId, Time)],
    ) -> Result<Channels<'a>, StoreError> {
        let app = self.app;
        let mut found = app.store.channels(named, self.now).await?;
        self.try_holders(&found, updates).await;
        let mut channels = Channels { found, tried: self.tried.clone(), app };
        // Before anything is turned away, what is remembered of its channel is looked at again.
        let is_doubtful =
            |(channel, at): &&(&ChannelId, Time)| matches!(channels.owner(channel, *at), Owner::Unproven(..));
        let doubtful: HashSet<&ChannelId> = updates.iter().filter(is_doubtful).map(|(channel, _)| *channel).collect();
        if !doubtful.is_empty() {
            found = app.store.fresh_channels(doubtful, self.now).await?;
            self.try_holders(&found, updates).await;
            channels.found.channels.extend(found.channels);
            channels.found.unreadable.extend(found.unreadable);
            channels.tried = self.tried;
        }
        channels.count(named);
        Ok(channels)
    }

    /// Tries the secrets of the holders of the channels: of the present ones, and of those at the time of an update.
    async fn try_holders(&mut self, found: &ChannelLookup, updates: &[(&ChannelId, Time)]) {
        let default = self.app.secrets.default_id();
        let current = found.channels.values().filter_map(Holders::current).map(|channel| channel.secret_id.as_ref());
        let then = updates.iter().filter_map(|(channel, at)| found.channels.get(channel)?.at(*at));
        let secrets = current.chain(then.map(|holder| holder.secret_id)).map(|own| own.unwrap_or(default).clone());
        self.try_secrets(secrets.collect()).await;
    }

    /// The one among these secrets that signed the body, as far as they are remembered.
    fn remembered<'s>(&self, mut secrets: impl Iterator<Item = &'s SecretId>) -> Option<SecretId> {
        let secrets_of = |id| self.app.secrets.remembered(id, self.now);
        secrets.find(|id| secrets_of(id).is_some_and(|secrets| self.is_of(&secrets.app_secret))).cloned()
    }

    /// Some of these secrets that were not tried yet.
    fn likely(&self, secrets: Vec<SecretId>) -> Vec<SecretId> {
        secrets.into_iter().filter(|secret| !self.tried.contains_key(secret)).take(LIKELY).collect()
    }

    /// True if one of these secrets, or of those that were tried before, signed the body. What is not remembered is
    /// fetched.
    async fn is_by(&mut self, secrets: impl IntoIterator<Item = SecretId>) -> bool {
        self.try_secrets(secrets.into_iter().collect()).await;
        self.is_signed()
    }

    /// True if one of the secrets that were tried signed the body.
    fn is_signed(&self) -> bool {
        self.tried.values().any(|proof| *proof == Proof::Signed)
    }

    /// Tries some secrets. Each that can't be had is counted and holds up no other.
    async fn try_secrets(&mut self, secrets: HashSet<SecretId>) {
        let (app, now) = (self.app, self.now);
        let untried = secrets.into_iter().filter(|secret| !self.tried.contains_key(secret));
        let fetch = async |secret: SecretId| {
            let fetched = app.secrets.app(&secret, now).await;
            (secret, fetched)
        };
        let untried: Vec<SecretId> = untried.collect();
        let mut fetched = stream::iter(untried).map(fetch).buffer_unordered(AT_ONCE);
        while let Some((secret, fetched)) = fetched.next().await {
            let proof = match fetched {
                Ok(secrets) if self.is_of(&secrets.app_secret) => Proof::Signed,
                Ok(_) => Proof::NotSigned,
                Err(error) => {
                    count!(error, Metric::SecretsUnavailable, %error, "webhook secret cannot be read");
                    Proof::Unknown
                }
            };
            self.tried.insert(secret, proof);
        }
    }

    fn is_of(&self, app_secret: &str) -> bool {
        self.signature.is_of(self.body, app_secret)
    }
}
