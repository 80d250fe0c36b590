//! Channels: the WhatsApp numbers of tenants, and their holders over time.
//!
//! Numbers are given to tenants and taken back, and messages arrive late. So a channel keeps everybody who ever held it,
//! with the times: a message belongs to the holder at the message's own time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{SecretId, TenantId};
use crate::time::Time;

/// The time after its release in which a channel can't be given to another tenant. For half of it functions may still go by
/// what they remember of it.
pub const QUARANTINE: Duration = Duration::from_mins(2);

/// The time after an update in which it may still be delivered: WhatsApp tries for seven days.
const DELIVERED: Duration = Duration::from_hours(8 * 24);

/// A tenant's WhatsApp number, as it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// The number, as people read it.
    pub display_phone_number: String,
    /// The secret of the tenant's own WhatsApp app, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_id: Option<SecretId>,
}

/// A channel with its holders of all times.
///
/// Versions that kept no holders read and write `channel` alone; what they wrote has one holder, of always.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holders {
    /// The channel as the newest holder has it, or had it.
    #[serde(flatten)]
    pub(crate) newest: Channel,
    /// The time from which the newest holder has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Time>,
    /// The time at which the newest holder gave it back; none while it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) released_at: Option<Time>,
    /// The holders before, the first of all first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) former: Vec<FormerHolder>,
}

/// A tenant that held a channel once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerHolder {
    /// The tenant.
    pub tenant: TenantId,
    /// The secret of the tenant's own WhatsApp app, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_id: Option<SecretId>,
    /// The time from which it had the channel; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The time at which it gave the channel back.
    pub until: Time,
}

/// The holder that an update belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelHolder<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The secret of the tenant's own WhatsApp app, where it has or had one.
    pub secret_id: Option<&'a SecretId>,
    /// The extent in which updates count.
    pub extent: Extent,
}

/// The extent in which updates count for a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All updates.
    All,
    /// Opt-outs and stops alone: the channel had no holder, so no tenant may gain by it and no wish to stop may be lost.
    Restrictions,
}

/// A channel can't be given to a tenant now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHolder {
    /// Another tenant holds it.
    #[error("the channel belongs to another tenant, which has to give it back first")]
    Held,
    /// Another tenant has just given it back.
    #[error("the channel was another tenant's a moment ago; it can be given away from {0} on")]
    Released(Time),
}

impl Holders {
    /// A channel that had no holder before.
    #[must_use]
    pub fn first(channel: Channel, now: Time) -> Self {
        Self { newest: channel, since: Some(now), released_at: None, former: Vec::new() }
    }

    /// The channel as it is registered; none while it has no holder.
    #[must_use]
    pub fn current(&self) -> Option<&Channel> {
        self.released_at.is_none().then_some(&self.newest)
    }

    /// The channel as a tenant registers it now.
    ///
    /// # Errors
    /// The channel is another tenant's, or was a moment ago.
    pub fn given(&self, channel: Channel, now: Time) -> Result<Self, InvalidHolder> {
        let is_other = channel.tenant != self.newest.tenant;
        match self.released_at {
            None if is_other => Err(InvalidHolder::Held),
            None => Ok(Self { newest: channel, ..self.clone() }),
            Some(released_at) if is_other && now < released_at.plus(QUARANTINE) => {
                Err(InvalidHolder::Released(released_at.plus(QUARANTINE)))
            }
            Some(released_at) => {
                let Channel { tenant, secret_id, .. } = self.newest.clone();
                let last = FormerHolder { tenant, secret_id, since: self.since, until: released_at };
                let former = self.former.iter().cloned().chain([last]).collect();
                Ok(Self { newest: channel, since: Some(now.max(released_at)), released_at: None, former })
            }
        }
    }

    /// The channel as its holder gives it back now; none if it has no holder.
    #[must_use]
    pub fn released(&self, now: Time) -> Option<Self> {
        let at = now.max(self.since.unwrap_or(now));
        self.current().map(|_| Self { released_at: Some(at), ..self.clone() })
    }

    /// The holder that an update of this time belongs to: the one at the time, or the next where there was none. None if it
    /// is from after the last holder gave the channel back.
    #[must_use]
    pub fn at(&self, time: Time) -> Option<ChannelHolder<'_>> {
        // Whatever is older than the first holder is the first holder's.
        let mut tenures = self.tenures().enumerate();
        let (index, tenure) = tenures.find(|(_, tenure)| tenure.until.is_none_or(|until| time < until))?;
        let is_before = index > 0 && tenure.since.is_some_and(|since| time < since);
        let extent = if is_before { Extent::Restrictions } else { Extent::All };
        Some(ChannelHolder { tenant: tenure.tenant, secret_id: tenure.secret_id, extent })
    }

    /// The secrets that may sign updates of this channel which WhatsApp still delivers. None stands for the shared secret.
    pub fn secrets(&self, now: Time) -> impl Iterator<Item = Option<&SecretId>> {
        let is_late = move |tenure: &Tenure<'_>| tenure.until.is_none_or(|until| now < until.plus(DELIVERED));
        self.tenures().filter(is_late).map(|tenure| tenure.secret_id)
    }

    /// The times at which the channel was held, in their order.
    fn tenures(&self) -> impl Iterator<Item = Tenure<'_>> {
        let Self { newest, since, released_at, former } = self;
        let former = former.iter().map(|FormerHolder { tenant, secret_id, since, until }| Tenure {
            tenant,
            secret_id: secret_id.as_ref(),
            since: *since,
            until: Some(*until),
        });
        let newest =
            Tenure { tenant: &newest.tenant, secret_id: newest.secret_id.as_ref(), since: *since, until: *released_at };
        former.chain([newest])
    }
}

