//! The reference model of the whole system, and histories that are played on both.
//!
//! - [`history`]: what happens, drawn from a seed, and made short where it fails.
//! - [`rules`]: what must hold then, in as few words as can be, and written from the design alone.
//! - [`play`]: plays a history through the door and compares.

pub mod history;
mod holders;
pub mod play;
pub mod rules;
