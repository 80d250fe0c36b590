//! Ids made into keys: integers whose bits are spread evenly, so that tables can be cut by them.

/// The key of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

impl Key {
    /// The low bits that the key of a number leaves zero: a phone number has 15 digits, so 50 bits say it all.
    pub(super) const SPARE: u64 = (1 << 14) - 1;

    /// The key of a canonical phone number. Different numbers have different keys: both factors are odd, and the shift
    /// in between can be undone.
    pub(super) const fn of_number(number: u64) -> Self {
        let mixed = (number << 14).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = mixed ^ (mixed >> 29 & !Self::SPARE);
        Self(mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    /// The phone number whose key this is, if there is one.
    #[cfg(test)]
    pub(super) fn number(self) -> Option<u64> {
        const fn inverse(factor: u64) -> u64 {
            let (mut inverse, mut round) = (factor, 0);
            while round < 5 {
                inverse = inverse.wrapping_mul(2u64.wrapping_sub(factor.wrapping_mul(inverse)));
                round += 1;
            }
            inverse
        }
        let mixed = self.0.wrapping_mul(inverse(0xD6E8_FEB8_6659_FD93));
        let unmixed = (0..3).fold(mixed, |unmixed, _| mixed ^ (unmixed >> 29 & !Self::SPARE));
        let number = unmixed.wrapping_mul(inverse(0x9E37_79B9_7F4A_7C15)) >> 14;
        let id = consent::id::ContactId::received(&format!("+{number}")).ok()?;
        (id.as_str()[1..] == number.to_string()).then_some(number)
    }

    /// The key of another id. Different ids may have the same, but never one that a number has.
    pub(super) fn of_text(text: &[u8]) -> Self {
        let words = text.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        let mixed = words.fold(text.len() as u64, |mixed, word| {
            let mixed = (mixed ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            mixed ^ mixed >> 32
        });
        Self(mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93) | 1)
    }

    /// The key whose bits these are.
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// All bits.
    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// The highest `count` bits, at most 32.
    #[expect(clippy::cast_possible_truncation, reason = "32 bits fit")]
    pub(super) const fn high(self, count: u32) -> usize {
        (self.0 >> (u64::BITS - count)) as usize
    }

    /// Where the key belongs among so many places. A greater key never belongs further down.
    #[expect(clippy::cast_possible_truncation, reason = "the product of two words has its upper word in 64 bits")]
    pub(super) const fn place(self, places: usize) -> usize {
        ((self.0 as u128 * places as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn neighbouring_numbers_have_keys_far_apart_and_all_different() {
        let keys: HashSet<u64> = (0..100_000).map(|n| Key::of_number(4_915_000_000_000 + n).bits()).collect();
        assert_eq!(keys.len(), 100_000);
        let places: HashSet<usize> = keys.iter().map(|&bits| Key::from_bits(bits).place(100_000)).collect();
        // Thrown by chance, 1 - 1/e of all places would be taken.
        assert!((60_000..67_000).contains(&places.len()), "{}", places.len());
        assert!(keys.iter().all(|bits| bits & Key::SPARE == 0));
    }
}
