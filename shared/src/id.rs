//! The ids of tenants, channels, contacts and events: parsed once at the door, trusted from there on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::phone::{InvalidPhone, Phone};
use crate::time::Time;

/// The id of a tenant, a business that uses the system: `[A-Za-z0-9_-]{1,36}`.
///
/// ```
/// use consent::id::{InvalidTenantId, TenantId};
///
/// let demo: TenantId = "demo".parse()?;
/// assert_eq!(demo.as_str(), "demo");
/// assert_eq!("a#b".parse::<TenantId>(), Err(InvalidTenantId));
/// # Ok::<(), InvalidTenantId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

/// The text is no tenant id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a tenant id: use 1 to 36 letters, digits, `_` or `-`")]
pub struct InvalidTenantId;

impl TenantId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(text: &str) -> Result<Self, InvalidTenantId> {
        let fits = (1..=36).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidTenantId) }
    }
}

/// The id of a channel, a tenant's WhatsApp number: the `phone_number_id` that Meta gave it, 1 to 32 digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChannelId(String);

/// The text is no channel id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a channel id: use the phone_number_id from Meta, 1 to 32 digits")]
pub struct InvalidChannelId;

impl ChannelId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChannelId {
    type Err = InvalidChannelId;

    fn from_str(text: &str) -> Result<Self, InvalidChannelId> {
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidChannelId) }
    }
}

/// The name of a secret in Secrets Manager: 1 to 512 letters, digits and any of `/_+=.@-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretId(String);

/// The text is no name of a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the name of a secret: use 1 to 512 letters, digits and any of /_+=.@-")]
pub struct InvalidSecretId;

impl SecretId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretId {
    type Err = InvalidSecretId;

    fn from_str(text: &str) -> Result<Self, InvalidSecretId> {
        let fits = (1..=512).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+=.@-".contains(&byte));
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidSecretId) }
    }
}

/// WhatsApp's business-scoped user id (BSUID), the only identity of a customer who hides the number behind a username:
/// `[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}`. Kept exactly as Meta wrote it.
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids>
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);

/// The text is no business-scoped user id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a WhatsApp user id: it looks like US.13491208655302741918")]
pub struct InvalidUserId;

impl UserId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = InvalidUserId;

    fn from_str(text: &str) -> Result<Self, InvalidUserId> {
        let (country, rest) = text.split_once('.').ok_or(InvalidUserId)?;
        let number = rest.strip_prefix("ENT.").unwrap_or(rest);
        let fits = country.len() == 2
            && country.bytes().all(|byte| byte.is_ascii_uppercase())
            && (1..=128).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidUserId) }
    }
}

/// A phone number as the id of a contact: `+<digits>`, in canonical form ([`Phone::canonical`]).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneId(String);

impl PhoneId {
    /// The number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Phone> for PhoneId {
    fn from(phone: &Phone) -> Self {
        Self(format!("+{}", phone.canonical()))
    }
}

/// The id of a contact: a phone number or a WhatsApp user id.
///
/// [`ContactId::received`] takes ids from WhatsApp and from the table, [`ContactId::from_str`] reads what people and their
/// tools write. They differ in phone numbers only: see [`Phone`].
///
/// ```
/// use consent::id::ContactId;
///
/// let written: ContactId = "+52 55 1234 5678".parse()?;
/// let received = ContactId::received("5215512345678")?;
/// assert_eq!(written, received, "Mexican numbers are in use with and without a 1");
/// assert_eq!(written.as_str(), "+525512345678");
/// assert!(matches!("US.13491208655302741918".parse()?, ContactId::User(_)));
/// # Ok::<(), consent::id::InvalidContactId>(())
/// ```
///
/// Stored and shown as text: the number as `+<digits>`, the user id as Meta wrote it. All numbers sort before all user ids,
/// as their texts do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ContactId {
    /// A phone number.
    Phone(PhoneId),
    /// A WhatsApp user id.
    User(UserId),
}

/// The text is neither a phone number nor a user id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct InvalidContactId(#[from] InvalidPhone);

impl ContactId {
    /// Takes an id from WhatsApp, or from where one was kept: nothing that was kept is ever refused.
    ///
    /// # Errors
    /// The text is no user id, and [`Phone::received`] refuses it.
    pub fn received(text: &str) -> Result<Self, InvalidContactId> {
        Self::read(text, Phone::received)
    }

    fn read(text: &str, phone: fn(&str) -> Result<Phone, InvalidPhone>) -> Result<Self, InvalidContactId> {
        match text.parse::<UserId>() {
            Ok(user) => Ok(Self::User(user)),
            Err(InvalidUserId) => Ok(Self::from(&phone(text)?)),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Phone(phone) => phone.as_str(),
            Self::User(user) => user.as_str(),
        }
    }

