//! The error of the function, and the names that a state machine knows its kinds by.

use consent::store::StoreError;
use lambda_runtime::Diagnostic;

/// A campaign could not be filtered, so no message of it may be sent. No text quotes an id: texts end up in logs.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The event is no valid campaign, or its list is no valid list. The same event always fails.
    #[error("{0}")]
    InvalidCampaign(String),
    /// The table did not answer. A later try can succeed.
    #[error(transparent)]
    StoreUnavailable(StoreError),
    /// An item of the table can't be read: it is broken, or a later version wrote it. The same event keeps failing until
    /// the item or the function changes. The campaign is not at fault.
    #[error(transparent)]
    StoreUnreadable(StoreError),
    /// A list could not be read or written. A later try can succeed.
    #[error("{0}")]
    ObjectUnavailable(String),
    /// The list takes more time than the function has. The same event always fails; smaller parts of the list succeed.
    #[error("the time is too short for this list: split it")]
    OutOfTime,
}

impl FilterError {
    /// An error that the caller can mend by changing the event.
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::InvalidCampaign(text.into())
    }
}

impl From<StoreError> for FilterError {
    fn from(error: StoreError) -> Self {
        if error.may_pass() { Self::StoreUnavailable(error) } else { Self::StoreUnreadable(error) }
    }
}

/// Lambda answers with the variant's name as `errorType`, which the `Retry` and `Catch` of a state machine name:
/// <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>.
impl From<FilterError> for Diagnostic {
    fn from(error: FilterError) -> Self {
        let error_type = match error {
            FilterError::InvalidCampaign(_) => "InvalidCampaign",
            FilterError::StoreUnavailable(_) => "StoreUnavailable",
            FilterError::StoreUnreadable(_) => "StoreUnreadable",
            FilterError::ObjectUnavailable(_) => "ObjectUnavailable",
            FilterError::OutOfTime => "OutOfTime",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

/// The path of a field of the event, such as `source.bucket`. Error texts begin with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldPath(pub(crate) &'static str);

impl FieldPath {
    /// An error about this field. `problem` says what is wrong, or what to give instead.
    pub(crate) fn invalid(self, problem: &str) -> FilterError {
        FilterError::InvalidCampaign(format!("{}: {problem}", self.0))
    }
}
