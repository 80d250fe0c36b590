//! The delivery of one confirmation from the outbox to the customer.

use std::convert::Infallible;
use std::time::Duration;

use consent::contact::{Contact, Source, Status};
use consent::count;
use consent::decision::{Profile, decide_intent};
use consent::event::{Actor, Confirmation, ConfirmationState, Event, HistoryEntry, HistoryKey, Kind};
use consent::identity::{Person, Sighting};
use consent::log::Metric;
use consent::settings::Settings;
use consent::store::{ChangeOutcome, ChangeRequest, Claim, OutboxItem, Pending, ReadSet, StoreError};
use consent::time::Time;
use consent::whatsapp_error;

use crate::ConfirmationSender;
use crate::graph::{Connections, Failure, OutgoingMessage, SendOutcome};

/// The lease of a first attempt. It is longer than an invocation may last, so no other sender works on the item meanwhile. If
/// the attempt stays without an answer, a status of WhatsApp's has this time to report its outcome.
const LEASE: Duration = Duration::from_mins(4);

/// The lease of an attempt after one whose outcome is unknown.
const LONG_LEASE: Duration = Duration::from_hours(1);

/// WhatsApp's customer service window: the time after a customer's message in which an answer in free words is allowed.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages#customer-service-windows>
const WINDOW: Duration = Duration::from_hours(24);

/// Maximum number of attempts whose outcome stays unknown. Each of them may have sent the message, or crashed before. After
/// the third, no message is better than a fourth one.
const MAX_LOST: u32 = 3;

/// The gap before the second attempt. Each further gap is twice as long as the one before, up to [`LONGEST_GAP`].
const FIRST_GAP: Duration = Duration::from_secs(15);

/// The longest gap between two attempts.
const LONGEST_GAP: Duration = Duration::from_hours(1);

/// Maximum number of attempts that end with WhatsApp's error 131000, "something went wrong".
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>
const MAX_UNEXPLAINED: u32 = 5;

/// The next step for a confirmation.
enum Next {
    /// Not to be sent: store this final state, with a title.
    Settle(ConfirmationState, Option<String>),
    /// Postponed: there is no access token.
    Wait,
    /// To be sent with this access token.
    Send(String),
}

/// The state of a channel, as one delivery showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// WhatsApp takes messages from the channel, or there is no sign to the contrary.
    Good,
    /// Other messages from the channel may fail as well: no answer, or a limit.
    Trouble,
    /// Nothing can be sent from the channel: there is no good access token.
    Dead,
}

impl ConfirmationSender {
    /// Delivers one confirmation, unless it is out of date or another sender has claimed it.
    ///
    /// # Errors
    /// The table did not answer. The item stays in the outbox for the next sweep.
    pub(crate) async fn deliver(&self, graph: &Connections, pending: &Pending) -> Result<Sign, StoreError> {
        let now = self.clock.now();
        let tenant = self.store.tenant(&pending.item.tenant);
        let entry = tenant.history_entry(&pending.item.contact, &pending.entry()).await?;
        let Some((entry, message)) = entry.and_then(unsettled) else {
            self.store.discard(pending).await?;
            return Ok(Sign::Good);
        };
        let lease = if pending.lost() == 0 { LEASE } else { LONG_LEASE };
        // From here on no other sender works on the item before the lease is over, even if this function crashes.
        let Some(claim) = self.store.claim(pending, now.plus(lease)).await? else { return Ok(Sign::Good) };
        let next = match self.next(&claim, &entry, now).await {
            Ok(next) => next,
            Err(error) => {
                // Nothing was sent yet, so this must not count as an attempt with an unknown outcome.
                self.put_off(claim).await?;
                return Err(error);
            }
        };
        match next {
            Next::Settle(state, title) => {
                self.settle(claim, Confirmation { state, at: Some(now), title, ..message }).await?;
                Ok(Sign::Good)
            }
            Next::Wait => {
                self.put_off(claim).await?;
                Ok(Sign::Dead)
            }
            Next::Send(access) => {
                let OutboxItem { channel, to, .. } = claim.item();
                let (access_token, callback) = (&access, &claim.callback());
                let outgoing = OutgoingMessage { channel, access_token, to, text: &message.text, callback };
                let outcome = graph.send(&outgoing).await;
                self.conclude(claim, message, outcome).await
            }
        }
    }

