//! Lists in any format, cut into blocks anywhere, against a reading of the same rules that is as plain as can be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod plain;

use std::collections::{HashMap, HashSet};

use campaign_filter::list::{
    BatchSize, Block, Duplicates, Format, Index, Layout, ListError, Output, Pass, PassOutcome, People,
};
use campaign_filter::{Reason, RecipientCounts};
use consent::contact::{Category, Suppression};
use consent::id::ContactId;
use plain::PlainRow;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const MARKETING: Category = Category::Marketing;
const SIZE: BatchSize = BatchSize { rows: 4, json: 700 };

/// Ids that often meet: the same few people, written in many ways.
fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[+]?1415555010[0-9]",
        2 => "[+]?52(1)?5512345(67[0-3]|678[0-3])",
        1 => "[+]?5511(9)?9123456[0-3]",
        1 => "\\+1 \\(415\\) 555-010[0-9]",
        1 => "0{0,3}1\\.415\\.555\\.010[0-9]",
        1 => "\u{ff0b}1415555010[\u{660}-\u{669}]",
        1 => "[+]?229(01)?9712345[0-3]",
        1 => "1415555010[0-9][.,]0",
        1 => "\\(415\\) 555-010[0-9]",
        1 => "\\+44 0?7700 90012[0-3]",
        1 => "US\\.[0-9]",
        1 => "DE\\.ENT\\.[a-c]{1,2}",
        1 => "[+0-9a-z .]{0,17}",
    ]
}

fn csv_field() -> impl Strategy<Value = Vec<u8>> {
    let quoted = |text: String| format!("\"{}\"", text.replace('"', "\"\"")).into_bytes();
    prop_oneof![
        6 => id().prop_map(String::into_bytes),
        2 => id().prop_map(quoted),
        2 => select(vec!["", " ", "\"\"", "\" \""]).prop_map(|cell| cell.as_bytes().to_vec()),
        1 => "[a-z\"\r\n,é]{0,6}".prop_map(quoted),
        1 => "[a-z\" \ré]{0,6}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..4),
    ]
}

fn csv() -> impl Strategy<Value = Vec<u8>> {
    let row = vec(csv_field(), 0..4).prop_map(|fields| fields.join(&b","[..]));
    let rows = vec((row, select(vec!["\n", "\n", "\r\n"])), 0..30);
    (
        select(vec!["", "\u{feff}"]),
        select(vec![
            "phone",
            "name,phone",
            "\"phone\",x",
            "a,\"b\nc\", phone \r",
            "phone,user_id",
            "\"user_id\",phone",
            "phone,x, user_id ",
            "user_id,name,phone\r",
        ]),
        rows,
        "[\r\n]{0,2}",
    )
        .prop_map(|(mark, header, rows, end)| {
            let mut file = format!("{mark}{header}\n").into_bytes();
            let head = file.len() - 1;
            file.extend(rows.into_iter().flat_map(|(row, line_break)| [&row, line_break.as_bytes()].concat()));
            // With luck without a line break at its end.
            file.truncate((file.len() - end.len()).max(head));
            file
        })
}

