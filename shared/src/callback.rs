//! Callback data: names the history entry that a confirmation is for. The message carries it to WhatsApp, and every status
//! of the message brings it back (field `biz_opaque_callback_data`, at most 512 bytes).

use std::fmt;
use std::str::FromStr;

use crate::event::HistoryKey;
use crate::id::{ContactId, EventId};
use crate::time::Time;

/// Marks the callback data as ours: others send messages from the same channels, with data of their own.
const MARK: &str = "consent1";

/// The entry that a confirmation is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The contact whose history has the entry.
    pub contact: ContactId,
    /// The key of the entry there.
    pub entry: HistoryKey,
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK} {} {} {}", self.contact, self.entry.time.millis(), self.entry.id)
    }
}

/// The data is not from a confirmation.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the callback data of a confirmation")]
pub struct InvalidCallback;

impl FromStr for Callback {
    type Err = InvalidCallback;

    fn from_str(text: &str) -> Result<Self, InvalidCallback> {
        let parts: Vec<&str> = text.splitn(4, ' ').collect();
        let [MARK, contact, time, id] = parts[..] else { return Err(InvalidCallback) };
        let contact = ContactId::received(contact).map_err(|_| InvalidCallback)?;
        let time = time.parse().map(Time::from_millis).map_err(|_| InvalidCallback)?;
        Ok(Self { contact, entry: HistoryKey { time, id: EventId::from(id.to_owned()) } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callback_data_comes_back_as_it_went_and_fits() {
        for (contact, id) in
            [("+14155550123", "wamid.A B".to_owned()), (&format!("US.{}", "1".repeat(128)), "x".repeat(200))]
        {
            let entry = HistoryKey { time: Time::from_millis(1_795_341_600_000), id: EventId::from(id) };
            let callback = Callback { contact: contact.parse().unwrap(), entry };
            let text = callback.to_string();
            assert_eq!(text.parse(), Ok(callback));
            assert!(text.len() <= 512, "WhatsApp takes no more");
        }
    }

    #[test]
    fn the_data_of_others_is_not_ours() {
        for text in [
            "",
            "order 17",
            "consent1",
            "consent1 nobody 5 x",
            "consent1 +14155550123 now x",
            "consent2 +14155550123 5 x",
        ] {
            assert_eq!(text.parse::<Callback>(), Err(InvalidCallback), "{text}");
        }
    }
}
