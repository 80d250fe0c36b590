//! The report on a campaign that was sent in batches: the sums of the filter's answer for the list and of the answers for
//! its batches.
//!
//! State machines can't add, so the last step of theirs is this. Every recipient is counted once. Answers that leave a
//! batch out are refused: sums that fit by chance would report messages that were never sent.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::counts::RecipientCounts;
use crate::error::{FieldPath, FilterError};

/// An event with the field that asks for a report.
#[derive(Deserialize)]
struct ReportEvent<'a> {
    #[serde(borrow)]
    report: Option<&'a RawValue>,
}

/// A campaign that was sent, as the state machine knows it.
#[derive(Debug, Deserialize)]
pub(crate) struct SentCampaign {
    /// The filter's answer for the whole list.
    filtered: FilteredList,
    /// The answers for the batches, in their order.
    batches: Vec<BatchAnswer>,
}

/// The fields of the filter's answer for a list that the sums need.
#[derive(Debug, Deserialize)]
struct FilteredList {
    campaign_id: Option<String>,
    total: u64,
    counts: RecipientCounts,
    summary: String,
    batches: BatchCount,
}

/// The number of batches that the list was cut into.
#[derive(Debug, Deserialize)]
struct BatchCount {
    count: u64,
}

/// The answer for a batch, in JSON an array of two numbers.
#[derive(Clone, Copy, Debug, Deserialize)]
struct BatchAnswer(MessageCount, u64);

/// The number of messages of a batch that the sender says it sent. Some senders write a decimal point.
#[derive(Clone, Copy, Debug, Deserialize)]
struct MessageCount(f64);

/// The report on a campaign that was sent. `total` is the sum of `sent`, `failed`, `skipped` and `late_skips`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct CampaignReport {
    /// The caller's name for the campaign.
    pub campaign_id: Option<String>,
    /// The number of all recipients.
    pub total: u64,
    /// Recipients to whom the sender says that it sent.
    pub sent: u64,
    /// Recipients that the sender got, and does not say that it sent to.
    pub failed: u64,
    /// Recipients that were skipped before the first batch.
    pub skipped: u64,
    /// Recipients that were skipped only when their batch was filtered again. Most of them opted out in between.
    pub late_skips: u64,
    /// The numbers of each kind before the first batch.
    pub counts: RecipientCounts,
    /// All of it in words.
    pub summary: String,
}

impl SentCampaign {
    /// Reads an event that asks for a report. `None` for an event that does not.
    ///
    /// # Errors
    /// The event asks for a report of something else. The text quotes nothing.
    pub(crate) fn parse(json: &str) -> Result<Option<Self>, FilterError> {
        // The derived reader would take an array as well, field by field.
        let event = if json.trim_start().starts_with('{') { serde_json::from_str(json).ok() } else { None };
        let Some(report) = event.and_then(|ReportEvent { report }| report) else { return Ok(None) };
        let sent = serde_json::from_str(report.get());
        sent.map(Some).map_err(|_| FieldPath("report").invalid("give the filter's answer and that of every batch"))
    }

    /// Adds up the answers.
    ///
    /// # Errors
    /// The batches are not those of the list, or have more recipients than the list.
    pub(crate) fn report(self) -> Result<CampaignReport, FilterError> {
        let Self { filtered, batches } = self;
        if filtered.batches.count != batches.len() as u64 {
            return Err(FieldPath("report.batches").invalid("give the answer of every batch, once"));
        }
        let late_skips = batches.iter().try_fold(0_u64, |sum, BatchAnswer(_, late)| sum.checked_add(*late));
        let sent = batches.iter().try_fold(0_u64, |sum, BatchAnswer(sent, _)| sum.checked_add(sent.whole()?));
        let eligible = filtered.counts.eligible;
        let failed = sent.zip(late_skips).and_then(|(sent, late)| eligible.checked_sub(sent)?.checked_sub(late));
        let skipped = filtered.total.checked_sub(eligible);
        let (Some(sent), Some(late_skips), Some(failed), Some(skipped)) = (sent, late_skips, failed, skipped) else {
            return Err(FieldPath("report").invalid("there are more recipients in the batches than on the list"));
        };
        let later = [in_words(late_skips, "skipped late"), in_words(failed, "failed")].into_iter().flatten();
        Ok(CampaignReport {
            campaign_id: filtered.campaign_id,
            total: filtered.total,
            sent,
            failed,
            skipped,
            late_skips,
            counts: filtered.counts,
            summary: std::iter::once(filtered.summary).chain(later).collect::<Vec<_>>().join(", "),
        })
    }
}

