//! Phone numbers read straight from bytes into integers. Whatever is not plainly a number is left to [`ContactId`], so that
//! the answer is always the one it gives.

use consent::id::ContactId;
use consent::phone::{canonical_number, is_usual};

use super::index;

/// An id that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A canonical phone number.
    Number(u64),
    /// Another id.
    Text(ContactId),
}

/// Reads an id as [`ContactId`] does.
pub(super) fn id(text: &str) -> Option<Read> {
    if let Some(number) = spaced(text.as_bytes()) {
        return Some(Read::Number(number));
    }
    let id: ContactId = text.parse().ok()?;
    Some(index::number(&id).map_or(Read::Text(id), Read::Number))
}

/// The canonical phone number that the bytes begin with, and how many bytes it takes: digits in one piece, with or
/// without a `+`. None may be a number too.
#[inline]
pub(super) fn leading(bytes: &[u8]) -> Option<(u64, usize)> {
    let plus = usize::from(*bytes.first()? == b'+');
    let characters: &[u8; 16] = bytes.get(plus..)?.first_chunk()?;
    let [first, second] = *characters.as_chunks().0 else { return None };
    let (first, second) = (values(u64::from_le_bytes(first)), values(u64::from_le_bytes(second)));
    let more = digits(second);
    let tail = value(first);
    // What has fewer than 8 digits, 16 or more, or is not usual takes a closer look.
    if digits(first) < 8 || more > 7 || !is_usual(tail / 10_000, 8 + more) {
        return None;
    }
    // The digits go to the upper end, and zeros come in below.
    let number = tail * TENS[more] + value(second << (8 * (7 - more)) << 8);
    // Numbers of 13 digits that begin with 5 or 229 may have another canonical form, and no others.
    let may_have_another = more == 5 && (first & 0xFF == 5 || first & 0x00FF_FFFF == 0x0009_0202);
    let number = if may_have_another { canonical_number(number)? } else { number };
    Some((number, plus + 8 + more))
}

/// The number that up to 15 digits are.
#[inline]
pub(super) fn of_digits(digits: &[u8]) -> u64 {
    let (Some(first), Some(last)) = (digits.first_chunk(), digits.last_chunk()) else {
        return digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    };
    // The last eight repeat some of the first, for which zeros come in below.
    let more = (digits.len() - 8) % 8;
    let last = values(u64::from_le_bytes(*last)) >> (8 * (7 - more)) >> 8 << (8 * (7 - more)) << 8;
    value(values(u64::from_le_bytes(*first))) * TENS[more] + value(last)
}

const TENS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// What eight characters are worth as digits. Those that are none are worth more than 9.
#[inline]
const fn values(characters: u64) -> u64 {
    characters ^ 0x3030_3030_3030_3030
}

/// How many of the values, from the first, are those of digits.
#[inline]
const fn digits(values: u64) -> usize {
    // What is above 9 carries into its highest bit. A carry beyond that disturbs only what comes later.
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    others.trailing_zeros() as usize / 8
}

/// The number that the values of eight digits make.
#[inline]
const fn value(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let upper = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(100 + (1_000_000 << 32));
    let lower = (pairs >> 16 & 0x0000_00FF_0000_00FF).wrapping_mul(1 + (10_000 << 32));
    upper.wrapping_add(lower) >> 32
}

/// The canonical phone number that a text of digits, spaces, dashes, dots and a `+` is: the rules of
/// [`consent::phone::Phone`] for the characters that nearly all numbers are written with. None may be a number too.
fn spaced(text: &[u8]) -> Option<u64> {
    let (mut number, mut digits, mut dots, mut is_international) = (0u64, 0usize, 0usize, false);
    for byte in text {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                number = number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                // `00` stands for the plus.
                if digits == 2 && number == 0 && !is_international {
                    (digits, is_international) = (0, true);
                }
            }
            b' ' | b'-' => {}
            b'.' => dots += 1,
            b'+' if digits == 0 && !is_international => is_international = true,
            _ => return None,
        }
    }
    // One dot may be that of a decimal.
    let more = u32::try_from(digits.checked_sub(4)?).ok()?;
    let is_plain = dots != 1 && digits <= 15 && is_usual(number / 10u64.pow(more), digits);
    if is_plain { canonical_number(number) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What `ContactId` makes of the text.
    fn exact(text: &str) -> Option<Read> {
        let id: ContactId = text.parse().ok()?;
        match id.as_str().strip_prefix('+') {
            Some(digits) => Some(Read::Number(digits.parse().unwrap())),
            None => Some(Read::Text(id)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn an_id_is_what_contact_id_says(text in prop_oneof![
            "[+]{0,2}(00|0)?[0-9]{5,17}",
            "[+]?(1[2-9]|49|44|39|7|229|52|55|82|598)[0-9 .-]{6,14}",
            "[+]?(1 ?4155550123|49 ?15112345678|44 ?0?7700900123|229 ?01 ?97123456)[.,]?[0-9]{0,3}",
            "[+0-9 .()-]{0,22}",
            "[+ ]{0,2}5(21|49|5[0-9]{2}9?)[0-9]{8,10}",
            "[A-Z]{1,3}\\.(ENT\\.)?[A-Za-z0-9]{0,4}",
            "[0-9\u{660}-\u{669}+x\u{a0}]{0,18}",
        ]) {
            prop_assert_eq!(id(&text), exact(&text));
        }

        #[test]
        fn what_leads_is_what_contact_id_says(
            text in prop_oneof![
                "[+]?[0-9]{6,17}",
                "[+]?(1[2-9]|49|44|39|7|229|82|598)[0-9]{5,12}",
                "[+]?5(21|49|5[0-9]{2}9?)[0-9]{8,10}",
                "[+]?22901[0-9]{8}",
            ],
            rest in "[,\"\r\n/:;+ a]{1}.{0,20}",
        ) {
            if let Some((number, length)) = leading(format!("{text}{rest}").as_bytes()) {
                prop_assert_eq!(length, text.len());
                prop_assert_eq!(Some(Read::Number(number)), exact(&text));
            }
        }
    }

    #[test]
    fn what_is_no_number_is_left_to_the_closer_look() {
        for text in
            ["141555501230,Sheena,en\n", "+4407700900123,Sheena,en", "4155550123,Sheena,en,de", "99955501234,Sheena"]
        {
            assert_eq!(leading(text.as_bytes()), None, "{text}");
        }
        for text in ["14155550123.0", "+44 07700 900123", "(415) 555-0123", "141555501230", "0011 49 151 12345678"] {
            assert_eq!(id(text), None, "{text}");
        }
    }

    #[test]
    fn the_usual_number_needs_no_closer_look() {
        for (text, number) in [
            ("+14155550123,Sheena,en\n", 14_155_550_123),
            ("4915112345678,Sheena,en\n", 4_915_112_345_678),
            ("+5215512345678,Sheena,en", 525_512_345_678),
            ("2290197123456,Sheena,en", 22_997_123_456),
            ("+4522345678,Sheena,en", 4_522_345_678),
        ] {
            assert_eq!(leading(text.as_bytes()), Some((number, text.find(',').unwrap())), "{text}");
        }
    }
}
