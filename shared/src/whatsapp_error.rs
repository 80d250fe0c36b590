//! Error codes of WhatsApp's Cloud API that the system acts on, as answers to a message and its status updates carry them.
//!
//! Source of all: <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>, and of
//! those below 200 <https://developers.facebook.com/docs/graph-api/guides/error-handling>.

/// `AuthException`: the access token is missing or not accepted.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>
pub const AUTH: i64 = 0;

/// Unknown error of the API: it may pass.
/// <https://developers.facebook.com/docs/graph-api/guides/error-handling>
pub const API_UNKNOWN: i64 = 1;

/// The service is down or overloaded for a while.
/// <https://developers.facebook.com/docs/graph-api/guides/error-handling>
pub const API_SERVICE: i64 = 2;

/// The app has made too many calls.
/// <https://developers.facebook.com/docs/graph-api/overview/rate-limiting>
pub const TOO_MANY_CALLS: i64 = 4;

/// The access token has expired, or was revoked.
/// <https://developers.facebook.com/docs/graph-api/guides/error-handling>
pub const TOKEN_EXPIRED: i64 = 190;

/// The business account has reached its rate limit.
/// <https://developers.facebook.com/docs/graph-api/overview/rate-limiting>
pub const RATE_LIMIT: i64 = 80_007;

/// The number has reached its throughput.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/overview#throughput>
pub const THROUGHPUT: i64 = 130_429;

/// An error that WhatsApp has no explanation for.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>
pub const UNKNOWN: i64 = 131_000;

/// A service of WhatsApp's is unavailable for a while.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>
pub const SERVICE_UNAVAILABLE: i64 = 131_016;

/// The customer has stopped marketing messages of this business with WhatsApp's own control: a provider stop.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>
pub const STOPPED_MARKETING: i64 = 131_050;

/// Too many messages from one number to one person in a short time.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>
pub const PAIR_LIMIT: i64 = 131_056;

/// The business account is in maintenance.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>
pub const ACCOUNT_MAINTENANCE: i64 = 131_057;

/// The server is unavailable for a while.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>
pub const SERVER_UNAVAILABLE: i64 = 133_004;

/// True if an error passes, so that the same message may go out later: limits of throughput and rate, maintenance, and
/// what WhatsApp has no explanation for.
#[must_use]
pub const fn may_pass(code: i64) -> bool {
    matches!(
        code,
        API_UNKNOWN
            | API_SERVICE
            | TOO_MANY_CALLS
            | RATE_LIMIT
            | THROUGHPUT
            | UNKNOWN
            | SERVICE_UNAVAILABLE
            | PAIR_LIMIT
            | ACCOUNT_MAINTENANCE
            | SERVER_UNAVAILABLE
    )
}

/// True if an error says that the access token is not, or no longer, good.
#[must_use]
pub const fn refuses_token(code: i64) -> bool {
    matches!(code, AUTH | TOKEN_EXPIRED)
}
