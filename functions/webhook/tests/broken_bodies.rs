//! Bodies with a good signature and broken JSON: the quick form of the fuzz target in `fuzz/`.

mod properties;

use fastrand::Rng;
use properties::{bodies, hold};

/// Number of broken copies of each body.
const COPIES: usize = 40;

/// Fragments that break a body in ways that random bytes hardly find.
const SPLINTERS: [&[u8]; 8] = [br"\ud83d", br"\udd91", br"\", b"1e999", b"null,", b"[[[[[[[[", b"\"},{\"", b"\xff\xfe"];

#[test]
fn every_event_of_the_corpus_can_be_read() {
    let bodies = bodies();
    assert!(bodies.len() > 100, "only {} bodies", bodies.len());
    for (case, body) in bodies {
        assert!(webhook::reading(&body).is_some(), "{case}");
        hold(&body);
    }
}

#[test]
fn a_body_broken_anywhere_is_read_the_same_way_twice_or_not_at_all() {
    let bodies = bodies();
    let mut random = Rng::with_seed(131_050);
    for (_, body) in &bodies {
        for _ in 0..COPIES {
            let other = &bodies[random.usize(..bodies.len())].1;
            hold(&broken(&mut random, body.clone(), other));
        }
    }
}

#[test]
fn nesting_without_end_is_no_way_to_stop_the_reading() {
    for depth in [100, 1_000, 100_000] {
        for (opening, closing) in [("[", "]"), (r#"{"entry":"#, "}"), (r#"{"entry":[{"changes":["#, "]}]}")] {
            hold(format!("{}0{}", opening.repeat(depth), closing.repeat(depth)).as_bytes());
            hold(opening.repeat(depth).as_bytes());
        }
    }
}

/// A copy that is broken in one to four places.
fn broken(random: &mut Rng, mut body: Vec<u8>, other: &[u8]) -> Vec<u8> {
    for _ in 0..random.usize(1..=4) {
        let place = random.usize(..=body.len());
        match random.u8(..6) {
            0 => body.truncate(place),
            1 => drop(body.drain(..place)),
            2 => body.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << random.u8(..8)),
            3 => insert(&mut body, place, SPLINTERS[random.usize(..SPLINTERS.len())]),
            4 => insert(&mut body, place, &other[random.usize(..other.len())..]),
            _ => drop(body.drain(place..(place + random.usize(1..20)).min(body.len()))),
        }
    }
    body
}

fn insert(body: &mut Vec<u8>, place: usize, bytes: &[u8]) {
    body.splice(place..place, bytes.iter().copied());
}
