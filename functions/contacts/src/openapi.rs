//! The description of contacts for the API's document.

use axum::http::StatusCode;
use consent::http::openapi::{ApiDocument, OperationEntry, Parameter, ParameterLocation};
use consent::http::{Operation, ProblemKind};
use serde_json::{Value, json};

use crate::batch::{Batch, BatchReport};
use crate::switch::{BlockChange, ConsentChange};
use crate::view::ContactView;
use crate::{history, list};

/// Describes the operations of this function.
pub fn describe(api: &mut ApiDocument) {
    describe_lists(api);
    describe_contact(api);
    describe_switches(api);
    describe_batch(api);
}

fn describe_lists(api: &mut ApiDocument) {
    let operation = api
        .operation(Operation::ListContacts)
        .description(
            "Contacts in the order of shard, then id. A page may be short and still have a cursor: go on until the cursor \
             is null. Unknown and repeated parameters are refused.",
        )
        .parameter(Parameter {
            name: "status",
            location: ParameterLocation::Query,
            description: "Only contacts with this consent or restriction. `unheeded`: with an opt-out that arrived too late \
                          to count.",
            schema: json!({
                "type": "string",
                "enum": ["unknown", "opted_in", "opted_out", "blocked", "provider_stopped", "unheeded"]
            }),
            example: "opted_out".into(),
        })
        .parameter(Parameter {
            name: "prefix",
            location: ParameterLocation::Query,
            description: "Only contacts whose id begins so. A missing `+` of a phone number is added.",
            schema: json!({"type": "string", "maxLength": 135}),
            example: "+1415".into(),
        });
    paged(operation, list::MAX_LIMIT)
        .answer::<list::ContactListView>("A page of contacts.", &json!({"contacts": [contact()], "cursor": null}))
        .finish();
    let operation = api
        .operation(Operation::ListHistory)
        .description(
            "Events, newest first: the proof of consent. Words that changed nothing are there too, so that somebody may have \
             a history and still not be known. Somebody without events has an empty history.",
        )
        .parameter(contact_id());
    paged(operation, history::MAX_LIMIT)
        .answer::<history::HistoryView>("A page of events.", &json!({"events": [event()], "cursor": null}))
        .finish();
}

fn paged(operation: OperationEntry<'_>, max_limit: u16) -> OperationEntry<'_> {
    operation
        .parameter(Parameter {
            name: "limit",
            location: ParameterLocation::Query,
            description: "Most entries of the page.",
            schema: json!({"type": "integer", "minimum": 1, "maximum": max_limit, "default": 50}),
            example: 50.into(),
        })
        .parameter(Parameter {
            name: "cursor",
            location: ParameterLocation::Query,
            description: "`cursor` of the page before. It holds for its tenant and its filters alone.",
            schema: json!({"type": "string"}),
            example: "".into(),
        })
        .problems(&[ProblemKind::MalformedQuery, ProblemKind::InvalidFields])
}

fn describe_contact(api: &mut ApiDocument) {
    api.operation(Operation::ShowContact)
        .description("The contact can be found under every id that the person goes by.")
        .parameter(contact_id())
        .answer::<ContactView>("The contact.", &contact())
        .problems(&[ProblemKind::UnknownContact])
        .finish();
    api.operation(Operation::EraseContact)
        .description(
            "Erases contact and history under every id of the person. A suppression stays, and so do the bare times that \
             decide consent. For somebody who is not suppressed those times go after eight days.",
        )
        .parameter(contact_id())
        .raw_answer(StatusCode::NO_CONTENT, json!({"description": "Contact and history are erased."}))
        .finish();
}

fn describe_switches(api: &mut ApiDocument) {
    api.operation(Operation::SetConsent)
        .description(
            "Always takes effect, and counts for the next campaign. Creates the contact where it is unknown. Where the \
             status does not change, the history gets no entry.",
        )
        .parameter(contact_id())
        .body::<ConsentChange>(&json!({"status": "opted_out", "note": "asked by phone"}))
        .answer::<ContactView>("The contact.", &contact())
        .finish();
    api.operation(Operation::BlockContact)
        .description("No message at all goes to a blocked contact. Creates the contact where it is unknown.")
        .parameter(contact_id())
        .optional_body::<BlockChange>(&json!({"note": "abusive"}))
        .answer::<ContactView>("The contact.", &contact())
        .finish();
    api.operation(Operation::UnblockContact)
        .description("Lifts the block, and nothing else: somebody who opted out stays opted out.")
        .parameter(contact_id())
        .optional_body::<BlockChange>(&json!({"note": "apologised"}))
        .answer::<ContactView>("The contact.", &contact())
        .problems(&[ProblemKind::UnknownContact])
        .finish();
}

fn describe_batch(api: &mut ApiDocument) {
    api.operation(Operation::ChangeContacts)
        .description(
            "A change that can't be read has the outcome `invalid` and holds up no other.\n\nAn opt-in counts at the time of \
             its evidence; without evidence, from the beginning of time, so that any opt-out wins. A batch never lifts a \
             block or a provider stop. After a 503 the whole batch can be sent again.",
        )
        .body::<Batch>(&json!({"changes": [
            {"id": "+14155550123", "status": "opted_out"},
            {
                "id": "+14155550124", "status": "opted_in",
                "evidence": {"text": "form on the web site", "obtained_at": "2026-11-22T10:00:00Z"}
            }
        ]}))
        .answer::<BatchReport>(
            "A result for each change.",
            &json!({
                "results": [
                    {"id": "+14155550123", "outcome": "changed"}, {"id": "+14155550124", "outcome": "changed"}
                ],
                "counts": {"changed": 2, "unchanged": 0, "refused": 0, "invalid": 0}
            }),
        )
        .finish();
}

fn contact_id() -> Parameter {
    Parameter {
        name: "id",
        location: ParameterLocation::Path,
        description: "Phone number or WhatsApp user id of the contact. A number may also be written as people write it; then \
                      it has to be one that its country knows.",
        schema: json!({
            "type": "string", "pattern": "^(\\+[0-9]{7,15}|[1-9][0-9]{6,14}|[A-Z]{2}\\.(ENT\\.)?[A-Za-z0-9]{1,128})$"
        }),
        example: "+14155550123".into(),
    }
}

fn contact() -> Value {
    json!({
        "id": "+14155550123", "phone": "14155550123", "user_id": "US.13491208655302741918", "name": "Sheena",
        "status": "opted_out", "status_changed_at": "2026-11-22T10:00:00.999Z", "source": "keyword", "blocked": false,
        "provider_stopped": false, "unheeded_opt_out_at": null,
        "can_receive": {"marketing": false, "utility": true, "authentication": true, "service": true}
    })
}

fn event() -> Value {
    json!({
        "id": "wamid.HBgLMTQxNTU1NTAxMjMVAgASGBQzQTdBNUE4QjQ4RjY5RjA3QTYA", "at": "2026-11-22T10:00:00.999Z",
        "received_at": "2026-11-22T10:00:02.120Z", "kind": "opt_out", "effect": "changed", "source": "keyword",
        "by": "customer", "channel": "106540352242922", "words": "Stop!", "keyword": "STOP", "note": null,
        "evidence": null, "reason": null,
        "confirmation": {
            "state": "sent", "text": "You are unsubscribed. Reply START to subscribe again.",
            "message_id": "wamid.HBgLMTQxNTU1NTAxMjMVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA",
            "at": "2026-11-22T10:00:03.500Z", "code": null, "title": null
        }
    })
}
