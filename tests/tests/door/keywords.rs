//! Messages as people really send them, each with what it must come to: `corpus/keywords.tsv`, line by line.

use std::path::Path;

use consent::keyword::{Candidate, Keyword, fold};

/// Fewer lines would mean that part of the corpus was lost.
const MIN_LINES: usize = 200;

/// Fewer lines that match nothing would no longer guard against matching too much.
const MIN_NEGATIVES: usize = 80;

#[test]
fn every_line_of_the_corpus_holds() {
    let corpus = corpus();
    let failures: Vec<String> =
        corpus.lines().enumerate().filter_map(|(index, line)| failure(index + 1, line)).collect();
    assert!(failures.is_empty(), "{} lines do not hold:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_corpus_is_large_enough() {
    let corpus = corpus();
    let cases: Vec<Case> =
        corpus.lines().filter(|line| is_case(line)).filter_map(|line| Case::parse(line).ok()).collect();
    let negatives = cases.iter().filter(|case| case.reading == Reading::None).count();
    assert!(cases.len() >= MIN_LINES, "only {} lines", cases.len());
    assert!(negatives >= MIN_NEGATIVES, "only {negatives} lines that match nothing");
}

struct Case {
    keywords: Vec<Keyword>,
    text: String,
    reading: Reading,
}

/// By which keywords a text is read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reading {
    Any,
    OptOut,
    None,
}

impl Case {
    fn parse(line: &str) -> Result<Self, String> {
        let columns: Vec<&str> = line.split('\t').collect();
        let [keywords, text, expected, _note] = columns[..] else {
            return Err(format!("has {} columns instead of 4", columns.len()));
        };
        let keywords = keywords
            .split(',')
            .map(|keyword| unescaped(keyword)?.parse().map_err(|error| format!("keyword {keyword}: {error}")))
            .collect::<Result<_, String>>()?;
        let reading = match expected {
            "match" => Reading::Any,
            "opt_out" => Reading::OptOut,
            "none" => Reading::None,
            _ => return Err(format!("expects {expected:?} instead of match, opt_out or none")),
        };
        Ok(Self { keywords, text: unescaped(text)?, reading })
    }
}

/// The fault of a line of the corpus, or of its result. None if the line holds.
fn failure(number: usize, line: &str) -> Option<String> {
    if !is_case(line) {
        return None;
    }
    let case = match Case::parse(line) {
        Ok(case) => case,
        Err(error) => return Some(format!("line {number} {error}: {line}")),
    };
    let folded = fold(&case.text);
    let candidate = Candidate::new(&case.text);
    let is_read = |matches: fn(&Keyword, &Candidate) -> bool| {
        candidate.as_ref().is_some_and(|said| case.keywords.iter().any(|keyword| matches(keyword, said)))
    };
    let reading = match (is_read(Keyword::matches), is_read(Keyword::matches_as_opt_out)) {
        (true, true) => Reading::Any,
        (false, true) => Reading::OptOut,
        (false, false) => Reading::None,
        (true, false) => return Some(format!("line {number} matches, but not as an opt-out: {line}")),
    };
    if reading != case.reading {
        let keywords: Vec<&str> = case.keywords.iter().map(Keyword::folded).collect();
        return Some(format!("line {number}: {folded:?} among {keywords:?} is {reading:?}: {line}"));
    }
    if candidate.is_some_and(|said| said.folded() != folded) {
        return Some(format!("line {number}: the candidate is not the folded text: {line}"));
    }
    if fold(&folded) != folded {
        return Some(format!("line {number}: folding again changes {folded:?}: {line}"));
    }
    None
}

fn corpus() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/keywords.tsv");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_case(line: &str) -> bool {
    !line.is_empty() && !line.starts_with("# ")
}

/// The text with `\u{HEX}`, `\n`, `\r`, `\t` and `\0` replaced by what they stand for.
fn unescaped(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        plain.push_str(before);
        let (c, after) = unescaped_first(escape).ok_or_else(|| format!("has an unknown escape \\{escape}"))?;
        plain.push(c);
        rest = after;
    }
    plain.push_str(rest);
    Ok(plain)
}

/// The character that an escape stands for, and what follows the escape.
fn unescaped_first(escape: &str) -> Option<(char, &str)> {
    if let Some(hex) = escape.strip_prefix("u{") {
        let (hex, after) = hex.split_once('}')?;
        return Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, after));
    }
    let c = match escape.chars().next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        _ => return None,
    };
    Some((c, &escape[1..]))
}
