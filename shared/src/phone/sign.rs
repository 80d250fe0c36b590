//! The characters of a written number, and their meaning.

use icu_properties::props::{Dash, DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The signs of a text, in ASCII: digits, parentheses, `+` and the full stop. All else that parts digits is left out.
///
/// # Errors
/// The first character that does not belong into a number.
pub(super) fn signs(text: &str) -> Result<String, Stray> {
    let mut signs = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            // First, as it is what most of a number is and looking it up among the separators takes long.
            '0'..='9' => signs.push(c),
            '+' | '＋' => signs.push('+'),
            '(' | '（' | '﹙' => signs.push('('),
            ')' | '）' | '﹚' => signs.push(')'),
            '.' | '．' => signs.push('.'),
            _ if is_separator(c) => {}
            _ => match ascii_digit(c) {
                Some(digit) => signs.push(digit),
                None => return Err(Stray { at, before: signs }),
            },
        }
    }
    Ok(signs)
}

/// A character that does not belong into a number.
pub(super) struct Stray {
    /// The place in the text, in bytes.
    pub(super) at: usize,
    /// The signs before it.
    pub(super) before: String,
}

/// True if the character is a space, or a mark that is not seen, like those for writing direction that come along when a
/// number is copied.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || !c.is_ascii() && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// True if people part digits with the character and mean nothing else by it.
fn is_separator(c: char) -> bool {
    is_blank(c)
        || matches!(c, '·' | '•' | '․' | '‧' | '∙' | '⋅' | '・' | '･')
        || CodePointSetData::new::<Dash>().contains(c)
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
}
