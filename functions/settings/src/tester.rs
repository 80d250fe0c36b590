//! The keyword tester: the effect that a text would have if a customer sent it.

use axum::Json;
use axum::extract::State;
use consent::http::{Body, Caller, Fields, Problem};
use consent::id::cut;
use consent::keyword::{Candidate, fold};
#[cfg(feature = "openapi")]
use consent::settings::SettingsDraft;
use consent::settings::{Intent, Settings};
use serde::Serialize;

use crate::{App, draft};

/// Bytes of a folded text that are shown, at most.
const SHOWN_BYTES: usize = 1024;

/// The effect that a text would have.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "KeywordTestResult"))]
pub struct Reading {
    /// Change of consent that the text would ask for.
    outcome: ReadingOutcome,
    /// Keyword that the text matches, as the settings have it.
    keyword: Option<String>,
    /// Text as it is compared: without case, accents and decoration. At most 1,024 bytes of it are shown.
    folded: String,
    /// Confirmation that the customer would get.
    reply: Option<String>,
    /// Advice on settings that hold and may still surprise.
    warnings: Vec<String>,
}

/// A change of consent that a text asks for.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "KeywordOutcome"))]
#[serde(rename_all = "snake_case")]
enum ReadingOutcome {
    /// The customer is opted out.
    OptOut,
    /// A customer who opted out is opted in again.
    OptIn,
    /// The text is no keyword.
    None,
}

/// A text to try, and the settings to try it on.
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "KeywordTest"))]
pub struct Trial {
    /// Text of a message.
    text: String,
    /// Settings to try the text on. Without them, the saved ones are used.
    #[cfg_attr(feature = "openapi", schemars(with = "Option<SettingsDraft>"))]
    settings: Option<Settings>,
}

impl Trial {
    fn read(fields: &mut Fields) -> Option<Self> {
        let text = fields.required("text", "the text of a message");
        let settings = fields.optional_object("settings", draft::settings);
        Some(Self { text: text?, settings })
    }
}

/// `POST /settings/test`
pub async fn test(State(app): State<App>, caller: Caller, body: Body) -> Result<Json<Reading>, Problem> {
    let Trial { text, settings } = body.required()?.make(Trial::read)?;
    let settings = match settings {
        Some(settings) => settings,
        None => app.store.tenant(&caller.tenant).settings().await?.unwrap_or_default().settings,
    };
    Ok(Json(verdict(&settings, &text)))
}

fn verdict(settings: &Settings, text: &str) -> Reading {
    let candidate = Candidate::new(text);
    let matched = settings.judge(&candidate).filter(|_| settings.enabled());
    Reading {
        outcome: match matched.map(|matched| matched.intent) {
            Some(Intent::OptOut) => ReadingOutcome::OptOut,
            Some(Intent::OptIn) => ReadingOutcome::OptIn,
            None => ReadingOutcome::None,
        },
        keyword: matched.map(|matched| matched.keyword.to_string()),
        folded: cut(&fold(text), SHOWN_BYTES).to_owned(),
        reply: matched.and_then(|matched| settings.confirmation(matched.intent)).map(str::to_owned),
        warnings: settings.warnings(),
    }
}

#[cfg(test)]
mod tests {
    use consent::settings::SettingsDraft;

    use super::*;

    fn settings(enabled: bool) -> Settings {
        Settings::new(SettingsDraft {
            enabled,
            opt_out_keywords: vec!["STOP".into()],
            opt_out_message: "Done.".into(),
            opt_in_keywords: vec!["START".into()],
            ..SettingsDraft::default()
        })
        .unwrap()
    }

    #[test]
    fn a_keyword_is_told_with_its_reply() {
        let verdict = verdict(&settings(true), " *Stop!* 🛑");
        assert_eq!(verdict.outcome, ReadingOutcome::OptOut);
        assert_eq!(verdict.keyword.as_deref(), Some("STOP"));
        assert_eq!(verdict.folded, "stop");
        assert_eq!(verdict.reply.as_deref(), Some("Done."));
    }

    #[test]
    fn an_empty_text_is_no_reply() {
        let verdict = verdict(&settings(true), "start");
        assert_eq!((verdict.outcome, verdict.reply), (ReadingOutcome::OptIn, None));
    }

    #[test]
    fn a_text_that_cannot_be_a_keyword_comes_to_nothing() {
        for (text, folded) in [("🛑", ""), ("Please don't stop", "please don't stop")] {
            let verdict = verdict(&settings(true), text);
            assert_eq!(
                (verdict.outcome, verdict.keyword, verdict.folded.as_str()),
                (ReadingOutcome::None, None, folded)
            );
        }
        assert_eq!(verdict(&settings(true), &"é".repeat(5_000)).folded.len(), SHOWN_BYTES);
    }

    #[test]
    fn while_keywords_are_switched_off_nothing_is_heard_and_a_warning_says_so() {
        let verdict = verdict(&settings(false), "STOP");
        assert_eq!((verdict.outcome, verdict.keyword, verdict.reply), (ReadingOutcome::None, None, None));
        assert!(verdict.warnings.iter().any(|warning| warning.contains("switched off")));
    }
}
