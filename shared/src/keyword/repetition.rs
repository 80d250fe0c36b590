//! Repetition: whether a folded text says one thing several times, as `stop! stop` does.

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

/// The folded word that a text may repeat.
#[derive(Clone, Copy)]
pub(super) struct RepeatedWord<'a>(pub &'a str);

/// True if a folded text is a word, once or several times.
///
/// Something that is neither letter nor digit stands between one time and the next: `stopstop` is another word. Between two
/// digits it must be or hold a space: `1.1` and `1/1` are not twice `1`.
pub(super) fn is_of(text: &str, RepeatedWord(word): RepeatedWord) -> bool {
    let mut rest = text;
    while let Some(after) = rest.strip_prefix(word).filter(|_| !word.is_empty()) {
        if after.is_empty() {
            return true;
        }
        let Some(next) = skip_gap(after, RepeatedWord(word)) else { return false };
        rest = next;
    }
    false
}

/// True if a text that is a folded word several times is so as written, its marks included. `đừng dừng` are two words,
/// though both fold to `dung`. Marks may be left out at one time and not at another.
pub(super) fn is_of_one_word(marked: &str, RepeatedWord(word): RepeatedWord) -> bool {
    let (written, bare) = (words(marked), words(word));
    let mut with_marks = written.chunks(bare.len().max(1)).filter(|each| **each != bare);
    let first = with_marks.next();
    with_marks.all(|each| Some(each) == first)
}

/// True if a folded text is more than one word.
pub(super) fn has_gap(text: &str) -> bool {
    text.contains(is_between_words)
}

/// True if a folded text is something repeated that has at most so many scalar values.
pub(super) fn has_unit(text: &str, max_scalars: usize) -> bool {
    let mut beginning = text.char_indices().take(max_scalars + 1);
    beginning.any(|(end, c)| is_between_words(c) && is_of(text, RepeatedWord(&text[..end])))
}

fn words(text: &str) -> Vec<&str> {
    text.split(is_between_words).filter(|word| !word.is_empty()).collect()
}

/// The text behind the gap with which a text begins, if it begins with one that may part a word from its repetition.
fn skip_gap<'a>(text: &'a str, RepeatedWord(word): RepeatedWord) -> Option<&'a str> {
    if !text.starts_with(is_between_words) {
        return None;
    }
    let next = text.trim_start_matches(|c| !is_letter_or_digit(c));
    let gap = &text[..text.len() - next.len()];
    let digits_meet = word.ends_with(char::is_numeric) && word.starts_with(char::is_numeric);
    (!digits_meet || gap.contains(' ')).then_some(next)
}

fn is_letter_or_digit(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    GeneralCategoryGroup::Letter.contains(category) || GeneralCategoryGroup::Number.contains(category)
}

/// True if a character ends the word before it. A mark does not: it belongs to what it stands on.
fn is_between_words(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    !is_letter_or_digit(c) && !GeneralCategoryGroup::Mark.contains(category)
}

#[cfg(test)]
mod tests {
    use super::{RepeatedWord, has_unit};

    fn is_of(text: &str, word: &str) -> bool {
        super::is_of(text, RepeatedWord(word))
    }

    fn is_of_one_word(marked: &str, word: &str) -> bool {
        super::is_of_one_word(marked, RepeatedWord(word))
    }

    #[test]
    fn a_word_is_repeated_with_something_between() {
        for text in ["stop", "stop stop", "stop! stop", "stop, stop. stop", "stop🛑stop", "stop!\u{20DD} stop"] {
            assert!(is_of(text, "stop"), "{text:?}");
        }
        for text in ["", "stopstop", "stop stopp", "stop sto", "stop it", "stop stop it", "unstop stop", "stop1 stop"] {
            assert!(!is_of(text, "stop"), "{text:?}");
        }
        assert!(is_of("opt out opt out", "opt out") && !is_of("opt out opt", "opt out"));
        assert!(is_of("don't! don't", "don't"));
        assert!(!is_of("stop", ""));
    }

    #[test]
    fn a_word_with_other_marks_is_another_word() {
        for (marked, folded) in
            [("arrêt arrêt", "arret"), ("arrêt arret arrêt", "arret"), ("hủy đăng ký! hủy đăng ký", "huy dang ky")]
        {
            assert!(is_of_one_word(marked, folded), "{marked}");
        }
        for (marked, folded) in
            [("đừng dừng", "dung"), ("dừng đừng", "dung"), ("hủy đăng ký hủy đằng ký", "huy dang ky")]
        {
            assert!(!is_of_one_word(marked, folded), "{marked}");
        }
    }

    #[test]
    fn numbers_are_not_repeated_digits() {
        for (text, repeated) in
            [("1 1", true), ("1, 1", true), ("1.1", false), ("1/1", false), ("1:1:1", false), ("11", false)]
        {
            assert_eq!(is_of(text, "1"), repeated, "{text:?}");
        }
        assert!(is_of("u2/u2", "u2"));
    }

    #[test]
    fn what_is_repeated_is_short_however_long_the_text() {
        assert!(has_unit("stop ".repeat(800).trim_end(), 64));
        assert!(has_unit(&["no more ads, please"; 9].join("; "), 64));
        assert!(!has_unit(&format!("{}it", "stop ".repeat(800)), 64));
        let long = "x".repeat(64);
        assert!(has_unit(&format!("{long} {long}"), 64));
        assert!(!has_unit(&format!("{long}x {long}x"), 64));
    }
}
