//! Does what the schedule says.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nexus_testkit::loss::StreamLoss;
use nexus_testkit::proxy::{Mode, Proxy};
use tokio_util::sync::CancellationToken;

use crate::deployment::Deployment;
use crate::fault::{Kind, Schedule, Step};
use crate::log::Log;
use crate::worker::Worker;

/// Breaks a deployment, and mends what it broke.
pub struct Nemesis {
    /// What it breaks.
    pub deployment: Arc<Deployment>,
    /// Where it writes down what it did.
    pub log: Arc<Log>,
    /// The only workers it touches, by the beginning of their names.
    pub only: Option<String>,
}

impl Nemesis {
    /// Follows a schedule until `stop`; nothing is broken when this returns.
    ///
    /// # Errors
    /// When something cannot be broken, or not be mended.
    pub async fn run(&self, schedule: Schedule, stop: &CancellationToken) -> Result<()> {
        for step in schedule {
            let pause = tokio::time::sleep(Duration::from_millis(step.wait));
            if stop.run_until_cancelled(pause).await.is_none() {
                return Ok(());
            }
            let what = step.kind.name();
            self.perform(&step, stop).await.context(what)?;
        }
        Ok(())
    }

    async fn perform(&self, step: &Step, stop: &CancellationToken) -> Result<()> {
        let from = self.log.now();
        let target = match step.kind {
            Kind::Kill => self.kill(step, stop).await?,
            Kind::Freeze => self.freeze(step, stop).await?,
            Kind::BusKill => self.bus_kill(step, None, stop).await?,
            Kind::BusTruncate => self.bus_kill(step, Some(step.bytes), stop).await?,
            Kind::BusWipe => self.wipe().await?,
            Kind::BusPurge => self.lose(StreamLoss::Purge).await?,
            Kind::BusDelete => self.lose(StreamLoss::Delete).await?,
            Kind::DbStop => {
                let mut database = self.deployment.database.lock().await;
                database.stop().await?;
                lasting(step, stop).await;
                database.revive().await?;
                "database".to_owned()
            }
            Kind::NetSlow | Kind::NetReset | Kind::NetHalfClose | Kind::NetBlackhole => {
                self.net(step, stop).await?
            }
        };
        self.log.fault(step.kind.name(), &target, from);
        Ok(())
    }

    fn worker(&self, step: &Step) -> Result<&Arc<Worker>> {
        let wanted = |worker: &&Arc<Worker>| {
            self.only
                .as_ref()
                .is_none_or(|only| worker.name.starts_with(only.as_str()))
        };
        let workers: Vec<_> = self.deployment.workers.iter().filter(wanted).collect();
        let at = step.worker.checked_rem(workers.len());
        let found = at.and_then(|at| workers.get(at).copied());
        found.context("no worker to choose from")
    }

    async fn kill(&self, step: &Step, stop: &CancellationToken) -> Result<String> {
        let worker = self.worker(step)?;
        worker.kill().await?;
        lasting(step, stop).await;
        worker.start().await?;
        Ok(worker.name.clone())
    }

    async fn freeze(&self, step: &Step, stop: &CancellationToken) -> Result<String> {
        let worker = self.worker(step)?;
        worker.pause().await?;
        lasting(step, stop).await;
        worker.resume().await?;
        Ok(worker.name.clone())
    }

    async fn bus_kill(
        &self,
        step: &Step,
        cut: Option<u64>,
        stop: &CancellationToken,
    ) -> Result<String> {
        let mut bus = self.deployment.bus.lock().await;
        bus.kill(cut).await?;
        lasting(step, stop).await;
        bus.revive().await?;
        // The file is synced every second: what came since may be lost.
        self.log.bus_lost();
        Ok("bus".to_owned())
    }

    async fn lose(&self, loss: StreamLoss) -> Result<String> {
        self.deployment.bus.lock().await.lose(loss).await?;
        self.log.bus_lost();
        Ok("bus".to_owned())
    }

    /// Wipes the bus; a file while its owner is down.
    ///
    /// # Errors
    /// When it cannot be wiped.
    pub async fn wipe(&self) -> Result<String> {
        let mut bus = self.deployment.bus.lock().await;
        let owners: Vec<_> = self
            .deployment
            .workers
            .iter()
            .filter(|_| bus.port().is_none())
            .collect();
        for owner in &owners {
            owner.kill().await?;
        }
        bus.wipe().await?;
        for owner in &owners {
            owner.start().await?;
        }
        self.log.bus_lost();
        Ok("bus".to_owned())
    }

    async fn net(&self, step: &Step, stop: &CancellationToken) -> Result<String> {
        let worker = self.worker(step)?;
        let (store, bus) = (worker.to_store.as_ref(), worker.to_bus.as_ref());
        let (proxy, side) = match (store, bus) {
            (Some(store), bus) if step.before_store || bus.is_none() => (store, "database"),
            (_, Some(bus)) => (bus, "bus"),
            (store, None) => (store.context("no network to break")?, "database"),
        };
        trouble(proxy, step.kind);
        lasting(step, stop).await;
        proxy.set(Mode::Pass);
        Ok(format!("{} to {side}", worker.name))
    }
}

fn trouble(proxy: &Proxy, kind: Kind) {
    match kind {
        Kind::NetSlow => proxy.set(Mode::Slow(Duration::from_millis(100))),
        Kind::NetReset => proxy.reset(),
        Kind::NetHalfClose => proxy.half_close(),
        _ => proxy.set(Mode::Blackhole),
    }
}

/// As long as the step says, or until the run ends.
async fn lasting(step: &Step, stop: &CancellationToken) {
    let time = tokio::time::sleep(Duration::from_millis(step.lasts));
    let _ended = stop.run_until_cancelled(time).await;
}
