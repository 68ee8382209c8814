//! Finds a node to talk to: the running one, or one of our own.

use std::net::SocketAddr;

use nexus_bus::BusError;
use nexus_service_kit::{Node, NodeError, RunningNode};

use crate::cli::Where;
use crate::client::Client;
use crate::compose;
use crate::exit::{Exit, Failure};
use crate::settings::Settings;

/// A node to talk to.
pub struct Found {
    /// How to talk to it.
    pub client: Client,
    /// Ours, when none was running.
    pub own: Option<RunningNode>,
}

impl Found {
    /// Ends our own node in good order.
    ///
    /// # Errors
    /// When it ended for a reason of its own.
    pub async fn leave(self) -> Result<(), Failure> {
        let Some(node) = self.own else { return Ok(()) };
        node.shutdown();
        node.stopped().await.map_err(Failure::failed)
    }
}

/// The node that was named, the one of the configuration, or a new one in this process over the
/// same bus and store.
///
/// # Errors
/// When the named one does not answer, or none can be started.
pub async fn locate(settings: &Settings, place: &Where) -> Result<Found, Failure> {
    if let Some(url) = &place.url {
        let client = Client::new(url)?;
        return if client.is_there().await {
            Ok(Found { client, own: None })
        } else {
            Err(
                Failure::unreachable(format!("no node of Nexus answers at {url}"))
                    .todo("Start one with `nexus up`, or leave --url and NEXUS_URL out"),
            )
        };
    }
    let client = Client::new(&settings.url())?;
    if client.is_there().await {
        return Ok(Found { client, own: None });
    }
    let node = start(settings).await?;
    let client = Client::new(&format!("http://{}", node.http_address()))?;
    Ok(Found {
        client,
        own: Some(node),
    })
}

async fn start(settings: &Settings) -> Result<RunningNode, Failure> {
    let mut config = settings.node.clone();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    (config.http.listen, config.admin.listen) = (any, any);
    let services = compose::all(&settings.source).map_err(Failure::usage)?;
    Node::start(config, services)
        .await
        .map_err(|error| explain(settings, &error))
}

fn explain(settings: &Settings, error: &NodeError) -> Failure {
    match error {
        NodeError::Bus(BusError::File { .. }) => {
            let url = settings.url();
            Failure::unreachable(format!(
                "no node answers at {url}, and none can start: {error}"
            ))
            .todo(
                "If a node runs elsewhere, name it with --url or NEXUS_URL; else end the \
                       process that holds the file, or choose another folder with --data",
            )
        }
        NodeError::Config(_) => Failure::usage(error),
        _ => Failure::new(
            Exit::Unreachable,
            format!("no node runs, and none can start: {error}"),
        ),
    }
}
