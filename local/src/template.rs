//! What the local run takes from `template.yaml`, so that it can't drift from what is deployed: the table, the routes and
//! their scopes, CORS, the stream's filter and retries, and the schedule. What this page does not understand is an error at
//! the start, never ignored; what only matters in the cloud is skipped by name.

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

/// The parts of a SAM template that a local run plays.
#[derive(Clone, Debug)]
pub struct Template {
    /// The one table.
    pub table: TableDefinition,
    /// The routes of the one HTTP API.
    pub routes: Routes,
    /// Which pages of other origins may call the HTTP API; none where nothing is configured.
    pub cors: Option<Cors>,
    /// The functions that read the table's stream.
    pub streams: Vec<StreamSource>,
    /// The functions that run by the clock.
    pub schedules: Vec<Schedule>,
    /// What each function may do with the table. Nothing holds the functions to it here; the tests do.
    pub permissions: BTreeMap<String, Vec<Permission>>,
}

/// A function fed by the table's stream.
#[derive(Clone, Debug)]
pub struct StreamSource {
    /// The function, for example `confirmation`.
    pub function: String,
    /// Which records it wants.
    pub filters: Filters,
    /// The most records it takes at once.
    pub batch: usize,
    /// How often a batch that failed is tried again; `None` is until it succeeds.
    pub retries: Option<u32>,
    /// The age at which a record is no longer worth delivering; `None` is never.
    pub age: Option<Duration>,
    /// Whether a batch that failed is tried again in halves.
    pub bisect: bool,
    /// Whether its answer names the records that failed.
    pub partial: bool,
}

/// A function that runs by the clock.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The function.
    pub function: String,
    /// How often it runs.
    pub every: Duration,
    /// The event it gets, where the template gives one.
    pub input: Option<String>,
}

/// The template is not one that the local run can play.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// No YAML.
    #[error("template.yaml is not YAML: {0}")]
    Yaml(String),
    /// A resource is missing or there are too many.
    #[error("template.yaml has {found} resources of type {kind}, not one")]
    Count {
        /// The resource's type.
        kind: &'static str,
        /// How many there are.
        found: usize,
    },
    /// A value is not what the local run expects.
    #[error("template.yaml: {at}: {problem}")]
    Value {
        /// The place in the template.
        at: String,
        /// What's wrong with it.
        problem: String,
    },
}

impl Template {
    /// The repository's own template, as it was when this was compiled.
    ///
    /// # Errors
    /// When the local run can't play it.
    pub fn embedded() -> Result<&'static Self, &'static TemplateError> {
        static TEMPLATE: OnceLock<Result<Template, TemplateError>> = OnceLock::new();
        TEMPLATE.get_or_init(|| Template::read(TEXT)).as_ref()
    }

    /// The repository's own template, deployed with these parameters in place of their defaults.
    ///
    /// # Errors
    /// When it has no such parameter, or the local run can't play it.
    pub fn with_parameters(parameters: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        Self::read_with(TEXT, parameters)
    }

    /// Reads a template.
    ///
    /// # Errors
    /// When it is no YAML, or the local run can't play it.
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
                let at = format!("{}.Events.{id}", resource.name);
                template.add(&name, &at, event, &api)?;
            }
        }
        Ok(template)
    }

    fn add(&mut self, function: &str, at: &str, event: &Value, api: &HttpApi) -> Result<(), TemplateError> {
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

/// The resources that are always deployed: one under a condition is an option of the cloud.
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

/// The parameters' defaults: what a deployment without overrides uses.
fn defaults(document: &Value) -> Map<String, Value> {
    let parameters = document.get("Parameters").and_then(Value::as_object);
    let defaults = parameters
        .into_iter()
        .flatten()
        .filter_map(|(name, parameter)| parameter.get("Default").map(|default| (name.clone(), default.clone())));
    defaults.collect()
}

/// The value with every reference to a parameter replaced by the parameter's default.
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

/// `CampaignFilter` is the function `campaign-filter`.
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

/// Who may use a route is said in three places of a template; this is how they combine.
impl HttpApi {
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
