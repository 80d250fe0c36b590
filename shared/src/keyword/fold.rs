//! Folding: what makes one text of all the ways to write a word.

use icu_casemap::CaseMapper;
use icu_properties::props::{Dash, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, Script};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, decompose_canonical, decompose_compatible};

use super::spelling::{Gap, Spelling};

/// Takes from a text all that does not tell one keyword from another.
///
/// - Compatibility forms (full width, mathematical letters, ligatures) and case become one, and `ı ł ø đ ħ ŧ æ œ` become
///   `i l o d h t ae oe`.
/// - Invisible code points, control characters that are no white space, the keycap frame and the Arabic tatweel go.
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
    folding.finish().text
}

/// A folded text and what its letters join to.
pub(super) struct Folded {
    /// The text as [`fold()`] gives it.
    pub text: String,
    /// The letters without what parts them: `stop` of `s.t.o.p`. `None` unless the text is two letters or more, each parted
    /// from the next by white space, by dots or by dashes, and all in the same way.
    pub spelled: Option<String>,
}

/// Folds a text, unless it is certain before its end that more than so many scalar values will be left of it.
pub(super) fn fold_short(text: &str, max_scalars: usize) -> Option<Folded> {
    fold_up_to(Folding::default(), text, max_scalars)
}

/// Folds a short text, but leaves its letters their marks, and `ł` and its like as they are: `đừng` stays apart from
/// `dừng`.
pub(super) fn fold_marked(text: &str, max_scalars: usize) -> Option<String> {
    let folding = Folding { keeps_marks: true, ..Folding::default() };
    fold_up_to(folding, text, max_scalars).map(|folded| folded.text)
}

fn fold_up_to(mut folding: Folding, text: &str, max_scalars: usize) -> Option<Folded> {
    /// A scalar value is composed of up to 4 others, each of up to 4 bytes.
    const MAX_BYTES_DECOMPOSED: usize = 4 * 4;

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
    /// The text that is left so far, beginning with a letter or digit.
    text: String,
    /// The length of `text` in bytes up to its last letter, digit or mark on one.
    end: usize,
    /// The base that a mark would stand on.
    base: Base,
    /// Iotas below that wait for the other marks of their letter.
    iotas_below: usize,
    /// True if the text so far is spelled out letter by letter.
    spelling: Spelling,
    /// True if marks stay that would come off.
    keeps_marks: bool,
}

/// The base that a combining mark stands on.
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
        self.spelling.next_character();
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
                self.push_letter(c.to_ascii_lowercase(), Base::Bare);
            }
            KEYCAP | TATWEEL => {}
            _ if c.is_control() && !c.is_whitespace() => {}
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
            self.spelling.letter(true);
            self.push_lasting('ι', Base::Bare);
        }
    }

    fn push_ordered(&mut self, c: char) {
        let c = CaseMapper::new().simple_fold(c);
        if let Some(latin) = spelled_out(c).filter(|_| !self.keeps_marks) {
            return latin.chars().for_each(|c| self.push_letter(c, Base::Bare));
        }
        let category = CodePointMapData::<GeneralCategory>::new().get(c);
        if is_apostrophe(c) {
            self.push_inner('\'', Gap::Other);
        } else if GeneralCategoryGroup::Letter.contains(category) {
            self.push_letter(c, if sheds_marks(c) { Base::Bare } else { Base::Marked });
        } else if GeneralCategoryGroup::Number.contains(category) {
            self.spelling.digit();
            self.push_lasting(c, Base::Marked);
        } else if GeneralCategoryGroup::Mark.contains(category) {
            match self.base {
                Base::Bare if !self.keeps_marks => {}
                Base::Bare => self.push_lasting(c, Base::Bare),
                Base::Marked => self.push_lasting(c, Base::Marked),
                Base::Neither => self.push_inner(c, Gap::Other),
            }
        } else {
            match gap(c) {
                None => self.push_inner(c, if is_dot(c) { Gap::Dot } else { Gap::Other }),
                Some(gap) if self.text.ends_with(' ') => self.spelling.gap(gap),
                Some(gap) => self.push_inner(' ', gap),
            }
        }
    }

    fn push_letter(&mut self, c: char, base: Base) {
        self.spelling.letter(is_rest_of_syllable(c));
        self.push_lasting(c, base);
    }

    /// Takes a letter, a digit or a mark on one.
    fn push_lasting(&mut self, c: char, base: Base) {
        self.text.push(c);
        self.end = self.text.len();
        self.base = base;
    }

    /// Takes what stays only if letters or digits come before and after it.
    fn push_inner(&mut self, c: char, gap: Gap) {
        self.spelling.gap(gap);
        if !self.text.is_empty() {
            self.text.push(c);
        }
        self.base = Base::Neither;
    }

    fn finish(mut self) -> Folded {
        self.push_iotas_below();
        self.text.truncate(self.end);
        let is_letter = |c: &char| *c != ' ' && !is_dot(*c);
        Folded {
            spelled: self.spelling.is_whole().then(|| self.text.chars().filter(is_letter).nfc().collect()),
            text: self.text.nfc().collect(),
        }
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

/// True for characters that people type for an apostrophe: quotation marks, accents on nothing, primes, and look-alikes.
fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '`' | '‘' | '’' | '‛' | '❛' | '❜' | '′' | '‵')
        || matches!(c, 'ʹ' | 'ʻ' | 'ʼ' | 'ʽ' | 'ʾ' | 'ʿ' | 'ˈ' | '՚' | 'ꞌ')
        // Of Hebrew and N'Ko, which are written from right to left.
        || matches!(c, '\u{5F3}' | '\u{7F4}' | '\u{7F5}')
}

/// The kind of gap that a character is, if it folds to a space.
fn gap(c: char) -> Option<Gap> {
    if c.is_whitespace() {
        Some(Gap::Space)
    } else if c == '_' {
        Some(Gap::Other)
    } else {
        CodePointSetData::new::<Dash>().contains(c).then_some(Gap::Dash)
    }
}

/// True for a full stop and for a dot of middle height.
fn is_dot(c: char) -> bool {
    matches!(c, '.' | '。' | '·' | '•' | '・')
}

/// True if a letter belongs to the Hangul syllable that the letter before began: a vowel or a final consonant.
fn is_rest_of_syllable(letter: char) -> bool {
    matches!(letter, '\u{1160}'..='\u{11FF}')
}

/// True if a letter is of a script in which combining marks are left out at will.
fn sheds_marks(letter: char) -> bool {
    matches!(
        CodePointMapData::<Script>::new().get(letter),
        Script::Latin | Script::Greek | Script::Cyrillic | Script::Arabic | Script::Hebrew
    )
}

#[cfg(test)]
mod tests;
