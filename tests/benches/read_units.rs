//! Prints what filtering a campaign of N recipients costs where S people are on the suppression list: read units and
//! calls, as counted on the real calls, against the cheaper of looking everybody up and reading the whole list.

use consent::id::ContactId;
use tests::World;
use tests::cost::{self, Cost};

const RECIPIENTS: [usize; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];
const SUPPRESSED: [usize; 4] = [0, 1_000, 50_000, 1_000_000];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("{:>9} {:>9}  {:>10} {:>7}  {:>10} {:>7}  {:>5}", "N", "S", "units", "calls", "least", "calls", "ratio");
    let mut within = true;
    for suppressed in SUPPRESSED {
        let world = World::start().await;
        let listed: Vec<ContactId> = cost::people(suppressed, 1);
        cost::suppress(&world, &listed);
        for count in RECIPIENTS {
            let recipients = cost::people(count, 2);
            let least = Cost::of_lookup(count).cheaper(Cost::of_list(&recipients, &listed));
            let cost = cost::filter(&world, &recipients, &listed).await;
            let allowed = least.allowed();
            within &= cost.units <= allowed.units && cost.calls <= allowed.calls;
            println!(
                "{count:>9} {suppressed:>9}  {:>10} {:>7}  {:>10} {:>7}  {:>5.3}",
                cost.units,
                cost.calls,
                least.units,
                least.calls,
                cost.units / least.units
            );
        }
    }
    assert!(within, "more than 1.05 times the cheaper way and 4 units, or 1.02 times its calls and 3");
}
