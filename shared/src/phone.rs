//! Phone numbers: kept as digits, and made one per person for keys.
//!
//! There are two ways in. [`Phone::received`] takes what WhatsApp sends: whose number it is, WhatsApp knows, and a `STOP`
//! may hang on it. [`Phone::from_str`] reads what people and their tools write, and refuses what can't be a number: one
//! that a spreadsheet mangled would be somebody else's.

mod countries;
mod invalid;
mod plan;
mod sign;
mod written;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

pub use invalid::InvalidPhone;
pub use plan::is_usual;

/// The fewest digits a number can have, country code included.
const MIN_DIGITS: usize = 7;

/// The most digits a number can have, country code included: ITU-T E.164, <https://www.itu.int/rec/T-REC-E.164>.
const MAX_DIGITS: usize = 15;

/// The smallest integer with enough digits, and the smallest with too many.
const ENOUGH: u64 = 1_000_000;
const TOO_MANY: u64 = 1_000_000_000_000_000;

/// A phone number with its country code.
///
/// Two `Phone`s are equal when their digits as received are. They reach the same person when [`Phone::canonical`] is equal.
///
/// ```
/// use consent::phone::Phone;
///
/// let phone: Phone = "+44 (0)20 7946 0958".parse()?;
/// assert_eq!(phone.digits(), "442079460958");
/// assert!("(415) 555-0123".parse::<Phone>().is_err(), "people have to write the country code");
/// assert_eq!(Phone::received("5215512345678")?.canonical(), "525512345678");
/// # Ok::<(), consent::phone::InvalidPhone>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone {
    digits: String,
}

impl Phone {
    /// Takes a number from WhatsApp, or from where one that came from there was kept: 7 to 15 digits, however odd, with or
    /// without `+`.
    ///
    /// # Errors
    /// The text has fewer digits or more, or other characters than digits and separators.
    pub fn received(text: &str) -> Result<Self, InvalidPhone> {
        let signs = sign::signs(text).map_err(|_| InvalidPhone::StrayCharacter)?;
        let digits: String = signs.chars().filter(char::is_ascii_digit).collect();
        let behind_plus =
            signs.trim_start_matches(|sign: char| !sign.is_ascii_digit() && sign != '+').strip_prefix('+');
        if behind_plus.unwrap_or(&signs).contains('+') {
            return Err(InvalidPhone::StrayPlus);
        }
        let digits = match digits.strip_prefix("00") {
            Some(rest) if behind_plus.is_none() => rest.to_owned(),
            _ => digits,
        };
        match digits.len() {
            ..MIN_DIGITS => Err(InvalidPhone::TooShort),
            MIN_DIGITS..=MAX_DIGITS => Ok(Self { digits }),
            _ => Err(InvalidPhone::TooLong),
        }
    }

