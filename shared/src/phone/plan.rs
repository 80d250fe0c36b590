//! Numbering plans: the numbers that can exist, by country code, length and the digits behind the country code.

use std::collections::BTreeSet;

use super::countries::{Form, PLANS, Plan};
use super::{MAX_DIGITS, MIN_DIGITS};

/// The reason for which a number with a known country code cannot exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// No digit follows the country code.
    Empty,
    /// No number begins with this digit behind the country code.
    Start(char),
    /// No number that begins with `start` has this number of digits behind the country code.
    Length { start: char, digits: usize },
}

impl Plan {
    /// The plan of a country code.
    pub(super) fn of_code(code: u16) -> Option<&'static Self> {
        PLANS.binary_search_by_key(&code, |plan| plan.code).ok().map(|place| &PLANS[place])
    }

    /// The plan of the country code that the digits begin with. No country code begins with another one.
    pub(super) fn of(digits: &str) -> Option<&'static Self> {
        (1..=3).find_map(|length| Self::of_code(digits.get(..length)?.parse().ok()?))
    }

    /// The number of digits of the country code.
    pub(super) const fn code_length(&self) -> usize {
        match self.code {
            0..10 => 1,
            10..100 => 2,
            _ => 3,
        }
    }

    /// True if `(0)` behind the country code is a digit of the number. Elsewhere it is dialled within the country only.
    pub(super) fn keeps_zero(&self) -> bool {
        // Italy with the Vatican, Côte d'Ivoire, Gabon, Congo, San Marino.
        matches!(self.code, 39 | 225 | 241 | 242 | 378)
    }

    /// Checks that a number which begins with this country code can exist.
    pub(super) fn check(&self, digits: &str) -> Result<(), Misfit> {
        let national = &digits[self.code_length()..];
        let start = national.chars().next().ok_or(Misfit::Empty)?;
        let mut forms = self.forms.iter().filter(|form| begins(national, form)).peekable();
        if forms.peek().is_none() {
            return Err(Misfit::Start(start));
        }
        if forms.any(|(_, lengths)| lengths.contains(&national.len())) {
            return Ok(());
        }
        Err(Misfit::Length { start, digits: national.len() })
    }

    /// The lengths of the national numbers that begin with this digit, in words: `7, 9 or 10`.
    pub(super) fn lengths(&self, start: char) -> String {
        let fits = |length: &usize| (MIN_DIGITS..=MAX_DIGITS).contains(&(length + self.code_length()));
        let forms = self.forms.iter().filter(|(starts, _)| match starts.split_once('|') {
            Some((first, _)) => first.starts_with(start),
            None => starts.contains(start),
        });
        let lengths: BTreeSet<usize> = forms.flat_map(|(_, lengths)| *lengths).copied().filter(fits).collect();
        let words: Vec<String> = lengths.iter().map(usize::to_string).collect();
        match &words[..] {
            [first, .., last] if words.len() > 2 && lengths.iter().is_sorted_by(|one, next| *one + 1 == **next) => {
                format!("{first} to {last}")
            }
            [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
            words => words.concat(),
        }
    }
}

/// True if a national number begins as a form says.
fn begins(national: &str, (starts, _): &Form) -> bool {
    let (first, digits) = starts.split_once('|').unwrap_or(("", starts));
    national.strip_prefix(first).is_some_and(|rest| rest.starts_with(|digit| digits.contains(digit)))
}

/// True if a number can exist that has so many digits and begins with these four. False also where only a closer look
/// tells: the strict reading of [`super::Phone`] has the last word.
#[inline]
#[must_use]
pub fn is_usual(first_four: u64, digits: usize) -> bool {
    let lengths = usize::try_from(first_four).ok().and_then(|place| USUAL.get(place));
    (USUAL_DIGITS..=MAX_DIGITS).contains(&digits)
        && lengths.is_some_and(|lengths| lengths >> (digits - USUAL_DIGITS) & 1 == 1)
}

/// The fewest digits of a number that [`is_usual`] knows: fewer are so rare that the closer look may tell.
const USUAL_DIGITS: usize = 8;