fn json_row() -> impl Strategy<Value = String> {
    let text =
        || prop_oneof![8 => id().prop_map(|id| format!("{id:?}")), 1 => Just("\"\\u002b14155550101\"".to_owned())];
    let others = vec![
        "1",
        "120",
        "14155550101",
        "14155550101.0",
        "-0.10",
        "-1.5e3",
        "01",
        "00.1",
        "1.",
        "-",
        "true",
        "null",
        "nul",
        "{}",
        "[1, {\"id\": 2}]",
        "\"\\ud800\"",
        "",
    ];
    let value = || {
        prop_oneof![
            3 => text(),
            3 => "\"[a-zé\u{4e2d}]{0,12}\"",
            1 => "\"[a-z\\\\\u{1}]{0,4}\"",
            1 => select(others.clone()).prop_map(str::to_owned),
        ]
    };
    let key = select(vec!["\"id\"", "\"id\"", "\"id\"", "\"user_id\"", "\"name\"", "\"lang\"", "\"i\\u0064\"", "id"]);
    let field =
        (key, select(vec![":", ": ", " : "]), value()).prop_map(|(key, colon, value)| format!("{key}{colon}{value}"));
    let object =
        (select(vec!["{", "{ "]), vec(field, 0..4), select(vec![",", ", ", ",  "]), select(vec!["}", " }", "} x", ""]))
            .prop_map(|(open, fields, comma, close)| format!("{open}{}{close}", fields.join(comma)));
    let usual = (id(), id(), "[a-z]{0,9}", any::<u16>()).prop_map(|(id, other, name, count)| match count % 3 {
        0 => format!("{{\"id\":{id:?},\"name\":\"{name}\",\"count\":{count}}}"),
        1 => format!("{{\"name\": \"{name}\", \"id\": {id:?}, \"ok\": true}}"),
        _ => format!("{{\"id\":{id:?},\"user_id\":{other:?}}}"),
    });
    let usual = usual.boxed();
    // Nearly a row as there are many.
    let pieces = vec!["", " ", "\"", "\\", ",", ":", "{", "}", "0", "é", "\u{1}", "\r"];
    let mutated = (usual.clone(), any::<prop::sample::Index>(), select(pieces)).prop_map(|(row, place, piece)| {
        let mut row: Vec<char> = row.chars().collect();
        let place = place.index(row.len());
        row.splice(place..=place, piece.chars());
        row.into_iter().collect::<String>()
    });
    let array = Just("[\"14155550100\", null]".to_owned());
    prop_oneof![3 => text(), 5 => usual, 3 => mutated, 3 => object, 1 => value(), 1 => array]
}

fn jsonl() -> impl Strategy<Value = Vec<u8>> {
    let row = prop_oneof![12 => json_row().prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..6)];
    let rows = vec((select(vec!["", "", " ", "\t"]), row, select(vec!["\n", "\r\n", " \n", "\n\n"])), 0..30);
    (select(vec!["", "\u{feff}"]), rows, "[\r\n]{0,2}").prop_map(|(mark, rows, end)| {
        let mut file = mark.as_bytes().to_vec();
        let row =
            |(space, row, line_break): (&str, Vec<u8>, &str)| [space.as_bytes(), &row, line_break.as_bytes()].concat();
        file.extend(rows.into_iter().flat_map(row));
        file.truncate(file.len() - end.len().min(file.len()));
        file
    })
}

fn category() -> impl Strategy<Value = Category> {
    select(vec![MARKETING, MARKETING, Category::Utility])
}

/// A suppression list, and everybody who opted in.
fn people() -> impl Strategy<Value = (HashMap<ContactId, Suppression>, Option<HashSet<ContactId>>)> {
    let entry =
        (id(), any::<(bool, bool, bool)>()).prop_filter_map("an id", |(id, (opted_out, blocked, provider_stopped))| {
            Some((id.parse().ok()?, Suppression { opted_out, blocked, provider_stopped }))
        });
    let opted_in = vec(id(), 0..40).prop_map(|ids| ids.iter().filter_map(|id| id.parse().ok()).collect());
    (vec(entry, 0..8).prop_map(|entries| entries.into_iter().collect()), prop::option::of(opted_in))
}

