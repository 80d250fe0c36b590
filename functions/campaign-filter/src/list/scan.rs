//! Finds the bytes that structure a list, 64 at a time: a bit tells of each whether it is one.

use wide::u8x16;

/// How many bytes are looked at together.
pub(super) const CHUNK: usize = 64;

/// What stands where in a chunk of JSON Lines: its first byte is the lowest bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) line_breaks: u64,
    pub(super) quotes: u64,
    /// Whether there is an escape, or a control character other than a line break.
    pub(super) odd: bool,
    /// Whether there is anything but ASCII.
    pub(super) beyond_ascii: bool,
}

/// The marks of a chunk.
#[inline]
pub(super) fn marks(chunk: &[u8; CHUNK]) -> Marks {
    let words = words(chunk);
    let line_break = u8x16::splat(b'\n');
    let odd = words.map(|word| {
        let control = word.min(u8x16::splat(0x1F)).simd_eq(word) & !word.simd_eq(line_break);
        control | word.simd_eq(u8x16::splat(b'\\'))
    });
    Marks {
        line_breaks: bits(words, line_break),
        quotes: bits(words, u8x16::splat(b'"')),
        odd: (odd[0] | odd[1] | odd[2] | odd[3]).to_bitmask() != 0,
        beyond_ascii: (words[0] | words[1] | words[2] | words[3]).to_bitmask() != 0,
    }
}

/// Tells where each line ends that ends within the bytes, its line break included.
#[inline]
pub(super) fn line_ends(bytes: &[u8], mut found: impl FnMut(usize)) {
    let (chunks, rest) = bytes.as_chunks();
    for (start, chunk) in (0..).step_by(CHUNK).zip(chunks) {
        for place in places(bits(words(chunk), u8x16::splat(b'\n'))) {
            found(start + place + 1);
        }
    }
    let start = bytes.len() - rest.len();
    memchr::memchr_iter(b'\n', rest).for_each(|place| found(start + place + 1));
}

/// The places of the bits that are set, the lowest first.
#[inline]
pub(super) fn places(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros() as usize;
        bits = bits.checked_sub(1)? & bits;
        Some(place)
    })
}

#[inline]
fn words(chunk: &[u8; CHUNK]) -> [u8x16; 4] {
    let (words, _) = chunk.as_chunks();
    [0, 1, 2, 3].map(|word: usize| u8x16::new(words[word]))
}

/// Which bytes are this one.
#[inline]
fn bits(words: [u8x16; 4], byte: u8x16) -> u64 {
    let [one, two, three, four] = words.map(|word| u64::from(word.simd_eq(byte).to_bitmask()));
    one | two << 16 | three << 32 | four << 48
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    proptest! {
        #[test]
        fn marks_are_where_their_bytes_are(chunk in vec(select(b"\n\r\"\\\x00\x1F a~\x7F\x80\xFF".to_vec()), CHUNK)) {
            let places = |is: fn(u8) -> bool| (0..CHUNK).filter(|&place| is(chunk[place])).fold(0, |bits, place| bits | 1 << place);
            let any = |is: fn(u8) -> bool| chunk.iter().any(|&byte| is(byte));
            let expected = Marks {
                line_breaks: places(|byte| byte == b'\n'),
                quotes: places(|byte| byte == b'"'),
                odd: any(|byte| byte == b'\\' || byte < b' ' && byte != b'\n'),
                beyond_ascii: any(|byte| !byte.is_ascii()),
            };
            prop_assert_eq!(marks(chunk.first_chunk().unwrap()), expected);
        }

        #[test]
        fn lines_end_behind_their_breaks(bytes in vec(select(b"\na ".to_vec()), 0..300)) {
            let mut ends = vec![];
            line_ends(&bytes, |end| ends.push(end));
            let expected: Vec<usize> = (1..=bytes.len()).filter(|end| bytes[end - 1] == b'\n').collect();
            prop_assert_eq!(ends, expected);
        }
    }
}
