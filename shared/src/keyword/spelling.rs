//! Spelling out: whether a text gives a word letter by letter, as `S T O P` and `s.t.o.p` do.

/// The separator between two letters of a word that is spelled out.
#[derive(Clone, Copy)]
pub(super) enum Gap {
    Space = 1,
    Dot = 2,
    Dash = 4,
    /// Anything else: it ends the spelling.
    Other = 8,
}

/// Follows a text that is being folded, and tells whether its letters are parted by gaps that are all alike.
///
/// A letter here is a base with its marks, however many letters it folds to: `ß` is one. Gaps are alike when they hold the
/// same kinds of characters, so `S  T O P` is spelled out and `S T-O P` is not.
#[derive(Default)]
pub(super) struct Spelling {
    letters: usize,
    /// The kinds of characters since the last letter, as bits of [`Gap`].
    gap: u8,
    /// The kinds of characters of the first gap.
    first_gap: u8,
    /// True if the letters that come next are of the character that the last letter was of.
    same_character: bool,
    broken: bool,
}

impl Spelling {
    /// Another character of the text begins.
    pub fn next_character(&mut self) {
        self.same_character = false;
    }

    /// Takes a letter. One that `continues` the letter before belongs to it.
    pub fn letter(&mut self, continues: bool) {
        let continues = (continues || self.same_character) && self.gap == 0 && self.letters > 0;
        if !continues {
            match (self.letters, self.gap) {
                (0, _) => {}
                (_, 0) => self.broken = true,
                (1, gap) => self.first_gap = gap,
                (_, gap) => self.broken |= gap != self.first_gap,
            }
            self.letters += 1;
            self.gap = 0;
        }
        self.same_character = true;
    }

    /// Takes a digit, which is never spelled: `2.2` is a number.
    pub fn digit(&mut self) {
        self.broken = true;
    }

    /// Takes a part of a gap, unless no letter came yet.
    pub fn gap(&mut self, gap: Gap) {
        if self.letters > 0 {
            self.gap |= gap as u8;
        }
    }

    /// True if all of the text so far is one word that is spelled out. What follows the last letter does not count.
    pub fn is_whole(&self) -> bool {
        !self.broken && self.letters > 1 && self.first_gap & Gap::Other as u8 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::fold::fold_short;

    fn spelled(text: &str) -> Option<String> {
        fold_short(text, 64).and_then(|folded| folded.spelled)
    }

    #[test]
    fn letters_parted_alike_join() {
        for text in [
            "S T O P",
            "s.t.o.p",
            "S-T-O-P",
            "S–T—O-P",
            "S. T. O. P.",
            "S - T - O - P",
            "¡S T O P! 🛑",
            "S\u{200B} T\0 O\n\nP",
        ] {
            assert_eq!(spelled(text).as_deref(), Some("stop"), "{text:?}");
        }
        assert_eq!(spelled("Ｓ．Ｔ．Ｏ．Ｐ").as_deref(), Some("stop"));
        assert_eq!(spelled("s·t·o·p").as_deref(), Some("stop"));
    }

    #[test]
    fn letters_parted_differently_or_by_something_else_do_not() {
        for text in [
            "stop",
            "S",
            "",
            "S T-O P",
            "S.T O.P",
            "ST OP",
            "S T OP",
            "S,T,O,P",
            "S_T_O_P",
            "S/T/O/P",
            "S🛑T🛑O🛑P",
            "S.\u{301}T.O.P",
        ] {
            assert_eq!(spelled(text), None, "{text:?}");
        }
    }

    #[test]
    fn digits_are_not_spelled() {
        for text in ["2.2", "1-1", "1 1", "A 1", "1 A", "А.①"] {
            assert_eq!(spelled(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_letter_is_a_base_with_its_marks_whatever_it_folds_to() {
        for (text, word) in [
            ("A R R Ê T", "arret"),
            ("A-R-R-E\u{302}-T", "arret"),
            ("Ǽ.x", "aex"),
            ("s t r a ß e", "strasse"),
            ("수 신 거 부", "수신거부"),
            ("\u{1109}\u{116E} \u{1109}\u{1175}\u{11AB}", "수신"),
            ("रो को", "रोको"),
            ("Σ Τ Ό Π", "στοπ"),
            ("ᾳ x ᾳ", "αιxαι"),
            ("退.订", "退订"),
        ] {
            assert_eq!(spelled(text).as_deref(), Some(word), "{text:?}");
        }
    }
}
