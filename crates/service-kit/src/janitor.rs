//! The janitor: drops what every group has settled and retention no longer asks for.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::Deps;
use crate::backoff::Backoff;
use crate::config::RetentionConfig;

/// Trims these channels until the node stops. Several nodes may do so side by side.
pub(crate) async fn run(deps: Deps, retention: RetentionConfig, channels: BTreeSet<String>) {
    let mut pace = Backoff::of_loop(&deps.clock);
    loop {
        let pause = tokio::time::sleep(pace.jittered(retention.every));
        if deps.shutdown.run_until_cancelled(pause).await.is_none() {
            return;
        }
        for channel in &channels {
            trim(&deps, channel, retention.of(channel)).await;
        }
    }
}

async fn trim(deps: &Deps, channel: &str, retain: Duration) {
    // The bus's health says when it is away; the next round tries again.
    if let Err(error) = deps.bus.trim(channel, retain).await {
        tracing::debug!(channel, %error, "old entries could not be dropped");
    }
}
