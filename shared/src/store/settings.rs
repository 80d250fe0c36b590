//! A tenant's settings: one item, counted up with every saving.

use std::collections::HashMap;
use std::ops::ControlFlow;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::key::{Item, ItemKey};
use super::request::{Condition, WriteOutcome, from_item, to_item, until_written};
use super::{Store, StoreError, TenantStore};
use crate::id::{TenantId, cut};
use crate::settings::{SavedSettings, Settings};
use crate::time::Time;

/// The most bytes of a user's subject that are kept: settings have to stay small.
const USER_BYTES: usize = 128;

/// The version that the saver of settings believes to replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any version, and none.
    Any,
    /// This version.
    Version(u64),
}

/// The reason for which settings were not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Another user saved them first.
    #[error("the settings have version {current} by now")]
    Stale {
        /// The version that they have.
        current: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Serialize, Deserialize)]
struct SettingsItem {
    settings: Settings,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_by: Option<String>,
}

impl TenantStore {
    /// The tenant's settings, where it has any.
    ///
    /// # Errors
    /// The settings could not be read.
    pub async fn settings(&self) -> Result<Option<SavedSettings>, StoreError> {
        let item = self.store.batch_get([ItemKey::settings(&self.id)]).await?.into_values().next();
        item.map(saved).transpose()
    }

    /// Saves settings as the next version.
    ///
    /// # Errors
    /// The settings are not the expected version any more, or could not be written.
    pub async fn save_settings(
        &self,
        settings: &Settings,
        expected: Expected,
        now: Time,
        user: &str,
    ) -> Result<SavedSettings, SaveError> {
        until_written((), |_, ()| self.try_save_settings(settings, expected, now, user)).await
    }

    /// One attempt at saving settings.
    async fn try_save_settings(
        &self,
        settings: &Settings,
        expected: Expected,
        now: Time,
        user: &str,
    ) -> Result<ControlFlow<SavedSettings>, SaveError> {
        let current = self.settings().await?;
        let version = current.as_ref().map_or(0, |saved| saved.version);
        if let Expected::Version(expected) = expected
            && expected != version
        {
            return Err(SaveError::Stale { current: version });
        }
        let next = SavedSettings {
            settings: settings.clone(),
            version: version + 1,
            updated_at: Some(now),
            updated_by: Some(cut(user, USER_BYTES).to_owned()),
        };
        let key = ItemKey::settings(&self.id);
        let write = match current {
            Some(_) => {
                let condition = Condition::Equals("version", i64::try_from(version).unwrap_or(i64::MAX));
                let (expression, values) = assignments(item(&next)?);
                self.store.update(key, &expression, values, condition)
            }
            None => self.store.put(key, item(&next)?, Condition::Absent),
        };
        Ok(match self.store.transact(vec![write]).await? {
            WriteOutcome::Written => ControlFlow::Break(next),
            WriteOutcome::Raced => ControlFlow::Continue(()),
        })
    }
}

impl Store {
    /// The write that creates a tenant's settings where it has none, and leaves them alone where it does.
    pub(super) fn default_settings(&self, tenant: &TenantId, now: Time) -> Result<TransactWriteItem, StoreError> {
        let defaults = item(&SavedSettings { version: 1, updated_at: Some(now), ..SavedSettings::default() })?;
        let assignments: Vec<String> =
            defaults.keys().map(|name| format!("{name} = if_not_exists({name}, :{name})")).collect();
        let expression = format!("SET {}", assignments.join(", "));
        let values = defaults.into_iter().map(|(name, value)| (format!(":{name}"), value));
        Ok(self.update(ItemKey::settings(tenant), &expression, values, Condition::Always))
    }
}

/// The update that writes each field of settings by itself, so that those of a later version stay.
fn assignments(item: Item) -> (String, HashMap<String, AttributeValue>) {
    let mut assignments = Vec::new();
    let mut values = HashMap::new();
    let mut assign = |path: String, value: AttributeValue| {
        let name = format!(":{}", path.replace('.', "_"));
        assignments.push(format!("{path} = {name}"));
        values.insert(name, value);
    };
    for (name, value) in item {
        match value {
            AttributeValue::M(fields) => {
                for (field, value) in fields {
                    assign(format!("{name}.{field}"), value);
                }
            }
            value => assign(name, value),
        }
    }
    (format!("SET {}", assignments.join(", ")), values)
}

/// Reads a settings item.
pub(super) fn saved(item: Item) -> Result<SavedSettings, StoreError> {
    let SettingsItem { settings, version, updated_at, updated_by } = from_item("settings", item)?;
    Ok(SavedSettings { settings, version, updated_at, updated_by })
}

fn item(saved: &SavedSettings) -> Result<Item, StoreError> {
    let SavedSettings { settings, version, updated_at, updated_by } = saved.clone();
    to_item("settings", SettingsItem { settings, version, updated_at, updated_by })
}
