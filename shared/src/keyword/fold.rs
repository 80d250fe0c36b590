//! Folding: what makes one text of all the ways to write a word.

use icu_casemap::CaseMapper;
use icu_properties::props::{Dash, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, Script};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, decompose_canonical, decompose_compatible};

/// Takes from a text all that does not tell one keyword from another.
///
/// - Compatibility forms (full width, mathematical letters, ligatures) and case become one, and `ı ł ø đ ħ ŧ æ œ` become
///   `i l o d h t ae oe`.
/// - Invisible code points, the keycap frame and the Arabic tatweel go.
/// - Combining marks come off Latin, Greek, Cyrillic, Arabic and Hebrew letters, where people leave them out at will. In
///   every other script they are part of the spelling and stay.
/// - All apostrophes become `'`, and each run of white space, dashes and `_` becomes one space.
/// - What is neither letter, digit nor a mark on one comes off both ends.
///
/// The result is in Unicode's form NFC, and folding it again changes nothing.
///
/// ```
/// use consent::keyword::fold;
///
/// assert_eq!(fold(" *Stop!* 🛑"), "stop");
/// assert_eq!(fold("ARRÊT"), fold("arret"));
/// assert_eq!(fold("Opt-Out"), fold("opt  out"));
/// ```
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folding = Folding::default();
    for c in text.chars() {
        folding.push(c);
    }
    folding.finish()
}

/// Folds a text, unless it is certain before its end that more than so many scalar values will be left of it.
pub(super) fn fold_short(text: &str, max_scalars: usize) -> Option<String> {
    /// A scalar value is composed of up to 4 others, each of up to 4 bytes.
    const MAX_BYTES_DECOMPOSED: usize = 4 * 4;

    let mut folding = Folding::default();
    for c in text.chars() {
        folding.push(c);
        if folding.end > max_scalars * MAX_BYTES_DECOMPOSED {
            return None;
        }
    }
    Some(folding.finish())
}

/// A text on its way to being folded, one character after the other.
///
/// All is decomposed and stays so until the end. One pass is enough, as no step leaves anything for an earlier one to do;
/// the tests compare it with the steps taken one by one.
#[derive(Default)]
struct Folding {
    /// What is left so far, beginning with a letter or digit.
    text: String,
    /// The length of `text` in bytes up to its last letter, digit or mark on one.
    end: usize,
    /// What a mark would stand on.
    base: Base,
    /// Iotas below that wait for the other marks of their letter.
    iotas_below: usize,
}

/// What a combining mark stands on.
#[derive(Default, Clone, Copy)]
enum Base {
    /// A letter of a script whose marks come off.
    Bare,
    /// Any other letter, or a digit.
    Marked,
    /// Something else, or nothing at all.
    #[default]
    Neither,
}

/// Frames the digit before it, as a key of a telephone.
const KEYCAP: char = '\u{20E3}';

/// Stretches an Arabic word.
const TATWEEL: char = '\u{640}';

/// The Greek iota subscript, the only mark that case folding makes a letter of.
const IOTA_BELOW: char = '\u{345}';

impl Folding {
    fn push(&mut self, c: char) {
        decompose_canonical(c, |c| match c {
            // Apostrophes that a compatibility decomposition would make spaces with a mark.
            '\u{B4}' | '\u{384}' | '\u{1FBD}' | '\u{1FBF}' => self.push_decomposed('\''),
            _ => decompose_compatible(c, |c| self.push_decomposed(c)),
        });
    }

    fn push_decomposed(&mut self, c: char) {
        match c {
            // Most text is made of these; all that would be looked up for them is known.
            'a'..='z' | 'A'..='Z' => {
                self.push_iotas_below();
                self.push_lasting(c.to_ascii_lowercase(), Base::Bare);
            }
            KEYCAP | TATWEEL => {}
            _ if CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) => {}
            // Canonical order has it after the other marks, wherever it was typed. Before them, its letter would take
            // them over.
            IOTA_BELOW => self.iotas_below += 1,
            _ => {
                if self.iotas_below > 0 && canonical_combining_class(c) == 0 {
                    self.push_iotas_below();
                }
                self.push_ordered(c);
            }
        }
    }

    fn push_iotas_below(&mut self) {
        for _ in 0..std::mem::take(&mut self.iotas_below) {
            self.push_ordered('ι');
        }
    }

    fn push_ordered(&mut self, c: char) {
        let c = CaseMapper::new().simple_fold(c);
        if let Some(latin) = spelled_out(c) {
            return latin.chars().for_each(|c| self.push_lasting(c, Base::Bare));
        }
        let category = CodePointMapData::<GeneralCategory>::new().get(c);
        if is_apostrophe(c) {
            self.push_inner('\'');
        } else if GeneralCategoryGroup::Letter.contains(category) {
            self.push_lasting(c, if sheds_marks(c) { Base::Bare } else { Base::Marked });
        } else if GeneralCategoryGroup::Number.contains(category) {
            self.push_lasting(c, Base::Marked);
        } else if GeneralCategoryGroup::Mark.contains(category) {
            match self.base {
                Base::Bare => {}
                Base::Marked => self.push_lasting(c, Base::Marked),
                Base::Neither => self.push_inner(c),
            }
        } else if !is_gap(c) {
            self.push_inner(c);
        } else if !self.text.ends_with(' ') {
            self.push_inner(' ');
        }
    }

    /// Takes a letter, a digit or a mark on one.
    fn push_lasting(&mut self, c: char, base: Base) {
        self.text.push(c);
        self.end = self.text.len();
        self.base = base;
    }

    /// Takes what stays only if letters or digits come before and after it.
    fn push_inner(&mut self, c: char) {
        if !self.text.is_empty() {
            self.text.push(c);
        }
        self.base = Base::Neither;
    }

    fn finish(mut self) -> String {
        self.push_iotas_below();
        self.text.truncate(self.end);
        self.text.nfc().collect()
    }
}

/// The plain letters for a Latin letter that has no decomposition. Those for `ß` are its full case folding, the only one
/// that differs from the simple one once a text is decomposed.
fn spelled_out(c: char) -> Option<&'static str> {
    Some(match c {
        'ı' => "i",
        'ł' => "l",
        'ø' => "o",
        'đ' => "d",
        'ħ' => "h",
        'ŧ' => "t",
        'æ' => "ae",
        'œ' => "oe",
        'ß' => "ss",
        _ => return None,
    })
}

/// Whether people type it for an apostrophe: quotation marks, accents on nothing, primes, and letters that look like one.
fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '`' | '‘' | '’' | '‛' | '❛' | '❜' | '′' | '‵')
        || matches!(c, 'ʹ' | 'ʻ' | 'ʼ' | 'ʽ' | 'ʾ' | 'ʿ' | 'ˈ' | '՚' | 'ꞌ')
        // Of Hebrew and N'Ko, which are written from right to left.
        || matches!(c, '\u{5F3}' | '\u{7F4}' | '\u{7F5}')
}

fn is_gap(c: char) -> bool {
    c == '_' || c.is_whitespace() || CodePointSetData::new::<Dash>().contains(c)
}

/// Whether a letter is of a script in which combining marks are left out at will.
fn sheds_marks(letter: char) -> bool {
    matches!(
        CodePointMapData::<Script>::new().get(letter),
        Script::Latin | Script::Greek | Script::Cyrillic | Script::Arabic | Script::Hebrew
    )
}

#[cfg(test)]
mod tests;
