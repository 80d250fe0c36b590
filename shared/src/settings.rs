//! Settings: the keywords and confirmation texts of a tenant, and its rule on silence.

use serde::{Deserialize, Serialize};

use crate::keyword::{Candidate, Keyword, RESERVED_OPT_OUT};
use crate::time::Time;

/// Settings that hold: every value of this type has passed [`Settings::new`], or was stored by something that had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    enabled: bool,
    opt_out_keywords: Vec<Keyword>,
    opt_out_message: String,
    opt_in_keywords: Vec<Keyword>,
    opt_in_message: String,
    require_opt_in: bool,
}

/// Settings as a user wrote them, not yet checked.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct SettingsDraft {
    /// True if keywords in messages are applied. While it is false, campaigns still skip everybody who opted out before.
    pub enabled: bool,
    /// Words that opt a customer out.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = Settings::MAX_KEYWORDS), inner(length(min = 1, max = 64))))]
    pub opt_out_keywords: Vec<String>,
    /// Confirmation of an opt-out. An empty text means that none is sent.
    #[cfg_attr(feature = "openapi", schemars(length(max = Settings::MAX_MESSAGE_CHARS)))]
    pub opt_out_message: String,
    /// Words that opt a customer in again.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = Settings::MAX_KEYWORDS), inner(length(min = 1, max = 64))))]
    pub opt_in_keywords: Vec<String>,
    /// Confirmation of an opt-in. An empty text means that none is sent.
    #[cfg_attr(feature = "openapi", schemars(length(max = Settings::MAX_MESSAGE_CHARS)))]
    pub opt_in_message: String,
    /// True if a customer who never said anything gets no marketing.
    pub require_opt_in: bool,
}

/// Settings with what the table knows of their making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedSettings {
    /// The settings.
    pub settings: Settings,
    /// Counts the savings; 0 for defaults that were never saved.
    pub version: u64,
    /// The time of the last saving; none before the first.
    pub updated_at: Option<Time>,
    /// The subject of the user who saved them last; none before the first saving.
    pub updated_by: Option<String>,
}

/// A field that does not hold, and what would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The path of the field, for example `opt_in_keywords[2]`.
    pub field: String,
    /// The fault and how to mend it.
    pub detail: String,
}

impl FieldError {
    /// An error of the field at `field`.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }
}

/// The intent of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// No more marketing.
    OptOut,
    /// Marketing again.
    OptIn,
}

/// A keyword that was found in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeywordMatch<'a> {
    /// The intent of the keyword.
    pub intent: Intent,
    /// The keyword, as the tenant wrote it.
    pub keyword: &'a Keyword,
    /// The index of the message's text that matched.
    pub text: usize,
}

impl Settings {
    /// Keywords in one list, at most.
    pub const MAX_KEYWORDS: usize = 50;
    /// Unicode scalar values in one confirmation text, at most.
    pub const MAX_MESSAGE_CHARS: usize = 1_000;
    /// Bytes that settings may take in the table, so that reading them never costs more than two read units.
    pub const MAX_STORED_BYTES: usize = 8 * 1024;

