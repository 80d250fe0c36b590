//! The channels of the platform: the numbers that customers write to, and whose they are.

use std::ops::RangeInclusive;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use consent::channel::Channel;
use consent::http::{Body, Fields, Problem, ProblemKind, User};
use consent::id::{ChannelId, InvalidChannelId};
use consent::store::RegisterError;
use serde::Serialize;

use crate::App;

/// Characters of a number as people read it.
const DISPLAY_CHARS: RangeInclusive<usize> = 1..=32;

/// A channel as the API shows it.
#[derive(Serialize)]
pub struct ChannelView {
    phone_number_id: String,
    tenant_id: String,
    display_phone_number: String,
    secret_id: Option<String>,
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
    Ok(Json(ChannelView {
        phone_number_id: id.into(),
        tenant_id: channel.tenant.into(),
        display_phone_number: channel.display_phone_number,
        secret_id: channel.secret_id.map(String::from),
    }))
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
    let tenant = fields.required("tenant_id", "1 to 36 letters, digits, `_` or `-`");
    let display_phone_number: Option<String> = fields.required("display_phone_number", "the number as people read it");
    let secret_id = fields.optional("secret_id", "the name of a secret: 1 to 512 letters, digits and any of `/_+=.@-`");
    let length = display_phone_number.as_ref().map(|number| number.chars().count());
    if length.is_some_and(|length| !DISPLAY_CHARS.contains(&length)) {
        fields.refuse("display_phone_number", "has a wrong length: give 1 to 32 characters");
    }
    Some((id?, Channel { tenant: tenant?, display_phone_number: display_phone_number?, secret_id }))
}
