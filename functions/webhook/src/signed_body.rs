//! The check of a body's signature, for the body and for each of its channels.
//!
//! A secret belongs to a WhatsApp app. Most channels share the default secret. A channel with a secret of its own accepts
//! only updates that this secret signed. Two secrets may belong to one app, each with an access token of its own, so each
//! update is checked against the secret of its own tenant, not only against the first secret that matches.

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
use crate::redelivery::RedeliveryReason;
use crate::signature::Signature;
use crate::{WebhookApp, WebhookError, meta};

/// Secrets that are fetched in parallel.
const AT_ONCE: usize = 16;

/// Maximum number of secrets of the body's channels that are fetched for a body whose signature is not verified yet.
const LIKELY: usize = 2;

/// Time limit for fetching all other secrets for a body whose signature is not verified yet. Fetched secrets are cached.
const GUESSING: Duration = Duration::from_secs(3);

/// A body with its signature.
pub struct SignedBody<'a> {
    app: &'a WebhookApp,
    signature: Signature,
    body: &'a [u8],
    now: Time,
    /// The result for each secret that was tried.
    tried: HashMap<SecretId, Proof>,
}

/// The result of checking a body's signature with one secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Signed,
    NotSigned,
    /// The secret could not be read.
    Unknown,
}

/// The tenant of an update, and the result of checking its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// The update counts for this tenant.
    Tenant(&'a TenantId, Extent),
    /// The update belongs to this tenant, but its secret did not sign the body or can't be read.
    Unproven(&'a TenantId, Extent, RedeliveryReason),
    /// The channel has no tenant, or can't be read.
    Unknown(RedeliveryReason),
    /// The channel is in `IGNORED_CHANNELS`.
    Ignored,
}

/// The channels of a body, and the results of the secrets that were tried.
pub struct Channels<'a> {
    found: ChannelLookup,
    tried: HashMap<SecretId, Proof>,
    app: &'a WebhookApp,
}

