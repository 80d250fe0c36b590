//! The system through its doors: signed webhooks, the dashboard's API, invoked functions, on a real engine.

mod access;
mod budgets;
mod campaign_faults;
mod campaigns;
mod confirmations;
mod corpus;
mod dashboard;
mod durability;
mod erasure;
mod events;
mod fates;
mod faulty_objects;
mod identity;
mod keywords;
mod late;
mod later_version;
mod lists;
mod newest_wish;
mod order;
mod provider;
mod read_units;
mod readings;
mod seals;
mod shapes;
mod webhooks;
