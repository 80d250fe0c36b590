//! Versions of the settings as HTTP names them: an entity tag, `"3"`.

use axum::http::{HeaderMap, HeaderValue, header};
use consent::http::{Problem, ProblemKind};
use consent::store::Expected;

/// The entity tag of a version.
pub fn etag(version: u64) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{version}\""))]
}

/// The version that a caller wants to replace, from its header `If-Match`: any without the header or with `*`.
///
/// # Errors
/// The header is repeated, or is not an entity tag of this API. A weak tag (`W/"3"`) is none either.
/// <https://www.rfc-editor.org/rfc/rfc9110#name-if-match>
pub fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let mut tags = headers.get_all(header::IF_MATCH).iter();
    match (tags.next().map(HeaderValue::as_bytes), tags.next()) {
        (None | Some(b"*"), None) => Ok(Expected::Any),
        (Some(tag), None) => version(tag).map(Expected::Version).ok_or_else(|| stale("`If-Match` is no tag of ours")),
        (_, Some(_)) => Err(stale("`If-Match` is there more than once")),
    }
}

/// 412: the saved settings have another version than the caller expects.
pub fn stale(why: &str) -> Problem {
    let detail =
        format!("Nothing was saved, because {why}: read the settings again and send the `ETag` that they have now.");
    Problem::new(ProblemKind::StaleVersion, detail)
}

fn version(tag: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(tag).ok()?.strip_prefix('"')?.strip_suffix('"')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(tags: &[&'static str]) -> Option<Expected> {
        let mut headers = HeaderMap::new();
        for tag in tags {
            headers.append(header::IF_MATCH, HeaderValue::from_static(tag));
        }
        expected(&headers).ok()
    }

    #[test]
    fn without_a_condition_any_version_is_replaced() {
        assert_eq!(if_match(&[]), Some(Expected::Any));
        assert_eq!(if_match(&["*"]), Some(Expected::Any));
    }

    #[test]
    fn a_tag_names_its_version() {
        let [(_, tag)] = etag(17);
        assert_eq!(version(tag.as_bytes()), Some(17));
        assert_eq!(if_match(&["\"0\""]), Some(Expected::Version(0)));
    }

    #[test]
    fn weak_unknown_and_repeated_tags_match_nothing() {
        for tag in ["3", "W/\"3\"", "\"\"", "\"+3\"", "\"3\", \"4\"", "\"x\"", "", "\"", "\"99999999999999999999\""] {
            assert_eq!(if_match(&[tag]), None, "{tag}");
        }
        assert_eq!(if_match(&["\"3\"", "\"3\""]), None);
    }
}
