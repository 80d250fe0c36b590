//! The settings that a tenant has saved.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use consent::http::{Body, Caller, Problem};
#[cfg(feature = "openapi")]
use consent::settings::SettingsDraft;
use consent::settings::{SavedSettings, Settings};
use consent::store::SaveError;
use consent::time::Rfc3339;
use serde::Serialize;

use crate::{App, draft, version};

/// The settings of a tenant.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Settings"))]
pub struct SettingsView {
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schemars(with = "SettingsDraft"))]
    settings: Settings,
    /// Number of times that the settings were saved. It is also their `ETag`.
    version: u64,
    /// Time of the last saving.
    updated_at: Option<Rfc3339>,
    /// User who saved them last.
    updated_by: Option<String>,
}

impl From<SavedSettings> for SettingsView {
    fn from(saved: SavedSettings) -> Self {
        let SavedSettings { settings, version, updated_at, updated_by } = saved;
        Self { settings, version, updated_at: updated_at.map(Rfc3339), updated_by }
    }
}

/// Settings that were saved.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "SettingsReceipt"))]
pub struct Receipt {
    /// Sentence for the user.
    message: &'static str,
    /// The settings as they are now.
    settings: SettingsView,
    /// Advice on settings that hold and may still surprise.
    warnings: Vec<String>,
}

/// `GET /settings`: a tenant that never had any sees the defaults.
pub async fn show(State(app): State<App>, caller: Caller) -> Result<impl IntoResponse, Problem> {
    let saved = app.store.tenant(&caller.tenant).settings().await?.unwrap_or_default();
    Ok((version::etag(saved.version), Json(SettingsView::from(saved))))
}

/// `PUT /settings`
pub async fn save(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let settings = body.required()?.make(draft::settings)?;
    let expected = version::expected(&headers)?;
    let tenant = app.store.tenant(&caller.tenant);
    let saved = match tenant.save_settings(&settings, expected, app.clock.now(), &caller.user).await {
        Ok(saved) => saved,
        Err(stale @ SaveError::Stale { .. }) => return Err(version::stale(&stale.to_string())),
        Err(SaveError::Store(error)) => return Err(error.into()),
    };
    tracing::info!(tenant = %tenant.id(), version = saved.version, "settings saved");
    let receipt = Receipt {
        message: "Opt-In/Out settings saved successfully",
        warnings: settings.warnings(),
        settings: saved.into(),
    };
    Ok((version::etag(receipt.settings.version), Json(receipt)))
}