/// A time at which a tenant held a channel.
struct Tenure<'a> {
    tenant: &'a TenantId,
    secret_id: Option<&'a SecretId>,
    since: Option<Time>,
    until: Option<Time>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600 * 1000;

    fn time(days: i64) -> Time {
        Time::from_millis(1_795_341_600_000 + days * DAY)
    }

    fn channel(tenant: &str) -> Channel {
        Channel { tenant: tenant.parse().unwrap(), display_phone_number: "1".to_owned(), secret_id: None }
    }

    /// Held by `a` from day 0 to 1, by `b` from day 2 to 3, by `a` from day 4 on.
    fn held() -> Holders {
        let holders = Holders::first(channel("a"), time(0)).released(time(1)).unwrap();
        let holders = holders.given(channel("b"), time(2)).unwrap().released(time(3)).unwrap();
        holders.given(channel("a"), time(4)).unwrap()
    }

    fn at(holders: &Holders, time: Time) -> Option<(&str, Extent)> {
        holders.at(time).map(|holder| (holder.tenant.as_str(), holder.extent))
    }

    #[test]
    fn an_update_belongs_to_the_holder_at_its_time() {
        let holders = held();
        let millisecond = Duration::from_millis(1);
        for (day, tenant) in [(-9, "a"), (0, "a"), (2, "b"), (4, "a"), (9, "a")] {
            assert_eq!(at(&holders, time(day)), Some((tenant, Extent::All)), "day {day}");
        }
        for (day, next) in [(1, "b"), (3, "a")] {
            assert_eq!(at(&holders, time(day)), Some((next, Extent::Restrictions)), "day {day}");
            assert_eq!(at(&holders, time(day).plus(millisecond)), Some((next, Extent::Restrictions)), "day {day}");
        }
        let released = holders.released(time(5)).unwrap();
        assert_eq!(at(&released, time(4)), Some(("a", Extent::All)));
        assert_eq!(at(&released, time(5)), None);
    }

    #[test]
    fn another_tenant_has_to_wait_until_nobody_remembers_the_last() {
        let held = Holders::first(channel("a"), time(0));
        assert_eq!(held.given(channel("b"), time(9)), Err(InvalidHolder::Held));
        let released = held.released(time(1)).unwrap();
        let end = time(1).plus(QUARANTINE);
        assert_eq!(
            released.given(channel("b"), Time::from_millis(end.millis() - 1)),
            Err(InvalidHolder::Released(end))
        );
        assert!(released.given(channel("b"), end).is_ok());
        assert!(released.given(channel("a"), time(1)).is_ok());
        assert_eq!(released.released(time(2)), None);
        assert_eq!(released.current(), None);
    }

    #[test]
    fn what_a_holder_changes_about_the_channel_changes_no_times() {
        let own = Channel { secret_id: Some("consent/a".parse().unwrap()), ..channel("a") };
        let changed = held().given(own.clone(), time(7)).unwrap();
        assert_eq!(changed.current(), Some(&own));
        assert_eq!(Holders { newest: channel("a"), ..changed }, held());
    }

    #[test]
    fn a_channel_of_a_version_that_kept_no_holders_has_one_of_always() {
        let item = r#"{"tenant": "a", "display_phone_number": "1"}"#;
        let holders: Holders = serde_json::from_str(item).unwrap();
        assert_eq!(at(&holders, Time::default()), Some(("a", Extent::All)));
        let holders = holders.released(time(1)).unwrap().given(channel("b"), time(2)).unwrap();
        assert_eq!(at(&holders, Time::default()), Some(("a", Extent::All)));
        assert_eq!(at(&holders, time(2)), Some(("b", Extent::All)));
    }

    #[test]
    fn former_secrets_may_sign_as_long_as_late_updates_come() {
        let own =
            |tenant: &str| Channel { secret_id: Some(format!("consent/{tenant}").parse().unwrap()), ..channel(tenant) };
        let holders = Holders::first(own("a"), time(0)).released(time(1)).unwrap().given(own("b"), time(2)).unwrap();
        let secrets = |now: Time| holders.secrets(now).flatten().map(SecretId::as_str).collect::<Vec<_>>();
        assert_eq!(secrets(time(8)), ["consent/a", "consent/b"]);
        assert_eq!(secrets(time(9)), ["consent/b"]);
    }
}
