//! The kinds of problems that the API tells of. Programs go by them; their words are for people.

use axum::http::StatusCode;

/// A kind of problem, with one status and one stable URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// A request that needs a body has none.
    MissingBody,
    /// A body is not JSON, not an object, or broken off.
    MalformedBody,
    /// A query can't be read.
    MalformedQuery,
    /// No token, or one that names no tenant.
    MissingTenant,
    /// A webhook without a well-formed signature.
    MissingSignature,
    /// A webhook that no secret signed.
    InvalidSignature,
    /// A webhook signed by another app than its channel's.
    ForeignChannel,
    /// No route has the path.
    UnknownPath,
    /// Nothing is known of the contact.
    UnknownContact,
    /// The path has no such method.
    MethodNotAllowed,
    /// The channel is another tenant's.
    ChannelTaken,
    /// `If-Match` names a version that was replaced.
    StaleVersion,
    /// The body is too large.
    BodyTooLarge,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// Fields of body, path or query do not hold.
    InvalidFields,
    /// A defect, or an item of the table that can't be read.
    Internal,
    /// A webhook was not carried out, or not all of it.
    Incomplete,
    /// The table did not answer.
    Unavailable,
    /// A webhook on a channel that nobody registered.
    UnregisteredChannel,
}

impl ProblemKind {
    /// The beginning of every kind's URI.
    pub const NAMESPACE: &str = "urn:opt-in-out:problem:";

    /// All kinds, by status.
    pub const ALL: [Self; 19] = [
        Self::MissingBody,
        Self::MalformedBody,
        Self::MalformedQuery,
        Self::MissingTenant,
        Self::MissingSignature,
        Self::InvalidSignature,
        Self::ForeignChannel,
        Self::UnknownPath,
        Self::UnknownContact,
        Self::MethodNotAllowed,
        Self::ChannelTaken,
        Self::StaleVersion,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidFields,
        Self::Internal,
        Self::Incomplete,
        Self::Unavailable,
        Self::UnregisteredChannel,
    ];

    /// The stable URI that a problem document has as its `type`, for example `urn:opt-in-out:problem:unknown-contact`.
    #[must_use]
    pub fn uri(self) -> String {
        format!("{}{}", Self::NAMESPACE, self.name())
    }

    /// The status of an answer that tells of the problem.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::MissingBody | Self::MalformedBody | Self::MalformedQuery => StatusCode::BAD_REQUEST,
            Self::MissingTenant | Self::MissingSignature | Self::InvalidSignature | Self::ForeignChannel => {
                StatusCode::UNAUTHORIZED
            }
            Self::UnknownPath | Self::UnknownContact => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::ChannelTaken => StatusCode::CONFLICT,
            Self::StaleVersion => StatusCode::PRECONDITION_FAILED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidFields => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal | Self::Incomplete => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable | Self::UnregisteredChannel => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// When the problem occurs, and what helps: a line of the API's document.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::MissingBody => "The request needs a body: send a JSON object.",
            Self::MalformedBody => "The body is not JSON, is no object, or broke off.",
            Self::MalformedQuery => "The query can't be read.",
            Self::MissingTenant => "The request has no token, or one that names no tenant.",
            Self::MissingSignature => "`X-Hub-Signature-256` is missing, or not `sha256=` and 64 hex digits.",
            Self::InvalidSignature => "No secret of ours signed the body.",
            Self::ForeignChannel => "Another app than the channel's signed the body. Updates of its own were applied.",
            Self::UnknownPath => "There is nothing at this path.",
            Self::UnknownContact => "Nothing is known of the contact.",
            Self::MethodNotAllowed => "The path does not have the method. `Allow` names those that it has.",
            Self::ChannelTaken => {
                "Another tenant holds the channel, or gave it back less than two minutes ago. Nothing was changed."
            }
            Self::StaleVersion => "`If-Match` names a version that was replaced: read again, then send again.",
            Self::BodyTooLarge => "The body is too large.",
            Self::UnsupportedMediaType => "The body is not declared as `Content-Type: application/json`.",
            Self::InvalidFields => "Fields of body, path or query do not hold. `errors` names each of them.",
            Self::Internal => "The request was not carried out. Sending it again does not help.",
            Self::Incomplete => "The webhook was not carried out, or not all of it: deliver it again.",
            Self::Unavailable => "The request was not carried out, or not all of it: send it again.",
            Self::UnregisteredChannel => "The channel is not registered. All else was applied: deliver it again.",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::MissingBody => "missing-body",
            Self::MalformedBody => "malformed-body",
            Self::MalformedQuery => "malformed-query",
            Self::MissingTenant => "missing-tenant",
            Self::MissingSignature => "missing-signature",
            Self::InvalidSignature => "invalid-signature",
            Self::ForeignChannel => "foreign-channel",
            Self::UnknownPath => "unknown-path",
            Self::UnknownContact => "unknown-contact",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::ChannelTaken => "channel-taken",
            Self::StaleVersion => "stale-version",
            Self::BodyTooLarge => "body-too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::InvalidFields => "invalid-fields",
            Self::Internal => "internal",
            Self::Incomplete => "incomplete",
            Self::Unavailable => "unavailable",
            Self::UnregisteredChannel => "unregistered-channel",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_uri_of_its_own_and_they_stand_by_status() {
        let uris: BTreeSet<String> = ProblemKind::ALL.into_iter().map(ProblemKind::uri).collect();
        assert_eq!(uris.len(), ProblemKind::ALL.len());
        assert!(ProblemKind::ALL.is_sorted_by_key(|kind| kind.status().as_u16()));
    }
}
