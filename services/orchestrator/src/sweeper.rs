//! Looks after what is due: messages that nobody answered, deadlines, cancellations; and after
//! what a bus that lost its data must be told again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nexus_bus::Expect;
use nexus_contracts::live::Cancelled;
use nexus_contracts::principal::Principal;
use nexus_contracts::{OrgId, RunId, Timestamp, channels, tables};
use nexus_service_kit::{Deps, TableView, put_table};
use nexus_store::Store;
use tokio::time::Instant;

use crate::config::Config;
use crate::db::dispatch::{self, Due};
use crate::db::load::unsettled;
use crate::db::write::kind;
use crate::error::Error;
use crate::metrics;
use crate::processor::Intake;
use crate::translate::{Translated, deadline};

/// Most rows claimed by one sweep.
const LIMIT: u32 = 500;

/// How often what is only kept to recognise repetitions is pruned.
const PRUNE_EVERY: std::time::Duration = std::time::Duration::from_secs(600);

/// The sweeper of one replica.
pub struct Sweeper {
    /// Bus, clock, shutdown.
    pub deps: Deps,
    /// The orchestrator's database.
    pub store: Store,
    /// Intervals.
    pub config: Arc<Config>,
    /// Where due deadlines go.
    pub intake: Intake,
    /// What `control.principals` must hold.
    pub principals: BTreeMap<String, Principal>,
    /// What it holds.
    pub published: TableView<Principal>,
}

impl Sweeper {
    /// Sweeps until shutdown.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval(self.config.sweep_interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let health = self.deps.health.component("orchestrator.sweeper");
        let mut pruned = Instant::now();
        while self
            .deps
            .shutdown
            .run_until_cancelled(ticks.tick())
            .await
            .is_some()
        {
            match self.sweep(&mut pruned).await {
                Ok(()) => health.ok(),
                Err(error) => health.failing(error.to_string()),
            }
        }
    }

    async fn sweep(&self, pruned: &mut Instant) -> Result<(), Error> {
        self.put_principals().await;
        self.watch_incarnations().await?;
        let now = self.deps.clock.now();
        let resend = i64::try_from(self.config.resend_after.as_millis()).unwrap_or(i64::MAX);
        let tx = self.store.begin_shared().await?;
        let due = dispatch::claim_due(&tx, now, resend, LIMIT).await?;
        tx.commit().await?;
        self.resend(&due, now).await?;
        self.wake(&due, now).await?;
        self.cancellations(&due, now).await?;
        if pruned.elapsed() >= PRUNE_EVERY {
            *pruned = Instant::now();
            let kept = i64::try_from(self.config.retention.as_millis()).unwrap_or(i64::MAX);
            let tx = self.store.begin_shared().await?;
            dispatch::prune(&tx, now.plus_millis(-kept)).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// This service owns the table: what is missing or differs is put again.
    async fn put_principals(&self) {
        let there = self.published.all();
        for (key, principal) in &self.principals {
            if there.get(key) == Some(principal) {
                continue;
            }
            if let Err(error) = put_table(&self.deps.bus, tables::PRINCIPALS, key, principal).await
            {
                tracing::debug!(%error, key, "principal not yet published");
            }
        }
    }

    /// A channel with another life lost what was in it: everything unsettled is due at once.
    async fn watch_incarnations(&self) -> Result<(), Error> {
        let mut seen = Vec::new();
        let work = [channels::INFERENCE_REQUEST, channels::TOOLS_EXECUTE].map(str::to_owned);
        let answers = self
            .config
            .adapters
            .iter()
            .map(|name| channels::processed(name));
        for channel in work.into_iter().chain(answers) {
            seen.push((self.deps.bus.incarnation(&channel).await?, channel));
        }
        let tx = self.store.begin_shared().await?;
        let mut lost = false;
        for (incarnation, channel) in &seen {
            lost |= dispatch::changed_incarnation(&tx, channel, incarnation).await?;
        }
        if lost {
            let due = dispatch::all_due(&tx, self.deps.clock.now()).await?;
            tracing::warn!(
                due,
                "the bus lost its data; unsettled messages are published again"
            );
        }
        Ok(tx.commit().await?)
    }

    async fn resend(&self, due: &[Due], now: Timestamp) -> Result<(), Error> {
        let mut by_org: HashMap<OrgId, Vec<String>> = HashMap::new();
        for row in due
            .iter()
            .filter(|row| row.kind == kind::MESSAGE && row.until > now)
        {
            by_org.entry(row.org).or_default().push(row.id.clone());
        }
        for (org, ids) in by_org {
            let tx = self.store.begin_shared().await?;
            let messages = unsettled(&tx.tenant(org), &ids).await?;
            tx.commit().await?;
            metrics::resent(messages.len());
            tracing::info!(
                messages = messages.len(),
                "unanswered messages published again"
            );
            self.deps.bus.publish(messages).await?;
        }
        Ok(())
    }

    async fn wake(&self, due: &[Due], now: Timestamp) -> Result<(), Error> {
        let mut rows = Vec::new();
        let mut events = Vec::new();
        for row in due.iter().filter(|row| row.kind == kind::DEADLINE) {
            let Some((conversation, run)) = row.id.split_once('/') else {
                continue;
            };
            let (Ok(conversation), Ok(run)) = (conversation.parse(), run.parse()) else {
                continue;
            };
            events.push(Translated::Event(Box::new(deadline(
                row.org,
                conversation,
                run,
                now,
            ))));
            rows.push(row);
        }
        if events.is_empty() {
            return Ok(());
        }
        let handled = self.intake.handle(events).await;
        let tx = self.store.begin_shared().await?;
        for (row, handled) in rows.into_iter().zip(handled) {
            match handled {
                Ok(()) => dispatch::forget(&tx, row).await?,
                // Stays due, and comes again with a later sweep.
                Err(failure) => tracing::warn!(?failure, "a deadline could not be handled"),
            }
        }
        Ok(tx.commit().await?)
    }

    async fn cancellations(&self, due: &[Due], now: Timestamp) -> Result<(), Error> {
        for row in due.iter().filter(|row| row.kind == kind::CANCEL) {
            let Ok(run) = row.id.parse::<RunId>() else {
                continue;
            };
            if row.until > now {
                project_cancellation(&self.deps, run, row.until).await;
                continue;
            }
            self.deps
                .bus
                .table_delete(tables::RUNS_CANCELLED, &row.id, Expect::Any)
                .await?;
            let tx = self.store.begin_shared().await?;
            dispatch::forget(&tx, row).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

/// Tells every worker that a run is cancelled. The dispatch row behind it repeats what fails.
pub(crate) async fn project_cancellation(deps: &Deps, run: RunId, until: Timestamp) {
    let cancelled = Cancelled {
        at: deps.clock.now(),
        until,
    };
    let key = run.to_string();
    if let Err(error) = put_table(&deps.bus, tables::RUNS_CANCELLED, &key, &cancelled).await {
        tracing::warn!(%error, %run, "cancellation not yet published");
    }
}
