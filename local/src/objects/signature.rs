//! Signs requests with the only key that the embedded S3 knows, in place of any signature that they have.

use std::time::SystemTime;

use aws_sdk_s3::config::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest, SigningError,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use tracing::debug;

/// The key that the embedded S3 knows.
pub(super) const KEY: &str = "local";
/// Its secret.
pub(super) const SECRET: &str = "local";

const CONTENT: &str = "x-amz-content-sha256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Replaces the request's signature. What the request says of its body stays as it is, and is checked.
pub(super) fn renew(request: &mut Request) {
    // A presigned URL has its signature in the query.
    if request.uri().query().is_some_and(|query| query.contains("X-Amz-Signature=")) {
        return;
    }
    if !request.headers().contains_key(CONTENT) {
        request.headers_mut().insert(CONTENT, HeaderValue::from_static(UNSIGNED));
    }
    request.headers_mut().remove(header::AUTHORIZATION);
    if let Err(error) = signed(request) {
        // The embedded S3 refuses a request without a signature.
        debug!(%error, "request could not be signed");
    }
}

fn signed(request: &mut Request) -> Result<(), SigningError> {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let (host, content) = (request.headers().get(header::HOST).map(text), request.headers().get(CONTENT).map(text));
    let (host, content) = (host.unwrap_or_default(), content.unwrap_or_default());
    let uri = format!("http://{host}{}", request.uri().path_and_query().map_or("/", |path| path.as_str()));

    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
    settings.session_token_mode = SessionTokenMode::Exclude;
    let identity = Credentials::new(KEY, SECRET, None, None, "local").into();
    let key = v4::SigningParams::builder()
        .identity(&identity)
        .region(crate::REGION)
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .expect("everything is set");

    let headers = [("host", host.as_str()), (CONTENT, content.as_str())];
    let body = SignableBody::Precomputed(content.clone());
    let signable = SignableRequest::new(request.method().as_str(), uri, headers.into_iter(), body)?;
    let (instructions, _) = sign(signable, &key.into())?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}
