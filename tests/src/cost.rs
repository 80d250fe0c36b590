//! The cost of filtering a campaign, counted on the real calls, and the cost of the two plain ways to do it.

use std::collections::BTreeMap;

use consent::id::{ContactId, Shard};
use dynoxide::{AttributeValue, ImportOptions, Item};
use serde_json::json;

use crate::World;

/// Read units and calls of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Read units.
    pub units: f64,
    /// Calls.
    pub calls: usize,
}

impl Cost {
    /// Looking up so many recipients: a strongly consistent read of a small item is a unit, whether there is one or not.
    pub fn of_lookup(recipients: usize) -> Self {
        Self { units: float(recipients), calls: recipients.div_ceil(100) }
    }

    /// Reading the list between the first and the last recipient of each shard: a unit for every 4 KiB of a page, pages of
    /// a mebibyte, a unit at least.
    pub fn of_list(recipients: &[ContactId], listed: &[ContactId]) -> Self {
        let mut spans: BTreeMap<Shard, (&ContactId, &ContactId, usize)> = BTreeMap::new();
        for id in recipients {
            let span = spans.entry(id.shard()).or_insert((id, id, 0));
            *span = (span.0.min(id), span.1.max(id), 0);
        }
        for id in listed {
            if let Some((first, last, bytes)) = spans.get_mut(&id.shard())
                && (*first..=*last).contains(&id)
            {
                *bytes += "pkskr".len() + "T#demo#S#0".len() + id.as_str().len() + 1;
            }
        }
        let pages = |bytes: usize| (bytes.div_ceil(PAGE).max(1), bytes.div_ceil(UNIT).max(1));
        let each = spans.values().map(|(.., bytes)| pages(*bytes));
        each.fold(Self { units: 0.0, calls: 0 }, |all, (calls, units)| Self {
            units: all.units + float(units),
            calls: all.calls + calls,
        })
    }

    /// Whichever of the two costs fewer units.
    pub fn cheaper(self, other: Self) -> Self {
        if self.units <= other.units { self } else { other }
    }

    /// The most that filtering may cost where this is the cheaper way: settings and a small look come on top.
    pub fn allowed(self) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "calls are few")]
        let calls = (float(self.calls) * 1.02) as usize + 3;
        Self { units: self.units * 1.05 + 4.0, calls }
    }
}

const UNIT: usize = 4096;
const PAGE: usize = 1024 * 1024;

/// The numbers of so many people, spread over the country.
pub fn people(count: usize, seed: usize) -> Vec<ContactId> {
    let number = |index: usize| (index * 618_033 + seed * 7_654_321) % 1_000_000_007 + 12_000_000_000;
    (0..count).map(|index| format!("+{}", number(index)).parse().unwrap()).collect()
}

/// Puts people on the demo tenant's suppression list, as if they had opted out.
pub fn suppress(world: &World, people: &[ContactId]) {
    let text = |text: String| AttributeValue::S(text);
    let item = |id: &ContactId| {
        let pk = format!("T#demo#S#{}", id.shard());
        Item::from(
            [("pk", pk), ("sk", id.to_string()), ("r", "O".to_owned())]
                .map(|(name, value)| (name.to_owned(), text(value))),
        )
    };
    let database = world.system.engine().unwrap().database();
    database.import_items(local::TABLE, people.iter().map(item).collect(), ImportOptions::default()).unwrap();
}

/// Filters a campaign for these people and returns the cost. `listed` are those on the suppression list.
pub async fn filter(world: &World, recipients: &[ContactId], listed: &[ContactId]) -> Cost {
    let contacts: Vec<&str> = recipients.iter().map(ContactId::as_str).collect();
    world.calls.reset();
    let campaign = json!({"tenant_id": "demo", "category": "marketing", "contacts": contacts});
    let report = world.filter(&campaign).await.unwrap();
    let listed: std::collections::HashSet<&ContactId> = listed.iter().collect();
    let expected = recipients.iter().filter(|id| listed.contains(id)).count();
    assert_eq!(report["counts"]["opted_out"], expected);
    Cost { units: world.calls.read_units(), calls: world.calls.total() }
}

#[expect(clippy::cast_precision_loss, reason = "far below what a f64 counts exactly")]
fn float(count: usize) -> f64 {
    count as f64
}
