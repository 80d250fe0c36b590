//! Examples of keywords and messages, folded.

use super::*;
use crate::keyword::{Candidate, InvalidKeyword, Keyword, MAX_SCALARS, RESERVED_OPT_OUT};

#[track_caller]
fn keyword(written: &str) -> Keyword {
    written.parse().unwrap_or_else(|error| panic!("{written:?}: {error}"))
}

#[track_caller]
fn assert_fold_to(folded: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!(fold(text), folded, "{text:?}");
    }
}

#[test]
fn dressed_up_words_fold_to_the_word() {
    assert_fold_to("stop", &[" *Stop!* 🛑", "stop.", "¡STOP!", "«Stop»", "\u{FEFF}~STOP~\r\n", "🅂🅃🄾🄿", "𝐒𝐓𝐎𝐏"]);
    assert_fold_to(
        "stop",
        &["ＳＴＯＰ", "s\u{200B}top", "\u{202E}STOP\u{202C}", "st\u{AD}op", "S\u{20E3}T\u{20E3}O\u{20E3}P"],
    );
    assert_fold_to("1", &["1\u{FE0F}\u{20E3}", "①", "１", "1."]);
}

#[test]
fn control_characters_are_nothing_unless_they_are_white_space() {
    assert_fold_to("stop", &["ST\0OP", "\u{1}s\u{8}t\u{1B}o\u{9C}p\u{7F}", "stop\r\n"]);
    assert_fold_to("st op", &["st\top", "st\nop", "st\u{85}op", "st\u{B}\0\u{C}op"]);
    assert_fold_to("arret", &["ARRE\0\u{302}T"]);
}

#[test]
fn gaps_of_all_kinds_are_one_space() {
    assert_fold_to("opt out", &["Opt-Out", "opt  out", "OPT_OUT", "opt\u{2011}out", "opt -\n- out", "opt\u{3000}—out"]);
    assert_fold_to("opt out", &["\u{200B} -opt \u{200B} out_ "]);
}

#[test]
fn apostrophes_are_one() {
    let apostrophes = "'`´‘’‛′‵ʹʻʼʽʾʿˈ՚ꞌ΄᾽᾿＇\u{5F3}\u{7F4}\u{1FFD}\u{1FEF}";
    for apostrophe in apostrophes.chars() {
        assert_eq!(fold(&format!("J{apostrophe}arrête")), "j'arrete", "U+{:04X}", u32::from(apostrophe));
    }
}

#[test]
fn case_is_folded_fully() {
    assert_fold_to("strasse", &["Straße", "STRASSE", "STRAẞE"]);
    assert_fold_to("τελοσ", &["ΤΈΛΟΣ", "Τέλος", "τελοσ"]);
    assert_fold_to("iptal", &["İPTAL", "iptal", "IPTAL", "ıptal"]);
    assert_fold_to("გაჩერება", &["ᲒᲐᲩᲔᲠᲔᲑᲐ", "გაჩერება"]);
}

#[test]
fn letters_without_decomposition_become_plain() {
    assert_fold_to("ilodhtaeoe", &["ıłøđħŧæœ", "ILØĐĦŦÆŒ", "iłǿđħŧǽœ"]);
}

#[test]
fn marks_come_off_where_they_are_left_out_at_will() {
    assert_fold_to("arret", &["ARRÊT", "arret", "ARRE\u{302}T"]);
    assert_fold_to("dung", &["DỪNG", "dừng", "dung"]);
    assert_fold_to("στοπ", &["ΣΤΌΠ", "στοπ"]);
    assert_fold_to("стои", &["СТОЙ", "стой"]);
    assert_fold_to("توقف", &["تَوَقَّفْ", "تـــوقف", "توقف"]);
    assert_fold_to("עצור", &["עֲצוֹר", "עצור"]);
}

#[test]
fn marks_stay_where_they_are_spelling() {
    assert_ne!(fold("कि"), fold("की"));
    assert_ne!(fold("ป่า"), fold("ป้า"));
    assert_ne!(fold("は"), fold("ば"));
    assert_fold_to("रोको", &["रोको", "*रोको*!", "रोको।"]);
    assert_fold_to("ストップ", &["ｽﾄｯﾌﾟ", "ストッフ\u{309A}", "ストップ"]);
}

