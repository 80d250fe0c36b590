//! People under two ids, numbers that change hands, and news that comes late, played on records in memory.

mod random_lives;
mod table;

use super::*;
use table::{Table, id_of, time};

const P: &str = "+14155550100";
const Q: &str = "+14155550101";
const B: &str = "US.1";
const C: &str = "US.2";

#[test]
fn whoever_is_seen_under_both_ids_is_one_person_under_the_number() {
    let mut table = Table::default();
    table.says(&[P, B], 1, "hello");
    assert_eq!(table.shows(B), (P.to_owned(), String::new()));
    table.says(&[B], 2, "STOP");
    assert_eq!((table.listed(P), table.listed(B)), ("O".to_owned(), "O".to_owned()));
    table.says(&[P], 3, "START");
    assert_eq!((table.listed(P), table.listed(B)), (String::new(), String::new()));
}

#[test]
fn a_contact_moves_under_the_number_once_that_is_known() {
    let mut table = Table::default();
    table.says(&[B], 1, "STOP");
    assert_eq!(table.shows(B), (B.to_owned(), "O".to_owned()));
    table.says(&[P, B], 2, "hello");
    assert!(!table.tightened, "nobody was known under the number");
    assert_eq!((table.shows(B), table.shows(P)), ((P.to_owned(), "O".to_owned()), (P.to_owned(), "O".to_owned())));
}

#[test]
fn joining_takes_the_stricter_state_whatever_is_newer() {
    for (under_phone, under_user) in [(["STOP", "hello"], ["STOP", "START"]), (["STOP", "START"], ["STOP", "hello"])] {
        let mut table = Table::default();
        for (second, (phone, user)) in (10..).step_by(10).zip(under_phone.into_iter().zip(under_user)) {
            table.says(&[P], second, phone);
            table.says(&[B], second, user);
        }
        table.says(&[P, B], 5, "hello");
        assert!(table.tightened);
        assert_eq!((table.listed(P), table.listed(B)), ("O".to_owned(), "O".to_owned()));
    }
}

#[test]
fn a_start_that_teaches_the_link_brings_the_person_back() {
    let mut table = Table::default();
    table.says(&[P], 1, "STOP");
    table.says(&[P], 2, "START");
    table.says(&[B], 3, "STOP");
    table.says(&[P, B], 4, "START");
    assert_eq!((table.listed(P), table.listed(B)), (String::new(), String::new()));
}

#[test]
fn a_change_of_number_takes_the_contact_along_and_leaves_the_suppression() {
    let mut table = Table::default();
    table.says(&[P, B], 1, "STOP");
    assert_eq!(table.moves(&[P], &[Q], 10), id_of(Q));
    assert_eq!(table.shows(P), (Q.to_owned(), "O".to_owned()));
    assert_eq!(table.shows(B), (Q.to_owned(), "O".to_owned()));
    table.says(&[Q], 20, "START");
    assert_eq!((table.listed(P), table.listed(Q), table.listed(B)), ("O".to_owned(), String::new(), String::new()));
}

#[test]
fn what_the_old_number_said_before_the_change_counts_for_the_person() {
    let mut table = Table::default();
    table.moves(&[P], &[Q], 10);
    assert_eq!(table.says(&[P], 10, "STOP"), id_of(Q), "within the second of the change");
    assert_eq!((table.listed(P), table.listed(Q)), ("O".to_owned(), "O".to_owned()));
}

#[test]
fn what_the_old_number_says_later_never_touches_the_person_who_moved() {
    let mut table = Table::default();
    table.says(&[P], 1, "STOP");
    table.moves(&[P], &[Q], 10);
    assert_eq!(table.says(&[P], 11, "START"), id_of(P));
    assert_eq!((table.listed(P), table.listed(Q)), (String::new(), "O".to_owned()));
    assert_eq!(table.shows(P), (P.to_owned(), String::new()));
    table.says(&[P], 12, "STOP");
    table.says(&[Q], 13, "START");
    assert_eq!((table.listed(P), table.listed(Q)), ("O".to_owned(), String::new()));
}

#[test]
fn consent_is_not_handed_on_with_a_number() {
    let mut table = Table::default();
    table.says(&[P], 1, "START");
    assert!(table.person(P).contact.opted_in_explicitly);
    table.moves(&[P], &[Q], 10);
    table.says(&[P], 11, "hello");
    assert!(!table.find(&Sighting::then(id_of(P), time(11_000))).contact.opted_in_explicitly);
    assert!(table.person(Q).contact.opted_in_explicitly);
}

