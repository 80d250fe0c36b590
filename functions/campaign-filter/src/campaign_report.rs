//! What became of a campaign that was sent in batches: adds up what the list's filter and each batch answered.
//!
//! The state machine has no sums, so its last step is this. Every recipient is counted once, and an answer that leaves a
//! batch out is none: a report that adds up by chance would say that somebody was written to who was not.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::FilterError;
use crate::report::Counts;

/// The event that asks for a report has this in place of a campaign.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    report: Option<&'a RawValue>,
}

/// A campaign that was sent, as the state machine knows it.
#[derive(Debug, Deserialize)]
pub struct Sent {
    /// What the filter answered for the whole list.
    filtered: Filtered,
    /// What became of each batch, in their order.
    batches: Vec<Outcome>,
}

/// The part of that answer that counts here.
#[derive(Debug, Deserialize)]
struct Filtered {
    campaign_id: Option<String>,
    total: u64,
    counts: Counts,
    summary: String,
    batches: Batches,
}

/// The batches that were made of the list.
#[derive(Debug, Deserialize)]
struct Batches {
    count: u64,
}

/// What became of a batch: to how many the sender says that it sent, and how many were skipped late. A sender may write its
/// numbers with a decimal point.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Outcome(f64, u64);

/// What became of a campaign. The total is the sum of `sent`, `failed`, `skipped` and `late_skips`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct CampaignReport {
    /// What the caller calls the campaign.
    pub campaign_id: Option<String>,
    /// All recipients.
    pub total: u64,
    /// Those to whom the sender says that it sent.
    pub sent: u64,
    /// Those who were handed to the sender, and of whom it does not say so.
    pub failed: u64,
    /// Those whom the filter skipped before the first batch.
    pub skipped: u64,
    /// Those whom it skipped when their batch's turn came: most of them opted out in between.
    pub late_skips: u64,
    /// Why they were skipped before the first batch.
    pub counts: Counts,
    /// All of it for people to read.
    pub summary: String,
}

impl Sent {
    /// Reads an event that asks for a report. `None` is one that does not.
    ///
    /// # Errors
    /// It asks, but gives something else to report. The message quotes nothing.
    pub fn parse(json: &str) -> Result<Option<Self>, FilterError> {
        // An array would do as well for the reader of objects, field by field.
        let asked = if json.trim_start().starts_with('{') { serde_json::from_str(json).ok() } else { None };
        let Some(report) = asked.and_then(|Asked { report }| report) else { return Ok(None) };
        let sent = serde_json::from_str(report.get());
        sent.map(Some).map_err(|_| invalid("report: give the filter's answer and that of every batch"))
    }

    /// Adds it up.
    ///
    /// # Errors
    /// The batches are not those of the list, or there are more recipients in them than the list has.
    pub fn report(self) -> Result<CampaignReport, FilterError> {
        let Self { filtered, batches } = self;
        if filtered.batches.count != batches.len() as u64 {
            return Err(invalid("report.batches: give the answer of every batch, once"));
        }
        let late_skips = batches.iter().try_fold(0_u64, |sum, batch| sum.checked_add(batch.1));
        let sent = batches.iter().try_fold(0_u64, |sum, batch| sum.checked_add(batch.sent()?));
        let eligible = filtered.counts.eligible;
        let failed = sent.zip(late_skips).and_then(|(sent, late)| eligible.checked_sub(sent)?.checked_sub(late));
        let skipped = filtered.total.checked_sub(eligible);
        let (Some(sent), Some(late_skips), Some(failed), Some(skipped)) = (sent, late_skips, failed, skipped) else {
            return Err(invalid("report: there are more recipients in the batches than on the list"));
        };
        Ok(CampaignReport {
            campaign_id: filtered.campaign_id,
            total: filtered.total,
            sent,
            failed,
            skipped,
            late_skips,
            counts: filtered.counts,
            summary: summary(filtered.summary, late_skips, failed),
        })
    }
}

impl Outcome {
    /// Whole messages; nothing where it is no number of messages at all.
    fn sent(self) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        (0.0..1e15).contains(&self.0).then_some(self.0 as u64)
    }
}

/// The filter's summary, and what came after it where anything did.
fn summary(filtered: String, late_skips: u64, failed: u64) -> String {
    let after = [(late_skips, "skipped late"), (failed, "failed")].into_iter().filter(|(count, _)| *count > 0);
    let after = after.map(|(count, what)| match count {
        1 => format!("1 contact {what}"),
        _ => format!("{count} contacts {what}"),
    });
    std::iter::once(filtered).chain(after).collect::<Vec<_>>().join(", ")
}

fn invalid(why: &str) -> FilterError {
    FilterError::InvalidCampaign(why.to_owned())
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

    fn read(filtered: &Value, batches: &Value) -> Result<Sent, FilterError> {
        let event = json!({"report": {"filtered": filtered, "batches": batches}});
        Ok(Sent::parse(&event.to_string())?.unwrap())
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
            assert!(Sent::parse(event).unwrap().is_none(), "{event}");
        }
    }

    /// Step Functions carries 256 KiB from state to state.
    #[test]
    fn twenty_thousand_answers_fit_between_two_states() {
        let batches = vec![json!([4_999, 5_000]); 20_000];
        assert!(json!(batches).to_string().len() < 256 * 1024 - 4096);
    }
}
