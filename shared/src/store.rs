//! The one store: a DynamoDB table, spoken to in the words of the domain.
//!
//! What belongs to a tenant is reached only through [`TenantStore`], a handle that is bound to it and makes every key, so a
//! query across tenants cannot be written. Time is always an argument. Reads that lead to a decision are strongly
//! consistent; writes that depend on what was read are conditional on it.

mod change;
mod channel;
mod erasure;
mod history;
mod key;
mod list;
mod outbox;
mod place;
mod report;
mod request;
mod secret_list;
mod series;
mod settings;
mod snapshot;
mod suppression;

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;

pub use change::{ChangeOutcome, ChangeRequest};
pub use channel::{ChannelLookup, RegisterError, SigningSecrets};
pub use history::HistoryPage;
pub use list::{ContactPage, ListPosition};
pub use outbox::{OutboxItem, Pending};
pub use place::ReadSet;
pub use report::Reported;
pub use settings::{Expected, SaveError};
pub use snapshot::Snapshot;

use crate::id::TenantId;

/// The table.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: Arc<str>,
    channels: Arc<Mutex<channel::Cache>>,
}

impl Store {
    /// A store on the table of this name.
    #[must_use]
    pub fn new(client: Client, table: impl Into<Arc<str>>) -> Self {
        Self { client, table: table.into(), channels: Arc::default() }
    }

    /// The part of the table that belongs to one tenant.
    #[must_use]
    pub fn tenant(&self, id: &TenantId) -> TenantStore {
        TenantStore { store: self.clone(), id: id.clone() }
    }
}

/// The part of the table that belongs to one tenant.
#[derive(Clone, Debug)]
pub struct TenantStore {
    store: Store,
    id: TenantId,
}

impl TenantStore {
    /// The tenant whose part this is.
    #[must_use]
    pub fn id(&self) -> &TenantId {
        &self.id
    }
}

/// The store did not do what it was asked. Nothing is known to be lost: whatever was asked can be asked again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB could not be reached, was overloaded, or refused the request, and stayed so through all retries.
    #[error("the table is unavailable: {0}")]
    Unavailable(String),
    /// Others kept changing the same contact, again and again.
    #[error("too many changes of one contact at once")]
    Contended,
    /// An item that this version cannot read.
    #[error("an item of kind {kind} cannot be read")]
    Unreadable {
        /// Which kind of item.
        kind: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_dynamo::Error,
    },
}
