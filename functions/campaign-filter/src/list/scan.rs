//! Finds the bytes that structure a list, sixteen at a time, and notes of each byte by a bit whether it is one.

use wide::u8x16;

/// How many bytes one word of bits tells of.
const CHUNK: usize = 64;

/// A bit for each byte of some bytes, the first byte's the lowest of the first word.
#[derive(Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// Notes the line breaks.
    pub(super) fn note_line_breaks(&mut self, bytes: &[u8]) {
        self.note(bytes, |words| bits(words.map(|word| word.simd_eq(u8x16::splat(b'\n')))));
    }

    /// The first byte that was noted, from this one on.
    #[inline]
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let (chunk, shift) = (from / CHUNK, from % CHUNK);
        // Of the 64 bytes from there on, so that nothing hangs on where chunks begin: the processor could not guess
        // that.
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

    #[inline]
    fn note(&mut self, bytes: &[u8], mut bits: impl FnMut([u8x16; 4]) -> u64) {
        let (chunks, rest) = bytes.as_chunks();
        self.0.clear();
        self.0.extend(chunks.iter().map(|chunk| bits(words(chunk))));
        let mut chunk = [b' '; CHUNK];
        chunk[..rest.len()].copy_from_slice(rest);
        // The last one is there for `next`, which looks at two.
        self.0.extend([bits(words(&chunk)), 0]);
    }
}

/// What structures JSON Lines.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Line breaks and quotes.
    stops: Bits,
    /// Of each chunk, how many up to it have an escape, or a control character other than a line break.
    odd: Vec<u32>,
    /// Of each chunk, whether there is anything but ASCII.
    beyond_ascii: Vec<bool>,
}

impl Marks {
    /// Notes what structures these bytes.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        let Self { stops, odd, beyond_ascii } = self;
        odd.clear();
        beyond_ascii.clear();
        let mut odd_chunks = 0;
        stops.note(bytes, |words| {
            let line_breaks = words.map(|word| word.simd_eq(u8x16::splat(b'\n')));
            let [one, two, three, four] = [0, 1, 2, 3].map(|at: usize| {
                let control = words[at].min(u8x16::splat(0x1F)).simd_eq(words[at]);
                control & !line_breaks[at] | words[at].simd_eq(u8x16::splat(b'\\'))
            });
            odd_chunks += u32::from((one | two | three | four).to_bitmask() != 0);
            odd.push(odd_chunks);
            beyond_ascii.push((words[0] | words[1] | words[2] | words[3]).to_bitmask() != 0);
            bits([0, 1, 2, 3].map(|at: usize| line_breaks[at] | words[at].simd_eq(u8x16::splat(b'"'))))
        });
    }

    /// Up to where these bytes, of which notes were taken, are UTF-8.
    pub(super) fn utf8_end(&self, bytes: &[u8]) -> usize {
        let mut end = 0;
        for chunks in self.beyond_ascii.chunk_by(|a, b| a == b) {
            let start = end;
            end = bytes.len().min(start + chunks.len() * CHUNK);
            // Chunks of ASCII stand around those that are not, so that no character is cut.
            if chunks[0]
                && let Err(error) = str::from_utf8(&bytes[start..end])
            {
                return start + error.valid_up_to();
            }
        }
        bytes.len()
    }

    /// The first line break or quote from this byte on.
    #[inline]
    pub(super) fn next_stop(&self, from: usize) -> Option<usize> {
        self.stops.next(from)
    }

    /// Whether none of these bytes is odd; if so, it may not be told.
    #[inline]
    pub(super) fn is_plain(&self, start: usize, end: usize) -> bool {
        // The chunk of the first byte counts as a whole.
        let before = start / CHUNK;
        let before = if before == 0 { 0 } else { self.odd[before - 1] };
        self.odd[(end - 1) / CHUNK] == before
    }
}

#[inline]
fn words(chunk: &[u8; CHUNK]) -> [u8x16; 4] {
    let (words, _) = chunk.as_chunks();
    [0, 1, 2, 3].map(|word: usize| u8x16::new(words[word]))
}

/// A bit for each byte that is not 0.
#[inline]
fn bits(words: [u8x16; 4]) -> u64 {
    let [one, two, three, four] = words.map(|word| u64::from(word.to_bitmask()));
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
        fn what_is_noted_is_found_from_anywhere(
            bytes in vec(select(b"\n\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xFF".to_vec()), 0..400), gap in 0usize..300,
        ) {
            let bytes = [bytes, vec![b' '; gap], b"\n".to_vec()].concat();
            let (mut line_breaks, mut marks) = (Bits::default(), Marks::default());
            line_breaks.note_line_breaks(&bytes);
            marks.note(&bytes);
            for from in 0..bytes.len() {
                let first = |is: fn(&u8) -> bool| bytes[from..].iter().position(is).map(|place| from + place);
                prop_assert_eq!(line_breaks.next(from), first(|byte| *byte == b'\n'));
                prop_assert_eq!(marks.next_stop(from), first(|byte| *byte == b'\n' || *byte == b'"'));
            }
        }

        #[test]
        fn utf8_ends_where_it_does(
            parts in vec((0usize..150, prop_oneof![9 => Just(&b"\xC3\xA9"[..]), 1 => Just(&b"\xC3"[..])]), 0..6),
        ) {
            let parts = parts.into_iter().map(|(ascii, beyond)| [&vec![b'a'; ascii][..], beyond].concat());
            let bytes: Vec<u8> = parts.flatten().collect();
            let mut marks = Marks::default();
            marks.note(&bytes);
            let expected = str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
            prop_assert_eq!(marks.utf8_end(&bytes), expected);
        }

        #[test]
        fn what_is_odd_is_never_plain(
            bytes in vec(prop_oneof![1 => select(b"\r\\\x00\x1F\n".to_vec()), 40 => select(b"\"a\x7F\x80".to_vec())], 1..300),
        ) {
            let mut marks = Marks::default();
            marks.note(&bytes);
            let odd = |byte: &u8| *byte == b'\\' || *byte < b' ' && *byte != b'\n';
            for start in 0..bytes.len() {
                for end in start + 1..=bytes.len() {
                    let chunks = start / CHUNK * CHUNK..bytes.len().min(end.next_multiple_of(CHUNK));
                    prop_assert_eq!(marks.is_plain(start, end), !bytes[chunks].iter().any(odd));
                }
            }
        }
    }
}
