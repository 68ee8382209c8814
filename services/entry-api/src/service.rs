//! Wiring: what this service runs, and what it serves.

use std::sync::Arc;

use async_trait::async_trait;
use axum::routing::get;
use axum::{Json, Router};
use nexus_contracts::{channels, tables};
use nexus_service_kit::{
    ConsumerSpec, Deps, Service, ServiceError, Started, TableView, consume_batches,
};
use utoipa::openapi::OpenApi;

use crate::answer::ADAPTER;
use crate::api::Api;
use crate::erasure::Keeper;
use crate::handler::Answers;
use crate::ingress::Ingress;
use crate::messages::Messages;
use crate::metrics::Metrics;
use crate::migrations::SCHEMA;
use crate::openapi::{openapi, router};
use crate::waiters::Waiters;
use crate::{Config, NAME, pruning};

/// The REST and SSE adapter.
pub struct EntryApi {
    config: Config,
    document: OpenApi,
}

impl EntryApi {
    /// With its own routes alone in `/openapi.json`.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            document: openapi(),
        }
    }

    /// With another service's routes in `/openapi.json` too: a node that serves both has one
    /// description.
    #[must_use]
    pub fn describing(mut self, other: OpenApi) -> Self {
        self.document.merge(other);
        self
    }
}

/// This service, for a node.
#[must_use]
pub fn service(config: Config) -> Box<dyn Service> {
    Box::new(EntryApi::new(config))
}

#[async_trait]
impl Service for EntryApi {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, deps: &Deps) -> Result<Started, ServiceError> {
        let config = self.config.clone();
        let messages = Messages::new(deps.stores.open(NAME, SCHEMA).await?);
        let metrics = Arc::new(Metrics::default());
        let waiters = Arc::new(Waiters::default());
        let ingress = Ingress::start(deps, &config, messages.clone(), Arc::clone(&metrics)).await?;
        let answers = Answers {
            messages: messages.clone(),
            ingress: ingress.clone(),
            waiters: Arc::clone(&waiters),
            clock: deps.clock.clone(),
            metrics: Arc::clone(&metrics),
        };
        let spec = consumer(&config, channels::processed(ADAPTER));
        let mut consumes = vec![spec.channel.clone()];
        consume_batches(deps, spec, Arc::new(answers));
        let keeper = Keeper {
            messages: messages.clone(),
            ingress: ingress.clone(),
            waiters: Arc::clone(&waiters),
            clock: deps.clock.clone(),
        };
        let spec = consumer(&config, channels::CONVERSATIONS.to_owned());
        consumes.push(spec.channel.clone());
        consume_batches(deps, spec, Arc::new(keeper));
        let pruning = pruning::run(deps.clone(), config.clone(), messages.clone());
        deps.tasks.spawn("entry-api.prune", pruning);
        let permits = config.permits;
        let api = Api {
            principals: TableView::watch(deps, tables::PRINCIPALS).await,
            providers: TableView::watch(deps, tables::PROVIDERS).await,
            tools: TableView::watch(deps, tables::TOOLS).await,
            deps: deps.clone(),
            config,
            ingress,
            messages,
            waiters,
            metrics,
        };
        let routes = router()
            .with_state(Arc::new(api))
            .merge(document(self.document.clone()));
        Ok(Started {
            routes: Some(routes),
            consumes,
            permits,
            ..Started::default()
        })
    }
}

fn consumer(config: &Config, channel: String) -> ConsumerSpec {
    ConsumerSpec {
        permits: config.permits,
        lease: config.lease,
        ..ConsumerSpec::new(channel, NAME)
    }
}

fn document(document: OpenApi) -> Router {
    let document = Arc::new(document);
    let answer = move || {
        let document = Arc::clone(&document);
        async move { Json(OpenApi::clone(&document)) }
    };
    Router::new().route("/openapi.json", get(answer))
}