#[test]
fn whole_sentences_and_longer_words_stay_apart() {
    for text in ["Please don't stop", "stop by my office tomorrow", "weekend", "unstop", "stopp", "st op", "ЅТОР"] {
        assert_ne!(fold(text), "stop", "{text:?}");
        assert_ne!(fold(text), "end", "{text:?}");
    }
}

#[test]
fn nothing_is_left_of_what_says_nothing() {
    assert_fold_to(
        "",
        &["", " ", "🛑", "👍🏽", "?!", "\u{200B}", "---", "_", "\u{301}", "\u{FE0F}\u{20E3}", "🇩🇪", "\u{640}"],
    );
}

/// Characters that concern one step of folding or another, to be mixed.
const TELLING: [char; 96] = [
    'a',
    'S',
    '1',
    ' ',
    '-',
    '_',
    '!',
    '=',
    '\'',
    '\0',
    '\u{A0}',
    '\u{A8}',
    '\u{AD}',
    '\u{B2}',
    '\u{B4}',
    'ß',
    'é',
    'İ',
    'ı',
    'Ł',
    'Æ',
    'ǽ',
    'ŉ',
    'ǰ',
    'ﬁ',
    'ª',
    'ʼ',
    'ꞌ',
    '’',
    '‿',
    '—',
    '\u{301}',
    '\u{308}',
    '\u{327}',
    '\u{338}',
    '\u{345}',
    '\u{34F}',
    '\u{37A}',
    '\u{200B}',
    '\u{200D}',
    '\u{FE0F}',
    '\u{20DD}',
    '\u{20E3}',
    'α',
    'ς',
    'ΐ',
    'ᾳ',
    '\u{1FCD}',
    'й',
    '\u{640}',
    '\u{627}',
    '\u{623}',
    '\u{64B}',
    '\u{651}',
    '\u{FE71}',
    '\u{FDFA}',
    '\u{5D0}',
    '\u{5B0}',
    '\u{FB2A}',
    'क',
    '\u{93C}',
    '\u{93F}',
    '\u{94D}',
    '\u{958}',
    'ক',
    '\u{9BE}',
    '\u{9C7}',
    '\u{BC6}',
    '\u{BBE}',
    '\u{F71}',
    '\u{F73}',
    '\u{DDD}',
    'น',
    '\u{E33}',
    '\u{E49}',
    '\u{1100}',
    '\u{1161}',
    '\u{11A8}',
    '\u{1160}',
    '가',
    'ㄱ',
    'か',
    '\u{3099}',
    'ﾊ',
    '\u{FF9F}',
    '中',
    '㍿',
    'Ꭰ',
    'ꭰ',
    'Ა',
    '𝐒',
    '🅂',
    '\u{1D15E}',
    '\u{1D165}',
    '🛑',
    '\u{10FFFF}',
];

/// Texts of up to 100 telling characters, short ones most often; the same ones in every run.
fn telling_texts(count: usize) -> impl Iterator<Item = String> {
    let mut random = fastrand::Rng::with_seed(0x5709);
    std::iter::repeat_with(move || {
        let most = random.choice([4, 8, 12, 100]).unwrap_or_default();
        (0..random.usize(1..=most)).filter_map(|_| random.choice(TELLING)).collect()
    })
    .take(count)
}

#[track_caller]
fn assert_folds_well(text: &str) {
    let folded = fold(text);
    assert_eq!(folded, folded_step_by_step(text), "{} folds otherwise step by step", text.escape_unicode());
    assert_eq!(folded, fold(&text.nfd().collect::<String>()), "the NFD of {} folds otherwise", text.escape_unicode());
    assert_eq!(folded, fold(&folded), "folding {} again changes it", text.escape_unicode());
    assert!(unicode_normalization::is_nfc(&folded), "{} does not fold to NFC", text.escape_unicode());
}

