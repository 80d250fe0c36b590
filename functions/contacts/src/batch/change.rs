//! One change of a batch, as it was given.

use consent::event::Evidence;
use consent::http::Fields;
use consent::id::InvalidContactId;
use consent::settings::FieldError;
use consent::time::{InvalidTime, Time};
use serde_json::{Map, Value};

use crate::named::Named;
use crate::switch::Consent;

/// Characters of an evidence's text, at most.
pub(crate) const MAX_EVIDENCE: usize = 1_000;

/// A change of one contact.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct BatchChange {
    /// Phone number or WhatsApp user id of the contact. A number may be written as people write it, or be an integer.
    #[cfg_attr(feature = "openapi", schemars(rename = "id", schema_with = "id_schema"))]
    pub named: Named,
    /// Consent to set.
    #[cfg_attr(feature = "openapi", schemars(rename = "status"))]
    pub consent: Consent,
    /// Proof of a consent that was given outside of this system. An opt-in counts at its time.
    #[cfg_attr(feature = "openapi", schemars(default, schema_with = "evidence_schema"))]
    pub evidence: Option<Evidence>,
}

/// A change that can't be read.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidChange {
    /// The id as it was given; null for none.
    pub id: Value,
    /// The fault and how to mend it.
    pub detail: String,
}

impl BatchChange {
    /// Reads a change.
    pub fn read(given: Value, now: Time) -> Result<Self, InvalidChange> {
        let Value::Object(object) = given else {
            let detail = "the change does not fit: give an object with `id` and `status`".to_owned();
            return Err(InvalidChange { id: Value::Null, detail });
        };
        let id = object.get("id").cloned().unwrap_or_default();
        Self::from_object(object, now).map_err(|errors| InvalidChange { id, detail: told(&errors) })
    }

    fn from_object(object: Map<String, Value>, now: Time) -> Result<Self, Vec<FieldError>> {
        Fields::new(object).make(|fields| {
            let named = named(fields);
            let consent = Consent::read(fields);
            let evidence = fields.optional_object("evidence", |fields| evidence(fields, now));
            Some(Self { named: named?, consent: consent?, evidence })
        })
    }
}

fn named(fields: &mut Fields) -> Option<Named> {
    let expected = "a phone number or a WhatsApp user id";
    let id = match fields.required("id", expected)? {
        Value::String(text) => text,
        // A number without quotes. If it is not a whole number, parsing refuses it.
        Value::Number(number) => number.to_string(),
        _ => {
            fields.refuse("id", format!("does not fit: give {expected}"));
            return None;
        }
    };
    id.parse().map_err(|error: InvalidContactId| fields.refuse("id", error.to_string())).ok()
}

fn evidence(fields: &mut Fields, now: Time) -> Option<Evidence> {
    let text = evidence_text(fields);
    let obtained_at = obtained_at(fields, now);
    Some(Evidence { text: text?, obtained_at: obtained_at? })
}

fn evidence_text(fields: &mut Fields) -> Option<String> {
    let text: String = fields.required("text", "how and where the consent was given")?;
    let length = text.chars().count();
    if text.trim().is_empty() || length > MAX_EVIDENCE {
        fields.refuse(
            "text",
            format!("has {length} characters: say in 1 to {MAX_EVIDENCE} how and where the consent was given"),
        );
        return None;
    }
    Some(text)
}

fn obtained_at(fields: &mut Fields, now: Time) -> Option<Time> {
    let text: String = fields.required("obtained_at", "when the consent was given, as RFC 3339")?;
    let time: Time = text.parse().map_err(|error: InvalidTime| fields.refuse("obtained_at", error.to_string())).ok()?;
    if !(Time::default()..=now).contains(&time) {
        fields.refuse("obtained_at", "lies in the future or before 1970: give the time at which the consent was given");
        return None;
    }
    Some(time)
}

fn told(errors: &[FieldError]) -> String {
    errors.iter().map(|error| format!("{}: {}", error.field, error.detail)).collect::<Vec<_>>().join("; ")
}

/// The schema of the id of a change.
#[cfg(feature = "openapi")]
fn id_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": ["string", "integer"]})
}

/// The schema of the evidence of a change.
#[cfg(feature = "openapi")]
fn evidence_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": ["object", "null"],
        "required": ["text", "obtained_at"],
        "additionalProperties": false,
        "properties": {
            "text": {
                "type": "string", "minLength": 1, "maxLength": MAX_EVIDENCE,
                "description": "Way and place of giving the consent."
            },
            "obtained_at": {
                "type": "string", "format": "date-time", "description": "Time of giving the consent: not in the future."
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Time = Time::from_millis(1_795_341_600_000);

    fn faults(given: Value) -> Vec<String> {
        let Value::Object(object) = given else { panic!("no object") };
        BatchChange::from_object(object, NOW).unwrap_err().into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn a_change_is_read_with_its_evidence() {
        let change = BatchChange::read(
            json!({
                "id": "+1 (415) 555-0123", "status": "opted_in",
                "evidence": {"text": "paper form", "obtained_at": "2026-11-22T10:00:00Z"}
            }),
            NOW,
        )
        .unwrap();
        assert_eq!(change.named.id.as_str(), "+14155550123");
        assert_eq!(change.consent, Consent::OptedIn);
        assert_eq!(change.evidence, Some(Evidence { text: "paper form".into(), obtained_at: NOW }));
    }

    #[test]
    fn a_number_without_quotes_is_read() {
        let change = BatchChange::read(json!({"id": 14_155_550_123_u64, "status": "opted_out"}), NOW).unwrap();
        assert_eq!(change.named.id.as_str(), "+14155550123");
    }

    #[test]
    fn every_fault_is_named_by_its_field() {
        let cases = [
            (json!({}), vec!["id", "status"]),
            (json!({"id": null, "status": "unknown", "note": "x"}), vec!["id", "status", "note"]),
            (json!({"id": 14_155_550_123.0_f64, "status": "opted_out"}), vec!["id"]),
            (json!({"id": "020 7946", "status": "opted_out"}), vec!["id"]),
            (json!({"id": "14155550123", "status": "opted_in", "evidence": "yes"}), vec!["evidence"]),
            (
                json!({"id": "14155550123", "status": "opted_in", "evidence": {"text": " ", "by": "me"}}),
                vec!["evidence.text", "evidence.obtained_at", "evidence.by"],
            ),
        ];
        for (given, named) in cases {
            assert_eq!(faults(given.clone()), named, "{given}");
        }
    }

    #[test]
    fn evidence_is_not_of_the_future() {
        for time in ["2026-11-22T10:00:00.001Z", "1969-12-31T23:59:59Z", "yesterday", "2026-11-22"] {
            let evidence = json!({"text": "paper form", "obtained_at": time});
            assert_eq!(
                faults(json!({"id": "14155550123", "status": "opted_in", "evidence": evidence})),
                ["evidence.obtained_at"],
                "{time}"
            );
        }
    }

    #[test]
    fn an_id_that_cannot_be_read_is_given_back_as_it_was() {
        for (given, id) in [
            (json!({"id": "nobody", "status": "opted_out"}), json!("nobody")),
            (json!({"id": [1], "status": "opted_out"}), json!([1])),
            (json!({"status": "opted_out"}), Value::Null),
            (json!("+14155550123"), Value::Null),
        ] {
            assert_eq!(BatchChange::read(given, NOW).unwrap_err().id, id);
        }
    }
}