#[test]
fn a_late_stop_of_the_former_holder_binds_the_new_one_as_well() {
    let mut table = Table::default();
    table.moves(&[P], &[Q], 10);
    table.says(&[P, C], 20, "hello");
    assert_eq!(table.says(&[P], 5, "STOP"), id_of(Q));
    assert_eq!([P, Q, C].map(|id| table.listed(id)), ["O", "O", "O"].map(str::to_owned));
    table.says(&[P], 6, "START");
    assert_eq!([P, Q, C].map(|id| table.listed(id)), ["O", "", "O"].map(str::to_owned));
}

#[test]
fn the_same_news_twice_changes_nothing_more() {
    let mut table = Table::default();
    table.says(&[P, B], 1, "STOP");
    table.moves(&[P], &[Q], 10);
    table.says(&[Q], 20, "START");
    let before = table.records.clone();
    table.moves(&[P], &[Q], 10);
    assert_eq!(table.records, before);
}

#[test]
fn a_number_with_another_user_id_has_a_new_holder_who_starts_from_its_suppression() {
    let mut table = Table::default();
    table.says(&[P, B], 1, "STOP");
    table.says(&[P, C], 10, "hello");
    assert_eq!([P, B, C].map(|id| table.listed(id)), ["O", "O", "O"].map(str::to_owned));
    assert_eq!((table.shows(C).0, table.shows(B).0), (P.to_owned(), B.to_owned()));
    table.says(&[P, C], 20, "START");
    assert_eq!([P, B, C].map(|id| table.listed(id)), ["", "O", ""].map(str::to_owned));
    assert_eq!(table.says(&[P, B], 5, "STOP"), id_of(B), "a late message of the former holder");
    table.says(&[B], 30, "START");
    assert_eq!([P, B].map(|id| table.listed(id)), ["", ""].map(str::to_owned));
}

#[test]
fn an_old_message_of_an_earlier_holder_does_not_take_the_number_back() {
    let mut table = Table::default();
    table.says(&[P, C], 10, "hello");
    assert_eq!(table.says(&[P, B], 5, "STOP"), id_of(B));
    assert_eq!([P, B, C].map(|id| table.listed(id)), ["O", "O", "O"].map(str::to_owned));
    assert_eq!(table.shows(C).0, P);
    assert_eq!(table.says(&[P], 5, "hello"), id_of(B));
}

#[test]
fn a_user_id_that_is_seen_with_another_number_has_moved_there() {
    let mut table = Table::default();
    table.says(&[P, B], 1, "hello");
    table.says(&[Q, B], 10, "hello");
    assert_eq!(table.says(&[P, B], 5, "STOP"), id_of(Q), "a late message from the old number");
    assert_eq!([P, B, Q].map(|id| table.shows(id)), [P, B, Q].map(|_| (Q.to_owned(), "O".to_owned())));
    assert_eq!(table.says(&[P], 11, "START"), id_of(P));
    assert_eq!(table.listed(Q), "O");
}

#[test]
fn a_change_of_user_id_is_followed_with_and_without_a_number() {
    for with in [&[B][..], &[P, B]] {
        let mut table = Table::default();
        table.says(with, 1, "STOP");
        table.moves(&[B], &[C], 10);
        assert_eq!(table.shows(B), table.shows(C));
        assert_eq!(table.listed(C), "O");
        table.says(&[C], 20, "START");
        assert_eq!((table.listed(B), table.listed(C)), ("O".to_owned(), String::new()));
        assert_eq!(table.says(&[B], 5, "STOP"), table.person(C).id().clone());
    }
}

#[test]
fn number_and_user_id_that_change_together_are_followed_in_any_order() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1], [1, 2, 0], [2, 0, 1]] {
        let mut table = Table::default();
        table.says(&[P, B], 1, "STOP");
        for step in order {
            match step {
                0 => table.moves(&[P], &[Q], 10),
                1 => table.moves(&[B], &[C], 10),
                _ => table.says(&[Q, C], 20, "hello"),
            };
        }
        assert_eq!([P, B, C, Q].map(|id| table.shows(id)), [P; 4].map(|_| (Q.to_owned(), "O".to_owned())), "{order:?}");
    }
}

#[test]
fn a_contact_that_is_known_where_somebody_moves_is_the_same_person() {
    let mut table = Table::default();
    table.says(&[P], 1, "hello");
    table.says(&[Q], 2, "STOP");
    table.moves(&[P], &[Q], 10);
    assert_eq!(table.shows(P), (Q.to_owned(), "O".to_owned()));
}