impl MessageCount {
    /// The number without its fraction, or `None` if no number of messages can be meant.
    fn whole(self) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        (0.0..1e15).contains(&self.0).then_some(self.0 as u64)
    }
}

/// A number of contacts in words, such as `3 contacts skipped late`. `None` for 0.
fn in_words(count: u64, outcome: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 contact {outcome}")),
        _ => Some(format!("{count} contacts {outcome}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn report(batches: &Value) -> Result<CampaignReport, FilterError> {
        let count = batches.as_array().map(Vec::len);
        let filtered = json!({
            "campaign_id": "spring-1", "total": 1000, "summary": "50 contacts skipped (opted-out)",
            "counts": {"eligible": 950, "opted_out": 50, "blocked": 0, "provider_stopped": 0, "not_opted_in": 0,
                       "duplicate": 0, "invalid": 0},
            "eligible": {"bucket": "campaigns", "key": "demo/spring-1/eligible.csv"},
            "batches": {"bucket": "campaigns", "key": "demo/spring-1/batches.json", "count": count},
        });
        read(&filtered, batches)?.report()
    }

    fn read(filtered: &Value, batches: &Value) -> Result<SentCampaign, FilterError> {
        let event = json!({"report": {"filtered": filtered, "batches": batches}});
        Ok(SentCampaign::parse(&event.to_string())?.unwrap())
    }

    #[test]
    fn everybody_is_counted_once() {
        let report = report(&json!([[500, 0], [440, 1], [0, 2]])).unwrap();
        assert_eq!((report.sent, report.failed, report.skipped, report.late_skips), (940, 7, 50, 3));
        assert_eq!(report.total, report.sent + report.failed + report.skipped + report.late_skips);
        assert_eq!(report.summary, "50 contacts skipped (opted-out), 3 contacts skipped late, 7 contacts failed");
        assert_eq!(report.counts.opted_out, 50);
    }

    #[test]
    fn what_did_not_happen_is_not_in_the_summary() {
        assert_eq!(report(&json!([[950, 0]])).unwrap().summary, "50 contacts skipped (opted-out)");
        let one = report(&json!([[949.0, 1]])).unwrap();
        assert_eq!(one.summary, "50 contacts skipped (opted-out), 1 contact skipped late");
        assert_eq!(report(&json!([])).unwrap().failed, 950, "nobody says that they were sent");
    }

    #[test]
    fn batches_that_are_not_those_of_the_list_are_no_report() {
        for batches in [
            json!([[500, 0], null]),
            json!([[500, 0], 450]),
            json!([[-1, 0]]),
            json!([["950", 0]]),
            json!([[950, 1]]),
            json!([[1e300, 0]]),
            json!([[0, u64::MAX], [0, 1]]),
        ] {
            assert!(matches!(report(&batches), Err(FilterError::InvalidCampaign(_))), "{batches}");
        }
        let counts = json!({"eligible": 1, "opted_out": 0, "blocked": 0, "provider_stopped": 0, "not_opted_in": 0,
                            "duplicate": 0, "invalid": 0});
        let filtered = json!({"total": 1, "counts": counts, "summary": "", "batches": {"count": 2}});
        assert!(read(&filtered, &json!([[1, 0]])).unwrap().report().is_err());
        assert!(read(&json!({}), &json!([])).is_err());
    }

    #[test]
    fn a_campaign_asks_for_no_report() {
        for event in [r#"{"tenant_id": "demo", "contacts": []}"#, r#"{"report": null}"#, "[]", "no JSON"] {
            assert!(SentCampaign::parse(event).unwrap().is_none(), "{event}");
        }
    }

    /// Step Functions carries 256 KiB from state to state.
    #[test]
    fn twenty_thousand_answers_fit_between_two_states() {
        let batches = vec![json!([4_999, 5_000]); 20_000];
        assert!(json!(batches).to_string().len() < 256 * 1024 - 4096);
    }
}
