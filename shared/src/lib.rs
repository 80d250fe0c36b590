//! Consent of customers to WhatsApp marketing: the rules, and the table that keeps what was said.
//!
//! The rules are pure: ids ([`id`], [`phone`]), whose a number is ([`channel`]), words ([`keyword`], [`settings`]), what stands about a contact
//! ([`contact`]), what an event does to it ([`event`], [`decision`]) and who it is about ([`identity`]). They know no AWS, no HTTP and no clock.
//! [`store`] alone speaks DynamoDB. The rest is what the functions share to start and to answer.

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
