//! Phone numbers: read however people write them, kept as digits, and made one per person for keys.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use icu_properties::props::{Dash, DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The fewest digits a number can have, country code included.
const MIN_DIGITS: usize = 7;

/// The most digits a number can have, country code included (ITU-T E.164).
const MAX_DIGITS: usize = 15;

/// The smallest integer with enough digits, and the smallest with too many.
const ENOUGH: u64 = 1_000_000;
const TOO_MANY: u64 = 1_000_000_000_000_000;

/// A phone number with its country code.
///
/// Two `Phone`s are equal when their digits as received are. Whether they reach the same person is a question for
/// [`Phone::canonical`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone {
    digits: String,
}

impl Phone {
    /// The number as received, as ASCII digits without `+`: what to show and to send to.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// The digits that stand for the person, whichever of a country's two forms was received: what keys are made of.
    ///
    /// Mobile numbers of Mexico, Argentina and Brazil are in use with and without an extra digit. The canonical form is the
    /// one without it, and is its own canonical form.
    #[must_use]
    pub fn canonical(&self) -> Cow<'_, str> {
        let extra = match self.digits.as_bytes() {
            // Every form with the extra digit has 13; what is shorter or longer is another kind of number.
            digits if digits.len() != 13 => None,
            [b'5', b'2', b'1', ..] | [b'5', b'4', b'9', ..] => Some(2),
            // Only mobile numbers, which begin with 6 to 9, took the 9 after the area code.
            [b'5', b'5', _, _, b'9', b'6'..=b'9', ..] => Some(4),
            _ => None,
        };
        match extra {
            Some(place) => {
                let mut digits = self.digits.clone();
                digits.remove(place);
                Cow::Owned(digits)
            }
            None => Cow::Borrowed(&self.digits),
        }
    }
}

/// The canonical form of a number whose digits, as received, are those of this integer: [`Phone::canonical`] where
/// millions are compared. None if it has too few digits or too many.
#[inline]
#[must_use]
pub const fn canonical_number(number: u64) -> Option<u64> {
    const THIRTEEN_DIGITS: u64 = 10u64.pow(12);
    if number < ENOUGH || number >= TOO_MANY {
        return None;
    }
    if number / 10 >= THIRTEEN_DIGITS || number < THIRTEEN_DIGITS {
        return Some(number);
    }
    let (subscriber, mobile) = (10u64.pow(10), 10u64.pow(8));
    Some(match number / subscriber {
        521 => 52 * subscriber + number % subscriber,
        549 => 54 * subscriber + number % subscriber,
        550..=559 if matches!(number / (mobile / 10) % 100, 96..=99) => {
            number / (10 * mobile) * mobile + number % mobile
        }
        _ => number,
    })
}

// What is printed ends up in logs, where a number may not stand.
impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone")
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.digits)
    }
}

impl FromStr for Phone {
    type Err = InvalidPhone;

    /// Reads a number in international form: `+44 (0)20 7946 0958`, `0044 20 7946 0958` and `442079460958` are the same.
    fn from_str(text: &str) -> Result<Self, InvalidPhone> {
        let signs = signs(text)?;
        let first_digit = signs.find(|sign: char| sign.is_ascii_digit()).ok_or(InvalidPhone::TooShort)?;
        let (head, tail) = signs.split_at(first_digit);

        let pluses = head.matches('+').count();
        if pluses > 1 || tail.contains('+') {
            return Err(InvalidPhone::StrayPlus);
        }
        // Only behind a country code is `(0)` the national prefix to leave out. A number that begins with it has no
        // country code; without its 0 it could be a stranger's, so there the 0 stays and is refused below.
        let digits = tail.replace("(0)", "").replace(['(', ')'], "");
        let digits = if pluses == 0 { digits.strip_prefix("00").unwrap_or(&digits) } else { &digits };

        if digits.starts_with('0') {
            return Err(InvalidPhone::LeadingZero);
        }
        match digits.len() {
            ..MIN_DIGITS => Err(InvalidPhone::TooShort),
            MIN_DIGITS..=MAX_DIGITS => Ok(Self { digits: digits.to_owned() }),
            _ => Err(InvalidPhone::TooLong),
        }
    }
}

