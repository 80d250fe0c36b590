//! The running system: all parts together.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::SharedInterceptor;
use axum::Router;
use axum::extract::Request;
use consent::channel::Channel;
use consent::clock::Clock;
use consent::id::ChannelId;
use consent::store::{RegisterError, Store};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::endpoint::{Endpoint, InvalidEndpoint};
use crate::engine::{Engine, EngineError, Storage};
use crate::functions::Functions;
use crate::gateway::{Gateway, UnknownFunction};
use crate::graph::Graph;
use crate::invoke::{EventFunctions, Outcome};
use crate::objects::{Objects, ObjectsError};
use crate::phone::Phones;
use crate::secrets::SecretStore;
use crate::stream::{Feed, Pace};
use crate::table::{Table, TableDefinition, TableError};
use crate::template::{Schedule, Template, TemplateError};
use crate::token::{Scopes, Tokens};
use crate::{openapi, schedule, sdk};

/// The options of a start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `host:port` that the API listens on; port 0 picks a free one.
    pub api: String,
    /// The DynamoDB behind it.
    pub dynamodb: DynamoDb,
    /// The `host:port` that the embedded S3 listens on; port 0 picks a free one. Where the embedded DynamoDB keeps its data
    /// in a file, the objects are kept beside it.
    pub s3: String,
    /// The clock of all parts.
    pub clock: Clock,
    /// The channels of other systems, whose updates the webhook drops (`IGNORED_CHANNELS`).
    pub ignored_channels: BTreeSet<ChannelId>,
    /// The origins whose pages may call the API, separated by commas: the template's parameter `DashboardOrigins`.
    pub dashboard_origins: String,
    /// True to give the table its stream, which invokes `confirmation`.
    pub stream: bool,
    /// True to run the template's schedules.
    pub schedules: bool,
    /// True to have the stand-in Graph API send the statuses of accepted messages to the webhook.
    pub statuses: bool,
    /// Interceptors of every call of the table. They may count calls, or make them fail.
    pub interceptors: Vec<SharedInterceptor>,
}

/// The DynamoDB to use.
#[derive(Clone, Debug)]
pub enum DynamoDb {
    /// The embedded engine.
    Embedded {
        /// The `host:port` that it listens on; port 0 picks a free one.
        address: String,
        /// The storage of its data.
        storage: Storage,
    },
    /// Another DynamoDB at this URL.
    At(String),
}

impl Default for Options {
    /// Free ports, a temporary file, the machine's clock, and all parts but the statuses.
    fn default() -> Self {
        Self {
            api: "127.0.0.1:0".to_owned(),
            dynamodb: DynamoDb::Embedded { address: "127.0.0.1:0".to_owned(), storage: Storage::Temporary },
            s3: "127.0.0.1:0".to_owned(),
            clock: Clock::system(),
            ignored_channels: BTreeSet::new(),
            dashboard_origins: String::new(),
            stream: true,
            schedules: true,
            statuses: false,
            interceptors: Vec::new(),
        }
    }
}

