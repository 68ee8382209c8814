//! What is at the other end, and what should be changed there.

use std::time::Duration;

use crate::nats::link::Link;
use crate::nats::trim::PURGES_SAFELY;
use crate::{BusError, ServerInfo};

/// The oldest server everything here was tried with.
const FLOOR: (i64, i64, i64) = (2, 9, 10);
/// What a record by reference and its headers may need.
const ROOM: usize = 256 * 1024;

/// How long a closing bus waits for what it has sent.
const FLUSH: Duration = Duration::from_secs(2);

/// Whether `JetStream` answers.
pub(super) async fn ping(link: &Link) -> Result<(), BusError> {
    let _: serde_json::Value = link.api("INFO", &serde_json::Value::Null).await?;
    Ok(())
}

/// Describes the server.
pub(super) async fn info(link: &Link) -> Result<ServerInfo, BusError> {
    ping(link).await?;
    let server = link.client.server_info();
    let mut warnings = vec![
        "the server syncs its files every 2 minutes unless told otherwise, and does not tell how: \
         set `jetstream { sync_interval: always }` where a power cut must lose nothing"
            .to_owned(),
    ];
    if server.cluster.is_some() {
        warnings.push(
            "streams are made with one replica: raise them with `nats stream edit <stream> \
             --replicas 3`, so that they survive the loss of a server"
                .to_owned(),
        );
    }
    let (major, minor, patch) = FLOOR;
    if !link.client.is_server_compatible(major, minor, patch) {
        warnings.push(format!(
            "NATS {} is older than {major}.{minor}.{patch}, the oldest that was tried: upgrade",
            server.version
        ));
    }
    let (major, minor, patch) = PURGES_SAFELY;
    if !link.client.is_server_compatible(major, minor, patch) {
        warnings.push(format!(
            "before {major}.{minor}.{patch} a purge forgets what is being worked on, so channels \
             are trimmed entry by entry, which is slow: upgrade, and never run `nats stream purge`"
        ));
    }
    if server.max_payload < ROOM {
        warnings.push(format!(
            "max_payload is {} bytes: raise it to {ROOM} or more",
            server.max_payload
        ));
    }
    Ok(ServerInfo {
        kind: "nats",
        version: server.version,
        durability: "acknowledged records are in the server's files: they survive kill -9 of any \
                     process; a power cut may cost what was not synced yet"
            .to_owned(),
        warnings,
    })
}

/// Stops background work and hands over what was sent.
pub(super) async fn close(link: &Link) {
    link.closed.cancel();
    link.tasks.close();
    link.tasks.wait().await;
    let connected = link.state().borrow().connected;
    if !connected {
        return;
    }
    match tokio::time::timeout(FLUSH, link.client.flush()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the last publishes were not handed over"),
        Err(_) => tracing::debug!("the server did not take the last publishes in time"),
    }
}