#[test]
fn whoever_was_at_a_number_that_somebody_moves_to_is_somebody_else() {
    for mover in [&[P, B][..], &[P]] {
        let mut table = Table::default();
        table.says(mover, 1, "hello");
        table.says(&[Q, C], 5, "STOP");
        table.moves(&[P], &[Q], 10);
        assert_eq!((table.shows(P).0.as_str(), table.listed(Q).as_str()), (Q, "O"), "the number keeps its suppression");
        table.says(&[Q], 20, "START");
        assert_eq!((table.listed(Q).as_str(), table.listed(C).as_str()), ("", "O"));
    }
}

#[test]
fn a_second_move_between_the_same_numbers_is_of_somebody_else() {
    let mut table = Table::default();
    table.says(&[C], 5, "STOP");
    table.says(&[P, C], 6, "hello");
    table.moves(&[P], &[Q], 10);
    table.moves(&[P], &[Q], 100_000);
    table.says(&[Q], 100_010, "START");
    assert_eq!((table.listed(Q).as_str(), table.listed(C).as_str()), ("", "O"));
}

#[test]
fn news_of_a_move_that_comes_after_a_message_from_the_new_number_is_of_who_wrote_there() {
    let mut table = Table::default();
    table.says(&[Q, C], 1, "hello");
    table.says(&[P], 10, "STOP");
    table.says(&[Q, "US.3"], 30, "hello");
    table.moves(&[P], &[Q], 20);
    assert_eq!([Q, "US.3", C].map(|id| table.listed(id)), ["O", "O", ""].map(str::to_owned));
    table.says(&[C], 40, "START");
    assert_eq!((table.listed(P).as_str(), table.listed(Q).as_str()), ("O", "O"));
}

#[test]
fn who_was_erased_stays_suppressed_under_ids_that_come_up_later() {
    let mut table = Table::default();
    table.says(&[P], 1, "STOP");
    table.erase(P, 5);
    table.says(&[P, B], 10, "hello");
    assert_eq!((table.shows(B), table.listed(P)), ((P.to_owned(), "O".to_owned()), "O".to_owned()));
    table.says(&[P, B], 11, "START");
    assert_eq!((table.shows(B), table.listed(P)), ((P.to_owned(), String::new()), String::new()));
}

#[test]
fn history_spans_part_the_history_of_an_id_between_its_holders() {
    let mut table = Table::default();
    table.says(&[P, B], 1, "STOP");
    table.moves(&[P], &[Q], 10);
    table.says(&[P, C], 20, "START");
    let holders = |table: &mut Table, at| -> Vec<&str> {
        let spans = [Q, P].map(|id| table.person(id).history_spans());
        let holds = |spans: &[HistorySpan]| spans.iter().any(|part| part.id == id_of(P) && part.holds(at));
        [Q, P].into_iter().zip(spans).filter(|(_, spans)| holds(spans)).map(|(id, _)| id).collect()
    };
    assert_eq!(holders(&mut table, time(10_999)), [Q]);
    assert_eq!(holders(&mut table, time(11_000)), [P]);
}

#[test]
fn links_are_found_with_one_more_look() {
    let mut table = Table::default();
    table.says(&[P, B], 1, "hello");
    let known = table.records.clone();
    let mut read = IdRecords::from([(id_of(B), known[&id_of(B)].clone())]);
    let sighting = Sighting::then(id_of(B), time(9000));
    assert_eq!(identify(&sighting, &read).unwrap_err(), MissingRecord(id_of(P)));
    read.insert(id_of(P), known[&id_of(P)].clone());
    assert_eq!(identify(&sighting, &read).unwrap().id(), &id_of(P));
}

const R: &str = "+14155550102";
const D: &str = "US.3";

#[test]
fn whoever_comes_back_to_a_number_after_two_others_is_not_forgotten_by_late_news() {
    let mut table = Table::default();
    table.moves(&[P], &[Q], 10);
    table.moves(&[Q], &[R], 20);
    table.moves(&[R], &[P], 30);
    table.says(&[P], 35, "STOP");
    table.says(&[P], 5, "START");
    assert_eq!(table.listed(P), "O");
    let spans = table.person(P).history_spans();
    assert_eq!(spans.iter().filter(|span| span.id == id_of(P)).count(), 1, "{spans:?}");
}

#[test]
fn whoever_comes_to_a_number_is_not_taken_for_who_left_it_before() {
    let mut table = Table::default();
    table.moves(&[Q], &[R], 8);
    table.moves(&[P], &[Q], 10);
    assert_eq!(table.says(&[P], 4, "STOP"), id_of(Q));
    assert_eq!([P, Q, R].map(|id| table.listed(id)), ["O", "O", ""].map(str::to_owned));
}

