//! Forgets what has ended, after a while.

use std::time::Duration;

use nexus_service_kit::Deps;

use crate::Config;
use crate::messages::Messages;

/// Looks for what is old until the node stops. Several replicas may do so side by side.
pub(crate) async fn run(deps: Deps, config: Config, messages: Messages) {
    let keep = i64::try_from(config.retention.as_millis()).unwrap_or(i64::MAX);
    // Some time apart even where the configuration says none.
    let every = config.prune_every.max(Duration::from_millis(100));
    loop {
        let before = deps.clock.now().plus_millis(keep.saturating_neg());
        match messages.prune(before).await {
            Ok(0) => {}
            Ok(messages) => tracing::debug!(messages, "forgot what had ended"),
            Err(error) => tracing::warn!(%error, "what has ended could not be forgotten yet"),
        }
        let pause = tokio::time::sleep(every);
        if deps.shutdown.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}
