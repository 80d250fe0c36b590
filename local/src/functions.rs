//! The five functions, built as their own `main` builds them, with the endpoints of this process.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use aws_config::SdkConfig;
use axum::Router;
use campaign_filter::CampaignFilter;
use campaign_filter::objects::Objects;
use confirmation::{ConfirmationSender, GraphAddress};
use consent::clock::Clock;
use consent::id::ChannelId;
use consent::secrets::Secrets;
use consent::store::Store;

use crate::graph::GRAPH_VERSION;
use crate::invoke::EventFunctions;
use crate::sdk;
use crate::secrets::SECRET_ID;
use crate::token::TENANT_CLAIM;

/// The five functions: those behind the HTTP API, and those that take events.
pub(crate) struct Functions {
    /// Behind the HTTP API, by name.
    pub http: BTreeMap<String, Router>,
    /// Invoked with events.
    pub events: EventFunctions,
}

impl Functions {
    /// Builds the functions. `api` is the address of this process, where the stand-ins of Secrets Manager and the Graph API
    /// listen.
    pub fn new(
        dynamodb: &aws_sdk_dynamodb::Client,
        objects: &aws_sdk_s3::Client,
        config: &SdkConfig,
        api: SocketAddr,
        ignored_channels: &BTreeSet<ChannelId>,
        clock: &Clock,
    ) -> Self {
        // Each function has a store of its own, as in the cloud, so that none uses the cache of another.
        let store = || Store::new(dynamodb.clone(), crate::TABLE);
        let clock = clock.clone();
        let manager = sdk::secrets_manager(config, &format!("http://{api}/local/secrets"));
        let secrets = Secrets::new(manager, SECRET_ID.parse().expect("the constant is a secret's name"));
        let webhook = webhook::WebhookApp {
            store: store(),
            secrets: secrets.clone(),
            ignored_channels: ignored_channels.clone(),
            clock: clock.clone(),
        };
        let tenant_claim = TENANT_CLAIM.to_owned();
        let settings = settings::App { store: store(), clock: clock.clone(), tenant_claim: tenant_claim.clone() };
        let contacts = contacts::App { store: store(), clock: clock.clone(), tenant_claim };
        let http = BTreeMap::from([
            ("webhook".to_owned(), webhook::router(webhook)),
            ("settings".to_owned(), settings::router(settings)),
            ("contacts".to_owned(), contacts::router(contacts)),
        ]);
        let campaigns = Store::new(sdk::for_campaigns(dynamodb), crate::TABLE);
        let filter = Arc::new(CampaignFilter::new(campaigns, Objects::new(objects.clone())));
        let store = store();
        // Built on the first event: an HTTPS client is slow to build, and most tests send no confirmation.
        let confirmation = Arc::new(LazyLock::new(move || {
            let graph =
                confirmation::Graph::new(GraphAddress { url: &format!("http://{api}/graph"), version: GRAPH_VERSION });
            ConfirmationSender::new(store, secrets, graph, clock)
        }));
        let events = EventFunctions::default()
            .with("campaign-filter", move |event| {
                let filter = Arc::clone(&filter);
                async move { filter.handle(event, None).await }
            })
            .with("confirmation", move |event| {
                let confirmation = Arc::clone(&confirmation);
                async move { confirmation.handle(event).await }
            });
        Self { http, events }
    }
}
