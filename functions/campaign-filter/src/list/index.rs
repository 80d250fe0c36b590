//! The suppression list, as rows are looked up in it: small, exact and quick.
//!
//! A phone number and the reasons against it are one integer: the key of the number, whose 14 low bits are zero, with the
//! verdict in those bits. The integers stand in a table in the order of their keys, each at the place that its key asks for
//! or a little behind it. A search begins at that place and ends at the first key that is not less, so it ends early for a
//! number that is not there. This is an ordered hash table (Amble and Knuth, 1974, <https://doi.org/10.1093/comjnl/17.2.135>)
//! with linear probing and a hash that keeps the order.
//!
//! An example with four places and keys written as fractions of all keys: 0.10, 0.60, 0.20 and 0.15 ask for the places 0,
//! 2, 0 and 0. The table is `0.10 0.15 0.20 0.60`, since 0.20 and 0.15 are moved behind 0.10. The search for 0.12 looks at
//! 0.10 and 0.15, and ends.

use consent::contact::Suppression;
use consent::id::ContactId;

use super::key::IdKey;
use super::number;
use super::verdict::RowVerdict;

/// Contacts by id, each with its suppression.
#[derive(Debug, Default)]
pub struct Index {
    numbers: NumberTable,
    texts: TextTable,
}

/// The contacts that a list may name, as far as the table knows them.
#[derive(Clone, Copy, Debug)]
pub struct People<'a> {
    /// The suppression list, or the part of it that concerns the list.
    pub suppressed: &'a Index,
    /// The contacts that opted in, whatever their suppression. None where no opt-in is needed.
    pub opted_in: Option<&'a Index>,
}

/// Takes the entries of an [`Index`], in any order.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    numbers: Vec<u64>,
    texts: Vec<u8>,
    text_count: usize,
}

impl IndexBuilder {
    /// Adds an id. All reasons apply to an id that is added several times.
    ///
    /// # Panics
    /// Never: an id has at most 135 bytes.
    pub fn add(&mut self, id: &ContactId, suppression: Suppression) {
        let verdict = RowVerdict::of_suppression(suppression);
        if let Some(number) = number::of_id(id) {
            self.numbers.push(IdKey::of_number(number).bits() | u64::from(verdict.bits()));
        } else {
            let text = id.as_str().as_bytes();
            let length = u8::try_from(text.len()).expect("a user id has at most 135 bytes");
            self.texts.extend([verdict.bits(), length]);
            self.texts.extend(text);
            self.text_count += 1;
        }
    }

    /// The index of all entries.
    #[must_use]
    pub fn build(self) -> Index {
        Index { numbers: NumberTable::new(&self.numbers), texts: TextTable::new(self.texts, self.text_count) }
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
    /// The suppression of an id, if the id is in the index.
    #[must_use]
    pub fn suppression(&self, id: &ContactId) -> Option<Suppression> {
        match number::of_id(id) {
            Some(number) => self.suppression_of_number(number),
            None => self.text(id.as_str().as_bytes()).map(RowVerdict::suppression),
        }
    }

    /// The suppression of a canonical phone number, given without its `+`, if it is in the index.
    #[inline]
    #[must_use]
    pub fn suppression_of_number(&self, number: u64) -> Option<Suppression> {
        self.number(IdKey::of_number(number)).map(RowVerdict::suppression)
    }

    /// The verdict on a phone number, if it is in the index.
    #[inline]
    pub(super) fn number(&self, key: IdKey) -> Option<RowVerdict> {
        self.numbers.verdict(key)
    }

    /// The verdict on an id that is no number, if it is in the index.
    pub(super) fn text(&self, text: &[u8]) -> Option<RowVerdict> {
        self.texts.verdict(text)
    }
}

/// The phone numbers of an index.
#[derive(Debug)]
struct NumberTable {
    /// One bit for each stretch of keys, set if the stretch has an entry. There are 16 to 32 times as many stretches as
    /// entries, so that most recipients end here. The bits fit the processor's caches. This is a Bloom filter with one hash
    /// function: <https://doi.org/10.1145/362686.362692>.
    stretches: Vec<u64>,
    /// The number of high bits of a key that tell its stretch.
    stretch_bits: u32,
    /// The entries in their order, with gaps. The last slot is always a gap.
    slots: Vec<u64>,
    /// The number of slots that a key may ask for. The slots behind take entries that are moved past the last one.
    places: usize,
}

/// An empty slot. It is greater than every entry: an entry has zeros between its key and its verdict.
const GAP: u64 = u64::MAX;

impl Default for NumberTable {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl NumberTable {
    fn new(entries: &[u64]) -> Self {
        // Two thirds of the slots are full, so that a search looks at about two.
        let places = entries.len() + entries.len() / 2 + 1;
        let stretch_bits = entries.len().next_power_of_two().ilog2() + 4;
        let stretches = vec![0; (1 << stretch_bits) / 64 + 1];
        let mut numbers = Self { stretches, stretch_bits, slots: vec![GAP; places + 1], places };
        for &entry in entries {
            numbers.insert(entry);
        }
        numbers
    }

