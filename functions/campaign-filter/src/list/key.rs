//! The keys of ids: 64 bits, spread evenly, so that tables can be cut by them.
//!
//! Phone numbers are mixed by multiply, xor-shift, multiply, which is a bijection: 2^64 / φ is Knuth's multiplier
//! (Fibonacci hashing, *The Art of Computer Programming* vol. 3, section 6.4), xor-shift-multiply is the finalizer of
//! `SplitMix64` (Steele, Lea and Flood, 2014, <https://doi.org/10.1145/2660193.2660195>), and the second multiplier is one of
//! the tested ones of <https://gist.github.com/degski/6e2069d6035ae04d5d6f64981c995ec2>.
//!
//! An example: `+14155550123` is the integer 14155550123, or `0xd2ef_236a_c000` moved up by 14 bits, and has the key
//! `0xaf45_7a07_7217_c000`. Its neighbour `+14155550124` has `0x23ff_59ed_ff85_8000`. In a table of 1,000 slots their
//! places are 684 and 140.

/// The key of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IdKey(u64);

/// Knuth's multiplier: 2^64 divided by the golden ratio, made odd.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A second odd multiplier.
const SECOND: u64 = 0xD6E8_FEB8_6659_FD93;

impl IdKey {
    /// The 14 low bits, which are zero in the key of a number. A phone number has at most 15 digits, so 50 bits hold it.
    pub(crate) const SPARE: u64 = (1 << 14) - 1;

    /// The key of a canonical phone number, given without its `+`. Different numbers have different keys: an odd factor can
    /// be undone modulo 2^64, and so can a xor with a shifted copy of itself.
    pub(crate) const fn of_number(number: u64) -> Self {
        let mixed = (number << 14).wrapping_mul(GOLDEN);
        let mixed = mixed ^ (mixed >> 29 & !Self::SPARE);
        Self(mixed.wrapping_mul(SECOND))
    }

    /// The phone number with this key, if there is one: [`Self::of_number`] undone. The inverse of an odd factor comes from
    /// Newton's iteration, which doubles the correct bits in each round (Warren, *Hacker's Delight*, chapter 10).
    #[cfg(test)]
    pub(crate) fn number(self) -> Option<u64> {
        const fn inverse(factor: u64) -> u64 {
            let (mut inverse, mut round) = (factor, 0);
            while round < 5 {
                inverse = inverse.wrapping_mul(2u64.wrapping_sub(factor.wrapping_mul(inverse)));
                round += 1;
            }
            inverse
        }
        let mixed = self.0.wrapping_mul(inverse(SECOND));
        let unmixed = (0..3).fold(mixed, |unmixed, _| mixed ^ (unmixed >> 29 & !Self::SPARE));
        let number = unmixed.wrapping_mul(inverse(GOLDEN)) >> 14;
        let id = consent::id::ContactId::received(&format!("+{number}")).ok()?;
        (id.as_str()[1..] == number.to_string()).then_some(number)
    }

    /// The key of an id that is no number. It is odd, and so no number has it. Two such ids may share a key, as eight bytes
    /// of the text are mixed in at a time: `US.1` has `0x2977_b1f4_2a10_3d87`.
    pub(crate) fn of_text(text: &[u8]) -> Self {
        let words = text.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        let mixed = words.fold(text.len() as u64, |mixed, word| {
            let mixed = (mixed ^ word).wrapping_mul(GOLDEN);
            mixed ^ mixed >> 32
        });
        Self(mixed.wrapping_mul(SECOND) | 1)
    }

    /// The key with these bits.
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits of the key.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// The `count` highest bits, at most 32.
    #[expect(clippy::cast_possible_truncation, reason = "32 bits fit")]
    pub(crate) const fn high(self, count: u32) -> usize {
        (self.0 >> (u64::BITS - count)) as usize
    }

    /// The key's place among `places`: the upper word of their product (multiply-shift range reduction, Lemire,
    /// <https://lemire.me/blog/2016/06/27/a-fast-alternative-to-the-modulo-reduction/>). It keeps the order of keys.
    #[expect(clippy::cast_possible_truncation, reason = "the product of two words has its upper word in 64 bits")]
    pub(crate) const fn place(self, places: usize) -> usize {
        ((self.0 as u128 * places as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn neighbouring_numbers_have_keys_far_apart_and_all_different() {
        let keys: HashSet<u64> = (0..100_000).map(|n| IdKey::of_number(4_915_000_000_000 + n).bits()).collect();
        assert_eq!(keys.len(), 100_000);
        let places: HashSet<usize> = keys.iter().map(|&bits| IdKey::from_bits(bits).place(100_000)).collect();
        // Thrown by chance, 1 - 1/e of all places would be taken.
        assert!((60_000..67_000).contains(&places.len()), "{}", places.len());
        assert!(keys.iter().all(|bits| bits & IdKey::SPARE == 0));
        // The example above.
        assert_eq!(IdKey::of_number(14_155_550_123).bits(), 0xAF45_7A07_7217_C000);
        assert_eq!([14_155_550_123, 14_155_550_124].map(|number| IdKey::of_number(number).place(1_000)), [684, 140]);
        assert_eq!(IdKey::of_text(b"US.1").bits(), 0x2977_B1F4_2A10_3D87);
    }
}