fn filtered(
    mut pass: Pass,
    file: &[u8],
    blocks: &[usize],
    people: &People,
) -> Result<(PassOutcome, Output), ListError> {
    let mut output = Output::default();
    let mut rest = file;
    for &size in blocks.iter().cycle() {
        let (block, later) = rest.split_at(size.min(rest.len()));
        pass.feed(block, people, &mut output)?;
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    Ok((pass.finish(people, &mut output)?, output))
}

/// The reason against each row, as plain rules give it.
fn reasons(
    rows: &[PlainRow],
    category: Category,
    list: &HashMap<ContactId, Suppression>,
    opted_in: Option<&HashSet<ContactId>>,
) -> Vec<Option<Reason>> {
    let mut seen = HashSet::new();
    let reason = |row: &PlainRow| {
        let repeated = row.ids.iter().filter(|id| !seen.insert((*id).clone())).count() > 0;
        let listed = |applies: fn(&Suppression) -> bool| row.ids.iter().filter_map(|id| list.get(id)).any(applies);
        let marketing = category == MARKETING;
        if row.ids.is_empty() {
            Some(Reason::Invalid)
        } else if repeated {
            Some(Reason::Duplicate)
        } else if listed(|entry| entry.blocked) {
            Some(Reason::Blocked)
        } else if marketing && listed(|entry| entry.provider_stopped) {
            Some(Reason::ProviderStopped)
        } else if marketing && listed(|entry| entry.opted_out) {
            Some(Reason::OptedOut)
        } else if marketing && opted_in.is_some_and(|opted_in| !row.ids.iter().any(|id| opted_in.contains(id))) {
            Some(Reason::NotOptedIn)
        } else {
            None
        }
    };
    rows.iter().map(reason).collect()
}

fn check(
    format: Format,
    column: &str,
    file: &[u8],
    blocks: &[usize],
    category: Category,
    (list, opted_in): (HashMap<ContactId, Suppression>, Option<HashSet<ContactId>>),
) -> Result<(), TestCaseError> {
    let suppressed: Index = list.iter().map(|(id, suppression)| (id, *suppression)).collect();
    let opted_in_index: Option<Index> =
        opted_in.as_ref().map(|ids| ids.iter().map(|id| (id, Suppression::default())).collect());
    let people = People { suppressed: &suppressed, opted_in: opted_in_index.as_ref() };
    let pass = Pass::new(format, column, category, SIZE).without_duplicates(Duplicates::new(std::env::temp_dir()));
    let filtered = filtered(pass, file, blocks, &people);
    if format == Format::Csv && plain::is_open(file) {
        prop_assert!(matches!(filtered, Err(ListError::OpenQuote(_))));
        return Ok(());
    }
    match (&filtered, plain::not_a_list(format, file)) {
        (Err(ListError::NotAList(told)), Some(kind)) => {
            prop_assert_eq!(*told, kind);
            return Ok(());
        }
        (_, kind) => prop_assert_eq!(kind, None),
    }
    let (outcome, output) = filtered.unwrap();

    let (head, rows) = match format {
        Format::Csv => plain::csv(file, column),
        Format::Jsonl => plain::jsonl(file),
    };
    let reasons = reasons(&rows, category, &list, opted_in.as_ref());
    let mut eligible = head;
    let mut skipped = vec![];
    for (row, reason) in rows.iter().zip(&reasons) {
        match reason {
            None => eligible.extend(&row.bytes),
            Some(reason) => skipped.push((row.line, row.contact.clone(), serde_json::to_value(reason).unwrap())),
        }
    }
    prop_assert_eq!(String::from_utf8_lossy(&output.eligible), String::from_utf8_lossy(&eligible));
    prop_assert_eq!(&output.eligible, &eligible);
    prop_assert_eq!(plain::skipped(&output.skipped), skipped);

    let RecipientCounts { eligible: kept, opted_out, blocked, provider_stopped, not_opted_in, duplicate, invalid } =
        outcome.counts;
    for (count, reason) in [
        (kept, None),
        (opted_out, Some(Reason::OptedOut)),
        (blocked, Some(Reason::Blocked)),
        (provider_stopped, Some(Reason::ProviderStopped)),
        (not_opted_in, Some(Reason::NotOptedIn)),
        (duplicate, Some(Reason::Duplicate)),
        (invalid, Some(Reason::Invalid)),
    ] {
        prop_assert_eq!(count, reasons.iter().filter(|other| **other == reason).count() as u64);
    }
    batches_can_be_filtered_again(format, column, category, &output.eligible, &outcome, &people)
}

/// Each batch, behind what comes before all rows, is as many rows as it says, all of them eligible still.
fn batches_can_be_filtered_again(
    format: Format,
    column: &str,
    category: Category,
    eligible: &[u8],
    outcome: &PassOutcome,
    people: &People,
) -> Result<(), TestCaseError> {
    if outcome.batches.is_empty() {
        prop_assert_eq!(outcome.counts.eligible, 0);
        return Ok(());
    }
    let layout = Layout::read(format, column, Block { bytes: eligible, is_last: true }).unwrap().unwrap();
    let head = layout.rows_start();
    let mut end = head as u64;
    for batch in &outcome.batches {
        prop_assert_eq!(batch.first_byte, end);
        end = batch.last_byte + 1;
        let range = usize::try_from(batch.first_byte).unwrap()..usize::try_from(end).unwrap();
        let batch_alone = [&eligible[..head], &eligible[range]].concat();
        let pass = Pass::new(format, column, category, SIZE);
        let (again, output) = filtered(pass, &batch_alone, &[7], people).unwrap();
        prop_assert_eq!(&output.eligible, &batch_alone);
        prop_assert_eq!(again.counts.eligible, batch.rows);
    }
    prop_assert_eq!(end, eligible.len() as u64);
    prop_assert_eq!(outcome.counts.eligible, outcome.batches.iter().map(|batch| batch.rows).sum::<u64>());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn of_any_csv_exactly_the_rows_stay_that_plain_rules_keep(
        file in csv(), blocks in vec(1usize..60, 1..5), category in category(), people in people(),
    ) {
        check(Format::Csv, "phone", &file, &blocks, category, people)?;
    }

    #[test]
    fn of_any_csv_that_names_people_by_user_id_alone_the_same_rows_stay(
        rows in vec(csv_field(), 0..30), blocks in vec(1usize..60, 1..5), people in people(),
    ) {
        let file = [&b"user_id\n"[..], &rows.join(&b"\n"[..])].concat();
        check(Format::Csv, "user_id", &file, &blocks, MARKETING, people)?;
    }

    #[test]
    fn of_any_json_lines_exactly_the_rows_stay_that_plain_rules_keep(
        file in jsonl(), blocks in vec(1usize..60, 1..5), category in category(), people in people(),
    ) {
        check(Format::Jsonl, "id", &file, &blocks, category, people)?;
    }

    #[test]
    fn any_bytes_are_read_as_plain_rules_read_them(
        csv in "[\",\r\n 1é]{0,60}",
        jsonl in "[\\{\\}\":,\r\n 1\\\\]{0,60}", blocks in vec(1usize..9, 1..5), people in people(),
    ) {
        for header in ["phone,x", "phone,user_id"] {
            check(Format::Csv, "phone", format!("{header}\n{csv}").as_bytes(), &blocks, MARKETING, people.clone())?;
        }
        check(Format::Jsonl, "id", jsonl.as_bytes(), &blocks, MARKETING, people)?;
    }
}

#[test]
fn a_list_whose_column_is_not_plain_is_no_list() {
    let fed = |file: &str| {
        let people = People { suppressed: &Index::default(), opted_in: None };
        filtered(Pass::new(Format::Csv, "phone", MARKETING, SIZE), file.as_bytes(), &[3], &people)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    let no_column = r#"source.column: the list has no column "phone"; it has "name", "Phone""#;
    assert_eq!(fed("name,Phone\n"), Err(no_column.to_owned()));
    assert_eq!(fed(""), Err("source: the list is empty".to_owned()));
    let several = r#"source.column: the list has several columns "phone"; keep one of them"#;
    assert_eq!(fed("phone,phone\n"), Err(several.to_owned()));
    let user_ids = r#"source: the list has several columns "user_id"; keep one of them"#;
    assert_eq!(fed("phone,user_id,name, user_id\n"), Err(user_ids.to_owned()));
    assert_eq!(fed("phone"), Ok(()));
    let returns = "source: lines end with a carriage return alone; save the list with LF or CRLF";
    assert_eq!(fed("phone,name\r14155550100,A\r14155550101,B\r"), Err(returns.to_owned()));
    assert_eq!(fed("\"phone\nx"), Err("line 1: a quote is opened and never closed".to_owned()));
    assert_eq!(fed("phone\n\n1415\n\"x\n"), Err("line 4: a quote is opened and never closed".to_owned()));
}

#[test]
fn a_row_without_end_is_refused_wherever_blocks_are_cut() {
    let people = People { suppressed: &Index::default(), opted_in: None };
    let rows = "14155550100\n".repeat(200_000);
    for (format, file, line) in [
        (Format::Csv, format!("phone\n1\n\"2\n3\"\n\"{rows}"), 5),
        (Format::Csv, format!("phone\n1\n\"2\n3\"\n{}\n", "4".repeat(2 << 20)), 5),
        (Format::Jsonl, format!("1\n{}\n2", "2".repeat(2 << 20)), 2),
    ] {
        for block in [1_000, 65_536, 1 << 20, 1 << 24] {
            let pass = Pass::new(format, "phone", MARKETING, SIZE);
            let error = filtered(pass, file.as_bytes(), &[block], &people).map(|_| ()).unwrap_err();
            assert!(matches!(error, ListError::LongRow(told) if told == line), "{error}");
        }
    }
}