    /// The number as received, as ASCII digits without `+`: what to show and to send to.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// The digits that stand for the person, whichever of a country's two forms was received: what keys are made of.
    ///
    /// Numbers of Mexico, Argentina, Brazil and Benin are in use with and without additional digits. The canonical form is
    /// the one without them, and is its own canonical form.
    ///
    /// | country | additional digits | source |
    /// |---|---|---|
    /// | Mexico (52) | `1` of mobile numbers, until 2019 | <https://en.wikipedia.org/wiki/Telephone_numbers_in_Mexico> |
    /// | Argentina (54) | `9` of mobile numbers | <https://en.wikipedia.org/wiki/Telephone_numbers_in_Argentina> |
    /// | Brazil (55) | `9` of mobile numbers, from 2012 | <https://en.wikipedia.org/wiki/Telephone_numbers_in_Brazil> |
    /// | Benin (229) | `01` of all numbers, from 2024 | <https://en.wikipedia.org/wiki/Telephone_numbers_in_Benin> |
    #[must_use]
    pub fn canonical(&self) -> Cow<'_, str> {
        let additional = match self.digits.as_bytes() {
            // Every form with additional digits has 13; what is shorter or longer is another kind of number.
            digits if digits.len() != 13 => None,
            [b'5', b'2', b'1', ..] | [b'5', b'4', b'9', ..] => Some(2..3),
            // Only mobile numbers, which begin with 6 to 9, took the 9 after the area code.
            [b'5', b'5', _, _, b'9', b'6'..=b'9', ..] => Some(4..5),
            // All numbers of Benin, of which there were those that begin with 2, 4 to 6 and 9, took 01 in 2024.
            [b'2', b'2', b'9', b'0', b'1', b'2' | b'4'..=b'6' | b'9', ..] => Some(3..5),
            _ => None,
        };
        match additional {
            Some(range) => {
                let mut digits = self.digits.clone();
                digits.replace_range(range, "");
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
        229 if number / mobile == 22_901 && matches!(number / (mobile / 10) % 10, 2 | 4..=6 | 9) => {
            229 * mobile + number % mobile
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

    /// Reads a number in international form, as people write it: `+44 (0)20 7946 0958`, `0044 20 7946 0958` and
    /// `442079460958` are the same.
    fn from_str(text: &str) -> Result<Self, InvalidPhone> {
        written::digits(text).map(|digits| Self { digits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn received(text: &str) -> Phone {
        Phone::received(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    #[track_caller]
    fn canonical(digits: &str) -> String {
        received(digits).canonical().into_owned()
    }

    #[test]
    fn a_number_is_shown_with_a_plus() {
        assert_eq!(received("14155550123").to_string(), "+14155550123");
    }

    #[test]
    fn whatever_whatsapp_sends_is_taken_as_it_is() {
        for digits in ["14155550123", "1234567", "123456789012345", "4407700900123", "99955501234", "141555501230"] {
            assert_eq!(received(digits).digits(), digits);
            assert_eq!(received(&format!("+{digits}")).digits(), digits);
        }
        assert_eq!(received("+0123456789").digits(), "0123456789");
        assert_eq!(received("+1 (415) 555-0123").digits(), "14155550123");
        assert_eq!(received("0014155550123").digits(), "14155550123");
    }

    #[test]
    fn what_is_no_number_of_whatsapps_is_refused() {
        for (text, why) in [
            ("123456", InvalidPhone::TooShort),
            ("", InvalidPhone::TooShort),
            ("+", InvalidPhone::TooShort),
            ("1234567890123456", InvalidPhone::TooLong),
            ("US.13491208655302741918", InvalidPhone::StrayCharacter),
            ("14155550123@s.whatsapp.net", InvalidPhone::StrayCharacter),
            ("++14155550123", InvalidPhone::StrayPlus),
            ("1415+5550123", InvalidPhone::StrayPlus),
        ] {
            assert_eq!(Phone::received(text), Err(why), "{text:?}");
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
    fn numbers_of_benin_lose_the_01() {
        for old in ["22920211234", "22945123456", "22960123456", "22997123456"] {
            assert_eq!(canonical(&format!("22901{}", &old[3..])), old);
            assert_eq!(canonical(old), old);
        }
        // What never had eight digits is nobody else's number.
        assert_eq!(canonical("2290181123456"), "2290181123456");
        assert_eq!(canonical("2290261123456"), "2290261123456");
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
        assert_eq!(received("+52 1 55 1234 5678").digits(), "5215512345678");
    }

    #[test]
    fn as_an_integer_a_number_has_the_same_canonical_form() {
        let tails = ["1111111", "911911", "91191111", "96611111", "961234567", "19999999", "21521215", "3456789012"];
        for head in 1..1000 {
            for tail in tails {
                for area in ["", "0", "9", "01", "11", "119"] {
                    let digits = format!("{head}{area}{tail}");
                    let text = Phone::received(&digits).ok().map(|phone| phone.canonical().parse().unwrap());
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
        for country in [52, 53, 54, 55, 22] {
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
