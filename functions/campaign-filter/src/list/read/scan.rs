//! Looks at many bytes at once, and tells by one bit for each whether it matters. The lowest bit is that of the first byte.
//!
//! Vector instructions compare 16 bytes, and the results of four make a bitmap of 64 (the first stage of simdjson:
//! Langdale and Lemire, *Parsing Gigabytes of JSON per Second*, 2019, <https://arxiv.org/abs/1902.08318>). An example: the
//! line breaks of `ab\nc\n` are the bits `0b10100`. The first one from byte 3 on is found by a shift and a count of zeros:
//! `0b10100 >> 3` is `0b10`, with one zero below its first one, so the line break is byte 4.

use wide::u8x16;

/// The number of bytes in a [`Word`].
pub(super) const WORD: usize = 16;

/// 16 bytes that are looked at together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word(u8x16);

impl Word {
    /// The first 16 of some bytes. Where there are fewer, zeros follow.
    #[inline]
    pub(super) fn first(bytes: &[u8]) -> Self {
        match bytes.first_chunk() {
            Some(word) => Self(u8x16::new(*word)),
            None => Self::padded(bytes),
        }
    }

    #[cold]
    fn padded(bytes: &[u8]) -> Self {
        let mut word = [0; WORD];
        word[..bytes.len()].copy_from_slice(bytes);
        Self(u8x16::new(word))
    }

    /// The bytes that are the same in both words.
    #[inline]
    pub(super) fn same(self, other: Self) -> u32 {
        self.0.simd_eq(other.0).to_bitmask()
    }

    /// The bytes that are this one.
    #[inline]
    fn are(self, byte: u8) -> u32 {
        self.0.simd_eq(u8x16::splat(byte)).to_bitmask()
    }

    /// The bytes that a JSON text without escapes can't have: quotes, backslashes and control characters. A byte is a
    /// control character if the minimum of it and 0x1F is itself: vectors have `min` and `==` for unsigned bytes, but no
    /// `<=`.
    #[inline]
    pub(super) fn text_ends(self) -> u32 {
        let Self(word) = self;
        let control = word.min(u8x16::splat(0x1F)).simd_eq(word);
        (control | word.simd_eq(u8x16::splat(b'"')) | word.simd_eq(u8x16::splat(b'\\'))).to_bitmask()
    }

    /// The bytes that are not ASCII: those with the highest bit set.
    #[inline]
    pub(super) fn beyond_ascii(self) -> u32 {
        self.0.to_bitmask()
    }
}

/// The number of bytes whose bits are in one integer.
const CHUNK: usize = 64;

/// The line breaks among some bytes: a bitmap in chunks of 64 bytes.
#[derive(Debug, Default)]
pub(super) struct LineBreaks(Vec<u64>);

impl LineBreaks {
    /// Finds the line breaks among these bytes, in place of those before. True if there are carriage returns as well.
    pub(super) fn find(&mut self, bytes: &[u8]) -> bool {
        let (chunks, rest) = bytes.as_chunks();
        let mut returns = 0;
        let mut line_breaks = |chunk: &[u8; CHUNK]| {
            let (words, _) = chunk.as_chunks::<WORD>();
            let word = |at: usize| Word::first(&words[at]);
            returns |= (0..words.len()).fold(0, |returns, at| returns | word(at).are(b'\r'));
            let bits = |at: usize| u64::from(word(at).are(b'\n'));
            bits(0) | bits(1) << 16 | bits(2) << 32 | bits(3) << 48
        };
        self.0.clear();
        self.0.extend(chunks.iter().map(&mut line_breaks));
        let mut chunk = [b' '; CHUNK];
        chunk[..rest.len()].copy_from_slice(rest);
        // One chunk more, as `next` looks at two.
        self.0.extend([line_breaks(&chunk), 0]);
        returns != 0
    }

    /// The first line break from this byte on.
    ///
    /// It looks at the 64 bytes from there on, whatever chunks they are in, so that the processor has no branch to guess.
    /// The shift of the second chunk is split in two, as a shift by 64 is not defined.
    #[inline]
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let (chunk, shift) = (from / CHUNK, from % CHUNK);
        let [this, next] = *self.0.get(chunk..)?.first_chunk()?;
        let bits = this >> shift | next << (CHUNK - 1 - shift) << 1;
        if bits == 0 { self.next_far(from + CHUNK) } else { Some(from + bits.trailing_zeros() as usize) }
    }

    #[cold]
    fn next_far(&self, from: usize) -> Option<usize> {
        let (chunk, shift) = (from / CHUNK, from % CHUNK);
        let bits = self.0.get(chunk)? >> shift;
        if bits != 0 {
            return Some(from + bits.trailing_zeros() as usize);
        }
        let chunk = chunk + 1 + self.0[chunk + 1..].iter().position(|&bits| bits != 0)?;
        Some(chunk * CHUNK + self.0[chunk].trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    #[test]
    fn line_breaks_are_bits() {
        let mut line_breaks = LineBreaks::default();
        assert!(!line_breaks.find(b"ab\nc\n"));
        assert_eq!((line_breaks.0[0], line_breaks.next(3)), (0b1_0100, Some(4)));
    }

    proptest! {
        #[test]
        fn what_is_noted_is_found_from_anywhere(
            bytes in vec(prop_oneof![1 => any::<u8>(), 1 => Just(b'\n'), 30 => Just(b'a')], 0..400), gap in 0usize..300,
        ) {
            let bytes = [bytes, vec![b' '; gap], b"\n".to_vec()].concat();
            let mut line_breaks = LineBreaks::default();
            prop_assert_eq!(line_breaks.find(&bytes), bytes.contains(&b'\r'));
            for from in 0..bytes.len() {
                let first = |is: fn(&u8) -> bool| bytes[from..].iter().position(is).map(|place| from + place);
                prop_assert_eq!(line_breaks.next(from), first(|byte| *byte == b'\n'));
            }
        }

        #[test]
        fn a_word_tells_of_each_byte_what_it_is(
            bytes in vec(select(b"ab\"\\\x00\x1F\n\r \x7F\x80\xFF".to_vec()), 0..20), other in vec(any::<u8>(), WORD),
        ) {
            let (word, other) = (Word::first(&bytes), Word::first(&other));
            let bits = |is: &dyn Fn(usize) -> bool| (0..WORD).filter(|&place| is(place)).fold(0, |bits, place| bits | 1 << place);
            let byte = |place: usize| bytes.get(place).copied().unwrap_or(0);
            prop_assert_eq!(word.text_ends(), bits(&|place| byte(place) < b' ' || b"\"\\".contains(&byte(place))));
            prop_assert_eq!(word.beyond_ascii(), bits(&|place| !byte(place).is_ascii()));
            prop_assert_eq!(word.same(other), bits(&|place| byte(place) == other.0.to_array()[place]));
        }
    }
}