#[test]
fn a_number_is_learnt_by_a_user_id_that_has_changed_since() {
    let mut table = Table::default();
    table.says(&[P], 1, "STOP");
    table.moves(&[B], &[C], 10);
    table.says(&[P, B], 5, "hello");
    assert_eq!([P, C].map(|id| table.listed(id)), ["O", "O"].map(str::to_owned));
}

#[test]
fn a_stop_from_before_a_move_counts_though_something_is_known_of_the_user_id_alone() {
    for known in [true, false] {
        let mut table = Table::default();
        if known {
            table.says(&[B], 1, "START");
        }
        table.moves(&[P], &[Q], 10);
        table.says(&[P, B], 5, "STOP");
        assert_eq!([P, Q, B].map(|id| table.listed(id)), ["O"; 3].map(str::to_owned), "{known}");
        assert_eq!(table.shows(B).0, Q);
    }
}

#[test]
fn a_start_of_somebody_in_between_frees_nobody_else() {
    let mut table = Table::default();
    table.says(&[P, B], 1, "STOP");
    table.says(&[P, D], 20, "hello");
    table.says(&[P, C], 10, "START");
    assert_eq!(table.listed(B), "O");
    table.says(&[P, C], 11, "STOP");
    assert_eq!(table.shows(C).1, "O");
}

#[test]
fn a_start_from_after_a_move_that_is_learnt_late_frees_nobody_who_moved() {
    for late in [[0, 1], [1, 0]] {
        let mut table = Table::default();
        table.says(&[P, B], 1, "STOP");
        table.says(&[P, C], 20, "hello");
        for step in late {
            match step {
                0 => table.moves(&[P], &[Q], 10),
                _ => table.says(&[P], 15, "START"),
            };
        }
        assert_eq!([Q, B].map(|id| table.listed(id)), ["O", "O"].map(str::to_owned), "{late:?}");
    }
}

#[test]
fn two_who_had_a_number_between_others_leave_no_contact_behind() {
    let mut table = Table::default();
    table.says(&[Q, C], 41, "hello");
    table.says(&[P, B], 10, "START");
    table.says(&[P, C], 30, "hello");
    table.says(&[B], 50, "STOP");
    assert_eq!(table.shows(B).1, "O");
    assert!(!matches!(table.records[&id_of(P)].now, IdState::Contact(_)), "a second contact of whoever goes by {B}");
}

#[test]
fn a_start_is_not_undone_by_news_of_a_move_that_is_known() {
    let mut table = Table::default();
    table.says(&[P, B], 1, "STOP");
    table.says(&[Q, B], 10, "START");
    table.moves(&[P], &[Q], 12);
    assert_eq!([Q, B].map(|id| table.listed(id)), ["", ""].map(str::to_owned));
}

#[test]
fn what_was_said_under_a_number_alone_goes_with_the_person_who_is_known_to_have_had_it() {
    let mut table = Table::default();
    table.says(&[P], 1, "STOP");
    table.says(&[Q, B], 10, "hello");
    table.says(&[P, B], 5, "hello");
    assert_eq!([Q, B].map(|id| table.listed(id)), ["O", "O"].map(str::to_owned));
}

#[test]
fn news_of_a_move_does_not_take_along_who_came_later() {
    let mut table = Table::default();
    table.says(&[P], 1, "STOP");
    table.says(&[P, C], 20, "hello");
    table.moves(&[P], &[Q], 10);
    assert_eq!((table.shows(C).0, table.listed(Q)), (P.to_owned(), "O".to_owned()));
    table.says(&[C], 30, "STOP");
    assert_eq!(table.listed(P), "O");
}

#[test]
fn news_of_an_arrival_separates_the_user_id_from_where_the_number_led_afterwards() {
    let mut table = Table::default();
    table.says(&[P, B], 5, "STOP");
    table.moves(&[P], &[Q], 50);
    table.says(&[B], 53, "STOP");
    table.moves(&[Q], &[P], 13);
    table.says(&[Q], 363, "START");
    assert_eq!([P, Q, B].map(|id| table.listed(id)), ["O", "", "O"].map(str::to_owned));
    assert_eq!((table.shows(B).0.as_str(), table.shows(Q).0.as_str()), (B, Q));
}

#[test]
fn a_user_id_that_was_seen_at_the_new_number_stays_there_whatever_turns_out_about_the_old_one() {
    let mut table = Table::default();
    table.says(&[P, B], 5, "hello");
    table.moves(&[P], &[Q], 50);
    table.says(&[Q, B], 60, "hello");
    table.moves(&[R], &[P], 13);
    table.says(&[Q], 70, "STOP");
    assert_eq!([Q, B].map(|id| table.listed(id)), ["O", "O"].map(str::to_owned));
}
