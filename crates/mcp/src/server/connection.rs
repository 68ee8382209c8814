//! Making a connection: start or reach the server, and greet it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rmcp::ServiceExt;
use rmcp::service::{ClientInitializeError, RoleClient, RunningService};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Shared;
use super::fault::Fault;
use super::supervise::{Done, LAST_WORDS};
use crate::client::{Handler, Sampler};
use crate::config;
use crate::fleet::Environment;
use crate::http;
use crate::launch::{Launch, Launched, Launcher, Process};
use crate::text;
use crate::wire::Pipes;

/// What the fleet gives its servers.
pub(crate) struct Surroundings {
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) environment: Environment,
    pub(crate) sampler: Option<Arc<dyn Sampler>>,
}

/// A greeted server.
pub(super) struct Connection {
    pub(super) service: RunningService<RoleClient, Handler>,
    pub(super) process: Option<Box<dyn Process>>,
    pub(super) fault: Fault,
    pub(super) tasks: JoinSet<Done>,
}

/// The variables a server names, with their values.
pub(super) fn variables(
    server: &config::Server,
    around: &Surroundings,
) -> Result<BTreeMap<String, String>, String> {
    let names = server
        .env
        .iter()
        .chain(&server.bearer_env)
        .chain(server.headers_env.values());
    let mut values = BTreeMap::new();
    for name in names {
        let value = (around.environment)(name).ok_or_else(|| {
            format!("the variable {name} that its configuration names is not set")
        })?;
        values.insert(name.clone(), value);
    }
    Ok(values)
}

/// Connects and greets.
pub(super) async fn connect(
    shared: &Shared,
    around: &Surroundings,
    variables: &BTreeMap<String, String>,
    fault: &Fault,
) -> Result<Connection, String> {
    let sampler = around.sampler.clone().filter(|_| shared.config.sampling);
    let handler = Handler::new(&shared.name, sampler);
    let mut tasks = JoinSet::new();
    let (service, process) = match &shared.config.url {
        Some(url) => {
            let transport = http::transport(&shared.config, url, variables)?;
            (handler.serve(transport).await.map_err(greeting)?, None)
        }
        None => {
            let launched = launch(shared, around, variables).await?;
            let secrets = variables.values().cloned().collect();
            let tail = shared.tail.clone();
            tasks.spawn(async move {
                tail.follow(launched.stderr, secrets).await;
                Done::Nothing
            });
            let most = shared.config.limits.message_bytes;
            let pipes = Pipes::new(launched.stdout, launched.stdin, most, fault.clone());
            // Held across the greeting: if that fails, the program is killed.
            let process = launched.process;
            match handler.serve(pipes).await {
                Ok(service) => (service, Some(process)),
                Err(error) => {
                    drop(process);
                    let _ = timeout(LAST_WORDS, tasks.join_next()).await;
                    return Err(greeting(error));
                }
            }
        }
    };
    Ok(Connection {
        service,
        process,
        fault: fault.clone(),
        tasks,
    })
}

async fn launch(
    shared: &Shared,
    around: &Surroundings,
    variables: &BTreeMap<String, String>,
) -> Result<Launched, String> {
    let launch = Launch {
        command: &shared.config.command,
        env: variables,
        sandbox: &shared.config.sandbox,
    };
    around
        .launcher
        .launch(&launch)
        .await
        .map_err(|error| error.to_string())
}

/// Fit for a status: without the addresses that the library's words may hold.
fn greeting(error: ClientInitializeError) -> String {
    match error {
        ClientInitializeError::ConnectionClosed(_) => "it ended during the greeting".to_owned(),
        error if error.is_authorization_required() => {
            "it asks for authorisation (401): name a valid token in `bearer_env`".to_owned()
        }
        ClientInitializeError::TransportError { error, .. } => {
            let cause = std::error::Error::source(&*error.error).map(ToString::to_string);
            let words = cause.unwrap_or_else(|| error.error.to_string());
            text::line(&format!("it could not be reached: {words}"), 500)
        }
        ClientInitializeError::JsonRpcError(error) => text::line(
            &format!("it refused the greeting: \"{}\"", error.message),
            500,
        ),
        _ => "it did not answer the greeting as the protocol says".to_owned(),
    }
}