/// For each four digits that a number may begin with, the lengths of such numbers: the lowest bit stands for 8 digits, the
/// highest for 15. Four digits always have the country code, and the digit behind it.
static USUAL: [u8; 10_000] = usual();

const fn usual() -> [u8; 10_000] {
    let mut usual = [0; 10_000];
    let mut row = 0;
    while row < PLANS.len() {
        let plan = &PLANS[row];
        let mut form = 0;
        while form < plan.forms.len() {
            let (starts, lengths) = plan.forms[form];
            add(&mut usual, plan, starts.as_bytes(), lengths);
            form += 1;
        }
        row += 1;
    }
    usual
}

/// Adds a form, unless it takes more than one digit to tell it.
const fn add(usual: &mut [u8; 10_000], plan: &Plan, starts: &[u8], lengths: &[usize]) {
    let mut bits = 0;
    let mut at = 0;
    while at < lengths.len() {
        let digits = plan.code_length() + lengths[at];
        if digits >= USUAL_DIGITS && digits <= MAX_DIGITS {
            bits |= 1 << (digits - USUAL_DIGITS);
        }
        at += 1;
    }
    at = 0;
    while at < starts.len() {
        if starts[at] == b'|' {
            return;
        }
        at += 1;
    }
    // The first of the four digits are the country code and the start; the others may be any.
    let any = [100, 10, 1][plan.code_length() - 1];
    at = 0;
    while at < starts.len() {
        let first = (plan.code as usize * 10 + (starts[at] - b'0') as usize) * any;
        let mut place = first;
        while place < first + any {
            usual[place] |= bits;
            place += 1;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn country_codes_stand_in_order_and_none_begins_with_another() {
        assert!(PLANS.is_sorted_by_key(|plan| plan.code));
        for plan in PLANS {
            let code = plan.code.to_string();
            assert_eq!(code.len(), plan.code_length());
            let beginners = PLANS.iter().filter(|other| other.code.to_string().starts_with(&code));
            assert_eq!(beginners.count(), 1, "+{code}");
        }
    }

    #[test]
    fn forms_are_written_with_digits_in_order() {
        for plan in PLANS {
            for (starts, lengths) in plan.forms {
                let (first, digits) = starts.split_once('|').unwrap_or(("", starts));
                assert!(first.bytes().all(|byte| byte.is_ascii_digit()), "+{}", plan.code);
                assert!(digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty(), "+{}", plan.code);
                assert!(digits.bytes().is_sorted_by(|one, next| one < next), "+{}", plan.code);
                assert!(lengths.is_sorted_by(|one, next| one < next) && !lengths.is_empty(), "+{}", plan.code);
                let total = |length: &usize| plan.code_length() + length <= MAX_DIGITS;
                assert!(lengths.iter().all(total), "+{}", plan.code);
            }
        }
    }

    #[test]
    fn what_is_usual_can_exist() {
        let fill = "5".repeat(MAX_DIGITS);
        for first_four in 0..10_000u64 {
            for digits in 4..=MAX_DIGITS + 1 {
                let number = &format!("{first_four:04}{fill}")[..digits];
                let fits = (MIN_DIGITS..=MAX_DIGITS).contains(&digits);
                let can_exist = fits && Plan::of(number).is_some_and(|plan| plan.check(number).is_ok());
                assert!(can_exist || !is_usual(first_four, digits), "{number}");
            }
        }
        assert!(is_usual(1415, 11) && is_usual(4930, 11) && is_usual(5491, 13));
        assert!(!is_usual(1415, 12) && !is_usual(4407, 12) && !is_usual(10_000, 11));
    }

    #[test]
    fn lengths_are_put_into_words() {
        let lengths = |code, start| Plan::of_code(code).map(|plan| plan.lengths(start));
        assert_eq!(lengths(1, '4').as_deref(), Some("10"));
        assert_eq!(lengths(49, '3').as_deref(), Some("5 to 13"));
        assert_eq!(lengths(229, '8').as_deref(), Some("8"));
        assert_eq!(lengths(52, '1').as_deref(), Some("11"));
        assert_eq!(lengths(7, '8').as_deref(), Some("10 or 14"));
    }
}
