//! Phone numbers as integers, read straight from bytes. A text that is not plainly a number is left to [`ContactId`], so
//! that the result is always the one it gives.
//!
//! Eight digits are read at once, as bytes of one 64-bit word (SWAR, SIMD within a register: Lemire, *SWAR explained:
//! parsing eight digits*, <https://lemire.me/blog/2022/01/21/swar-explained-parsing-eight-digits/>). An example, the first
//! eight bytes of `14155550123,Anna`: the word is `0x3035_3535_3531_3431`, the last digit on top. Its digit values are
//! `0x0005_0505_0501_0401`. Each byte times ten, plus the one above it, makes every second byte a pair of digits: 14, 15,
//! 55, 50. Two multiplications weigh the pairs by 1,000,000, 10,000, 100 and 1, which leaves 14155550 in the upper half.

use consent::id::ContactId;
use consent::phone::{canonical_number, is_usual};

/// A valid id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ParsedId {
    /// A canonical phone number without its `+`.
    Number(u64),
    /// Another id: a user id, or a phone number that begins with 0.
    Other(ContactId),
}

/// A canonical phone number at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeadingNumber {
    pub(crate) number: u64,
    /// The number of bytes that the number takes, its `+` included.
    pub(crate) length: usize,
}

/// Reads an id by the rules of [`ContactId`]. `None` if it is invalid.
pub(crate) fn id(text: &str) -> Option<ParsedId> {
    if let Some(number) = with_separators(text.as_bytes()) {
        return Some(ParsedId::Number(number));
    }
    let id: ContactId = text.parse().ok()?;
    Some(of_id(&id).map_or(ParsedId::Other(id), ParsedId::Number))
}

/// The integer of an id that is a phone number. Numbers that WhatsApp sent may begin with 0; those are `None`, since the
/// integer would be another number's.
#[inline]
pub(crate) fn of_id(id: &ContactId) -> Option<u64> {
    let digits = id.as_str().strip_prefix('+')?.as_bytes();
    if digits.first() == Some(&b'0') { None } else { Some(of_digits(digits)) }
}

/// The phone number at the beginning of the bytes: 8 to 15 digits in one piece, perhaps behind a `+`. `None` does not mean
/// that there is no number: it may be written or built unusually, and [`id`] has to decide.
#[inline]
pub(crate) fn leading(bytes: &[u8]) -> Option<LeadingNumber> {
    let plus = usize::from(*bytes.first()? == b'+');
    let characters: &[u8; 16] = bytes.get(plus..)?.first_chunk()?;
    let [first, second] = *characters.as_chunks().0 else { return None };
    let (first, second) = (digit_values(u64::from_le_bytes(first)), digit_values(u64::from_le_bytes(second)));
    let more = leading_digits(second);
    let upper = eight_digits(first);
    if leading_digits(first) < 8 || more > 7 || !is_usual(upper / 10_000, 8 + more) {
        return None;
    }
    // Shifted up, the digits end where eight digits end, behind zeros.
    let number = upper * TENS[more] + eight_digits(second << (8 * (7 - more)) << 8);
    // Only numbers of 13 digits that begin with 5 (Mexico, Argentina, Brazil) or 229 (Benin) may have another canonical form.
    let may_have_another = more == 5 && (first & 0xFF == 5 || first & 0x00FF_FFFF == 0x0009_0202);
    let number = if may_have_another { canonical_number(number)? } else { number };
    Some(LeadingNumber { number, length: plus + 8 + more })
}

/// The integer of up to 15 ASCII digits.
#[inline]
pub(crate) fn of_digits(digits: &[u8]) -> u64 {
    let (Some(first), Some(last)) = (digits.first_chunk(), digits.last_chunk()) else {
        return digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    };
    // The last eight digits overlap the first eight. Zeros take the place of those that are in both.
    let more = (digits.len() - 8) % 8;
    let last = digit_values(u64::from_le_bytes(*last)) >> (8 * (7 - more)) >> 8 << (8 * (7 - more)) << 8;
    eight_digits(digit_values(u64::from_le_bytes(*first))) * TENS[more] + eight_digits(last)
}

const TENS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// The values of eight characters, a byte each. A character that is no digit has a value above 9: xor with `0` (0x30) maps
/// exactly the digits to 0 to 9.
#[inline]
const fn digit_values(characters: u64) -> u64 {
    characters ^ 0x3030_3030_3030_3030
}

/// The number of digits before the first other character, from the values of eight characters. Adding 0x76 sets the
/// highest bit of a byte above 9 (after *Bit Twiddling Hacks*, "Determine if a word has a byte greater than n",
/// <https://graphics.stanford.edu/~seander/bithacks.html#HasMoreInWord>). A carry disturbs only the bytes behind the first
/// such byte. An example: of `0123,Ann` the highest bits are `0x8080_8080_0000_0000`, with 39 zeros below them, so four
/// digits come first.
#[inline]
const fn leading_digits(values: u64) -> usize {
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    others.trailing_zeros() as usize / 8
}

/// The integer of eight digits, from their values.
#[inline]
const fn eight_digits(values: u64) -> u64 {
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let upper = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(100 + (1_000_000 << 32));
    let lower = (pairs >> 16 & 0x0000_00FF_0000_00FF).wrapping_mul(1 + (10_000 << 32));
    upper.wrapping_add(lower) >> 32
}

/// The canonical phone number of a text of digits, spaces, dashes, dots and a `+`: the rules of [`consent::phone::Phone`]
/// for the characters that nearly all numbers are written with. `None` does not mean that the text is no number.
fn with_separators(text: &[u8]) -> Option<u64> {
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
    // A single dot may be that of a decimal.
    let more = u32::try_from(digits.checked_sub(4)?).ok()?;
    let is_plain = dots != 1 && digits <= 15 && is_usual(number / 10u64.pow(more), digits);
    if is_plain { canonical_number(number) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The id that `ContactId` reads from the text.
    fn exact(text: &str) -> Option<ParsedId> {
        let id: ContactId = text.parse().ok()?;
        match id.as_str().strip_prefix('+') {
            Some(digits) => Some(ParsedId::Number(digits.parse().unwrap())),
            None => Some(ParsedId::Other(id)),
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
            if let Some(LeadingNumber { number, length }) = leading(format!("{text}{rest}").as_bytes()) {
                prop_assert_eq!(length, text.len());
                prop_assert_eq!(Some(ParsedId::Number(number)), exact(&text));
            }
        }
    }

    #[test]
    fn eight_digits_are_read_at_once() {
        let values = digit_values(u64::from_le_bytes(*b"14155550"));
        assert_eq!((values, eight_digits(values)), (0x0005_0505_0501_0401, 14_155_550));
        assert_eq!(leading_digits(digit_values(u64::from_le_bytes(*b"0123,Ann"))), 4);
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
            let length = text.find(',').unwrap();
            assert_eq!(leading(text.as_bytes()), Some(LeadingNumber { number, length }), "{text}");
        }
    }
}
