//! The suppression list, as the filter looks people up in it: small, exact and quick.
//!
//! A phone number and the reasons against it are one integer. They stand in the order of their keys in a table with
//! gaps, each at the place its key asks for or a little behind it, so that a search ends at the first greater one.

use consent::contact::Suppression;
use consent::id::ContactId;

use super::key::Key;
use super::number;
use super::verdict;

/// People by id, each with the reasons for which they get no campaign.
#[derive(Debug, Default)]
pub struct Index {
    numbers: Numbers,
    texts: Texts,
}

/// Takes the entries of an [`Index`], in any order.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    numbers: Vec<u64>,
    texts: Vec<u8>,
    text_count: usize,
}

impl IndexBuilder {
    /// Adds an id. Of one that comes several times all reasons apply.
    pub fn add(&mut self, id: &ContactId, suppression: Suppression) {
        let verdict = verdict::of(suppression);
        if let Some(number) = number(id) {
            self.numbers.push(Key::of_number(number).bits() | u64::from(verdict));
        } else {
            let text = id.as_str().as_bytes();
            self.texts.extend([verdict, length(text)]);
            self.texts.extend(text);
            self.text_count += 1;
        }
    }

    /// The index of all that was added.
    #[must_use]
    pub fn build(self) -> Index {
        Index { numbers: Numbers::new(&self.numbers), texts: Texts::new(self.texts, self.text_count) }
    }
}

impl<'a> FromIterator<(&'a ContactId, Suppression)> for Index {
    fn from_iter<I: IntoIterator<Item = (&'a ContactId, Suppression)>>(entries: I) -> Self {
        let entries = entries.into_iter();
        let mut builder = IndexBuilder::default();
        builder.numbers.reserve(entries.size_hint().0);
        entries.for_each(|(id, suppression)| builder.add(id, suppression));
        builder.build()
    }
}

impl Index {
    /// What is said of an id, if it is in the index.
    #[must_use]
    pub fn suppression(&self, id: &ContactId) -> Option<Suppression> {
        match number(id) {
            Some(number) => self.suppression_of_number(number),
            None => self.text(id.as_str().as_bytes()).map(verdict::suppression),
        }
    }

    /// What is said of a canonical phone number, if it is in the index.
    #[inline]
    #[must_use]
    pub fn suppression_of_number(&self, number: u64) -> Option<Suppression> {
        self.number(Key::of_number(number)).map(verdict::suppression)
    }

    /// The reasons against a phone number, if it is in the index.
    #[inline]
    pub(super) fn number(&self, key: Key) -> Option<u8> {
        self.numbers.verdict(key)
    }

    /// The reasons against another id, if it is in the index.
    pub(super) fn text(&self, text: &[u8]) -> Option<u8> {
        self.texts.verdict(text)
    }
}

/// The canonical number of an id that is one. What WhatsApp sent may begin with 0; that is a text, since an integer would be
/// another number.
#[inline]
pub(super) fn number(id: &ContactId) -> Option<u64> {
    let digits = id.as_str().strip_prefix('+')?.as_bytes();
    if digits.first() == Some(&b'0') { None } else { Some(number::of_digits(digits)) }
}

/// Numbers with their reasons in the bits that their keys leave.
#[derive(Debug)]
struct Numbers {
    /// All keys there can be, cut into so many stretches that nearly all are empty: a bit for each that is not. It says
    /// of most recipients that they are not here, and fits the processor's caches.
    stretches: Vec<u64>,
    /// How many of a key's highest bits tell its stretch.
    stretch_bits: u32,
    /// In order, with gaps; the last is always a gap.
    slots: Vec<u64>,
    /// How many of the slots a key may ask for. Those behind them take what is pushed over the end.
    places: usize,
}

/// No entry is as great: between its key and its reasons, one has zeros.
const GAP: u64 = u64::MAX;

impl Default for Numbers {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Numbers {
    fn new(entries: &[u64]) -> Self {
        // Two thirds full: a search looks at two slots.
        let places = entries.len() + entries.len() / 2 + 1;
        // Sixteen times as many as entries.
        let stretch_bits = entries.len().next_power_of_two().ilog2() + 4;
        let stretches = vec![0; (1 << stretch_bits) / 64 + 1];
        let mut numbers = Self { stretches, stretch_bits, slots: vec![GAP; places + 1], places };
        for &entry in entries {
            numbers.insert(entry);
        }
        numbers
    }

    fn insert(&mut self, entry: u64) {
        let key = entry & !Key::SPARE;
        let stretch = Key::from_bits(key).high(self.stretch_bits);
        self.stretches[stretch / 64] |= 1 << (stretch % 64);
        let mut at = self.search(Key::from_bits(key));
        // Without its reasons, a gap looks like the greatest key.
        if self.slots[at] != GAP && self.slots[at] & !Key::SPARE == key {
            self.slots[at] |= entry;
            return;
        }
        let mut moving = entry;
        loop {
            moving = std::mem::replace(&mut self.slots[at], moving);
            if moving == GAP {
                break;
            }
            at += 1;
        }
        if at + 1 == self.slots.len() {
            self.slots.push(GAP);
        }
    }

