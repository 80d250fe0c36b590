//! The reference model of the whole system, and random histories that are played on both.
//!
//! - [`history`]: what happens, drawn from a seed, and made short where it fails.
//! - [`rules`]: what must hold then, written from the design alone, with `holders`: who goes by which ids.
//! - [`play`]: plays a history through the door and compares, in the JSON of `wire` and `report`.

pub mod history;
mod holders;
pub mod play;
mod report;
pub mod rules;
mod wire;
