//! A Bloom filter of fixed size: the first look at whether a key came before.
//!
//! A key that it calls new is new. A key that it does not call new may be new all the same: with ten million keys, about
//! one in a thousand.
//!
//! It is a blocked Bloom filter with precomputed bit patterns (Putze, Sanders and Singler, *Cache-, Hash-, and
//! Space-Efficient Bloom Filters*, 2009, <https://doi.org/10.1145/1498698.1594230>): all bits of a key are in one line of
//! the processor's cache, and a table holds the patterns of three bits that a part of the key chooses from. Each line has
//! two sectors of four words, and a key has a pattern in one word of each (cache-sectorized: Lang, Neumann, Kemper and
//! Boncz, 2019, <https://doi.org/10.14778/3303753.3303757>).
//!
//! An example: the key of `+14155550123` is `0xaf45_7a07_7217_c000`. Its 18 high bits choose line 179,477. Of the bits
//! above its 14 spare ones, from the lowest, 3 chooses word 3 of the first sector, 3 word 7 (the last of the second
//! sector), 133 the pattern of the bits 12, 36 and 51, and 119 the pattern of the bits 15, 34 and 58. The key may have come
//! before if all six bits are set.

use std::hint::black_box;

use crate::list::key::IdKey;

/// The number of bits of a key that choose its line.
const LINE_BITS: u32 = 18;

/// The keys that were inserted, in 16 MiB.
#[derive(Debug)]
pub(super) struct BloomFilter {
    lines: Box<[CacheLine; 1 << LINE_BITS]>,
}

/// 64 bytes, which are one line of the cache and so one access to memory.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct CacheLine([u64; 8]);

impl BloomFilter {
    pub(super) fn new() -> Self {
        let lines = vec![CacheLine([0; 8]); 1 << LINE_BITS].into_boxed_slice();
        Self { lines: lines.try_into().expect("as many as the type says") }
    }

    /// Loads the lines of some keys into the cache. The filter is larger than the caches, and memory answers many requests
    /// at once as fast as one (group prefetching: Chen, Ailamaki, Gibbons and Mowry, 2007,
    /// <https://doi.org/10.1145/1272743.1272747>).
    #[inline]
    pub(super) fn fetch(&self, keys: impl Iterator<Item = IdKey>) {
        black_box(keys.fold(0, |all, key| all ^ self.lines[key.high(LINE_BITS)].0[0]));
    }

    /// Inserts a key. True if the key is certainly new.
    #[inline]
    pub(super) fn insert(&mut self, key: IdKey) -> bool {
        let line = &mut self.lines[key.high(LINE_BITS)].0;
        let bits = (key.bits() >> 14) as usize;
        let (first, second) = (bits & 3, 4 + (bits >> 2 & 3));
        let (one, other) = (PATTERNS[bits >> 4 & 1023], PATTERNS[bits >> 14 & 1023]);
        let seen = line[first] & one == one && line[second] & other == other;
        line[first] |= one;
        line[second] |= other;
        !seen
    }
}

/// Words with three bits set each, chosen by Knuth's linear congruential generator MMIX (*The Art of Computer Programming*
/// vol. 2, section 3.3.4, table 1).
static PATTERNS: [u64; 1024] = {
    let mut patterns = [0; 1024];
    let mut state = 1u64;
    let mut at = 0;
    while at < patterns.len() {
        while u64::count_ones(patterns[at]) < 3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            patterns[at] |= 1 << (state >> 58);
        }
        at += 1;
    }
    patterns
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_bits_in_two_words_of_one_line() {
        let mut filter = BloomFilter::new();
        assert!(filter.insert(IdKey::of_number(14_155_550_123)));
        let mut line = [0; 8];
        line[3] = 1 << 12 | 1 << 36 | 1 << 51;
        line[7] = 1 << 15 | 1 << 34 | 1 << 58;
        assert_eq!(filter.lines[179_477].0, line);
    }

    #[test]
    fn what_came_before_is_never_new_and_what_is_new_seldom_is_not_called_so() {
        let mut filter = BloomFilter::new();
        let keys = || (0..1_000_000).map(|number| IdKey::of_number(4_915_000_000_000 + number));
        let called_new = keys().filter(|&key| filter.insert(key)).count();
        assert!(called_new > 999_990, "{called_new}");
        assert!(!keys().any(|key| filter.insert(key)));
    }
}
