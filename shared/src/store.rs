//! The one store: a DynamoDB table, spoken to in the words of the domain.
//!
//! A tenant's items are reached only through [`TenantStore`], a handle that is bound to the tenant and makes every key. So
//! a query across tenants cannot be written. Time is always an argument. Every read is strongly consistent, and a write
//! that depends on what was read is conditional on it.
//!
//! A change of a contact goes three steps: [`TenantStore::snapshot`] reads, a pure function decides, and
//! [`TenantStore::change`] writes on the condition that the [`ReadSet`] still stands; where it does not, `change` reads and
//! decides again.

mod change;
mod channel;
mod erasure;
mod history;
mod key;
mod list;
mod outbox;
mod query;
mod read_set;
mod record_item;
mod report;
mod request;
mod rewrite;
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
pub use outbox::{Claim, OutboxItem, Pending};
pub use read_set::ReadSet;
pub use report::Reported;
pub use settings::{Expected, SaveError};
pub use snapshot::Snapshot;

use crate::id::TenantId;

/// The table of all tenants.
///
/// ```no_run
/// use consent::id::TenantId;
/// use consent::store::Store;
///
/// # async fn example(client: aws_sdk_dynamodb::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let store = Store::new(client, "consent");
/// let demo: TenantId = "demo".parse()?;
/// let settings = store.tenant(&demo).settings().await?;
/// assert!(settings.is_none(), "a tenant without a channel has no settings yet");
/// # Ok(())
/// # }
/// ```
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
    /// The tenant's id.
    #[must_use]
    pub fn id(&self) -> &TenantId {
        &self.id
    }
}

/// An error of the store. The caller can ask again where [`StoreError::may_pass`]; nothing is known to be lost.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB could not be reached, was overloaded, or refused the request, and stayed so through all retries.
    #[error("the table is unavailable: {0}")]
    Unavailable(String),
    /// Others kept changing the same items through all attempts.
    #[error("too many changes of the same items at once")]
    Contended,
    /// An item that this version cannot read.
    #[error("an item of kind {kind} cannot be read")]
    Unreadable {
        /// The kind of the item.
        kind: &'static str,
        /// The reading's own error.
        #[source]
        source: serde_dynamo::Error,
    },
    /// A value that cannot be made into an item.
    #[error("an item of kind {kind} cannot be written")]
    Unwritable {
        /// The kind of the item.
        kind: &'static str,
        /// The writing's own error.
        #[source]
        source: serde_dynamo::Error,
    },
}

impl StoreError {
    /// True if the same request may succeed when it is made again. An item that can't be read stays so.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Contended => true,
            Self::Unreadable { .. } | Self::Unwritable { .. } => false,
        }
    }
}