#[test]
fn every_scalar_value_folds_well() {
    for c in '\0'..=char::MAX {
        let text = c.to_string();
        if is_of(GeneralCategoryGroup::Other, c) {
            // Nine in ten of all; not worth the slow steps.
            assert_eq!(fold(&text), "", "{}", text.escape_unicode());
        } else {
            assert_folds_well(&text);
        }
    }
}

#[test]
fn every_pair_of_ascii_characters_folds_well() {
    for first in '\0'..='\x7F' {
        for second in '\0'..='\x7F' {
            assert_folds_well(&String::from_iter([first, second]));
        }
    }
}

#[test]
fn every_pair_of_telling_characters_folds_well() {
    for first in TELLING {
        for second in TELLING {
            assert_folds_well(&String::from_iter([first, second]));
        }
    }
}

#[test]
fn mixed_texts_fold_well() {
    for text in telling_texts(10_000) {
        assert_folds_well(&text);
    }
}

/// The steps of folding one after the other, each over the whole text.
fn folded_step_by_step(text: &str) -> String {
    let apostrophes: String = text.nfd().map(|c| if "´΄᾽᾿".contains(c) { '\'' } else { c }).collect();
    let visible: String = apostrophes.nfkd().filter(|&c| !vanishes(c)).collect();
    let ordered: String = visible.nfd().collect();
    let caseless: String = CaseMapper::new().fold_string(&ordered).nfkd().collect();
    let bare = without_marks_that_come_off(&caseless);

    let mut spelled = String::new();
    for c in bare.chars() {
        match spelled_out(c) {
            Some(latin) => spelled.push_str(latin),
            None if is_apostrophe(c) => spelled.push('\''),
            None if gap(c).is_none() => spelled.push(c),
            None if !spelled.ends_with(' ') => spelled.push(' '),
            None => {}
        }
    }
    trimmed(&spelled).nfc().collect()
}

fn without_marks_that_come_off(text: &str) -> String {
    let mut bare = String::new();
    let mut base_sheds_marks = false;
    for c in text.chars() {
        if !is_of(GeneralCategoryGroup::Mark, c) {
            base_sheds_marks = is_of(GeneralCategoryGroup::Letter, c) && !is_apostrophe(c) && sheds_marks(c);
        } else if base_sheds_marks {
            continue;
        }
        bare.push(c);
    }
    bare
}

fn trimmed(text: &str) -> &str {
    let lasts = |c| is_of(GeneralCategoryGroup::Letter, c) || is_of(GeneralCategoryGroup::Number, c);
    let text = text.trim_start_matches(|c| !lasts(c));
    let end = text.rfind(lasts).map_or(0, |last| {
        let marks = text[last..].chars().skip(1).take_while(|&c| is_of(GeneralCategoryGroup::Mark, c));
        last + text[last..].chars().take(1).chain(marks).map(char::len_utf8).sum::<usize>()
    });
    &text[..end]
}

