//! The signature of a webhook: HMAC-SHA256 over the raw bytes of the body, keyed with the app's secret.
//!
//! <https://developers.facebook.com/docs/graph-api/webhooks/getting-started#validate-payloads>

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The header that carries the signature.
pub const HEADER: &str = "x-hub-signature-256";

/// A signature as a request carries it: 32 bytes.
pub struct Signature([u8; 32]);

impl Signature {
    /// Reads a header's value, `sha256=<64 hex digits>`.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let mut signature = [0; 32];
        hex::decode_to_slice(header.strip_prefix(b"sha256=")?, &mut signature).ok()?;
        Some(Self(signature))
    }

    /// Returns true if `app_secret` signed `body`. The comparison takes the same time for every wrong signature.
    pub fn is_of(&self, body: &[u8], app_secret: &str) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()) else { return false };
        mac.update(body);
        mac.verify_slice(&self.0).is_ok()
    }
}

/// Returns true if the handshake's token is one of the expected ones. Compares in constant time.
pub fn is_expected<'a>(token: &str, expected: impl Iterator<Item = &'a str>) -> bool {
    expected.fold(false, |found, expected| found | bool::from(expected.as_bytes().ct_eq(token.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vectors_hold() {
        let first = r#"{"object":"whatsapp_business_account","entry":[]}"#;
        let spaced = r#"{"object": "whatsapp_business_account", "entry": []}"#;
        for (secret, body, hex) in [
            ("test_app_secret", first, "dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756"),
            ("test_app_secret", spaced, "56cbbaf4961c6cfdae48b7f116c047e5eb513d2c931baae63a2bc1afd26f803a"),
            ("otro_secreto", first, "769b03d8c2ae6498f2d1e1f7299c0ba55448c69d741e7b0bb243d852d8a8d8c7"),
            ("secret", "test", "0329a06b62cd16b33eb6792be8c60b158d89a2ee3a876fce9a881ebb488c0914"),
        ] {
            let signature = Signature::parse(format!("sha256={hex}").as_bytes()).unwrap();
            assert!(signature.is_of(body.as_bytes(), secret), "{secret} {body}");
            assert!(!signature.is_of(body.as_bytes(), "another"), "{secret} {body}");
        }
    }

    #[test]
    fn a_signature_has_its_prefix_and_its_length() {
        assert!(Signature::parse(b"dec6a6").is_none());
        for wrong in ["sha256=", "sha256=xyz", "sha256=dec6a6", &format!("sha256={}", "a".repeat(66)), &"a".repeat(64)]
        {
            assert!(Signature::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
        assert!(Signature::parse(format!("sha256={}", "A".repeat(64)).as_bytes()).is_some());
    }

    #[test]
    fn any_of_several_tokens_is_expected() {
        assert!(is_expected("b", ["a", "b"].into_iter()));
        assert!(!is_expected("", ["a", "b"].into_iter()));
        assert!(!is_expected("c", ["a", "b"].into_iter()));
    }
}