    /// The next step for a claimed confirmation. The customer's consent is read last, as close to the sending as possible.
    async fn next(&self, claim: &Claim, entry: &HistoryEntry, now: Time) -> Result<Next, StoreError> {
        let access = self.access_token(claim.item(), now).await?;
        if claim.lost() >= MAX_LOST {
            let title = "sent three times without an answer; whether it arrived is not known".to_owned();
            return Ok(Next::Settle(ConfirmationState::Failed, Some(title)));
        }
        // The holder of the id at the time of the message: the person may have another id by now.
        let sighting = Sighting::then(claim.item().contact.clone(), entry.event.at);
        let tenant = self.store.tenant(&claim.item().tenant);
        let person = tenant.person(&sighting).await?;
        if let Some((state, title)) = obsolete(entry, &person.contact, now) {
            return Ok(Next::Settle(state, title.map(str::to_owned)));
        }
        if tenant.has_newer_wish(&person, entry).await? {
            return Ok(Next::Settle(ConfirmationState::Superseded, None));
        }
        Ok(access.map_or(Next::Wait, Next::Send))
    }

    /// The access token of the channel. None while its secret can't be read, or while another tenant holds the channel: a
    /// confirmation is never sent from another tenant's number.
    async fn access_token(&self, item: &OutboxItem, now: Time) -> Result<Option<String>, StoreError> {
        let OutboxItem { tenant, channel, .. } = item;
        let found = self.store.channel(channel, now).await?;
        let Some(found) = found.filter(|found| found.tenant == *tenant) else {
            tracing::warn!(%tenant, %channel, "confirmation postponed: the channel is not the tenant's");
            return Ok(None);
        };
        match self.secrets.app(found.secret_id.as_ref().unwrap_or(self.secrets.default_id()), now).await {
            Ok(secrets) => Ok(Some(secrets.access_token.clone())),
            Err(error) => {
                count!(error, Metric::SecretsUnavailable, %tenant, %error, "confirmation postponed: no access token");
                Ok(None)
            }
        }
    }

    /// Stores the outcome of an attempt.
    async fn conclude(&self, claim: Claim, message: Confirmation, outcome: SendOutcome) -> Result<Sign, StoreError> {
        let now = self.clock.now();
        let (tenant, event) = (claim.item().tenant.clone(), claim.event().log_name());
        match outcome {
            SendOutcome::Accepted { message_id } => {
                let fate = Confirmation { state: ConfirmationState::Sent, message_id, at: Some(now), ..message };
                self.settle(claim, fate).await?;
                Ok(Sign::Good)
            }
            // The message may have been sent. It is tried again when the lease runs out.
            SendOutcome::Unknown => {
                tracing::warn!(%tenant, event, "confirmation sent, no answer from WhatsApp");
                Ok(Sign::Trouble)
            }
            SendOutcome::Refused(Failure { code, title, lasting, concerns_channel }) => {
                if code == Some(whatsapp_error::STOPPED_MARKETING) {
                    self.note_stop(&claim, now).await?;
                }
                let unexplained = code == Some(whatsapp_error::UNKNOWN) && claim.item().tries >= MAX_UNEXPLAINED;
                if lasting || unexplained {
                    let fate = Confirmation { state: ConfirmationState::Failed, at: Some(now), code, title, ..message };
                    self.settle(claim, fate).await?;
                } else {
                    tracing::warn!(%tenant, event, code, "confirmation postponed: WhatsApp refused it for now");
                    self.put_off(claim).await?;
                }
                Ok(if concerns_channel { Sign::Trouble } else { Sign::Good })
            }
            // Trying again does not help by itself, but an alarm tells staff, and a new token sends it within the day.
            SendOutcome::TokenRefused { code } => {
                count!(error, Metric::GraphTokenRefused, %tenant, code, "access token refused by WhatsApp");
                self.put_off(claim).await?;
                Ok(Sign::Dead)
            }
        }
    }

