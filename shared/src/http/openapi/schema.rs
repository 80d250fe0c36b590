//! Schemas of the types whose JSON is a text with rules of its own.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::id::{ChannelId, ContactId, EventId, SecretId, TenantId};
use crate::time::Rfc3339;

/// Gives a type an inline schema.
macro_rules! inline_schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

inline_schema!(Rfc3339, "Time", {"type": "string", "format": "date-time", "pattern": "\\.\\d{3}Z$"});
inline_schema!(ContactId, "ContactId", {
    "type": "string", "pattern": "^(\\+[0-9]{7,15}|[A-Z]{2}\\.(ENT\\.)?[A-Za-z0-9]{1,128})$"
});
inline_schema!(EventId, "EventId", {"type": "string"});
inline_schema!(ChannelId, "ChannelId", {"type": "string", "pattern": "^[0-9]{1,32}$"});
inline_schema!(TenantId, "TenantId", {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,36}$"});
inline_schema!(SecretId, "SecretId", {"type": "string", "pattern": "^[A-Za-z0-9/_+=.@-]{1,512}$"});