    #[inline]
    fn verdict(&self, key: Key) -> Option<u8> {
        let stretch = key.high(self.stretch_bits);
        if self.stretches[stretch / 64] >> (stretch % 64) & 1 == 0 {
            return None;
        }
        let found = self.slots[self.search(key)] ^ key.bits();
        u8::try_from(found).ok()
    }

    /// Where the key stands, or would.
    #[inline]
    fn search(&self, key: Key) -> usize {
        let mut at = key.place(self.places);
        while self.slots[at] < key.bits() {
            at += 1;
        }
        at
    }
}

/// Ids that are no numbers: their texts one behind the other, and a table that finds them.
#[derive(Debug, Default)]
struct Texts {
    /// Of each: its reasons, its length, itself.
    entries: Vec<u8>,
    /// Of each: half of its key, and where its entry begins.
    slots: Vec<(u32, u32)>,
}

/// What the slot of no text says.
const FREE: (u32, u32) = (0, u32::MAX);

impl Texts {
    fn new(entries: Vec<u8>, count: usize) -> Self {
        let slots = if count == 0 { Vec::new() } else { vec![FREE; count + count / 2 + 1] };
        let mut texts = Self { entries, slots };
        let mut start = 0;
        while start < texts.entries.len() {
            let (verdict, text) = entry(&texts.entries, start);
            let end = start + 2 + text.len();
            match texts.search(text) {
                Ok(same) => texts.entries[same] |= verdict,
                Err(free) => texts.slots[free] = (tag(text), u32::try_from(start).expect("a list under 4 GiB")),
            }
            start = end;
        }
        texts
    }

    fn verdict(&self, text: &[u8]) -> Option<u8> {
        if self.slots.is_empty() {
            return None;
        }
        self.search(text).ok().map(|start| self.entries[start])
    }

    /// Where the text's entry begins, or else the slot that is free for it.
    fn search(&self, text: &[u8]) -> Result<usize, usize> {
        let mut at = Key::of_text(text).place(self.slots.len());
        loop {
            match self.slots[at] {
                FREE => return Err(at),
                (same, start) if same == tag(text) && entry(&self.entries, start as usize).1 == text => {
                    return Ok(start as usize);
                }
                _ => at = (at + 1) % self.slots.len(),
            }
        }
    }
}

/// The half of the text's key that does not tell its place.
#[expect(clippy::cast_possible_truncation, reason = "the half that is meant")]
fn tag(text: &[u8]) -> u32 {
    Key::of_text(text).bits() as u32
}

/// The length of an id that is no number.
pub(super) fn length(text: &[u8]) -> u8 {
    u8::try_from(text.len()).expect("a user id has at most 135 bytes")
}

fn entry(entries: &[u8], start: usize) -> (u8, &[u8]) {
    let length = usize::from(entries[start + 1]);
    (entries[start], &entries[start + 2..][..length])
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> ContactId {
        ContactId::received(text).unwrap()
    }

    proptest! {
        #[test]
        fn the_index_knows_exactly_what_was_added(
            entries in vec((prop_oneof!["\\+[0-9]{7,8}", "[A-C]{2}\\.[0-2]{1,3}"], 0u8..8), 0..400),
            others in vec("\\+[0-9]{7,8}", 0..50),
        ) {
            let suppression = |bits: u8| Suppression {
                opted_out: bits & 1 != 0,
                blocked: bits & 2 != 0,
                provider_stopped: bits & 4 != 0,
            };
            let entries: Vec<_> = entries.iter().map(|(text, bits)| (id(text), *bits)).collect();
            let index: Index = entries.iter().map(|(id, bits)| (id, suppression(*bits))).collect();
            let mut known: HashMap<ContactId, u8> = HashMap::new();
            for (id, bits) in &entries {
                *known.entry(id.clone()).or_default() |= bits;
            }
            for id in entries.into_iter().map(|(id, _)| id).chain(others.iter().map(|text| id(text))) {
                prop_assert_eq!(index.suppression(&id), known.get(&id).map(|bits| suppression(*bits)));
            }
        }
    }

    #[test]
    fn what_is_pushed_over_the_end_is_found() {
        let mut last: Vec<u64> = (1_000_000..1_200_000).collect();
        last.sort_unstable_by_key(|&number| std::cmp::Reverse(Key::of_number(number)));
        let ids: Vec<ContactId> = last[..50].iter().map(|number| id(&number.to_string())).collect();
        let blocked = Suppression { blocked: true, ..Suppression::default() };
        let index: Index = ids.iter().map(|id| (id, blocked)).collect();
        assert!(ids.iter().all(|id| index.suppression(id) == Some(blocked)));
        assert!(last[50..200].iter().all(|&number| index.number(Key::of_number(number)).is_none()));
    }

    #[test]
    fn an_empty_index_knows_nobody() {
        let index = Index::default();
        assert_eq!((index.suppression(&id("+14155550100")), index.suppression(&id("US.1"))), (None, None));
    }

    #[test]
    fn the_number_with_the_greatest_key_is_found() {
        let number = Key::from_bits(!Key::SPARE).number().unwrap();
        let blocked = Suppression { blocked: true, ..Suppression::default() };
        let index: Index = [(&id(&format!("+{number}")), blocked)].into_iter().collect();
        assert_eq!(index.suppression_of_number(number), Some(blocked));
        assert_eq!(Index::default().suppression_of_number(number), None);
    }
}
