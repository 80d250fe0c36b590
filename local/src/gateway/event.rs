//! The event for a function behind an HTTP API: payload format 2.0.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use consent::time::Time;
use http::request::Parts;
use http::{HeaderName, Uri};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::path;
use crate::route::{Access, Taken};
use crate::token::Claims;

/// The route that a request took, and the claims of its token.
pub(super) struct Reached<'a> {
    pub id: &'a str,
    pub taken: &'a Taken<'a>,
    pub claims: Option<&'a Claims>,
    pub now: Time,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    path_parameters: &'a BTreeMap<String, String>,
    request_context: Context<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    account_id: &'static str,
    api_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer<'a>>,
    domain_name: &'a str,
    domain_prefix: &'static str,
    http: Http<'a>,
    request_id: &'a str,
    route_key: &'a str,
    stage: &'static str,
    time: String,
    time_epoch: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: String,
    source_ip: &'static str,
    user_agent: &'a str,
}

#[derive(Serialize)]
struct Authorizer<'a> {
    jwt: Jwt<'a>,
}

#[derive(Serialize)]
struct Jwt<'a> {
    claims: BTreeMap<&'a str, String>,
    scopes: Option<Vec<&'a str>>,
}

/// The event as JSON. None for a request that API Gateway would refuse.
pub(super) fn payload(parts: &Parts, body: &[u8], reached: &Reached<'_>) -> Option<String> {
    let raw_path = path::whole(parts.uri.path())?;
    let query = parts.uri.query().unwrap_or_default();
    let host = text(&parts.headers, &header::HOST).unwrap_or("localhost");
    if !is_uri(&Address { host, path: &raw_path, query }) {
        return None;
    }
    let route_key = reached.taken.route.key();
    let (body, is_base64_encoded) = encoded(body, text(&parts.headers, &header::CONTENT_TYPE));
    let event = Payload {
        version: "2.0",
        route_key: &route_key,
        raw_path: &raw_path,
        raw_query_string: query,
        cookies: cookies(&parts.headers)?,
        headers: headers(&parts.headers)?,
        query_string_parameters: joined(path::query(query)),
        path_parameters: &reached.taken.parameters,
        request_context: Context {
            account_id: crate::ACCOUNT,
            api_id: "local",
            authorizer: reached.claims.map(|claims| authorizer(claims, &reached.taken.route.access)),
            domain_name: host,
            domain_prefix: "local",
            http: Http {
                method: parts.method.as_str(),
                path: &raw_path,
                protocol: format!("{:?}", parts.version),
                source_ip: "127.0.0.1",
                user_agent: text(&parts.headers, &header::USER_AGENT).unwrap_or_default(),
            },
            request_id: reached.id,
            route_key: &route_key,
            stage: "$default",
            time: written(reached.now),
            time_epoch: reached.now.millis(),
        },
        body,
        is_base64_encoded,
    };
    serde_json::to_string(&event).ok()
}

/// The parts of a request's address, with the path decoded.
struct Address<'a> {
    host: &'a str,
    path: &'a str,
    query: &'a str,
}

/// Returns true if the parts make a URI. `lambda_http` joins them and panics if they don't; API Gateway refuses such requests.
fn is_uri(&Address { host, path, query }: &Address) -> bool {
    Url::parse(&format!("http://{host}{path}")).is_ok_and(|url| format!("{url}?{query}").parse::<Uri>().is_ok())
}

/// The headers of the event: names in lower case, the values of a repeated one joined by commas, without the headers of the
/// connection, and with those that API Gateway adds.
fn headers(sent: &HeaderMap) -> Option<BTreeMap<&str, String>> {
    let connection = [header::COOKIE, header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TE];
    let kept = sent.iter().filter(|(name, _)| !connection.contains(name));
    let pairs: Option<Vec<_>> =
        kept.map(|(name, value)| Some((name.as_str(), value.to_str().ok()?.to_owned()))).collect();
    let mut headers = joined(pairs?.into_iter());
    headers.insert("x-forwarded-for", "127.0.0.1".to_owned());
    headers.insert("x-forwarded-proto", "http".to_owned());
    Some(headers)
}

fn cookies(sent: &HeaderMap) -> Option<Vec<String>> {
    let lines: Option<Vec<&str>> = sent.get_all(header::COOKIE).iter().map(|line| line.to_str().ok()).collect();
    Some(lines?.iter().flat_map(|line| line.split("; ")).map(str::to_owned).collect())
}

fn joined<K: Ord>(pairs: impl Iterator<Item = (K, String)>) -> BTreeMap<K, String> {
    let mut joined = BTreeMap::<K, String>::new();
    for (name, value) in pairs {
        joined
            .entry(name)
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert(value);
    }
    joined
}

/// The body of the event, and true if it is base64. A body is text if its content type is.
fn encoded(body: &[u8], content_type: Option<&str>) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    match std::str::from_utf8(body) {
        Ok(text) if content_type.is_none_or(is_text) => (Some(text.to_owned()), false),
        _ => (Some(STANDARD.encode(body)), true),
    }
}

fn is_text(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = essence.split_once('/').map_or("", |(_, subtype)| subtype);
    essence.starts_with("text/")
        || matches!(subtype, "json" | "xml" | "javascript")
        || subtype.ends_with("+json")
        || subtype.ends_with("+xml")
}

/// The claims as strings, and those of the route's scopes that the token has.
fn authorizer<'a>(claims: &'a Claims, access: &'a Access) -> Authorizer<'a> {
    let scopes = match access {
        Access::Token(wanted) if !wanted.is_empty() => {
            Some(wanted.iter().filter(|scope| claims.scopes.contains(scope)).map(String::as_str).collect())
        }
        _ => None,
    };
    let claims = claims.all.iter().map(|(name, value)| (name.as_str(), claim(value))).collect();
    Authorizer { jwt: Jwt { claims, scopes } }
}

fn claim(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(claim).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The time in the common log format: `22/Nov/2026:10:00:00 +0000`.
fn written(time: Time) -> String {
    let timestamp = Timestamp::from_millisecond(time.millis()).unwrap_or_default();
    timestamp.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}