    fn insert(&mut self, entry: u64) {
        let key = entry & !IdKey::SPARE;
        let stretch = IdKey::from_bits(key).high(self.stretch_bits);
        self.stretches[stretch / 64] |= 1 << (stretch % 64);
        let mut at = self.search(IdKey::from_bits(key));
        // Without its low bits, a gap looks like the greatest key.
        if self.slots[at] != GAP && self.slots[at] & !IdKey::SPARE == key {
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
    fn verdict(&self, key: IdKey) -> Option<RowVerdict> {
        let stretch = key.high(self.stretch_bits);
        if self.stretches[stretch / 64] >> (stretch % 64) & 1 == 0 {
            return None;
        }
        // Where the keys are the same, only the verdict is left.
        let difference = self.slots[self.search(key)] ^ key.bits();
        u8::try_from(difference).ok().map(RowVerdict::from_bits)
    }

    /// The first slot whose entry is not less than the key.
    #[inline]
    fn search(&self, key: IdKey) -> usize {
        let mut at = key.place(self.places);
        while self.slots[at] < key.bits() {
            at += 1;
        }
        at
    }
}

/// The ids of an index that are no numbers: a hash table with linear probing, its texts beside it.
#[derive(Debug, Default)]
struct TextTable {
    /// The entries, one behind the other: each its verdict, its length, and its text.
    entries: Vec<u8>,
    slots: Vec<TextSlot>,
}

/// A slot of a [`TextTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TextSlot {
    /// The low half of the text's key. The upper half tells the place, so most other texts differ here.
    tag: u32,
    /// The index of the entry's first byte.
    start: u32,
}

impl TextSlot {
    const FREE: Self = Self { tag: 0, start: u32::MAX };
}

/// An entry of a [`TextTable`].
struct TextEntry<'a> {
    verdict: RowVerdict,
    text: &'a [u8],
}

impl TextTable {
    fn new(entries: Vec<u8>, count: usize) -> Self {
        let slots = if count == 0 { Vec::new() } else { vec![TextSlot::FREE; count + count / 2 + 1] };
        let mut texts = Self { entries, slots };
        let mut start = 0;
        while start < texts.entries.len() {
            let TextEntry { verdict, text } = texts.entry(start);
            let (tag, next) = (tag(text), start + 2 + text.len());
            match texts.search(text) {
                Ok(same) => texts.entries[same] |= verdict.bits(),
                Err(free) => {
                    let start = u32::try_from(start).expect("a list under 4 GiB");
                    texts.slots[free] = TextSlot { tag, start };
                }
            }
            start = next;
        }
        texts
    }

    fn verdict(&self, text: &[u8]) -> Option<RowVerdict> {
        if self.slots.is_empty() {
            return None;
        }
        self.search(text).ok().map(|start| self.entry(start).verdict)
    }

    /// The index of the entry with this text, or else of the slot that is free for it.
    fn search(&self, text: &[u8]) -> Result<usize, usize> {
        let mut at = IdKey::of_text(text).place(self.slots.len());
        loop {
            let slot = self.slots[at];
            if slot == TextSlot::FREE {
                return Err(at);
            }
            if slot.tag == tag(text) && self.entry(slot.start as usize).text == text {
                return Ok(slot.start as usize);
            }
            at = (at + 1) % self.slots.len();
        }
    }

    /// The entry that begins at this byte.
    fn entry(&self, start: usize) -> TextEntry<'_> {
        let length = usize::from(self.entries[start + 1]);
        TextEntry { verdict: RowVerdict::from_bits(self.entries[start]), text: &self.entries[start + 2..][..length] }
    }
}

/// The tag of a text in a [`TextSlot`].
#[expect(clippy::cast_possible_truncation, reason = "the half that is meant")]
fn tag(text: &[u8]) -> u32 {
    IdKey::of_text(text).bits() as u32
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
    fn entries_stand_in_the_order_of_their_keys() {
        let key = |percent: u64| (u64::MAX / 100 * percent) & !IdKey::SPARE;
        let mut numbers = NumberTable { slots: vec![GAP; 5], places: 4, ..NumberTable::new(&[]) };
        for percent in [10, 60, 20, 15] {
            numbers.insert(key(percent));
        }
        assert_eq!(numbers.slots, [key(10), key(15), key(20), key(60), GAP]);
        assert_eq!(numbers.search(IdKey::from_bits(key(12))), 1);
    }

    #[test]
    fn what_is_pushed_over_the_end_is_found() {
        let mut last: Vec<u64> = (1_000_000..1_200_000).collect();
        last.sort_unstable_by_key(|&number| std::cmp::Reverse(IdKey::of_number(number)));
        let ids: Vec<ContactId> = last[..50].iter().map(|number| id(&number.to_string())).collect();
        let blocked = Suppression { blocked: true, ..Suppression::default() };
        let index: Index = ids.iter().map(|id| (id, blocked)).collect();
        assert!(ids.iter().all(|id| index.suppression(id) == Some(blocked)));
        assert!(last[50..200].iter().all(|&number| index.number(IdKey::of_number(number)).is_none()));
    }

    #[test]
    fn an_empty_index_knows_nobody() {
        let index = Index::default();
        assert_eq!((index.suppression(&id("+14155550100")), index.suppression(&id("US.1"))), (None, None));
    }

    #[test]
    fn the_number_with_the_greatest_key_is_found() {
        let number = IdKey::from_bits(!IdKey::SPARE).number().unwrap();
        let blocked = Suppression { blocked: true, ..Suppression::default() };
        let index: Index = [(&id(&format!("+{number}")), blocked)].into_iter().collect();
        assert_eq!(index.suppression_of_number(number), Some(blocked));
        assert_eq!(Index::default().suppression_of_number(number), None);
    }
}
