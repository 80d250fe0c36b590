//! The parts of `template.yaml` that the local run uses, so that it can't drift from the deployment: the table, the routes
//! and their scopes, CORS, the stream's filter and retries, and the schedule.
//!
//! An unknown value is an error at the start. Properties that only matter in the cloud are listed by name and skipped.

mod condition;
pub mod permission;
mod resource;
mod yaml;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::filter::{Filters, InvalidPattern};
use crate::gateway::Cors;
use crate::route::{Access, InvalidRoute, Route, Routes};
use crate::table::TableDefinition;
use condition::Conditions;
use permission::Permission;
use resource::{Event, Function, HttpApi, TableProperties};

const FUNCTION: &str = "AWS::Serverless::Function";
const HTTP_API: &str = "AWS::Serverless::HttpApi";
const TABLE: &str = "AWS::DynamoDB::Table";

const TEXT: &str = include_str!("../../template.yaml");

/// The parts of a SAM template that the local run uses.
#[derive(Clone, Debug)]
pub struct Template {
    /// The one table.
    pub table: TableDefinition,
    /// The routes of the one HTTP API.
    pub routes: Routes,
    /// The CORS configuration of the HTTP API. None for an API that pages of other origins can't call.
    pub cors: Option<Cors>,
    /// The functions that read the table's stream.
    pub streams: Vec<StreamSource>,
    /// The functions that run by the clock.
    pub schedules: Vec<Schedule>,
    /// The permissions of each function on the table. The local run does not enforce them; the tests check them.
    pub permissions: BTreeMap<String, Vec<Permission>>,
}

/// An event source: the table's stream, for one function.
#[derive(Clone, Debug)]
pub struct StreamSource {
    /// The function, for example `confirmation`.
    pub function: String,
    /// The filters of the records.
    pub filters: Filters,
    /// Maximum number of records of a batch.
    pub batch: usize,
    /// Maximum number of retries of a batch that failed. None for retries until it succeeds.
    pub retries: Option<u32>,
    /// Maximum age of a record that is delivered. None for no limit.
    pub age: Option<Duration>,
    /// True to split a batch that failed into halves.
    pub bisect: bool,
    /// True if the function's answer names the records that failed.
    pub partial: bool,
}

/// A function that runs by the clock.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The function.
    pub function: String,
    /// The interval between two runs.
    pub every: Duration,
    /// The event as JSON. None for the scheduler's own event.
    pub input: Option<String>,
}

/// The error of a template that the local run can't use.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The text is not YAML.
    #[error("template.yaml is not YAML: {0}")]
    Yaml(String),
    /// A resource is missing or there are too many.
    #[error("template.yaml has {found} resources of type {kind}, not one")]
    Count {
        /// The resource's type.
        kind: &'static str,
        /// The number of resources of this type.
        found: usize,
    },
    /// A value is not what the local run expects.
    #[error("template.yaml: {at}: {problem}")]
    Value {
        /// The path to the value in the template.
        at: String,
        /// The fault.
        problem: String,
    },
}

impl Template {
    /// The repository's template, as of the compilation.
    ///
    /// # Errors
    /// The template has a part that the local run does not know.
    pub fn embedded() -> Result<&'static Self, &'static TemplateError> {
        static TEMPLATE: OnceLock<Result<Template, TemplateError>> = OnceLock::new();
        TEMPLATE.get_or_init(|| Template::read(TEXT)).as_ref()
    }

    /// The repository's template with these parameters in place of their defaults.
    ///
    /// # Errors
    /// The template has no such parameter, or has a part that the local run does not know.
    pub fn with_parameters(parameters: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        Self::read_with(TEXT, parameters)
    }

    /// Parses a template.
    ///
    /// # Errors
    /// The text is not YAML, or has a part that the local run does not know.
    pub fn read(text: &str) -> Result<Self, TemplateError> {
        Self::read_with(text, &BTreeMap::new())
    }

    fn read_with(text: &str, overrides: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let document = yaml::read(text).map_err(|error| TemplateError::Yaml(error.to_string()))?;
        let mut parameters = defaults(&document);
        for (name, value) in overrides {
            let parameter = parameters.get_mut(name);
            *parameter.ok_or_else(|| value_error("Parameters", format!("there is no {name}")))? = value.clone().into();
        }
        let resources = resources(&document, &parameters)?;
        let api: HttpApi = only(&resources, HTTP_API)?;
        let table = only::<TableProperties>(&resources, TABLE)?
            .definition()
            .map_err(|problem| value_error("the table", problem))?;
        let mut template = Self {
            table,
            routes: Routes::default(),
            cors: api.cors(&Conditions { document: &document, parameters: &parameters })?,
            streams: Vec::new(),
            schedules: Vec::new(),
            permissions: BTreeMap::new(),
        };
        for resource in resources.iter().filter(|resource| resource.kind == FUNCTION) {
            let function: Function = resource.properties()?;
            let name = kebab(resource.name);
            let permissions = Permission::of(&function.policies);
            let permissions =
                permissions.map_err(|problem| value_error(&format!("{}.Policies", resource.name), problem));
            template.permissions.insert(name.clone(), permissions?);
            for (id, event) in &function.events {
                let at = &format!("{}.Events.{id}", resource.name);
                template.add(&FunctionEvent { function: &name, at, event }, &api)?;
            }
        }
        Ok(template)
    }

