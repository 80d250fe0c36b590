//! The answer to requests that no route takes, whichever function their path belongs to.

use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use consent::http::{method_not_allowed, not_found};

/// Every path of the API with its methods. Where two fit, the first one counts.
const PATHS: [(&str, &str); 10] = [
    ("/webhooks/whatsapp", "GET, POST"),
    ("/settings", "GET, PUT"),
    ("/settings/test", "POST"),
    ("/channels/{phone_number_id}", "PUT, DELETE"),
    ("/contacts", "GET"),
    ("/contacts/batch", "POST"),
    ("/contacts/{id}", "GET, DELETE"),
    ("/contacts/{id}/consent", "PUT"),
    ("/contacts/{id}/block", "PUT, DELETE"),
    ("/contacts/{id}/history", "GET"),
];

/// 405 for a path that has other methods, 404 for any other.
///
/// `OPTIONS` is 204 on every path: that is how a browser asks whether a page may make a request. The headers that tell it
/// are API Gateway's, which puts them on this answer if it does not answer by itself.
pub async fn refuse(method: Method, uri: Uri) -> Response {
    let methods = methods(uri.path());
    if method == Method::OPTIONS {
        return (StatusCode::NO_CONTENT, methods.map(|methods| [(header::ALLOW, methods)]), ()).into_response();
    }
    match methods {
        Some(methods) => ([(header::ALLOW, methods)], method_not_allowed().await).into_response(),
        None => not_found().await.into_response(),
    }
}

fn methods(path: &str) -> Option<&'static str> {
    PATHS.iter().find(|(pattern, _)| fits(pattern, path)).map(|(_, methods)| *methods)
}

/// True if a path has the pattern's segments, any text standing for a parameter.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(parameter), Some(text)) if parameter.starts_with('{') && !text.is_empty() => {}
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn paths_are_those_of_the_template() {
        let template = include_str!("../../../template.yaml");
        let value = |line: &'static str, name| line.trim().strip_prefix(name).map(str::trim);
        let mut lines = template.lines().peekable();
        let mut declared = BTreeSet::new();
        while let Some(line) = lines.next() {
            let path = lines.peek().and_then(|next| value(next, "Path:"));
            if let (Some(method), Some(path)) = (value(line, "Method:"), path.filter(|path| path.starts_with('/'))) {
                declared.insert((path, method));
            }
        }
        let here: BTreeSet<_> =
            PATHS.iter().flat_map(|(path, methods)| methods.split(", ").map(move |method| (*path, method))).collect();
        assert_eq!(here, declared);
    }

    #[test]
    fn a_parameter_stands_for_one_segment_that_is_not_empty() {
        assert_eq!(methods("/contacts/+14155550123/block"), Some("PUT, DELETE"));
        assert_eq!(methods("/contacts/batch"), Some("POST"));
        for path in ["/", "", "/contacts/", "/contacts//block", "/contacts/1/2/3", "/contacts/1/block/", "/Settings"] {
            assert_eq!(methods(path), None, "{path}");
        }
    }
}
