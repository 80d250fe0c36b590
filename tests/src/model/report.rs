//! The campaign filter's report: what it says, and whether it adds up.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::Value;

use super::history::Id;
use super::rules::Reason;

/// The name of each reason in a report.
const REASONS: [(Reason, &str); 3] =
    [(Reason::Blocked, "blocked"), (Reason::ProviderStopped, "provider_stopped"), (Reason::OptedOut, "opted_out")];

/// The reason for each skipped id, from a report on all ids.
///
/// # Errors
/// The report does not add up.
pub(super) fn skipped(report: &Value) -> Result<BTreeMap<Id, Reason>, String> {
    let entries = report["skipped"].as_array().into_iter().flatten();
    let skipped: Option<BTreeMap<Id, Reason>> = entries.map(entry).collect();
    let skipped = skipped.ok_or_else(|| format!("the filter skips somebody for no known reason: {report}"))?;
    let count = |reason: Reason| skipped.values().filter(|skipped| **skipped == reason).count();
    let eligible = Id::all().count() - skipped.len();
    let adds_up = report["total"] == Id::all().count()
        && report["eligible"].as_array().is_some_and(|contacts| contacts.len() == eligible)
        && report["counts"]["eligible"] == eligible
        && REASONS.iter().all(|(reason, name)| report["counts"][name] == count(*reason))
        && report["summary"] == summary(REASONS.map(|(reason, name)| (count(reason), name)));
    if adds_up { Ok(skipped) } else { Err(format!("the filter's report does not add up: {report}")) }
}

fn entry(entry: &Value) -> Option<(Id, Reason)> {
    let id = Id::all().find(|id| entry["contact"] == id.shown())?;
    let (reason, _) = REASONS.into_iter().find(|(_, name)| entry["reason"] == *name)?;
    Some((id, reason))
}

/// Most first; of equally many, in the order of the reasons.
fn summary(mut counts: [(usize, &str); 3]) -> String {
    counts.sort_by_key(|(count, _)| Reverse(*count));
    let skipped = counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| {
        let contacts = if *count == 1 { "contact" } else { "contacts" };
        format!("{count} {contacts} skipped ({})", name.replace('_', "-"))
    });
    let skipped: Vec<String> = skipped.collect();
    if skipped.is_empty() { "0 contacts skipped".to_owned() } else { skipped.join(", ") }
}
