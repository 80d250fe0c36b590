//! The system through its doors: signed webhooks, the dashboard's API, invoked functions, on a real engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod access;
mod alarms;
mod budgets;
mod campaign_faults;
mod campaigns;
mod channels;
mod confirmations;
mod corpus;
mod dashboard;
mod durability;
mod eligibility;
mod erasure;
mod events;
mod fates;
mod faults;
mod faulty_objects;
mod handed_on;
mod identity;
mod keywords;
mod late;
mod later_version;
mod leases;
mod linked_histories;
mod lists;
mod nameless;
mod newest_wish;
mod numbers;
mod order;
mod permissions;
mod provider;
mod read_units;
mod readings;
mod shapes;
mod signatures;
mod sweeps;
mod told;
mod unsigned;
mod unusable_lists;
mod webhooks;
