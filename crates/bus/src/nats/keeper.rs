//! Keeps long leases alive in a group whose server-side lease is shorter.
//!
//! NATS knows one lease per group. Members may ask for different ones: the shortest is set, so that
//! what a dead member held comes back as soon as that member asked for, and the others renew theirs
//! from here for as long as they last.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;

use crate::BusError;
use crate::nats::group::Membership;
use crate::nats::settle::WORKING;
use crate::nats::stream::consumer_info;

/// Shortest time between two looks at a group's settings.
const LOOK: Duration = Duration::from_secs(1);

/// Renews for as long as the group is in use here.
pub(super) fn start(membership: &Arc<Membership>) {
    let link = Arc::clone(&membership.link);
    let closed = link.closed.clone();
    let membership = Arc::downgrade(membership);
    link.tasks.spawn(async move {
        while let Some(pause) = membership.upgrade().map(|membership| pause(&membership)) {
            tokio::select! {
                () = closed.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            if let Err(error) = once(&membership).await {
                tracing::debug!(%error, "leases of a group were not renewed");
            }
        }
    });
}

fn pause(membership: &Membership) -> Duration {
    let server = membership.server_lease.load(Ordering::Relaxed);
    if server < membership.own_lease() {
        return Duration::from_nanos(server / 3);
    }
    Duration::from_nanos(server / 2).max(LOOK)
}

async fn once(membership: &Weak<Membership>) -> Result<(), BusError> {
    let Some(membership) = membership.upgrade() else {
        return Ok(());
    };
    let Membership {
        link,
        stream,
        consumer,
        leases,
        server_lease,
        ..
    } = &*membership;
    if server_lease.load(Ordering::Relaxed) < membership.own_lease() {
        link.ready().await?;
        for token in leases.tokens() {
            let sent = link
                .client
                .publish(token.0, Bytes::from_static(WORKING))
                .await;
            sent.map_err(|error| link.unreachable(error.to_string()))?;
        }
    }
    // A member with a shorter lease may have joined elsewhere.
    let lease = consumer_info(link, stream, consumer)
        .await?
        .and_then(|info| info.config.ack_wait);
    if let Some(lease) = lease {
        server_lease.store(lease, Ordering::Relaxed);
    }
    Ok(())
}