    fn add(&mut self, function_event: &FunctionEvent, api: &HttpApi) -> Result<(), TemplateError> {
        let &FunctionEvent { function, at, event } = function_event;
        let error = |problem: String| value_error(at, problem);
        match typed::<Event>(event, at)? {
            Event::HttpApi(event) => {
                let access = api.access(event.auth.as_ref()).map_err(error)?;
                let path = event.path.as_deref().unwrap_or("$default");
                let method = event.method.as_deref().filter(|_| path != "$default");
                let route = Route::new(function, method, path, access)
                    .map_err(|problem: InvalidRoute| error(problem.to_string()))?;
                self.routes.add(route).map_err(|other| error(format!("{} has another route already", other.key())))
            }
            Event::DynamoDB(event) => {
                let filters: Result<Filters, InvalidPattern> = Filters::parse(event.patterns());
                let filters = filters.map_err(|problem| error(problem.to_string()))?;
                self.streams.push(event.source(function, filters).map_err(error)?);
                Ok(())
            }
            Event::ScheduleV2(event) => {
                self.schedules.extend(event.schedule(function).map_err(error)?);
                Ok(())
            }
        }
    }
}

/// An event of a function, as it stands in the template.
struct FunctionEvent<'a> {
    /// The function, for example `confirmation`.
    function: &'a str,
    /// The path to the event in the template.
    at: &'a str,
    event: &'a Value,
}

struct Resource<'a> {
    name: &'a str,
    kind: &'a str,
    properties: Value,
}

impl Resource<'_> {
    fn properties<T: DeserializeOwned>(&self) -> Result<T, TemplateError> {
        typed(&self.properties, self.name)
    }
}

/// The resources that are always deployed. Those with a `Condition` are optional, and only used in the cloud.
fn resources<'a>(document: &'a Value, parameters: &Map<String, Value>) -> Result<Vec<Resource<'a>>, TemplateError> {
    let Some(all) = document.get("Resources").and_then(Value::as_object) else {
        return Err(value_error("Resources", "missing"));
    };
    let always = all.iter().filter(|(_, resource)| resource.get("Condition").is_none());
    Ok(always
        .map(|(name, resource)| {
            let properties = resource.get("Properties").cloned().unwrap_or_else(|| Value::Object(Map::new()));
            let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default();
            Resource { name, kind, properties: resolved(properties, parameters) }
        })
        .collect())
}

fn only<T: DeserializeOwned>(resources: &[Resource<'_>], kind: &'static str) -> Result<T, TemplateError> {
    let found: Vec<_> = resources.iter().filter(|resource| resource.kind == kind).collect();
    match found.as_slice() {
        [resource] => resource.properties(),
        other => Err(TemplateError::Count { kind, found: other.len() }),
    }
}

fn typed<T: DeserializeOwned>(value: &Value, at: &str) -> Result<T, TemplateError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let at = if path == "." { at.to_owned() } else { format!("{at}.{path}") };
        value_error(&at, error.into_inner().to_string())
    })
}

fn value_error(at: &str, problem: impl Into<String>) -> TemplateError {
    TemplateError::Value { at: at.to_owned(), problem: problem.into() }
}

/// The defaults of the parameters.
fn defaults(document: &Value) -> Map<String, Value> {
    let parameters = document.get("Parameters").and_then(Value::as_object);
    let defaults = parameters
        .into_iter()
        .flatten()
        .filter_map(|(name, parameter)| parameter.get("Default").map(|default| (name.clone(), default.clone())));
    defaults.collect()
}

/// The value with each `Ref` to a parameter replaced by the parameter's value.
fn resolved(value: Value, parameters: &Map<String, Value>) -> Value {
    match value {
        Value::Object(map) => match map.get("Ref").and_then(Value::as_str).and_then(|name| parameters.get(name)) {
            Some(default) if map.len() == 1 => default.clone(),
            _ => map.into_iter().map(|(key, value)| (key, resolved(value, parameters))).collect(),
        },
        Value::Array(list) => list.into_iter().map(|value| resolved(value, parameters)).collect(),
        plain => plain,
    }
}

/// The name of a resource in kebab case: `CampaignFilter` becomes `campaign-filter`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

impl HttpApi {
    fn cors(&self, conditions: &Conditions) -> Result<Option<Cors>, TemplateError> {
        const AT: &str = "CorsConfiguration of the HTTP API";
        let Some(configured) = &self.cors_configuration else { return Ok(None) };
        let applied = conditions.applied(configured).map_err(|problem| value_error(AT, problem))?;
        applied.map(|cors| typed(&cors, AT)).transpose()
    }
}

impl HttpApi {
    /// The token that a route asks for. The route's own authorizer goes before the default one, and its own scopes before
    /// those of the authorizer.
    fn access(&self, auth: Option<&resource::RouteAuth>) -> Result<Access, String> {
        let default = self.auth.as_ref().and_then(|auth| auth.default_authorizer.as_deref());
        let named = auth.and_then(|auth| auth.authorizer.as_deref()).or(default);
        let scopes = auth.and_then(|auth| auth.scopes.clone());
        let Some(name) = named.filter(|name| *name != "NONE") else {
            return match scopes {
                None => Ok(Access::Open),
                Some(_) => Err("scopes without an authorizer".to_owned()),
            };
        };
        let authorizer = self.auth.as_ref().and_then(|auth| auth.authorizers.get(name));
        let authorizer = authorizer.ok_or_else(|| format!("the HTTP API has no authorizer `{name}`"))?;
        Ok(Access::Token(scopes.or_else(|| authorizer.scopes.clone()).unwrap_or_default()))
    }
}

#[cfg(test)]
mod metrics;
#[cfg(test)]
mod tests;