/// Why a text is no phone number. The texts are shown to users and never repeat the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhone {
    /// Something that does not belong into a number, such as a letter.
    #[error(
        "a phone number has only digits, spaces, dashes, dots, parentheses and a leading +; remove everything else"
    )]
    StrayCharacter,
    /// A `+` that is not the only one or does not lead.
    #[error("a phone number has a + only once, before its first digit; remove any other")]
    StrayPlus,
    /// No country code begins with 0: the number is a national one.
    #[error("a phone number cannot begin with 0; write it with its country code, as in +1 415 555 0100")]
    LeadingZero,
    /// Fewer than 7 digits.
    #[error("a phone number has at least {MIN_DIGITS} digits; write it in full, with its country code")]
    TooShort,
    /// More than 15 digits.
    #[error("a phone number has at most {MAX_DIGITS} digits; remove extensions and further numbers")]
    TooLong,
}

/// What of the text has a meaning, in ASCII: digits, parentheses and `+`.
fn signs(text: &str) -> Result<String, InvalidPhone> {
    let mut signs = String::new();
    for c in text.chars() {
        match c {
            // First, as it is what most of a number is and looking it up among the separators takes long.
            '0'..='9' => signs.push(c),
            '+' | '＋' => signs.push('+'),
            '(' | '（' | '﹙' => signs.push('('),
            ')' | '）' | '﹚' => signs.push(')'),
            _ if is_separator(c) => {}
            _ => signs.push(ascii_digit(c).ok_or(InvalidPhone::StrayCharacter)?),
        }
    }
    Ok(signs)
}

/// Whether people part digits with it, be it unseen like the marks for writing direction that come along when a number is
/// copied.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '.' | '·' | '•' | '․' | '‧' | '∙' | '⋅' | '・' | '．' | '･')
        || CodePointSetData::new::<Dash>().contains(c)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// The value of a decimal digit of any script, as an ASCII digit.
