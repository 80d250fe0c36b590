//! The whole system in one process: an embedded DynamoDB and S3, a small API Gateway, and stand-ins for the other services
//! that the functions call. Table, routes, scopes, stream filter and schedule come from `template.yaml`.
//!
//! Start with [`System`]. The other modules are its parts.

mod body;
mod endpoint;
pub mod engine;
pub mod filter;
mod functions;
pub mod gateway;
pub mod graph;
pub mod invoke;
pub mod objects;
pub mod openapi;
pub mod phone;
pub mod route;
mod schedule;
mod sdk;
pub mod secrets;
mod stream;
pub mod system;
pub mod table;
pub mod template;
pub mod token;
mod update;

pub use endpoint::InvalidEndpoint;
pub use system::{DynamoDb, Options, System, SystemError};

/// The tenant in a new table.
pub const DEMO_TENANT: &str = "demo";
/// The tenant's channel: its `phone_number_id`.
pub const DEMO_CHANNEL: &str = "106540352242922";
/// The phone number of that channel.
pub const DEMO_NUMBER: &str = "15550783881";
/// The bucket for the lists of campaigns.
pub const BUCKET: &str = "campaigns";
/// The name of the table.
pub const TABLE: &str = "consent";

const REGION: &str = "us-east-1";
const ACCOUNT: &str = "000000000000";
