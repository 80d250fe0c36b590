//! The part of an id's history that is one person's.

use crate::id::ContactId;
use crate::time::Time;

/// A span of the history of an id. Events outside of it are another person's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySpan {
    /// The id.
    pub id: ContactId,
    /// The moment before the span begins, if it has a beginning.
    pub after: Option<Time>,
    /// The last moment of the span, if it has an end.
    pub until: Option<Time>,
}

impl HistorySpan {
    /// The part of the span that is not newer than a time.
    #[must_use]
    pub fn up_to(self, time: Time) -> Self {
        Self { until: Some(self.until.map_or(time, |until| until.min(time))), ..self }
    }

    /// Whether a time is within the span.
    #[must_use]
    pub fn holds(&self, at: Time) -> bool {
        self.after.is_none_or(|after| at > after) && self.until.is_none_or(|until| at <= until)
    }
}