    /// Stores a provider stop: WhatsApp refused the message with 131050, so the customer has stopped marketing in WhatsApp.
    async fn note_stop(&self, claim: &Claim, now: Time) -> Result<(), StoreError> {
        let item = claim.item();
        let sighting = Sighting::then(item.contact.clone(), now);
        // The same event if the next attempt is refused as well.
        let key = HistoryKey { id: claim.event().stop(), ..claim.entry() };
        let event = Event {
            channel: Some(item.channel.clone()),
            ..Event::new(Kind::ProviderStop, Source::Provider, Actor::Customer, key.clone(), now)
        };
        let request = ChangeRequest { sighting: &sighting, history_keys: std::slice::from_ref(&key), recipient: None };
        let tenant = self.store.tenant(&item.tenant);
        let decide = |person: &Person| {
            let (settings, profile) = (Settings::default(), Profile::default());
            Ok::<_, Infallible>(decide_intent(&settings, &person.contact, event.clone(), &profile))
        };
        if let ChangeOutcome::Made { .. } = tenant.change(request, &mut ReadSet::default(), now, decide).await? {
            let tenant = &item.tenant;
            count!(info, Metric::ProviderStop, %tenant, "provider stop learned from a refused message");
        }
        Ok(())
    }

    async fn put_off(&self, claim: Claim) -> Result<(), StoreError> {
        let until = self.clock.now().plus(gap(claim.item().tries));
        self.store.put_off(claim, until).await.map(drop)
    }

    async fn settle(&self, claim: Claim, fate: Confirmation) -> Result<(), StoreError> {
        let metric = match fate.state {
            ConfirmationState::Failed | ConfirmationState::Expired => Metric::ConfirmationFailed,
            ConfirmationState::Sent => Metric::ConfirmationSent,
            ConfirmationState::Pending | ConfirmationState::Superseded => Metric::ConfirmationDropped,
        };
        let (tenant, event) = (claim.item().tenant.clone(), claim.event().log_name());
        if self.store.settle(claim, &fate).await? {
            count!(info, metric, %tenant, event, code = fate.code, "confirmation settled");
        } else {
            tracing::info!(%tenant, event, "confirmation already settled or erased");
        }
        Ok(())
    }
}

/// A history entry and its confirmation, if that is pending.
fn unsettled(entry: HistoryEntry) -> Option<(HistoryEntry, Confirmation)> {
    let message = entry.confirmation.clone().filter(|message| message.state == ConfirmationState::Pending)?;
    Some((entry, message))
}

/// The final state of a confirmation that must not be sent any more, with a title where the state needs one. None if it may
/// be sent.
fn obsolete(entry: &HistoryEntry, contact: &Contact, now: Time) -> Option<(ConfirmationState, Option<&'static str>)> {
    let status = match entry.event.kind {
        Kind::OptOut => Status::OptedOut,
        Kind::OptIn => Status::OptedIn,
        // Other kinds have no confirmation.
        _ => return Some((ConfirmationState::Superseded, None)),
    };
    if contact.status() != status || contact.block.holds() {
        Some((ConfirmationState::Superseded, None))
    } else if status == Status::OptedIn && contact.provider_stop.holds() {
        Some((ConfirmationState::Superseded, Some("the customer has stopped marketing with WhatsApp's own control")))
    } else if now > entry.event.at.plus(WINDOW) {
        Some((ConfirmationState::Expired, None))
    } else {
        None
    }
}

/// The gap after `tries` attempts: a random time between half of the full gap and all of it, so that messages that failed
/// together are not tried again together.
fn gap(tries: u32) -> Duration {
    let longest = FIRST_GAP.saturating_mul(1 << tries.min(16)).min(LONGEST_GAP);
    longest / 2 + Duration::from_millis(fastrand::u64(0..=500)) * u32::try_from(longest.as_secs()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_grow_up_to_an_hour_and_are_drawn_from_their_second_half() {
        for (tries, longest) in [(1, 30), (2, 60), (3, 120), (40, 3600)] {
            for _ in 0..100 {
                let gap = gap(tries);
                let longest = Duration::from_secs(longest);
                assert!(gap >= longest / 2 && gap <= longest, "{tries}: {gap:?}");
            }
        }
    }
}
