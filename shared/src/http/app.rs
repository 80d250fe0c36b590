//! The means of every function behind the API: table, clock, and the name of the tenant claim.

use std::env::{self, VarError};

use axum::extract::FromRef;

use super::TenantClaim;
use crate::clock::Clock;
use crate::store::Store;
use crate::{aws, limits};

/// The means of a function behind the API.
#[derive(Clone, Debug)]
pub struct App {
    /// The table.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
    /// The name of the token's claim that holds the tenant.
    pub tenant_claim: String,
}

impl App {
    /// The means that the environment names: `TABLE_NAME`, and `TENANT_CLAIM` where it is not [`TenantClaim::DEFAULT`].
    ///
    /// # Errors
    /// `TABLE_NAME` is missing.
    pub async fn from_env() -> Result<Self, VarError> {
        let store = Store::new(aws::dynamodb(&aws::config(limits::CALL).await), env::var("TABLE_NAME")?);
        let tenant_claim = env::var("TENANT_CLAIM").unwrap_or_else(|_| TenantClaim::DEFAULT.to_owned());
        Ok(Self { store, clock: Clock::system(), tenant_claim })
    }
}

impl FromRef<App> for TenantClaim {
    fn from_ref(app: &App) -> Self {
        Self(app.tenant_claim.as_str().into())
    }
}
