//! Numbers as people and their tools write them, read strictly: a number that a spreadsheet mangled would be another person's.
//!
//! Reading has three steps. [`bare`] takes off what stands before a number, [`signs`] leaves only what has a meaning,
//! and [`WrittenNumber`] sorts that into digits and parentheses, of which the country code then tells what they mean.

use super::countries::Plan;
use super::sign::{Stray, is_blank, signs};
use super::{InvalidPhone, MAX_DIGITS, MIN_DIGITS};

/// The digits of a number as a person wrote it, country code first.
///
/// # Errors
/// The text can't be a number, or might be another number than its writer meant.
pub(super) fn digits(text: &str) -> Result<String, InvalidPhone> {
    let text = bare(text);
    let signs = signs(text).map_err(|stray| why_stray(&stray, text))?;
    let is_plain = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if is_decimal(&signs, is_plain) {
        return Err(InvalidPhone::Decimal);
    }
    WrittenNumber::read(&signs)?.digits()
}

/// The prefixes that may stand before a number, in any letters. Behind the last one, an address may go on after the number.
const PREFIXES: [&str; 4] = ["tel:", "whatsapp:", "https://wa.me/", "http://wa.me/"];

/// The number without what stands before it: blanks, the apostrophe by which spreadsheets mark a text, a scheme.
fn bare(text: &str) -> &str {
    let text = text.trim_matches(is_blank);
    let text = text.strip_prefix(['\'', '’', '‘', '＇']).unwrap_or(text).trim_start_matches(is_blank);
    for prefix in PREFIXES {
        if let Some((head, rest)) = text.split_at_checked(prefix.len())
            && head.eq_ignore_ascii_case(prefix)
        {
            let path = rest.split(['?', '#']).next().unwrap_or(rest);
            let number = if prefix.ends_with('/') { path.trim_end_matches('/') } else { rest };
            return number.trim_matches(is_blank);
        }
    }
    text
}

/// The meaning of a character of the text that does not belong into a number.
fn why_stray(Stray { at, before }: &Stray, text: &str) -> InvalidPhone {
    let rest = text[*at..].trim_end_matches(is_blank).to_lowercase();
    if before.ends_with(|sign: char| sign.is_ascii_digit() || sign == '.') && is_rest_of_decimal(&rest) {
        return InvalidPhone::Decimal;
    }
    let marked = EXTENSIONS.iter().find_map(|mark| rest.strip_prefix(mark));
    match marked {
        Some(extension) if has_digits(before) && extension.contains(|c: char| c.is_ascii_digit()) => {
            InvalidPhone::Extension
        }
        _ => InvalidPhone::StrayCharacter,
    }
}

/// The signs of extensions; `;ext=` comes from RFC 3966 (<https://www.rfc-editor.org/rfc/rfc3966>).
const EXTENSIONS: [&str; 6] = ["ext", "x", "#", ";ext=", "доб", "poste"];

/// True if the text is what follows the digits of a decimal with a comma, or of an exponent: `,0`, `,9e+12`, `e+12`.
fn is_rest_of_decimal(rest: &str) -> bool {
    let exponent = |text: &str| is_digits(text.strip_prefix(['+', '-', '−']).unwrap_or(text));
    if let Some(text) = rest.strip_prefix('e') {
        return exponent(text);
    }
    let Some(rest) = rest.strip_prefix([',', '٫']) else { return false };
    match rest.split_once('e') {
        Some((fraction, text)) => is_digits(fraction) && exponent(text),
        None => is_digits(rest) && (rest.len() <= 2 || rest.bytes().all(|digit| digit == b'0')),
    }
}

/// True if this is a decimal: a whole number, one full stop, and a fraction. `+1.4155550123` and `+1 415 555.0123` are
/// none: there, the full stop parts digits. `is_plain` says that the text has digits and full stops alone.
fn is_decimal(signs: &str, is_plain: bool) -> bool {
    let Some((whole, fraction)) = signs.split_once('.').filter(|(_, fraction)| is_digits(fraction)) else {
        return false;
    };
    let is_zero = fraction.bytes().all(|digit| digit == b'0');
    if fraction.len() > 2 {
        let whole = whole.strip_prefix('+').unwrap_or(whole);
        return is_zero && Plan::of(whole).is_some_and(|plan| plan.check(whole).is_ok());
    }
    // A number that was read as a quantity is whole, so other fractions are decimals only where nothing else was written.
    has_digits(whole) && (is_zero || is_plain)
}