fn vanishes(c: char) -> bool {
    matches!(c, KEYCAP | TATWEEL)
        || (c.is_control() && !c.is_whitespace())
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

fn is_of(group: GeneralCategoryGroup, c: char) -> bool {
    group.contains(CodePointMapData::<GeneralCategory>::new().get(c))
}

#[test]
fn a_message_matches_as_a_whole() {
    let stop = keyword("STOP");
    for text in ["stop", " *Stop!* 🛑", "ＳＴＯＰ"] {
        assert!(Candidate::new(text).is_some_and(|said| stop.matches(&said)), "{text:?}");
    }
    for text in ["Please don't stop", "stop by my office tomorrow", "unstop", "stop stop", "s t o p", "", "🛑"] {
        assert!(!Candidate::new(text).is_some_and(|said| stop.matches(&said)), "{text:?}");
    }
    assert!(Candidate::new("opt  out").is_some_and(|said| keyword("Opt-Out").matches(&said)));
}

#[test]
fn a_message_is_a_candidate_when_its_folded_text_is_short_enough() {
    for text in telling_texts(10_000) {
        let folded = fold(&text);
        let short_enough = (1..=MAX_SCALARS).contains(&folded.chars().count());
        let candidate = Candidate::new(&text);
        assert_eq!(candidate.is_some(), short_enough, "{}", text.escape_unicode());
        assert!(candidate.is_none_or(|candidate| candidate.folded == folded), "{}", text.escape_unicode());
    }
}

#[test]
fn a_candidate_has_at_most_64_composed_characters() {
    for c in ["a", "한", "中", "\u{10400}"] {
        assert!(Candidate::new(&c.repeat(64)).is_some(), "{c}");
        assert!(Candidate::new(&c.repeat(65)).is_none(), "{c}");
    }
    assert!(Candidate::new(&"\u{1112}\u{1161}\u{11AB}".repeat(64)).is_some());
}

#[test]
fn a_scalar_value_is_composed_of_at_most_4_others() {
    let most = ('\0'..=char::MAX).map(|c| c.nfd().count()).max();
    assert_eq!(most, Some(4));
}

#[test]
fn megabytes_of_nothing_hide_no_keyword() {
    let invisible = "\u{200B}".repeat(200_000);
    let marks = "\u{301}".repeat(200_000);
    let emoji = "🛑".repeat(200_000);
    let spaces = " \n".repeat(200_000);
    let text = format!("{emoji}{invisible}S{marks}T{invisible}OP{spaces}{emoji}{marks}");
    assert!(text.len() > 3_000_000);
    assert!(Candidate::new(&text).is_some_and(|said| keyword("STOP").matches(&said)));
    assert_eq!(Candidate::new(&format!("{text}!a")), None);
}

#[test]
fn a_keyword_has_1_to_64_characters() {
    assert_eq!(keyword("a").folded(), "a");
    assert_eq!(keyword(&"ä".repeat(64)).folded(), "a".repeat(64));
    assert_eq!("".parse::<Keyword>(), Err(InvalidKeyword::Empty));
    assert_eq!("🛑".parse::<Keyword>(), Err(InvalidKeyword::Empty));
    assert_eq!("a".repeat(65).parse::<Keyword>(), Err(InvalidKeyword::TooLong));
    assert_eq!(format!("{}stop", " ".repeat(61)).parse::<Keyword>(), Err(InvalidKeyword::TooLong));
    assert_eq!("ß".repeat(33).parse::<Keyword>(), Err(InvalidKeyword::TooLongFolded));
}

#[test]
fn refusals_say_what_to_do() {
    let texts = [
        (
            InvalidKeyword::Empty,
            "a keyword needs a letter or a digit, as emoji and punctuation around a word do not count; add one",
        ),
        (InvalidKeyword::TooLong, "a keyword has at most 64 characters; shorten it"),
        (
            InvalidKeyword::TooLongFolded,
            "a keyword has at most 64 characters once its ligatures are written out; shorten it",
        ),
    ];
    for (error, text) in texts {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_keyword_is_kept_as_written() {
    let keyword = keyword(" Opt-Out! ");
    assert_eq!(keyword.as_str(), " Opt-Out! ");
    assert_eq!(keyword.to_string(), " Opt-Out! ");
    assert_eq!(keyword.folded(), "opt out");
}

#[test]
fn a_keyword_is_a_string_in_json() {
    let read: Keyword = serde_json::from_str(r#""Opt-Out""#).unwrap();
    assert_eq!(read, keyword("Opt-Out"));
    assert_eq!(serde_json::to_string(&read).unwrap(), r#""Opt-Out""#);

    let refusal = serde_json::from_str::<Keyword>(r#""?""#).unwrap_err();
    assert_eq!(refusal.to_string(), InvalidKeyword::Empty.to_string());
}

#[test]
fn keywords_written_differently_are_not_equal() {
    assert_ne!(keyword("STOP"), keyword("stop"));
    assert_eq!(keyword("STOP").folded(), keyword("stop").folded());
}

#[test]
fn reserved_words_are_folded_keywords() {
    for word in RESERVED_OPT_OUT {
        assert_eq!(keyword(word).folded(), word);
    }
}
