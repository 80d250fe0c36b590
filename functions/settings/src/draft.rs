//! Settings, read from the body of a request.

use consent::http::Fields;
use consent::settings::{Settings, SettingsDraft};

/// Reads the six fields of settings, all of which are required. Faults are added to `fields`.
pub fn settings(fields: &mut Fields) -> Option<Settings> {
    const TRUTH: &str = "true or false";
    const KEYWORDS: &str = "a list of keywords";
    const MESSAGE: &str = "a text, empty for no confirmation";

    let enabled = fields.required("enabled", TRUTH);
    let opt_out_keywords = fields.required("opt_out_keywords", KEYWORDS);
    let opt_out_message = fields.required("opt_out_message", MESSAGE);
    let opt_in_keywords = fields.required("opt_in_keywords", KEYWORDS);
    let opt_in_message = fields.required("opt_in_message", MESSAGE);
    let require_opt_in = fields.required("require_opt_in", TRUTH);
    let draft = SettingsDraft {
        enabled: enabled?,
        opt_out_keywords: opt_out_keywords?,
        opt_out_message: opt_out_message?,
        opt_in_keywords: opt_in_keywords?,
        opt_in_message: opt_in_message?,
        require_opt_in: require_opt_in?,
    };
    Settings::new(draft).map_err(|errors| fields.refuse_all(errors)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> (Option<Settings>, Vec<String>) {
        let mut fields = Fields::new(serde_json::from_str(json).unwrap());
        let settings = settings(&mut fields);
        let errors = fields.finish().err().unwrap_or_default();
        (settings, errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn every_field_has_to_be_there_and_be_what_it_should() {
        let (settings, faults) =
            read(r#"{"enabled": 1, "opt_out_keywords": "STOP", "opt_in_message": null, "version": 3}"#);
        assert_eq!(settings, None);
        assert_eq!(
            faults,
            [
                "enabled",
                "opt_out_keywords",
                "opt_out_message",
                "opt_in_keywords",
                "opt_in_message",
                "require_opt_in",
                "version"
            ]
        );
    }

    #[test]
    fn fields_that_are_all_there_may_still_not_hold() {
        let (settings, faults) = read(
            r#"{"enabled": true, "opt_out_keywords": ["STOP"], "opt_out_message": "", "opt_in_keywords": ["stop"],
                "opt_in_message": "", "require_opt_in": false, "note": ""}"#,
        );
        assert_eq!(settings, None);
        assert_eq!(faults, ["opt_in_keywords[0]", "note"]);
    }
}
