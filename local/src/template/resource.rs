//! The template's resources as types. Each property is one that the local run uses, or one that it ignores because it only
//! matters in the cloud. An unknown property is an error.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Schedule, StreamSource};
use crate::filter::Filters;
use crate::table::{TableDefinition, attribute, attribute_type, key, key_type, view};

/// The HTTP API. Its limits and logs only matter in the cloud.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HttpApi {
    #[serde(default)]
    pub auth: Option<ApiAuth>,
    /// The CORS configuration, with its conditions not applied yet.
    pub cors_configuration: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ApiAuth {
    pub default_authorizer: Option<String>,
    #[serde(default)]
    pub authorizers: BTreeMap<String, Authorizer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(dead_code, reason = "names what may stand here: issuer and audience are the local token's own")]
pub(super) struct Authorizer {
    pub jwt_configuration: IgnoredAny,
    pub identity_source: IgnoredAny,
    #[serde(rename = "AuthorizationScopes")]
    pub scopes: Option<Vec<String>>,
}

/// A function. Its events are parsed later, so that an error can name the function.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Function {
    #[serde(default)]
    pub events: BTreeMap<String, Value>,
    #[serde(default)]
    pub policies: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(tag = "Type", content = "Properties")]
pub(super) enum Event {
    HttpApi(HttpApiEvent),
    DynamoDB(StreamEvent),
    ScheduleV2(ScheduleEvent),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(dead_code, reason = "names what may stand here")]
pub(super) struct HttpApiEvent {
    api_id: Option<IgnoredAny>,
    timeout_in_millis: Option<IgnoredAny>,
    pub path: Option<String>,
    pub method: Option<String>,
    pub auth: Option<RouteAuth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RouteAuth {
    pub authorizer: Option<String>,
    #[serde(rename = "AuthorizationScopes")]
    pub scopes: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(dead_code, reason = "names what may stand here")]
pub(super) struct StreamEvent {
    stream: IgnoredAny,
    starting_position: IgnoredAny,
    destination_config: Option<IgnoredAny>,
    maximum_batching_window_in_seconds: Option<IgnoredAny>,
    parallelization_factor: Option<IgnoredAny>,
    batch_size: Option<usize>,
    maximum_retry_attempts: Option<i64>,
    maximum_record_age_in_seconds: Option<i64>,
    #[serde(default)]
    bisect_batch_on_function_error: bool,
    #[serde(default)]
    function_response_types: Vec<ResponseType>,
    filter_criteria: Option<FilterCriteria>,
}

#[derive(Deserialize)]
enum ResponseType {
    ReportBatchItemFailures,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct FilterCriteria {
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Filter {
    pattern: String,
}

impl StreamEvent {
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.filter_criteria.iter().flat_map(|criteria| &criteria.filters).map(|filter| filter.pattern.as_str())
    }

    pub fn source(&self, function: &str, filters: Filters) -> Result<StreamSource, String> {
        let retries = limit("MaximumRetryAttempts", self.maximum_retry_attempts)?;
        let age = limit("MaximumRecordAgeInSeconds", self.maximum_record_age_in_seconds)?;
        Ok(StreamSource {
            function: function.to_owned(),
            filters,
            batch: self.batch_size.unwrap_or(100).max(1),
            retries,
            age: age.map(|seconds| Duration::from_secs(seconds.into())),
            bisect: self.bisect_batch_on_function_error,
            partial: !self.function_response_types.is_empty(),
        })
    }
}

/// A limit of an event source. `-1` is no limit.
fn limit(name: &str, value: Option<i64>) -> Result<Option<u32>, String> {
    match value {
        None | Some(-1) => Ok(None),
        Some(value) => u32::try_from(value).map(Some).map_err(|_| format!("{name} of {value}")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(dead_code, reason = "names what may stand here")]
pub(super) struct ScheduleEvent {
    schedule_expression: String,
    input: Option<String>,
    state: Option<State>,
    name: Option<IgnoredAny>,
    omit_name: Option<IgnoredAny>,
    description: Option<IgnoredAny>,
    retry_policy: Option<IgnoredAny>,
    dead_letter_config: Option<IgnoredAny>,
    flexible_time_window: Option<IgnoredAny>,
    permissions_boundary: Option<IgnoredAny>,
    role_arn: Option<IgnoredAny>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum State {
    Enabled,
    Disabled,
}

impl ScheduleEvent {
    pub fn schedule(self, function: &str) -> Result<Option<Schedule>, String> {
        if self.state == Some(State::Disabled) {
            return Ok(None);
        }
        let every = rate(&self.schedule_expression)
            .ok_or_else(|| format!("`{}`: only rate(…) is played here", self.schedule_expression))?;
        if self.input.as_deref().is_some_and(|input| serde_json::from_str::<IgnoredAny>(input).is_err()) {
            return Err("Input is not JSON".to_owned());
        }
        Ok(Some(Schedule { function: function.to_owned(), every, input: self.input }))
    }
}

/// The interval of a rate expression, such as `rate(5 minutes)`.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>
fn rate(expression: &str) -> Option<Duration> {
    let (count, unit) = expression.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let seconds = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 60 * 60,
        "day" => 24 * 60 * 60,
        _ => return None,
    };
    let count: u64 = count.parse().ok().filter(|count| *count > 0)?;
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(dead_code, reason = "names what may stand here")]
pub(super) struct TableProperties {
    attribute_definitions: Vec<Attribute>,
    key_schema: Vec<Key>,
    billing_mode: BillingMode,
    stream_specification: Option<Stream>,
    time_to_live_specification: Option<TimeToLive>,
    table_name: Option<IgnoredAny>,
    table_class: Option<IgnoredAny>,
    deletion_protection_enabled: Option<IgnoredAny>,
    point_in_time_recovery_specification: Option<IgnoredAny>,
    #[serde(rename = "SSESpecification")]
    encryption: Option<IgnoredAny>,
    on_demand_throughput: Option<IgnoredAny>,
    contributor_insights_specification: Option<IgnoredAny>,
    tags: Option<IgnoredAny>,
}

#[derive(Deserialize)]
enum BillingMode {
    #[serde(rename = "PAY_PER_REQUEST")]
    PayPerRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Attribute {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Key {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Stream {
    stream_view_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TimeToLive {
    attribute_name: String,
    enabled: bool,
}

impl TableProperties {
    pub fn definition(&self) -> Result<TableDefinition, String> {
        let attributes = self.attribute_definitions.iter().map(|it| {
            let kind = attribute_type(&it.attribute_type);
            kind.and_then(|kind| attribute(&it.attribute_name, kind))
                .ok_or_else(|| format!("type {}", it.attribute_type))
        });
        let keys = self.key_schema.iter().map(|it| {
            let kind = key_type(&it.key_type);
            kind.and_then(|kind| key(&it.attribute_name, kind)).ok_or_else(|| format!("key type {}", it.key_type))
        });
        let stream = self.stream_specification.as_ref().map(|stream| {
            view(&stream.stream_view_type).ok_or_else(|| format!("stream view type {}", stream.stream_view_type))
        });
        let expiry = self.time_to_live_specification.as_ref().filter(|expiry| expiry.enabled);
        Ok(TableDefinition {
            attributes: attributes.collect::<Result<_, _>>()?,
            keys: keys.collect::<Result<_, _>>()?,
            stream: stream.transpose()?,
            expiry: expiry.map(|expiry| expiry.attribute_name.clone()),
        })
    }
}