    /// Checks a draft.
    ///
    /// # Errors
    /// The faults of all fields, not only of the first.
    pub fn new(draft: SettingsDraft) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let opt_out_keywords = keywords("opt_out_keywords", draft.opt_out_keywords, &mut errors);
        let opt_in_keywords = keywords("opt_in_keywords", draft.opt_in_keywords, &mut errors);
        for (index, keyword) in &opt_in_keywords {
            let field = format!("opt_in_keywords[{index}]");
            // A customer who writes it is heard as the webhook hears everybody.
            let Some(texts) = Candidate::new(keyword.as_str()) else { continue };
            if texts.is_reserved_opt_out() {
                let detail = format!("`{keyword}` always means opting out: remove it from the opt-in keywords");
                errors.push(FieldError::new(field, detail));
            } else if let Some((_, twin)) = opt_out_keywords.iter().find(|(_, other)| other.matches_as_opt_out(&texts))
            {
                let detail = format!("`{keyword}` is read as the opt-out keyword `{twin}`: remove one of the two");
                errors.push(FieldError::new(field, detail));
            }
        }
        for (field, text) in [("opt_out_message", &draft.opt_out_message), ("opt_in_message", &draft.opt_in_message)] {
            let length = text.chars().count();
            if length > Self::MAX_MESSAGE_CHARS {
                let detail = format!("has {length} characters: shorten it to at most {}", Self::MAX_MESSAGE_CHARS);
                errors.push(FieldError::new(field, detail));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let settings = Self {
            enabled: draft.enabled,
            opt_out_keywords: opt_out_keywords.into_iter().map(|(_, keyword)| keyword).collect(),
            opt_out_message: draft.opt_out_message,
            opt_in_keywords: opt_in_keywords.into_iter().map(|(_, keyword)| keyword).collect(),
            opt_in_message: draft.opt_in_message,
            require_opt_in: draft.require_opt_in,
        };
        let bytes = settings.stored_bytes();
        if bytes > Self::MAX_STORED_BYTES {
            let detail = format!(
                "keywords and texts take {bytes} bytes together, more than the {} that are stored: shorten them",
                Self::MAX_STORED_BYTES
            );
            return Err(vec![FieldError::new("settings", detail)]);
        }
        Ok(settings)
    }

    /// True if keywords in messages are applied.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// True if a customer who never said anything gets no marketing.
    #[must_use]
    pub fn require_opt_in(&self) -> bool {
        self.require_opt_in
    }

    /// The confirmation of an intent; none where the tenant left the text empty.
    #[must_use]
    pub fn confirmation(&self, intent: Intent) -> Option<&str> {
        let text = match intent {
            Intent::OptOut => &self.opt_out_message,
            Intent::OptIn => &self.opt_in_message,
        };
        (!text.trim().is_empty()).then_some(text)
    }

    /// The keyword that a message matches whose texts are these candidates. Opting out goes before opting in, and its
    /// keywords alone may be repeated or spelled out.
    ///
    /// ```
    /// use consent::keyword::Candidate;
    /// use consent::settings::{Intent, Settings};
    ///
    /// let settings = Settings::default();
    /// let intent = |text: &str| settings.judge(&Candidate::new(text)).map(|matched| matched.intent);
    /// assert_eq!(intent(" *Stop!* 🛑"), Some(Intent::OptOut));
    /// assert_eq!(intent("Start"), Some(Intent::OptIn));
    /// assert_eq!(intent("Please don't stop"), None);
    /// ```
    #[must_use]
    pub fn judge<'a>(&self, texts: impl IntoIterator<Item = &'a Candidate>) -> Option<KeywordMatch<'_>> {
        let mut opt_in = None;
        for (text, candidate) in texts.into_iter().enumerate() {
            if let Some(keyword) = self.opt_out_keywords.iter().find(|keyword| keyword.matches_as_opt_out(candidate)) {
                return Some(KeywordMatch { intent: Intent::OptOut, keyword, text });
            }
            let keyword = self.opt_in_keywords.iter().find(|keyword| keyword.matches(candidate));
            opt_in = opt_in.or(keyword.map(|keyword| KeywordMatch { intent: Intent::OptIn, keyword, text }));
        }
        opt_in
    }

    /// Warnings to the tenant about settings that are valid.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let missing: Vec<String> = RESERVED_OPT_OUT
            .iter()
            .filter(|word| !self.opt_out_keywords.iter().any(|keyword| keyword.folded() == **word))
            .map(|word| format!("`{word}`"))
            .collect();
        if !missing.is_empty() {
            warnings.push(format!(
                "These words always count as opting out in the United States (47 CFR 64.1200(a)(10)), but are not among the \
                 opt-out keywords: {}",
                missing.join(", ")
            ));
        }
        if !self.enabled {
            warnings.push("Keyword handling is switched off: nobody can opt out or in by message".to_owned());
        }
        warnings
    }

    /// An upper bound of what the settings item takes: texts, a little for each keyword, and the item's fixed part.
    fn stored_bytes(&self) -> usize {
        const FIXED: usize = 512;
        const EACH_KEYWORD: usize = 4;
        let keywords = self.opt_out_keywords.iter().chain(&self.opt_in_keywords);
        FIXED
            + keywords.map(|keyword| keyword.as_str().len() + EACH_KEYWORD).sum::<usize>()
            + self.opt_out_message.len()
            + self.opt_in_message.len()
    }
}

/// The settings that a new tenant starts with.
impl Default for Settings {
    fn default() -> Self {
        let keyword = |text: &str| text.parse().into_iter().collect::<Vec<Keyword>>();
        Self {
            enabled: true,
            opt_out_keywords: keyword("STOP"),
            opt_out_message:
                "You are unsubscribed and will get no more marketing messages from us. Messages about your \
                              orders and your questions still reach you. Reply START to subscribe again."
                    .to_owned(),
            opt_in_keywords: keyword("START"),
            opt_in_message: "You are subscribed again and will get our marketing messages. Reply STOP at any time to \
                             unsubscribe."
                .to_owned(),
            require_opt_in: false,
        }
    }
}

