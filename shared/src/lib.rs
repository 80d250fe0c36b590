//! Consent of customers to WhatsApp marketing: the rules of the domain, and the table that keeps it.
//!
//! The life of a `STOP` leads through the modules in this order, and so does reading them for the first time:
//!
//! 1. [`id`] and [`phone`]: tenants, channels, contacts. A [`ContactId`](id::ContactId) is a phone number in canonical form
//!    or a WhatsApp user id; one that parses is trusted from there on.
//! 2. [`keyword`] and [`settings`]: the words. [`fold`](keyword::fold()) makes one text of all ways to write a word, and
//!    [`Settings::judge`](settings::Settings::judge) finds the tenant's keyword in a message.
//! 3. [`event`]: the event that the message becomes, and the entry in the contact's history that proves it.
//! 4. [`contact`]: the state of a contact. Three pairs of times ([`Latch`](contact::Latch)) make it independent of the order
//!    in which events arrive; [`Contact::status`](contact::Contact::status) follows from them.
//! 5. [`decision`]: the effect of an event on a contact, for example [`decide_intent`](decision::decide_intent).
//! 6. [`identity`]: the person that ids belong to, when numbers and user ids change. The most difficult module; the others
//!    can be read without it.
//! 7. [`store`]: reads a snapshot, and writes a decision in one transaction on the condition that what it relied on still
//!    stands.
//! 8. [`eligibility`]: the rule whether a message of a category may go to a contact.
//!    [`may_receive`](eligibility::may_receive) is its only place.
//!
//! [`channel`] tells the tenant that holds a WhatsApp number at a time, [`callback`] the history entry that a confirmation
//! is for, and [`whatsapp_error`] the error codes that matter.
//!
//! All of these but [`store`] are pure: they know no AWS, no HTTP and no clock; times are arguments. The rest is what the
//! functions share to start and to answer: [`aws`], [`clock`], [`limits`], [`log`], `http` and `secrets`.

pub mod aws;
pub mod callback;
pub mod channel;
pub mod clock;
pub mod contact;
pub mod decision;
pub mod eligibility;
pub mod event;
#[cfg(feature = "http")]
pub mod http;
pub mod id;
pub mod identity;
pub mod keyword;
pub mod limits;
pub mod log;
pub mod phone;
#[cfg(feature = "secrets")]
pub mod secrets;
pub mod settings;
pub mod store;
pub mod time;
pub mod whatsapp_error;
