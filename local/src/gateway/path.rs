//! Decodes paths as API Gateway does: once, and segment by segment. An encoded slash does not split a segment when the route
//! is chosen, but is a plain slash in the path of the event.

/// The decoded segments of a path. None if the encoding is broken.
pub(super) fn segments(path: &str) -> Option<Vec<String>> {
    path.strip_prefix('/').unwrap_or(path).split('/').map(decoded).collect()
}

/// The whole path, decoded. None if the encoding is broken.
pub(super) fn whole(path: &str) -> Option<String> {
    decoded(path)
}

/// The parameters of a query, in order, decoded as in forms (`+` is a space). A broken encoding stays as it is.
pub(super) fn query(query: &str) -> impl Iterator<Item = (String, String)> {
    let value = |text: &str| decoded(&text.replace('+', " ")).unwrap_or_else(|| text.to_owned());
    query.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        (value(name), value(text))
    })
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once() {
        for (sent, got) in [
            ("/contacts/%2B14155550123", "/contacts/+14155550123"),
            ("/contacts/+1", "/contacts/+1"),
            ("/contacts/a%3Fb", "/contacts/a?b"),
            ("/contacts/a%23b", "/contacts/a#b"),
            ("/contacts/a%20b", "/contacts/a b"),
            ("/contacts/%2e%2E", "/contacts/.."),
            ("/contacts/%252B", "/contacts/%2B"),
            ("/contacts/%C3%A9", "/contacts/é"),
            ("/", "/"),
        ] {
            assert_eq!(whole(sent).as_deref(), Some(got));
        }
    }

    #[test]
    fn an_encoded_slash_stays_in_its_segment() {
        assert_eq!(segments("/contacts/a%2Fb/history").unwrap(), ["contacts", "a/b", "history"]);
        assert_eq!(segments("/contacts/").unwrap(), ["contacts", ""]);
        assert_eq!(segments("/").unwrap(), [""]);
        assert_eq!(segments("/a/../b").unwrap(), ["a", "..", "b"]);
    }

    #[test]
    fn broken_encodings_are_noticed() {
        for broken in ["/%", "/%2", "/%zz", "/%ff", "/%C3", "/%+2"] {
            assert_eq!(segments(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_query_is_decoded_as_a_form() {
        let pairs: Vec<_> = query("a=1+2&b=%2B&a=3&c&&d=%zz").collect();
        let text: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(text, [("a", "1 2"), ("b", "+"), ("a", "3"), ("c", ""), ("d", "%zz")]);
    }
}