impl Channels<'_> {
    /// The tenant of an update that was sent at `at` on a channel.
    pub fn owner(&self, channel: &ChannelId, at: Time) -> Owner<'_> {
        let Some(holders) = self.found.channels.get(channel) else { return self.without_tenant(channel) };
        let Some(holder) = holders.at(at) else { return self.without_tenant(channel) };
        match (self.proof(holder.secret_id), holders.current()) {
            (Proof::Signed, _) => Owner::Tenant(holder.tenant, holder.extent),
            (Proof::Unknown, _) => Owner::Unproven(holder.tenant, holder.extent, RedeliveryReason::Unavailable),
            // Sent while another tenant held the channel, but signed by the current tenant's app only. Treated like an
            // update from a time when no tenant held the channel.
            (Proof::NotSigned, Some(current))
                if current.tenant != *holder.tenant && self.proof(current.secret_id.as_ref()) == Proof::Signed =>
            {
                Owner::Tenant(&current.tenant, Extent::Restrictions)
            }
            (Proof::NotSigned, _) => Owner::Unproven(holder.tenant, holder.extent, RedeliveryReason::ForeignChannel),
        }
    }

    fn without_tenant(&self, channel: &ChannelId) -> Owner<'_> {
        if self.found.unreadable.contains(channel) {
            Owner::Unknown(RedeliveryReason::Unavailable)
        } else if self.app.ignored_channels.contains(channel) {
            Owner::Ignored
        } else {
            Owner::Unknown(RedeliveryReason::UnknownChannel)
        }
    }

    /// The result for the secret of a channel. `own` is the channel's own secret; without one it uses the default secret.
    fn proof(&self, own: Option<&SecretId>) -> Proof {
        let secret = own.unwrap_or(self.app.secrets.default_id());
        self.tried.get(secret).copied().unwrap_or(Proof::Unknown)
    }

    /// Logs and counts the channels that need attention.
    fn count(&self, named: &BTreeSet<ChannelId>) {
        for channel in named {
            let current = self.found.channels.get(channel).and_then(Holders::current);
            match current.map(|current| self.proof(current.secret_id.as_ref())) {
                Some(Proof::NotSigned) => {
                    count!(error, Metric::ForeignChannel, %channel, "channel updates signed with another channel's secret");
                }
                // A secret that can't be read is counted where it is fetched.
                Some(Proof::Signed | Proof::Unknown) => {}
                None => match self.without_tenant(channel) {
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
    /// A body with the signature in its header. No secret has been tried yet.
    pub fn new(app: &'a WebhookApp, signature: Signature, body: &'a [u8], now: Time) -> Self {
        Self { app, signature, body, now, tried: HashMap::new() }
    }

    /// Makes sure that one of our secrets signed the body.
    ///
    /// Cached secrets are tried first, without any call. Next come the secrets of the channels that the body names, for
    /// which at most two items of the table are read, and last all other secrets.
    ///
    /// # Errors
    /// `BadSignature` if no secret signed the body, `RedeliveryReason` if a likely secret can't be read, `Store` if the
    /// table can't be read.
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
        // If a likely secret can't be read, it may have signed the body: the body is delivered again, not refused.
        let mut likely = [default].into_iter().chain(&known.named).chain(&read.named);
        if likely.any(|id| self.tried.get(id) == Some(&Proof::Unknown)) {
            return Err(WebhookError::RedeliveryReason(RedeliveryReason::Unavailable));
        }
        Err(WebhookError::BadSignature)
    }

    /// Looks up the channels of a verified body, and tries the secrets of their tenants. `updates` has the channel and the
    /// time of each update.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn channels(
        mut self,
        named: &BTreeSet<ChannelId>,
        updates: &[(&ChannelId, Time)],
    ) -> Result<Channels<'a>, StoreError> {
        let app = self.app;
        let mut found = app.store.channels(named, self.now).await?;
        self.try_holders(&found, updates).await;
        let mut channels = Channels { found, tried: self.tried.clone(), app };
        // The cached channel may be out of date, so it is read again before an update is turned away.
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

    /// Tries the secrets of the current tenants of the channels, and of the tenants at the times of the updates.
    async fn try_holders(&mut self, found: &ChannelLookup, updates: &[(&ChannelId, Time)]) {
        let default = self.app.secrets.default_id();
        let current = found.channels.values().filter_map(Holders::current).map(|channel| channel.secret_id.as_ref());
        let then = updates.iter().filter_map(|(channel, at)| found.channels.get(channel)?.at(*at));
        let secrets = current.chain(then.map(|holder| holder.secret_id)).map(|own| own.unwrap_or(default).clone());
        self.try_secrets(secrets.collect()).await;
    }

    /// The first cached secret among these that signed the body.
    fn remembered<'s>(&self, mut secrets: impl Iterator<Item = &'s SecretId>) -> Option<SecretId> {
        let secrets_of = |id| self.app.secrets.remembered(id, self.now);
        secrets.find(|id| secrets_of(id).is_some_and(|secrets| self.is_of(&secrets.app_secret))).cloned()
    }

    /// At most [`LIKELY`] of these secrets, without those that were tried before.
    fn likely(&self, secrets: Vec<SecretId>) -> Vec<SecretId> {
        secrets.into_iter().filter(|secret| !self.tried.contains_key(secret)).take(LIKELY).collect()
    }

    /// Tries these secrets. Returns true if one of them, or one tried before, signed the body. Secrets that are not cached
    /// are fetched.
    async fn is_by(&mut self, secrets: impl IntoIterator<Item = SecretId>) -> bool {
        self.try_secrets(secrets.into_iter().collect()).await;
        self.is_signed()
    }

    /// Returns true if one of the secrets tried so far signed the body.
    fn is_signed(&self) -> bool {
        self.tried.values().any(|proof| *proof == Proof::Signed)
    }

    /// Tries these secrets. One that can't be read is counted and does not stop the others.
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
