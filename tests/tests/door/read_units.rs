//! That filtering a campaign costs little more than the cheaper of looking everybody up and reading the whole list. The
//! full table takes minutes: `cargo bench -p tests --bench read_units` prints it.

use tests::World;
use tests::cost::{self, Cost};

#[tokio::test]
async fn filtering_costs_little_more_than_the_cheaper_way() {
    for suppressed in [0, 1_000, 20_000] {
        let world = World::start().await;
        let listed = cost::people(suppressed, 1);
        cost::suppress(&world, &listed);
        for count in [1, 2, 10, 16, 25, 60, 100, 1_000, 5_000] {
            let mut recipients = cost::people(count, 2);
            // Some of them have opted out.
            recipients.extend(listed.iter().step_by(97).take(count / 10).cloned());
            let way = Cost::of_lookup(recipients.len()).cheaper(Cost::of_list(&recipients, &listed));
            let cost = cost::filter(&world, &recipients, &listed).await;
            let allowed = way.allowed();
            assert!(cost.units <= allowed.units, "{count} of {suppressed}: {cost:?}, {allowed:?}");
            assert!(cost.calls <= allowed.calls, "{count} of {suppressed}: {cost:?}, {allowed:?}");
        }
    }
}

#[tokio::test]
async fn a_batch_that_stands_close_together_reads_only_its_part_of_the_list() {
    let world = World::start().await;
    let mut listed = cost::people(20_000, 1);
    cost::suppress(&world, &listed);
    listed.sort();
    let recipients: Vec<_> = listed[5_000..5_200].to_vec();
    let cost = cost::filter(&world, &recipients, &listed).await;
    let way = Cost::of_list(&recipients, &listed);
    assert!(way.units < 20.0, "{way:?}");
    assert!(cost.units <= way.allowed().units && cost.calls <= way.allowed().calls, "{cost:?}, {way:?}");
}
