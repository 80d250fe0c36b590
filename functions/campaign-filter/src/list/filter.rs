//! A first look at whether a key came before: a Bloom filter of fixed size.
//!
//! What it calls new is new. What it does not may be new all the same, with ten million keys in about one case in a
//! thousand.

use std::hint::black_box;

use super::key::Key;

const LINE_BITS: u32 = 18;

/// Keys that were seen, in 16 MiB. Each key has one line of the processor's cache, and in it three bits in two words.
#[derive(Debug)]
pub(super) struct Filter {
    lines: Box<[Line; 1 << LINE_BITS]>,
}

/// What one access to memory brings.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line([u64; 8]);

impl Filter {
    pub(super) fn new() -> Self {
        let lines = vec![Line([0; 8]); 1 << LINE_BITS].into_boxed_slice();
        Self { lines: lines.try_into().expect("as many as the type says") }
    }

    /// Brings what is needed for these keys near. The filter does not fit the caches that are quick; asked for many
    /// lines at once, memory answers as fast as for one.
    #[inline]
    pub(super) fn fetch(&self, keys: impl Iterator<Item = Key>) {
        black_box(keys.fold(0, |all, key| all ^ self.lines[key.high(LINE_BITS)].0[0]));
    }

    /// Takes in a key. Whether it is certainly a new one.
    #[inline]
    pub(super) fn insert(&mut self, key: Key) -> bool {
        let line = &mut self.lines[key.high(LINE_BITS)].0;
        // A number's key has 32 bits left. Two choose among four words each, and twice ten a pattern.
        let bits = (key.bits() >> 14) as usize;
        let (first, second) = (bits & 3, 4 + (bits >> 2 & 3));
        let (one, other) = (PATTERNS[bits >> 4 & 1023], PATTERNS[bits >> 14 & 1023]);
        let seen = line[first] & one == one && line[second] & other == other;
        line[first] |= one;
        line[second] |= other;
        !seen
    }
}

/// Words of three bits each.
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
    fn what_came_before_is_never_new_and_what_is_new_seldom_is_not_called_so() {
        let mut filter = Filter::new();
        let keys = || (0..1_000_000).map(|number| Key::of_number(4_915_000_000_000 + number));
        let called_new = keys().filter(|&key| filter.insert(key)).count();
        assert!(called_new > 999_990, "{called_new}");
        assert!(!keys().any(|key| filter.insert(key)));
    }
}
