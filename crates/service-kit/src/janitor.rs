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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nexus_bus::BusError;

    use super::*;
    use crate::config::Retention;
    use crate::fake::FakeBus;

    const HOUR: Duration = Duration::from_hours(1);
    const DAY: Duration = Duration::from_hours(24);

    #[tokio::test(start_paused = true)]
    async fn each_channel_is_trimmed_by_its_own_rule_across_outages() {
        let (folder, bus) = (tempfile::tempdir().unwrap(), FakeBus::default());
        let deps = bus.deps(&folder);
        let retention = RetentionConfig {
            default: DAY,
            every: Duration::from_mins(1),
            channels: BTreeMap::from([("short".to_owned(), Retention(HOUR))]),
        };
        let channels = BTreeSet::from(["long".to_owned(), "short".to_owned()]);
        bus.state().down = Some(BusError::Closed);
        deps.tasks
            .spawn("janitor", run(deps.clone(), retention, channels));
        tokio::time::sleep(Duration::from_secs(150)).await;
        deps.stop(Duration::from_secs(1)).await;
        let round = [("long".to_owned(), DAY), ("short".to_owned(), HOUR)];
        assert_eq!(
            bus.state().trimmed,
            [round.clone(), round].concat(),
            "twice in 150 s"
        );
    }
}