/// True if there are enough digits for a number.
fn has_digits(signs: &str) -> bool {
    signs.bytes().filter(u8::is_ascii_digit).count() >= MIN_DIGITS
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits of a number, from the country code on, and its parentheses.
struct WrittenNumber {
    digits: String,
    groups: Vec<Group>,
    /// True if a `+` or `00` says that a country code follows.
    is_international: bool,
}

/// A pair of parentheses.
struct Group {
    /// The first digit in it, counted from 0.
    start: usize,
    /// The first digit behind it.
    end: usize,
    /// True if it has the `+` or `00` in it.
    has_prefix: bool,
}

impl WrittenNumber {
    /// Sorts signs into digits and parentheses.
    fn read(signs: &str) -> Result<Self, InvalidPhone> {
        let mut written =
            Self { digits: String::with_capacity(signs.len()), groups: Vec::new(), is_international: false };
        let mut open: Option<Group> = None;
        for sign in signs.chars() {
            let place = written.digits.len();
            match sign {
                '+' if written.is_international || place > 0 => return Err(InvalidPhone::StrayPlus),
                '+' => {
                    written.is_international = true;
                    if let Some(group) = &mut open {
                        group.has_prefix = true;
                    }
                }
                '(' if open.is_some() => return Err(InvalidPhone::Parentheses),
                '(' => open = Some(Group { start: place, end: place, has_prefix: false }),
                ')' => {
                    let group = open.take().ok_or(InvalidPhone::Parentheses)?;
                    written.groups.push(Group { end: place, ..group });
                }
                '.' => {}
                digit => written.digits.push(digit),
            }
        }
        if open.is_some() {
            return Err(InvalidPhone::Parentheses);
        }
        written.take_zeros();
        Ok(written)
    }

    /// Takes a leading `00` for a `+`.
    fn take_zeros(&mut self) {
        if self.is_international {
            return;
        }
        let Some(digits) = self.digits.strip_prefix("00") else { return };
        self.digits = digits.to_owned();
        self.is_international = true;
        for group in &mut self.groups {
            group.has_prefix = group.start == 0 && group.end >= 2;
            group.start = group.start.saturating_sub(2);
            group.end = group.end.saturating_sub(2);
        }
    }

    /// The digits of the number, if it can exist.
    fn digits(mut self) -> Result<String, InvalidPhone> {
        if self.digits.is_empty() {
            return Err(InvalidPhone::TooShort);
        }
        if self.digits.starts_with('0') {
            return Err(InvalidPhone::LeadingZero);
        }
        let plan = Plan::of(&self.digits);
        let code_length = plan.map_or(self.digits.len(), Plan::code_length);
        let zero = self.zero(code_length)?;
        if let Some(zero) = zero.filter(|_| plan.is_some_and(|plan| !plan.keeps_zero())) {
            self.digits.remove(zero);
        }
        match self.digits.len() {
            ..MIN_DIGITS => return Err(InvalidPhone::TooShort),
            MIN_DIGITS..=MAX_DIGITS => {}
            _ => return Err(InvalidPhone::TooLong),
        }
        let plan = plan.ok_or(InvalidPhone::CountryCode)?;
        plan.check(&self.digits).map_err(|misfit| InvalidPhone::misfit(plan, misfit))?;
        Ok(self.digits)
    }

    /// The place of `(0)`, the national prefix that people write behind the country code.
    ///
    /// # Errors
    /// Parentheses stand where the number is not what they say: `(415) 555-0123` is no number of +41.
    fn zero(&self, code_length: usize) -> Result<Option<usize>, InvalidPhone> {
        let mut zero = None;
        for group in self.groups.iter().filter(|group| group.start < group.end) {
            if group.start < code_length {
                let is_code = [code_length, self.digits.len()].contains(&group.end);
                if group.start > 0 || !(group.has_prefix || self.is_international && is_code) {
                    return Err(InvalidPhone::NoCountryCode);
                }
            } else if &self.digits[group.start..group.end] == "0" {
                if group.start > code_length {
                    return Err(InvalidPhone::StrayZero);
                }
                zero = Some(group.start);
            }
        }
        Ok(zero)
    }
}

#[cfg(test)]
mod tests;