    /// The user id, if it is one.
    #[must_use]
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Self::Phone(_) => None,
            Self::User(user) => Some(user),
        }
    }

    /// The part of the tenant's table that holds this id.
    #[must_use]
    pub fn shard(&self) -> Shard {
        Shard::of(self.as_str())
    }
}

impl From<&Phone> for ContactId {
    fn from(phone: &Phone) -> Self {
        Self::Phone(phone.into())
    }
}

impl From<&UserId> for ContactId {
    fn from(user: &UserId) -> Self {
        Self::User(user.clone())
    }
}

impl FromStr for ContactId {
    type Err = InvalidContactId;

    /// Reads an id as people write it.
    fn from_str(text: &str) -> Result<Self, InvalidContactId> {
        Self::read(text, Phone::from_str)
    }
}

// Serde reads what was kept.
impl TryFrom<String> for ContactId {
    type Error = InvalidContactId;

    fn try_from(text: String) -> Result<Self, InvalidContactId> {
        Self::received(&text)
    }
}

/// The id of a message or of a change made by staff, unique within its contact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct EventId(String);

impl EventId {
    /// Longer ids are replaced by their hash: the table's keys have an end.
    const MAX_BYTES: usize = 200;

    /// A new id for a change that brings none of its own; later ones sort behind earlier ones.
    #[must_use]
    pub fn unique() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }

    /// The id of something that has none, made from all that it says, so that a repeat gets the same one.
    #[must_use]
    pub fn of_content(content: &[u8]) -> Self {
        Self(format!("sha256.{}", hex::encode(Sha256::digest(content))))
    }

    /// The id of the event that an update made one contact of two.
    #[must_use]
    pub fn merge(&self) -> Self {
        Self::from(format!("merge.{self}"))
    }

    /// The id of the event that the customer was found to have stopped marketing when an answer to this one was sent.
    #[must_use]
    pub fn stop(&self) -> Self {
        Self::from(format!("stop.{self}"))
    }

    /// The id of an event that says the same as this one, of which nothing else is known than that what this one did was
    /// undone at `undone`.
    #[must_use]
    pub fn after(&self, undone: Option<Time>) -> Self {
        let undone = undone.map_or_else(|| "never".to_owned(), |undone| undone.millis().to_string());
        Self::of_content(format!("{self}\nafter {undone}").as_bytes())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part of the outbox that holds this event's confirmation.
    #[must_use]
    pub fn shard(&self) -> Shard {
        Shard::of(&self.0)
    }

    /// A short hash that names the event in logs, where its id, which embeds the customer's number, may not stand.
    #[must_use]
    pub fn log_name(&self) -> String {
        hex::encode(&Sha256::digest(&self.0)[..8])
    }
}

impl From<String> for EventId {
    fn from(text: String) -> Self {
        if text.len() > Self::MAX_BYTES { Self::of_content(text.as_bytes()) } else { Self(text) }
    }
}

/// One of the sixteen parts that a tenant's contacts, its suppression list and the outbox are spread over:
/// the first hex digit of the SHA-256 of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u8);

impl Shard {
    /// The first shard.
    pub const FIRST: Self = Self(0);

    /// Every shard, in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..16u8).map(Self)
    }

    /// The shards from this one on.
    pub fn and_later(self) -> impl Iterator<Item = Self> {
        (self.0..16).map(Self)
    }

    fn of(id: &str) -> Self {
        Self(Sha256::digest(id)[0] >> 4)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// The text is no shard.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a shard: it is one hex digit")]
pub struct InvalidShard;

impl FromStr for Shard {
    type Err = InvalidShard;

    fn from_str(text: &str) -> Result<Self, InvalidShard> {
        match text.as_bytes() {
            [digit @ (b'0'..=b'9' | b'a'..=b'f')] => {
                char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).map(Self).ok_or(InvalidShard)
            }
            _ => Err(InvalidShard),
        }
    }
}

/// Cuts text to so many bytes of UTF-8, never inside a character.
#[must_use]
pub fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

// Ids of people print as their kind alone: what is printed ends up in logs.
impl fmt::Debug for ContactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Phone(_) => "ContactId(phone)",
            Self::User(_) => "ContactId(user)",
        })
    }
}

impl fmt::Display for ContactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<ContactId> for String {
    fn from(id: ContactId) -> Self {
        match id {
            ContactId::Phone(PhoneId(text)) | ContactId::User(UserId(text)) => text,
        }
    }
}

impl fmt::Debug for PhoneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneId")
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId")
    }
}

macro_rules! text_id {
    ($($id:ident $(parsed or $error:ident)?),* $(,)?) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.0
            }
        }

        $(impl TryFrom<String> for $id {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        })?
    )*};
}

text_id!(
    TenantId parsed or InvalidTenantId,
    ChannelId parsed or InvalidChannelId,
    SecretId parsed or InvalidSecretId,
    UserId parsed or InvalidUserId,
    EventId,
);

#[cfg(test)]
mod tests;
