//! Shows and erases one contact.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use consent::http::{Caller, Problem, ProblemKind};

use crate::App;
use crate::named::Named;
use crate::view::ContactView;

/// `GET /contacts/{id}`
pub async fn show(State(app): State<App>, caller: Caller, named: Named) -> Result<Json<ContactView>, Problem> {
    let sighting = named.sighting();
    let snapshot = app.store.tenant(&caller.tenant).people(&[&sighting]).await?;
    let person = snapshot.person(&sighting)?;
    if !person.contact.is_known() {
        return Err(unknown());
    }
    Ok(Json(ContactView::new(person.id().clone(), person.contact, snapshot.settings.as_ref())))
}

/// `DELETE /contacts/{id}`
pub async fn erase(State(app): State<App>, caller: Caller, Named { id, .. }: Named) -> Result<StatusCode, Problem> {
    app.store.tenant(&caller.tenant).erase(&id, app.clock.now()).await?;
    tracing::info!(tenant = %caller.tenant, kind = "erasure", "contact erased by staff");
    Ok(StatusCode::NO_CONTENT)
}

/// 404: nothing is known of the contact.
pub fn unknown() -> Problem {
    Problem::new(ProblemKind::UnknownContact, "Nothing is known of this contact.")
}
