//! The channels of the platform: the numbers that customers write to, each with its tenant.

use std::ops::RangeInclusive;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use consent::channel::Channel;
use consent::http::{Body, Fields, Problem, ProblemKind, User};
use consent::id::{ChannelId, InvalidChannelId, SecretId, TenantId};
use consent::store::RegisterError;
use serde::Serialize;

use crate::App;

/// Characters of a number as people read it.
const DISPLAY_CHARS: RangeInclusive<usize> = 1..=32;

/// A WhatsApp number of a tenant.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Channel"))]
pub struct ChannelView {
    /// Meta's id of the number.
    phone_number_id: ChannelId,
    /// Tenant whose number it is.
    tenant_id: TenantId,
    /// Number as people read it.
    display_phone_number: String,
    /// Secret of the tenant's own WhatsApp app, where it has one.
    secret_id: Option<SecretId>,
}

/// A channel as the body of a request has it.
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ChannelDraft {
    /// Tenant to give the number to.
    tenant_id: TenantId,
    /// Number as people read it.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = 32)))]
    display_phone_number: String,
    /// Name of the secret of the tenant's own WhatsApp app. It begins with the deployment's parameter `SecretPrefix`.
    secret_id: Option<SecretId>,
}

/// `PUT /channels/{phone_number_id}`
pub async fn register(
    State(app): State<App>,
    User(_): User,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Json<ChannelView>, Problem> {
    let Path(id) = path.map_err(|rejection| Problem::field("phone_number_id", rejection.body_text()))?;
    let (id, channel) = body.required()?.make(|fields| channel(&id, fields))?;
    match app.store.register_channel(&id, &channel, app.clock.now()).await {
        Ok(()) => {}
        Err(taken @ RegisterError::Taken(_)) => {
            return Err(Problem::new(ProblemKind::ChannelTaken, format!("Nothing was changed: {taken}.")));
        }
        Err(RegisterError::Store(error)) => return Err(error.into()),
    }
    tracing::info!(tenant = %channel.tenant, channel = %id, "channel registered");
    let Channel { tenant: tenant_id, display_phone_number, secret_id } = channel;
    Ok(Json(ChannelView { phone_number_id: id, tenant_id, display_phone_number, secret_id }))
}

/// `DELETE /channels/{phone_number_id}`: a channel without a holder stays so.
pub async fn release(
    State(app): State<App>,
    User(_): User,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(id) = path.map_err(|rejection| Problem::field("phone_number_id", rejection.body_text()))?;
    let id: ChannelId =
        id.parse().map_err(|error: InvalidChannelId| Problem::field("phone_number_id", error.to_string()))?;
    app.store.release_channel(&id, app.clock.now()).await?;
    tracing::info!(channel = %id, "channel released");
    Ok(StatusCode::NO_CONTENT)
}

fn channel(id: &str, fields: &mut Fields) -> Option<(ChannelId, Channel)> {
    let id = id.parse().map_err(|error: InvalidChannelId| fields.refuse("phone_number_id", error.to_string())).ok();
    let ChannelDraft { tenant_id: tenant, display_phone_number, secret_id } = ChannelDraft::read(fields)?;
    Some((id?, Channel { tenant, display_phone_number, secret_id }))
}

impl ChannelDraft {
    fn read(fields: &mut Fields) -> Option<Self> {
        let tenant_id = fields.required("tenant_id", "1 to 36 letters, digits, `_` or `-`");
        let display_phone_number: Option<String> =
            fields.required("display_phone_number", "the number as people read it");
        let secret_id =
            fields.optional("secret_id", "the name of a secret: 1 to 512 letters, digits and any of `/_+=.@-`");
        let length = display_phone_number.as_ref().map(|number| number.chars().count());
        if length.is_some_and(|length| !DISPLAY_CHARS.contains(&length)) {
            fields.refuse("display_phone_number", "has a wrong length: give 1 to 32 characters");
        }
        Some(Self { tenant_id: tenant_id?, display_phone_number: display_phone_number?, secret_id })
    }
}
