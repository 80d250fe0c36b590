//! The reasons for which a text is no phone number, in words for its writer.

use super::countries::Plan;
use super::plan::Misfit;
use super::{MAX_DIGITS, MIN_DIGITS};

/// The reason for which a text is no phone number. The texts are shown to users: each says what is wrong and how to write
/// it, and none repeats the number.
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
    /// A decimal or an exponent: a spreadsheet or a program took the number for a quantity.
    #[error(
        "this is a decimal, as spreadsheets make it of a phone number; give the column the format text and write the \
         number with all its digits, as in +14155550100"
    )]
    Decimal,
    /// Digits to be dialled after the call was answered.
    #[error("a phone number on WhatsApp has no extension; remove it, as in +1 415 555 0100")]
    Extension,
    /// A parenthesis before the country code is complete.
    #[error("this has no country code before its parentheses; write it with one, as in +1 (415) 555-0100")]
    NoCountryCode,
    /// A parenthesis without its other half, or within others.
    #[error("each parenthesis has its other half and none stands within others; write it as in +1 (415) 555-0100")]
    Parentheses,
    /// `(0)` that is not directly behind the country code.
    #[error("(0) stands only directly behind the country code; write the number without it, as in +44 20 7946 0958")]
    StrayZero,
    /// No country code begins with 0: the number is a national one.
    #[error("a phone number cannot begin with 0; write it with its country code, as in +1 415 555 0100")]
    LeadingZero,
    /// Fewer than 7 digits.
    #[error("a phone number has at least {MIN_DIGITS} digits; write it in full, with its country code")]
    TooShort,
    /// More than 15 digits.
    #[error("a phone number has at most {MAX_DIGITS} digits; remove extensions and further numbers")]
    TooLong,
    /// A country code that does not exist.
    #[error("no country has the code that this begins with; write it with its country code, as in +1 415 555 0100")]
    CountryCode,
    /// No number of the country begins like this.
    #[error(
        "no number of +{code}{} begins with {start} behind the country code; remove what is dialled only within the \
         country, as in +44 20 7946 0958, and check the country code",
        of(*code)
    )]
    Start {
        /// The country code.
        code: u16,
        /// The digit behind it.
        start: char,
    },
    /// No number of the country has so many digits.
    #[error(
        "a number of +{code}{} that goes on with {start} has {} digits behind the country code, and this has {digits}; \
         check the country code, and whether digits are missing or too many",
        of(*code), lengths(*code, *start)
    )]
    Length {
        /// The country code.
        code: u16,
        /// The digit behind it.
        start: char,
        /// The number of digits behind the country code.
        digits: usize,
    },
}

impl InvalidPhone {
    /// The refusal of a number that does not fit the plan of its country code.
    pub(super) fn misfit(plan: &Plan, misfit: Misfit) -> Self {
        let code = plan.code;
        match misfit {
            Misfit::Empty => Self::TooShort,
            Misfit::Start(start) => Self::Start { code, start },
            Misfit::Length { start, digits } => Self::Length { code, start, digits },
        }
    }
}

/// The countries of a country code, in parentheses.
fn of(code: u16) -> String {
    Plan::of_code(code).map_or_else(String::new, |plan| format!(" ({})", plan.countries))
}

/// The lengths that numbers of a country code have if they go on with this digit.
fn lengths(code: u16, start: char) -> String {
    Plan::of_code(code).map_or_else(String::new, |plan| plan.lengths(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_is_wrong_and_how_to_write_it() {
        let texts = [
            (
                InvalidPhone::StrayCharacter,
                "a phone number has only digits, spaces, dashes, dots, parentheses and a leading +; remove everything else",
            ),
            (InvalidPhone::StrayPlus, "a phone number has a + only once, before its first digit; remove any other"),
            (
                InvalidPhone::Decimal,
                "this is a decimal, as spreadsheets make it of a phone number; give the column the format text and write \
                 the number with all its digits, as in +14155550100",
            ),
            (InvalidPhone::Extension, "a phone number on WhatsApp has no extension; remove it, as in +1 415 555 0100"),
            (
                InvalidPhone::NoCountryCode,
                "this has no country code before its parentheses; write it with one, as in +1 (415) 555-0100",
            ),
            (
                InvalidPhone::Parentheses,
                "each parenthesis has its other half and none stands within others; write it as in +1 (415) 555-0100",
            ),
            (
                InvalidPhone::StrayZero,
                "(0) stands only directly behind the country code; write the number without it, as in +44 20 7946 0958",
            ),
            (
                InvalidPhone::LeadingZero,
                "a phone number cannot begin with 0; write it with its country code, as in +1 415 555 0100",
            ),
            (InvalidPhone::TooShort, "a phone number has at least 7 digits; write it in full, with its country code"),
            (InvalidPhone::TooLong, "a phone number has at most 15 digits; remove extensions and further numbers"),
            (
                InvalidPhone::CountryCode,
                "no country has the code that this begins with; write it with its country code, as in +1 415 555 0100",
            ),
            (
                InvalidPhone::Start { code: 49, start: '0' },
                "no number of +49 (Germany) begins with 0 behind the country code; remove what is dialled only within the \
                 country, as in +44 20 7946 0958, and check the country code",
            ),
            (
                InvalidPhone::Length { code: 41, start: '5', digits: 8 },
                "a number of +41 (Switzerland) that goes on with 5 has 9 digits behind the country code, and this has 8; \
                 check the country code, and whether digits are missing or too many",
            ),
        ];
        for (error, text) in texts {
            assert_eq!(error.to_string(), text);
        }
    }
}
