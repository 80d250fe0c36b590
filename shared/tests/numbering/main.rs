//! The strict reading of numbers against libphonenumber's rules, by the crate `phonenumber`.
//!
//! What its rules call valid has to be read in every spelling, and what has an impossible length by its rules has to be refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod pattern;

use std::collections::{BTreeMap, BTreeSet};

use consent::id::ContactId;
use consent::phone::{InvalidPhone, Phone, canonical_number};
use fastrand::Rng;
use pattern::Pattern;
use phonenumber::metadata::{DATABASE, Descriptor};
use phonenumber::{Metadata, Mode, PhoneNumber};

/// The number of valid numbers that are tried.
const VALID: usize = 50_000;

/// The number of those that the crate writes itself. It is slow, as it compiles its rules one by one.
const WRITTEN: usize = 150;

/// Country codes of no country: in the database they share one id.
const WITHOUT_COUNTRY: [u16; 9] = [800, 808, 870, 878, 881, 882, 883, 888, 979];

/// Country codes whose numbers begin with a 0 that is dialled from everywhere.
const KEEPS_ZERO: [u16; 5] = [39, 225, 241, 242, 378];

/// The rules for every country, in an order that is always the same.
fn countries() -> Vec<&'static Metadata> {
    let others = WITHOUT_COUNTRY.iter().filter_map(|code| DATABASE.by_code(code)?.first().copied());
    let mut countries: Vec<&Metadata> = DATABASE.iter().filter(|country| country.id() != "001").chain(others).collect();
    countries.sort_by_key(|country| (country.country_code(), country.id()));
    countries
}

/// The rules for the kinds of numbers that a country has.
fn kinds(country: &Metadata) -> Vec<&Descriptor> {
    let kinds = country.descriptors();
    let all = [
        kinds.fixed_line(),
        kinds.mobile(),
        kinds.toll_free(),
        kinds.premium_rate(),
        kinds.shared_cost(),
        kinds.personal_number(),
        kinds.voip(),
        kinds.pager(),
        kinds.uan(),
        kinds.voicemail(),
    ];
    all.into_iter().flatten().filter(|kind| kind.example().is_some()).collect()
}

/// A number by its country code and what follows.
#[derive(Clone)]
struct Number {
    code: u16,
    national: String,
}

impl Number {
    fn digits(&self) -> String {
        format!("{}{}", self.code, self.national)
    }

    fn is_of_possible_length(&self) -> bool {
        (7..=15).contains(&self.digits().len())
    }

    /// The same as the crate reads it, unless it takes a part of it for a prefix.
    fn parsed(&self) -> Option<PhoneNumber> {
        let number = phonenumber::parse(None, format!("+{}", self.digits())).ok()?;
        (number.code().value() == self.code && number.national().to_string() == self.national).then_some(number)
    }
}

/// Numbers that are valid by the rules, of every country and kind.
fn valid_numbers(count: usize) -> Vec<Number> {
    let mut random = Rng::with_seed(7);
    let countries = countries();
    let kinds: Vec<(u16, &Descriptor, Pattern)> = countries
        .iter()
        .flat_map(|country| kinds(country).into_iter().map(|kind| (country.country_code(), kind)))
        .map(|(code, kind)| (code, kind, Pattern::new(kind.national_number().as_str())))
        .collect();
    let mut numbers = Vec::with_capacity(count);
    let mut rounds = 0;
    while numbers.len() < count {
        for (code, kind, pattern) in &kinds {
            let mut national = pattern.sample(&mut random);
            // The crate minds only that a number begins as a rule says and has one of its lengths.
            let length = random.choice(kind.possible_length()).copied().map_or(national.len(), usize::from);
            national.extend((national.len()..length).map(|_| random.digit(10)));
            let number = Number { code: *code, national };
            let is_of_kind = kind.possible_length().iter().any(|length| usize::from(*length) == number.national.len());
            numbers.extend(Some(number).filter(|number| is_of_kind && number.is_of_possible_length()));
        }
        rounds += 1;
        assert!(rounds < 1_000, "only {} numbers came", numbers.len());
    }
    random.shuffle(&mut numbers);
    numbers.truncate(count);
    numbers
}

/// The ways in which people and their tools write a number, from its international form in groups.
fn spellings(number: &Number, groups: &[&str]) -> Vec<String> {
    let digits = number.digits();
    let Number { code, national } = number;
    let of_script = |zero: char| -> String {
        let digit = |digit: char| char::from_u32(u32::from(zero) + digit.to_digit(10)?);
        digits.chars().filter_map(digit).collect()
    };
    let in_parentheses = match groups {
        [first, rest @ ..] if *first != "0" => format!("({first}) {}", rest.join("-")),
        _ => national.clone(),
    };
    let with_zero = match national.strip_prefix('0') {
        Some(rest) if KEEPS_ZERO.contains(code) => format!("+{code} (0){rest}"),
        _ if KEEPS_ZERO.contains(code) => format!("+{code}{national}"),
        _ => format!("+{code} (0){}", groups.join(" ")),
    };
    vec![
        format!("+{digits}"),
        digits.clone(),
        format!("00{digits}"),
        format!("+{code} {}", groups.join(" ")),
        format!("{code} {}", groups.join("-")),
        format!("+{code}.{}", groups.join(".")),
        format!("00 {code}\u{A0}{}", groups.join("\u{2011}")),
        format!("+{code} {in_parentheses}"),
        format!("{code} {in_parentheses}"),
        format!("(+{code}) {national}"),
        with_zero,
        format!("tel:+{code}-{}", groups.join("-")),
        format!("whatsapp:+{digits}"),
        format!("https://wa.me/{digits}"),
        format!("'{digits}"),
        format!("\u{202A}+{digits}\u{202C}"),
        format!("＋{}", of_script('０')),
        format!("+{}", of_script('٠')),
    ]
}

