//! The parts of the API's document that all operations share.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::http::{Function, ProblemKind, Scope};

const INTRODUCTION: &str = "\
Consent of customers to marketing over WhatsApp: the settings of a tenant, its contacts, and the history that proves what \
they said.

Names are `snake_case`. Times are RFC 3339 in UTC, always with three digits of a second. Every answer carries \
`Cache-Control: no-store` and `X-Content-Type-Options: nosniff`, but those that API Gateway gives by itself.

A caller brings an access token. It carries the scopes, and the claim that names the tenant. The tenant never comes from the \
path or the body, so no request reaches the contacts of another tenant. A scope includes no other.

Refusals are problem documents (RFC 9457). Programs go by `type`, people by `detail`. API Gateway itself refuses a missing \
token, a missing scope, too many requests and oversized ones, as `{\"message\": \"…\"}`.

| `type` | status | meaning |
|---|---|---|
";

/// The whole document around these paths and schemas.
pub(super) fn document(paths: &Map<String, Value>, schemas: &Map<String, Value>) -> Value {
    let row = |kind: ProblemKind| format!("| `{}` | {} | {} |\n", kind.uri(), kind.status().as_u16(), kind.meaning());
    let description: String =
        std::iter::once(INTRODUCTION.to_owned()).chain(ProblemKind::ALL.into_iter().map(row)).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Opt-in/out", "version": env!("CARGO_PKG_VERSION"), "description": description,
            "summary": "Consent of customers to marketing over WhatsApp",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"}
        },
        "servers": [{"url": "http://127.0.0.1:3000", "description": "`cargo run -p local`"}],
        "tags": [
            {"name": tag(Function::Settings), "description": "Keywords, confirmation texts, and the channels of tenants"},
            {"name": tag(Function::Contacts), "description": "Contacts, changes by staff, and the proof of consent"},
            {"name": tag(Function::Webhook), "description": "The door for WhatsApp"}
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": token()},
            "responses": responses(),
            "schemas": schemas
        }
    })
}

/// The group of operations that a function's operations belong to.
pub(super) const fn tag(function: Function) -> &'static str {
    match function {
        Function::Settings => "settings",
        Function::Contacts => "contacts",
        Function::Webhook => "webhook",
    }
}

/// Schemas of refusals.
pub(super) fn schemas() -> Map<String, Value> {
    let problem = json!({
        "type": "object",
        "description": "A refusal, as a problem document (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {
                "type": "string", "format": "uri", "description": "The kind of problem.",
                "enum": ProblemKind::ALL.map(ProblemKind::uri)
            },
            "title": {"type": "string", "description": "The name of the status."},
            "status": {"type": "integer", "description": "The status of the answer."},
            "detail": {"type": "string", "description": "A sentence for people: the reason, and what helps."},
            "errors": {
                "type": "array", "description": "Each field that does not hold. There for `invalid-fields` alone.",
                "items": {"$ref": "#/components/schemas/FieldError"}
            }
        }
    });
    let field_error = json!({
        "type": "object",
        "description": "A field that does not hold.",
        "required": ["field", "detail"],
        "properties": {
            "field": {"type": "string", "description": "The field, for example `opt_in_keywords[2]`."},
            "detail": {"type": "string", "description": "The fault, and what would hold."}
        }
    });
    let gateway = json!({
        "type": "object",
        "description": "A refusal that API Gateway gives by itself.",
        "required": ["message"],
        "properties": {"message": {"type": "string"}}
    });
    [("Problem", problem), ("FieldError", field_error), ("GatewayRefusal", gateway)]
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}

/// An answer for each status of these problems.
pub(super) fn refusals(kinds: &[ProblemKind]) -> impl Iterator<Item = (String, Value)> {
    let mut by_status: BTreeMap<String, Vec<ProblemKind>> = BTreeMap::new();
    for kind in ProblemKind::ALL.into_iter().filter(|kind| kinds.contains(kind)) {
        by_status.entry(kind.status().as_str().to_owned()).or_default().push(kind);
    }
    by_status.into_iter().map(|(status, kinds)| (status, refusal(&kinds)))
}

/// Answers of every route that takes a token. Status 400 stays with the operation, which may have problems of its own there.
pub(super) fn refusals_of_protected_routes() -> impl Iterator<Item = (String, Value)> {
    let names = [
        ("401", "Unauthorized"),
        ("403", "Forbidden"),
        ("429", "TooManyRequests"),
        ("500", "Internal"),
        ("503", "Unavailable"),
    ];
    names
        .into_iter()
        .map(|(status, name)| (status.to_owned(), json!({"$ref": format!("#/components/responses/{name}")})))
}

fn responses() -> Value {
    json!({
        "Unauthorized": with_gateway(refusal(&[ProblemKind::MissingTenant])),
        "Forbidden": by_gateway("The token lacks the scope."),
        "TooManyRequests": by_gateway("There are too many requests at once: send it again later."),
        "Internal": with_gateway(refusal(&[ProblemKind::Internal])),
        "Unavailable": with_gateway(refusal(&[ProblemKind::Unavailable]))
    })
}

/// An answer with the problems, all of one status. API Gateway refuses what it can't read, and what is too large, by itself.
fn refusal(kinds: &[ProblemKind]) -> Value {
    let lines: Vec<String> = kinds.iter().map(|kind| format!("{}\n\n`{}`", kind.meaning(), kind.uri())).collect();
    let types: Vec<String> = kinds.iter().map(|kind| kind.uri()).collect();
    let status = kinds.first().map(|kind| kind.status());
    let answer = json!({
        "description": lines.join("\n\n"),
        "content": {"application/problem+json": {"schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {"type": {"enum": types}, "status": {"const": status.map(|status| status.as_u16())}}
        }}}
    });
    match status.map(|status| status.as_u16()) {
        Some(400 | 413) => with_gateway(answer),
        _ => answer,
    }
}

fn with_gateway(mut answer: Value) -> Value {
    answer["content"]["application/json"] = json!({"schema": {"$ref": "#/components/schemas/GatewayRefusal"}});
    answer
}

fn by_gateway(description: &str) -> Value {
    with_gateway(json!({"description": description, "content": {}}))
}

fn token() -> Value {
    let scopes = [Scope::Read, Scope::Write, Scope::Admin, Scope::Platform];
    let lines: Vec<String> =
        scopes.iter().map(|scope| format!("- `{}`: {}", scope.as_str(), scope.meaning())).collect();
    json!({
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": format!("An access token of the deployment's issuer. Its scopes:\n\n{}", lines.join("\n"))
    })
}