fn ascii_digit(c: char) -> Option<char> {
    if c.is_ascii_digit() {
        return Some(c);
    }
    let categories = CodePointMapData::<GeneralCategory>::new();
    // Unicode has the decimal digits of a script in one run from 0 to 9. Where runs adjoin, whole tens come first.
    let up_to_it = (0..=u32::from(c))
        .rev()
        .take_while(|&code_point| categories.get32(code_point) == GeneralCategory::DecimalNumber)
        .count();
    let value = up_to_it.checked_sub(1)? % 10;
    char::from_digit(u32::try_from(value).ok()?, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn phone(text: &str) -> Phone {
        text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    #[track_caller]
    fn digits(text: &str) -> String {
        phone(text).digits().to_owned()
    }

    #[track_caller]
    fn canonical(digits: &str) -> String {
        phone(digits).canonical().into_owned()
    }

    #[track_caller]
    fn refusal(text: &str) -> InvalidPhone {
        match text.parse::<Phone>() {
            Ok(phone) => panic!("{text:?} was read as {phone}"),
            Err(error) => error,
        }
    }

    #[test]
    fn a_number_is_shown_with_a_plus() {
        assert_eq!(phone("14155550123").to_string(), "+14155550123");
    }

    #[test]
    fn a_bare_digit_string_is_international_already() {
        assert_eq!(digits("14155550123"), "14155550123");
        assert_eq!(digits("+14155550123"), "14155550123");
    }

    #[test]
    fn separators_are_dropped() {
        for text in [
            "+1 415 555 0123",
            "+1-415-555-0123",
            "+1.415.555.0123",
            "+1 (415) 555-0123",
            "(+1) 415 555 0123",
            "+1·415·555·0123",
            " \t+1\u{A0}415\u{2009}555\u{3000}0123\n",
            "+1\u{2010}415\u{2011}555\u{2013}0123",
            "+1\u{2014}415\u{2212}555\u{FF0D}0123",
            "＋１（４１５）５５５－０１２３",
        ] {
            assert_eq!(digits(text), "14155550123", "{text:?}");
        }
    }

    #[test]
    fn invisible_marks_are_dropped() {
        for text in [
            "\u{202A}+1 415 555 0123\u{202C}",
            "\u{200E}+1\u{200B}415\u{FEFF}5550123\u{200F}",
            "\u{2066}+14155550123\u{2069}",
            "\u{61C}+1415\u{AD}555\u{2060}0123",
        ] {
            assert_eq!(digits(text), "14155550123", "{text:?}");
        }
    }

    #[test]
    fn digits_of_any_script_are_read() {
        for text in [
            "+١٤١٥٥٥٥٠١٢٣",            // Arabic
            "+۱۴۱۵۵۵۵۰۱۲۳",            // Persian
            "+१४१५५५५०१२३",            // Devanagari
            "+১৪১৫৫৫৫০১২৩",            // Bengali
            "+๑๔๑๕๕๕๕๐๑๒๓",            // Thai
            "+၁၄၁၅၅၅၅၀၁၂၃",            // Myanmar
            "+１４１５５５５０１２３", // full width
            "+𝟏𝟒𝟏𝟓𝟓𝟓𝟓𝟎𝟏𝟐𝟑",            // mathematical bold
            "+𝟷𝟺𝟷𝟻𝟻𝟻𝟻𝟶𝟷𝟸𝟹",            // mathematical monospace, in the last of five adjoining runs
        ] {
            assert_eq!(digits(text), "14155550123", "{text:?}");
        }
    }

    #[test]
    fn decimal_digits_of_all_scripts_come_in_runs_of_ten() {
        let categories = CodePointMapData::<GeneralCategory>::new();
        let decimals: Vec<char> = categories
            .iter_ranges_for_value(GeneralCategory::DecimalNumber)
            .flatten()
            .filter_map(char::from_u32)
            .collect();
        assert!(decimals.len() > 700);
        for run in decimals.chunks(10) {
            let values: String = run.iter().filter_map(|&c| ascii_digit(c)).collect();
            assert_eq!(values, "0123456789", "the run from U+{:04X}", u32::from(run[0]));
        }
    }

    #[test]
    fn numbers_that_are_no_decimal_digits_are_refused() {
        for text in ["+1415555012³", "+1415555012③", "+1415555012½", "+1415555012四", "+1415555012Ⅲ"] {
            assert_eq!(refusal(text), InvalidPhone::StrayCharacter, "{text:?}");
        }
    }

    #[test]
    fn a_leading_00_is_a_plus() {
        assert_eq!(digits("0014155550123"), "14155550123");
        assert_eq!(digits("00 44 20 7946 0958"), "442079460958");
        assert_eq!(digits("(00) 44 20 7946 0958"), "442079460958");
        assert_eq!(refusal("+0014155550123"), InvalidPhone::LeadingZero);
        assert_eq!(refusal("00014155550123"), InvalidPhone::LeadingZero);
    }

    #[test]
    fn the_national_prefix_in_parentheses_is_dropped() {
        for text in ["+44 (0)20 7946 0958", "+44(0) 20 7946 0958", "0044 ( 0 ) 20 7946 0958", "+44 （٠） 20 7946 0958"]
        {
            assert_eq!(digits(text), "442079460958", "{text:?}");
        }
        assert_eq!(digits("+44 (020) 7946 0958"), "4402079460958");
    }

    #[test]
    fn a_number_without_country_code_is_refused() {
        assert_eq!(refusal("020 7946 0958"), InvalidPhone::LeadingZero);
        assert_eq!(refusal("(0)20 7946 0958"), InvalidPhone::LeadingZero);
        assert_eq!(refusal("+0 20 7946 0958"), InvalidPhone::LeadingZero);
    }

    #[test]
    fn only_one_leading_plus_is_allowed() {
        for text in ["++14155550123", "1+4155550123", "14155550123+", "+1 +415 555 0123", "00+14155550123"] {
            assert_eq!(refusal(text), InvalidPhone::StrayPlus, "{text:?}");
        }
    }

    #[test]
    fn seven_to_fifteen_digits_are_a_number() {
        assert_eq!(digits("+1234567"), "1234567");
        assert_eq!(digits("+123456789012345"), "123456789012345");
        assert_eq!(refusal("+123456"), InvalidPhone::TooShort);
        assert_eq!(refusal("+1234567890123456"), InvalidPhone::TooLong);
        for text in ["", " ", "+", "()", "00", "-"] {
            assert_eq!(refusal(text), InvalidPhone::TooShort, "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "+1 415 555 0123 ext 4",
            "tel:+14155550123",
            "+1/415/555/0123",
            "+1_415_555_0123",
            "+1,415,555,0123",
            "+1 415 555 O123",
            "14155550123@s.whatsapp.net",
            "US.13491208655302741918",
            "📞+14155550123",
            "+1415555012\u{0}3",
            "+1 415 555 0123; +1 415 555 0124",
        ] {
            assert_eq!(refusal(text), InvalidPhone::StrayCharacter, "{text:?}");
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        let texts = [
            (
                InvalidPhone::StrayCharacter,
                "a phone number has only digits, spaces, dashes, dots, parentheses and a leading +; remove everything else",
            ),
            (InvalidPhone::StrayPlus, "a phone number has a + only once, before its first digit; remove any other"),
            (
                InvalidPhone::LeadingZero,
                "a phone number cannot begin with 0; write it with its country code, as in +1 415 555 0100",
            ),
            (InvalidPhone::TooShort, "a phone number has at least 7 digits; write it in full, with its country code"),
            (InvalidPhone::TooLong, "a phone number has at most 15 digits; remove extensions and further numbers"),
        ];
        for (error, text) in texts {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn mexican_mobiles_lose_the_1() {
        assert_eq!(canonical("5215512345678"), "525512345678");
        assert_eq!(canonical("525512345678"), "525512345678");
    }

    #[test]
    fn a_mexican_number_that_only_begins_with_1_is_never_touched() {
        assert_eq!(canonical("521512345678"), "521512345678");
    }

    #[test]
    fn argentine_mobiles_lose_the_9() {
        assert_eq!(canonical("5491123456789"), "541123456789");
        assert_eq!(canonical("541123456789"), "541123456789");
        assert_eq!(canonical("549112345678"), "549112345678");
    }

    #[test]
    fn brazilian_mobiles_lose_the_ninth_digit() {
        for next in 6..=9 {
            assert_eq!(canonical(&format!("55119{next}1234567")), format!("5511{next}1234567"));
        }
        assert_eq!(canonical("551181234567"), "551181234567");
    }

    #[test]
    fn brazilian_landlines_are_never_touched() {
        assert_eq!(canonical("554132345678"), "554132345678");
        assert_eq!(canonical("551191234567"), "551191234567");
        for next in 0..=5 {
            let landline = format!("55119{next}1234567");
            assert_eq!(canonical(&landline), landline);
        }
    }

    #[test]
    fn numbers_of_other_countries_are_never_touched() {
        for digits in ["14155550123", "442079460958", "5201234567890", "5551234567", "8615212345678", "15219612345678"]
        {
            assert_eq!(canonical(digits), digits);
        }
    }

    #[test]
    fn the_number_as_received_is_kept() {
        assert_eq!(digits("+52 1 55 1234 5678"), "5215512345678");
    }

    #[test]
    fn as_an_integer_a_number_has_the_same_canonical_form() {
        let tails = ["1111111", "911911", "91191111", "96611111", "961234567", "19999999", "21521215", "3456789012"];
        for head in 1..1000 {
            for tail in tails {
                for area in ["", "0", "9", "11", "119"] {
                    let digits = format!("{head}{area}{tail}");
                    let text = digits.parse::<Phone>().ok().map(|phone| phone.canonical().parse().unwrap());
                    assert_eq!(canonical_number(digits.parse().unwrap()), text, "{digits}");
                }
            }
        }
        for (number, canonical) in [(999_999, None), (1_000_000, Some(1_000_000)), (10u64.pow(15), None)] {
            assert_eq!(canonical_number(number), canonical);
        }
    }

    #[test]
    fn a_canonical_form_is_its_own_canonical_form() {
        // All forms with an extra digit have 13 digits and a canonical one has 12, so no rule applies twice.
        let tails = ["11111111", "91191111", "96611111", "19999999", "21521215"];
        let mut shortened = 0;
        for country in 52..=55 {
            for area in 0..1000 {
                for tail in tails {
                    let digits = format!("{country}{area:03}{tail}");
                    let once = canonical(&digits);
                    assert_eq!(canonical(&once), once, "from {digits}");
                    shortened += usize::from(once != digits);
                }
            }
        }
        assert!(shortened > 1000);
    }
}