/// A number in groups of two and three digits.
fn groups(national: &str) -> Vec<&str> {
    let mut groups = vec![];
    let mut rest = national;
    while rest.len() > 4 {
        let (group, behind) = rest.split_at(if groups.len() % 2 == 0 { 3 } else { 2 });
        groups.push(group);
        rest = behind;
    }
    groups.push(rest);
    groups
}

/// The spellings that are read as another number than is meant, or refused.
fn misread(number: &Number, spellings: impl IntoIterator<Item = String>) -> Vec<String> {
    let digits = number.digits();
    let wrong = |spelling: &String| match spelling.parse::<Phone>() {
        Ok(phone) => (phone.digits() != digits).then(|| format!("{spelling:?} is read as {phone}")),
        Err(error) => Some(format!("{spelling:?} is refused: {error}")),
    };
    spellings.into_iter().filter_map(|spelling| wrong(&spelling)).collect()
}

#[track_caller]
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} such as {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
}

#[test]
fn no_valid_number_is_refused_in_any_spelling_and_both_doors_give_one_key() {
    let mut wrong = vec![];
    let mut codes = BTreeSet::new();
    for (place, number) in valid_numbers(VALID).into_iter().enumerate() {
        let digits = number.digits();
        let received = Phone::received(&digits).unwrap();
        let strict: Option<ContactId> = digits.parse().ok();
        assert_eq!(strict, Some(ContactId::from(&received)), "{digits}");
        assert_eq!(canonical_number(digits.parse().unwrap()).unwrap().to_string(), received.canonical());
        // Twelve of all spellings each, in turn.
        let mut spellings = spellings(&number, &groups(&number.national));
        let turn = place % spellings.len();
        spellings.rotate_left(turn);
        spellings.truncate(12);
        wrong.extend(misread(&number, spellings));
        codes.insert(number.code);
    }
    assert_none(&wrong);
    assert!(codes.len() > 200, "{} country codes", codes.len());
}

#[test]
fn what_is_made_from_the_rules_is_valid_and_read_as_the_crate_writes_it() {
    let mut wrong = vec![];
    let mut written = 0;
    for number in valid_numbers(WRITTEN) {
        let Some(parsed) = number.parsed() else { continue };
        assert!(parsed.is_valid(), "{}", number.digits());
        let modes = [Mode::E164, Mode::International, Mode::Rfc3966];
        wrong.extend(misread(&number, modes.map(|mode| parsed.format().mode(mode).to_string())));
        written += 1;
    }
    assert_none(&wrong);
    assert!(written > WRITTEN * 9 / 10, "{written}");
}

/// The share that is refused, in percent.
fn refused<'a>(texts: impl IntoIterator<Item = &'a String>) -> f64 {
    let (mut all, mut refused) = (0u32, 0u32);
    for text in texts {
        all += 1;
        refused += u32::from(text.parse::<Phone>().is_err());
    }
    assert!(all > 1_000, "{all}");
    100.0 * f64::from(refused) / f64::from(all)
}

#[test]
fn numbers_of_impossible_length_are_refused() {
    let mut random = Rng::with_seed(11);
    let mut lengths: BTreeMap<u16, BTreeSet<usize>> = BTreeMap::new();
    for country in countries() {
        let possible =
            kinds(country).into_iter().flat_map(|kind| kind.possible_length().iter().copied().map(usize::from));
        lengths.entry(country.country_code()).or_default().extend(possible);
    }
    let mut impossible = vec![];
    for code in 1..1_000u16 {
        let is_code = |code: u16| lengths.contains_key(&code);
        // Codes that nobody has, and that don't begin with one that somebody has.
        let nobodys = code >= 100 && !is_code(code) && !is_code(code / 10) && !is_code(code / 100);
        let Some(possible) = lengths.get(&code).or(nobodys.then_some(&BTreeSet::new())).cloned() else { continue };
        for length in (4..=16).filter(|length| !possible.contains(length)) {
            for _ in 0..5 {
                let national: String = (0..length).map(|_| random.digit(10)).collect();
                impossible.push(format!("+{code}{national}"));
            }
        }
    }
    let refused = refused(&impossible);
    assert!(refused >= 98.0, "{refused} %");
}

#[test]
fn numbers_that_keep_what_is_dialled_within_the_country_are_refused() {
    let prefixes: BTreeMap<u16, &str> =
        countries().iter().filter_map(|country| Some((country.country_code(), country.national_prefix()?))).collect();
    let stayed: Vec<String> = valid_numbers(20_000)
        .iter()
        .filter_map(|Number { code, national }| Some(format!("+{code} {}{national}", prefixes.get(code)?)))
        .collect();
    let refused = refused(&stayed);
    assert!(refused >= 98.0, "{refused} %");
}

#[test]
fn numbers_that_a_spreadsheet_made_decimals_of_are_refused() {
    let decimals: Vec<String> = valid_numbers(2_000)
        .iter()
        .flat_map(|number| {
            let digits = number.digits();
            let float: f64 = digits.parse().unwrap();
            [format!("{digits}.0"), format!("{digits},0"), format!("+{digits}.0"), format!("{float:E}")]
        })
        .collect();
    let wrong = |text: &String| match text.parse::<Phone>() {
        Err(InvalidPhone::Decimal) => None,
        read => Some(format!("{text:?} is {read:?}")),
    };
    assert_none(&decimals.iter().filter_map(wrong).collect::<Vec<_>>());
}
