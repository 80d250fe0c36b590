//! Keywords, and what a message must say to be one.
//!
//! People write a keyword in bold, in capitals, with an exclamation mark or without the accents that their keyboard
//! hides. [`fold()`] makes one text of all of these; a message matches a keyword when the whole of it folds to the same.
//!
//! Opt-out keywords are read in two more ways, as a stop that is overlooked is worse than one too many: said several times
//! (`STOP! STOP!`) and spelled out (`S.T.O.P`).

mod fold;
mod repetition;
mod spelling;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

pub use fold::fold;
use repetition::RepeatedWord;

/// The most Unicode scalar values a keyword has, as written and folded.
const MAX_SCALARS: usize = 64;

/// The most Unicode scalar values in a text of WhatsApp. One that repeats a keyword may be as long.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages>
const MAX_TEXT: usize = 4_096;

/// The words that count as a request to stop under the TCPA, whatever a business has chosen, folded: 47 CFR
/// 64.1200(a)(10), <https://www.ecfr.gov/current/title-47/section-64.1200>. `optout` is its `opt out` in one word.
pub const RESERVED_OPT_OUT: [&str; 8] = ["stop", "quit", "end", "revoke", "opt out", "optout", "cancel", "unsubscribe"];

/// A word, or a few, by which customers opt out or in.
///
/// Two `Keyword`s are equal when they are written alike: to replace `STOP` by `stop` is a change to the settings. Whether
/// they match the same messages is told by [`Keyword::folded`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Keyword {
    written: String,
    folded: String,
}

impl Keyword {
    /// The keyword as the business wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The keyword as it is compared.
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// True if the message is this keyword and nothing more.
    #[must_use]
    pub fn matches(&self, candidate: &Candidate) -> bool {
        self.folded == candidate.folded
    }

    /// True if the message is this keyword as opt-out keywords are read: once, several times, or letter by letter.
    #[must_use]
    pub fn matches_as_opt_out(&self, candidate: &Candidate) -> bool {
        candidate.opts_out_by(&self.folded)
    }
}

impl TryFrom<String> for Keyword {
    type Error = InvalidKeyword;

    fn try_from(written: String) -> Result<Self, InvalidKeyword> {
        if is_too_long(&written) {
            return Err(InvalidKeyword::TooLong);
        }
        let folded = fold(&written);
        if folded.is_empty() {
            return Err(InvalidKeyword::Empty);
        }
        if is_too_long(&folded) {
            return Err(InvalidKeyword::TooLongFolded);
        }
        Ok(Self { written, folded })
    }
}

impl FromStr for Keyword {
    type Err = InvalidKeyword;

    fn from_str(written: &str) -> Result<Self, InvalidKeyword> {
        written.to_owned().try_into()
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Serialize for Keyword {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

/// The reason for which a text cannot be a keyword. The texts are shown to users who edit the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyword {
    /// Nothing is left of it once folded.
    #[error("a keyword needs a letter or a digit, as emoji and punctuation around a word do not count; add one")]
    Empty,
    /// More than 64 scalar values as written.
    #[error("a keyword has at most {MAX_SCALARS} characters; shorten it")]
    TooLong,
    /// More than 64 scalar values once folded, as ligatures come apart.
    #[error("a keyword has at most {MAX_SCALARS} characters once its ligatures are written out; shorten it")]
    TooLongFolded,
}

/// The folded text of a message that can be a keyword.
#[derive(Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Longer than a keyword only where some word is repeated or spelled out.
    folded: String,
    /// The word that is spelled out, no longer than a keyword.
    spelled: Option<String>,
    /// The words with the marks that folding takes off, where the text has several.
    marked: Option<String>,
}

impl Candidate {
    /// Folds a message's text; `None` when no keyword can match it.
    ///
    /// Only what is left counts: a keyword among megabytes of invisible code points or emoji is still one. A long text is
    /// given up on as soon as enough of it is certain to be left. Of a word that is repeated or spelled out, the word must
    /// be short enough, not the text: a screen full of `STOP` is a `STOP`.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fold::Folded { text: folded, spelled } = fold::fold_short(text, MAX_TEXT)?;
        let spelled = spelled.filter(|word| !is_too_long(word));
        let may_be = !is_too_long(&folded) || spelled.is_some() || repetition::has_unit(&folded, MAX_SCALARS);
        (!folded.is_empty() && may_be).then(|| Self {
            marked: repetition::has_gap(&folded).then(|| fold::fold_marked(text, MAX_TEXT)).flatten(),
            folded,
            spelled,
        })
    }

    /// The text as it is compared.
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// True if the text is one of the words that always opt out, as opt-out keywords are read.
    #[must_use]
    pub fn is_reserved_opt_out(&self) -> bool {
        RESERVED_OPT_OUT.iter().any(|word| self.opts_out_by(word))
    }

    fn opts_out_by(&self, folded_keyword: &str) -> bool {
        self.folded == folded_keyword
            || self.spelled.as_deref() == Some(folded_keyword)
            || self.marked.as_deref().is_some_and(|marked| {
                repetition::is_of(&self.folded, RepeatedWord(folded_keyword))
                    && repetition::is_of_one_word(marked, RepeatedWord(folded_keyword))
            })
    }
}

// What is printed ends up in logs, where the words of a person may not stand.
impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Candidate")
    }
}

fn is_too_long(text: &str) -> bool {
    text.chars().nth(MAX_SCALARS).is_some()
}