/// The error of a system that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// The template has a part that the local run does not know.
    #[error(transparent)]
    Template(#[from] &'static TemplateError),
    /// The template does not fit these parameters.
    #[error(transparent)]
    Parameters(#[from] TemplateError),
    /// A route of the template leads to an unknown function.
    #[error(transparent)]
    Route(#[from] UnknownFunction),
    /// The template has events for a function that takes none.
    #[error("template.yaml has events for `{0}`, which takes none here")]
    Fed(String),
    /// The API's address can't be listened on.
    #[error(
        "cannot listen on {address} for the API: {source}; choose another address with --api (port 0 picks a free one)"
    )]
    Api {
        /// The address.
        address: String,
        /// The error of the socket.
        source: std::io::Error,
    },
    /// The embedded DynamoDB did not start.
    #[error("{0}; choose {remedy} for the embedded DynamoDB", remedy = remedy(.0))]
    Engine(#[from] EngineError),
    /// The embedded S3 did not start.
    #[error("{0}; choose {remedy} for the embedded S3", remedy = objects_remedy(.0))]
    Objects(#[from] ObjectsError),
    /// The URL given for the DynamoDB is invalid.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// The table could not be set up.
    #[error("{source} (the DynamoDB at {url})")]
    Table {
        /// The DynamoDB's URL.
        url: String,
        /// The error.
        source: SetupError,
    },
}

/// The error of a table that could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The table could not be created.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The demo tenant's channel could not be written.
    #[error("cannot give the tenant its channel: {0}")]
    Tenant(#[from] RegisterError),
}

/// Time limit for the requests under way when the system stops.
const PATIENCE: Duration = Duration::from_secs(5);

/// The interval at which a start logs that it still waits for the table.
const NOTICE: Duration = Duration::from_secs(5);

/// The running system. When it is dropped, all its parts stop at once.
pub struct System {
    api: SocketAddr,
    dynamodb_url: String,
    dynamodb: aws_sdk_dynamodb::Client,
    s3: aws_sdk_s3::Client,
    store: Store,
    gateway: Gateway,
    router: Router,
    functions: EventFunctions,
    schedules: Vec<Schedule>,
    graph: Graph,
    secrets: SecretStore,
    tokens: Tokens,
    clock: Clock,
    empty_reads: watch::Sender<u64>,
    stop: oneshot::Sender<()>,
    serving: JoinSet<()>,
    background: JoinSet<()>,
    reporting: JoinSet<()>,
    // Last, so that what uses it ends before.
    objects: Objects,
    engine: Option<Engine>,
}

impl System {
    /// Starts all parts. The API answers when this returns.
    ///
    /// # Errors
    /// An address is taken, the data can't be used, or the template has a part that the local run does not know.
    pub async fn start(options: Options) -> Result<Self, SystemError> {
        let template = template(&options)?;
        let listen = |source| SystemError::Api { address: options.api.clone(), source };
        let listener = TcpListener::bind(&options.api).await.map_err(listen)?;
        let api = listener.local_addr().map_err(listen)?;

        let local = sdk::local().await;
        let (engine, config, dynamodb_url) = match &options.dynamodb {
            DynamoDb::Embedded { address, storage } => {
                let engine = Engine::start(address, storage).await?;
                let url = engine.endpoint();
                (Some(engine), local.clone(), url)
            }
            DynamoDb::At(url) => (None, Box::pin(Endpoint::parse(url)?.config()).await?, url.clone()),
        };
        let dynamodb = sdk::dynamodb(&config, &dynamodb_url, &options.interceptors);
        let mut definition = template.table.clone();
        definition.stream = definition.stream.filter(|_| options.stream);
        let table = patiently(&dynamodb_url, Box::pin(set_up(&dynamodb, &definition, &options.clock)));
        let table = table.await.map_err(|source| SystemError::Table { url: dynamodb_url.clone(), source })?;
        let store = Store::new(dynamodb.clone(), crate::TABLE);

        let objects = Objects::start(&options.s3, options.dynamodb.folder().as_deref(), crate::BUCKET).await?;
        let s3 = sdk::objects(&local, &objects.endpoint());
        let clock = options.clock.clone();
        let functions = Functions::new(&dynamodb, &s3, &local, api, &options.ignored_channels, &clock);
        let tokens = Tokens::random();
        let (routes, cors) = (template.routes.clone(), template.cors.clone());
        let gateway = Gateway::new(routes, functions.http, tokens.clone(), cors, clock.clone())?;
        let mut system = Self {
            api,
            dynamodb_url,
            dynamodb,
            s3,
            store,
            gateway,
            router: Router::new(),
            functions: functions.events,
            schedules: template.schedules.clone(),
            graph: Graph::default(),
            secrets: SecretStore::default(),
            tokens,
            clock,
            empty_reads: watch::Sender::default(),
            stop: oneshot::channel().0,
            serving: JoinSet::new(),
            background: JoinSet::new(),
            reporting: JoinSet::new(),
            objects,
            engine,
        };
        system.graph.send_statuses(options.statuses);
        system.reporting.spawn(system.graph.deliver_statuses(system.gateway.clone(), system.clock.clone()));
        system.serve(listener);
        let feeds = system.feeds(&template, &config, table.stream_arn)?;
        system.run_in_background(feeds, options.schedules);
        Ok(system)
    }

    /// The API's URL.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// The URL of the DynamoDB behind it.
    #[must_use]
    pub fn dynamodb_url(&self) -> &str {
        &self.dynamodb_url
    }

    /// The embedded DynamoDB, unless another one is used.
    #[must_use]
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// The client of the table that the functions use.
    #[must_use]
    pub fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        &self.dynamodb
    }

    /// The embedded S3.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The client of the embedded S3 that the functions use. The bucket is [`BUCKET`](crate::BUCKET).
    #[must_use]
    pub fn s3(&self) -> &aws_sdk_s3::Client {
        &self.s3
    }

    /// The store that the functions use.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The HTTP API, to be called without a connection.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The router of all routes at the API's URL, to be called without a connection.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// The functions that take events.
    #[must_use]
    pub fn functions(&self) -> &EventFunctions {
        &self.functions
    }

    /// The stand-in Graph API, which keeps the messages sent to WhatsApp.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The secrets of WhatsApp apps.
    #[must_use]
    pub fn secrets(&self) -> &SecretStore {
        &self.secrets
    }

    /// An access token for a dashboard user of the tenant. It is valid for 24 hours.
    #[must_use]
    pub fn token(&self, tenant: &str, scopes: Scopes) -> String {
        self.tokens.issue(tenant, scopes)
    }

    /// Runs each of the template's schedules once. Returns the functions' answers.
    pub async fn run_schedules(&self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for scheduled in &self.schedules {
            let event = schedule::event(scheduled, &self.clock);
            outcomes.extend(self.functions.invoke(&scheduled.function, event).await);
        }
        outcomes
    }

    /// Waits until every record written before this call was read from the embedded engine's stream, and handled or given
    /// up. Never returns without a stream.
    pub async fn stream_drained(&self) {
        let mut reads = self.empty_reads.subscribe();
        // The first of these two reads may have been under way before this call.
        let enough = *reads.borrow_and_update() + 2;
        let _ = reads.wait_for(|reads| *reads >= enough).await;
    }

    /// Stops all parts, after the requests under way and the statuses of the messages sent so far.
    pub async fn stop(mut self) {
        self.background.shutdown().await;
        let _ = tokio::time::timeout(PATIENCE, self.graph.statuses_delivered()).await;
        self.reporting.shutdown().await;
        let _ = self.stop.send(());
        let ended = async { while self.serving.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(PATIENCE, ended).await;
        self.objects.stop().await;
        if let Some(engine) = &self.engine {
            engine.stop().await;
        }
    }

    fn serve(&mut self, listener: TcpListener) {
        let gateway = self.gateway.clone();
        self.router = Router::new()
            .merge(self.functions.router())
            .merge(self.graph.router())
            .merge(self.secrets.router())
            .merge(self.tokens.router())
            .merge(openapi::router())
            .merge(Phones::new(gateway.clone(), self.clock.clone()).router())
            .fallback(move |request: Request| async move { gateway.call(request).await });
        let (stop, stopped) = oneshot::channel::<()>();
        self.stop = stop;
        let router = self.router.clone();
        self.serving.spawn(async move {
            let server = axum::serve(listener, router).with_graceful_shutdown(async move {
                let _ = stopped.await;
            });
            if let Err(error) = server.await {
                tracing::error!(%error, "the API ended");
            }
        });
    }

    fn feeds(
        &self,
        template: &Template,
        config: &SdkConfig,
        stream_arn: Option<String>,
    ) -> Result<Vec<Feed>, SystemError> {
        let fed = template.streams.iter().map(|stream| &stream.function);
        if let Some(stranger) = fed
            .chain(self.schedules.iter().map(|schedule| &schedule.function))
            .find(|name| !self.functions.contains(name))
        {
            return Err(SystemError::Fed(stranger.clone()));
        }
        let Some(arn) = stream_arn else { return Ok(Vec::new()) };
        let pace = if self.engine.is_some() { Pace::EMBEDDED } else { Pace::REMOTE };
        // Streams have the endpoint of the table, except at AWS, where they have their own.
        let is_aws = Endpoint::parse(&self.dynamodb_url).is_ok_and(|endpoint| endpoint.is_aws());
        let endpoint = (!is_aws).then_some(&*self.dynamodb_url);
        let feeds = template.streams.iter().map(|source| Feed {
            client: sdk::streams(config, endpoint),
            arn: arn.clone(),
            source: source.clone(),
            functions: self.functions.clone(),
            pace,
            empty_reads: self.empty_reads.clone(),
        });
        Ok(feeds.collect())
    }

    fn run_in_background(&mut self, feeds: Vec<Feed>, schedules: bool) {
        for feed in feeds {
            self.background.spawn(feed.run());
        }
        for schedule in self.schedules.iter().filter(|_| schedules) {
            self.background.spawn(schedule::run(schedule.clone(), self.functions.clone(), self.clock.clone()));
        }
        if let Some(engine) = &self.engine {
            self.background.spawn(engine.expiry());
        }
    }
}

impl DynamoDb {
    /// The folder of the objects, beside the data file. None without a data file.
    fn folder(&self) -> Option<PathBuf> {
        let Self::Embedded { storage: Storage::File(file), .. } = self else { return None };
        let mut folder = file.clone().into_os_string();
        folder.push("-s3");
        Some(folder.into())
    }
}

/// The template, with the parameters from the options.
fn template(options: &Options) -> Result<Template, SystemError> {
    if options.dashboard_origins.is_empty() {
        return Ok(Template::embedded()?.clone());
    }
    let origins = ("DashboardOrigins".to_owned(), options.dashboard_origins.clone());
    Ok(Template::with_parameters(&[origins].into())?)
}

/// Creates the table and the demo tenant, as far as they are missing. An earlier start may have ended after any step, so each
/// step checks for itself.
async fn set_up(dynamodb: &Client, definition: &TableDefinition, clock: &Clock) -> Result<Table, SetupError> {
    let patient = sdk::for_setup(dynamodb);
    let table = definition.ensure(&patient, crate::TABLE).await?;
    register_demo(&Store::new(patient, crate::TABLE), clock).await?;
    Ok(table)
}

/// Waits for the work without a time limit, and logs every [`NOTICE`] that it waits.
async fn patiently<T>(url: &str, mut work: impl Future<Output = T> + Unpin) -> T {
    loop {
        if let Ok(done) = tokio::time::timeout(NOTICE, &mut work).await {
            return done;
        }
        tracing::info!(url, "waiting for the DynamoDB to answer");
    }
}

/// Registers the demo tenant's channel, unless a tenant has it.
async fn register_demo(store: &Store, clock: &Clock) -> Result<(), RegisterError> {
    let id = crate::DEMO_CHANNEL.parse().expect("the constant is a channel id");
    let found = store.fresh_channels([&id], clock.now()).await?;
    if !found.channels.is_empty() || !found.unreadable.is_empty() {
        return Ok(());
    }
    let channel = Channel {
        tenant: crate::DEMO_TENANT.parse().expect("the constant is a tenant id"),
        display_phone_number: crate::DEMO_NUMBER.to_owned(),
        secret_id: None,
    };
    store.register_channel(&id, &channel, clock.now()).await
}

fn remedy(error: &EngineError) -> &'static str {
    match error {
        EngineError::Open { .. } => "another file with --data",
        EngineError::Listen { .. } => "another address with --dynamodb (port 0 picks a free one)",
    }
}

fn objects_remedy(error: &ObjectsError) -> &'static str {
    match error {
        ObjectsError::Folder { .. } => "another file with --data",
        ObjectsError::Listen { .. } => "another address with --s3 (port 0 picks a free one)",
    }
}

#[cfg(test)]
mod tests;