/// The keywords of one list that hold, each with its place; the others become errors.
fn keywords(field: &str, words: Vec<String>, errors: &mut Vec<FieldError>) -> Vec<(usize, Keyword)> {
    if words.is_empty() || words.len() > Settings::MAX_KEYWORDS {
        let detail = format!("has {} keywords: give 1 to {}", words.len(), Settings::MAX_KEYWORDS);
        errors.push(FieldError::new(field, detail));
    }
    let mut keywords = Vec::with_capacity(words.len());
    for (index, word) in words.into_iter().enumerate() {
        match Keyword::try_from(word) {
            Ok(keyword) => keywords.push((index, keyword)),
            Err(error) => errors.push(FieldError::new(format!("{field}[{index}]"), error.to_string())),
        }
    }
    keywords
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> SettingsDraft {
        SettingsDraft {
            enabled: true,
            opt_out_keywords: vec!["STOP".into()],
            opt_in_keywords: vec!["START".into()],
            ..SettingsDraft::default()
        }
    }

    fn fields(draft: SettingsDraft) -> Vec<String> {
        Settings::new(draft).unwrap_err().into_iter().map(|error| error.field).collect()
    }

    fn texts(text: &str) -> Vec<Candidate> {
        Candidate::new(text).into_iter().collect()
    }

    #[test]
    fn the_defaults_hold_and_name_the_way_back() {
        let settings = Settings::default();
        assert!(settings.confirmation(Intent::OptOut).unwrap().contains("START"));
        assert!(settings.confirmation(Intent::OptIn).unwrap().contains("STOP"));
        assert_eq!(settings.judge(&texts("stop!")).unwrap().intent, Intent::OptOut);
        assert_eq!(settings.judge(&texts("Start")).unwrap().intent, Intent::OptIn);
    }

    #[test]
    fn every_fault_is_named_not_only_the_first() {
        let faulty = SettingsDraft {
            opt_out_keywords: vec![],
            opt_in_keywords: vec!["START".into(), "🛑".into(), "x".repeat(65)],
            opt_in_message: "x".repeat(1_001),
            ..draft()
        };
        assert_eq!(fields(faulty), ["opt_out_keywords", "opt_in_keywords[1]", "opt_in_keywords[2]", "opt_in_message"]);
    }

    #[test]
    fn lists_that_share_a_folded_keyword_are_refused_by_name() {
        let shared =
            SettingsDraft { opt_out_keywords: vec!["ARRÊT".into()], opt_in_keywords: vec!["arret".into()], ..draft() };
        let errors = Settings::new(shared).unwrap_err();
        assert_eq!(errors[0].field, "opt_in_keywords[0]");
        assert!(errors[0].detail.contains("`arret`") && errors[0].detail.contains("`ARRÊT`"));
    }

    #[test]
    fn words_that_always_opt_out_are_refused_as_opt_in_keywords() {
        for word in RESERVED_OPT_OUT {
            let draft = SettingsDraft {
                opt_out_keywords: vec!["halt".into()],
                opt_in_keywords: vec![word.to_uppercase()],
                ..draft()
            };
            assert_eq!(fields(draft), ["opt_in_keywords[0]"], "{word}");
        }
    }

    #[test]
    fn fifty_keywords_fit_and_fifty_one_do_not() {
        let words = |count: usize| (0..count).map(|index| format!("word {index}")).collect();
        assert!(Settings::new(SettingsDraft { opt_out_keywords: words(50), ..draft() }).is_ok());
        assert_eq!(fields(SettingsDraft { opt_out_keywords: words(51), ..draft() }), ["opt_out_keywords"]);
    }

    #[test]
    fn settings_that_would_not_fit_their_item_are_refused() {
        let long = (0..50).map(|index| format!("{index:02}{}", "語".repeat(62))).collect();
        assert_eq!(fields(SettingsDraft { opt_out_keywords: long, ..draft() }), ["settings"]);
    }

    #[test]
    fn missing_opt_out_words_are_named_in_a_warning() {
        let warnings = Settings::new(draft()).unwrap().warnings();
        assert!(warnings[0].contains("`unsubscribe`") && !warnings[0].contains("`stop`"), "{warnings:?}");
    }

    #[test]
    fn an_empty_text_means_no_confirmation() {
        assert_eq!(Settings::new(draft()).unwrap().confirmation(Intent::OptOut), None);
    }

    #[test]
    fn opting_out_goes_before_opting_in() {
        let candidates: Vec<Candidate> = ["START", "STOP"].into_iter().filter_map(Candidate::new).collect();
        let settings = Settings::default();
        let matched = settings.judge(&candidates).unwrap();
        assert_eq!((matched.intent, matched.text), (Intent::OptOut, 1));
    }
}
