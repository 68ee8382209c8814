//! Looks after what is due: messages that nobody answered, deadlines, cancellations; and after
//! what a bus that lost its data must be told again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_bus::Expect;
use nexus_contracts::live::Cancelled;
use nexus_contracts::{MessageId, OrgId, RunId, Timestamp, channels, tables};
use nexus_service_kit::{Deps, crash_point, put_table};
use nexus_store::Store;

use crate::config::Config;
use crate::db::dispatch::{self, Due, kind, timer_of};
use crate::db::load::unsettled;
use crate::db::prune::{self, Before};
use crate::db::write;
use crate::error::Error;
use crate::intake::Intake;
use crate::metrics;
use crate::mutant::Mutant;
use crate::owned::Owned;
use crate::translate::{Translated, timer};

/// Most rows claimed at once.
const LIMIT: u32 = 500;

/// How often an organisation's rows are pruned.
const PRUNE_EVERY_MS: i64 = 24 * 60 * 60 * 1000;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

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
    /// The tables this service owns.
    pub owned: Owned,
}

impl Sweeper {
    /// Sweeps until shutdown.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval(self.config.sweep_interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let health = self.deps.health.component("orchestrator.sweeper");
        let mut failing = false;
        if self.config.is_mutant(Mutant::TimersReset)
            && let Err(error) = self.reset_timers().await
        {
            health.failing(error.to_string());
        }
        while self
            .deps
            .shutdown
            .run_until_cancelled(ticks.tick())
            .await
            .is_some()
        {
            self.owned.put(&self.deps).await;
            if self.config.is_mutant(Mutant::NoSweeper) {
                continue;
            }
            match self.sweep().await {
                Ok(()) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("what is due is looked after again");
                    }
                    health.ok();
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "a sweep failed; trying again");
                    }
                    health.failing(error.to_string());
                }
            }
        }
    }

    async fn sweep(&self) -> Result<(), Error> {
        self.watch_incarnations().await?;
        loop {
            let now = self.deps.clock.now();
            let resend = millis(self.config.resend_after);
            let tx = self.store.begin_shared().await?;
            let due = dispatch::claim_due(&tx, now, resend, LIMIT).await?;
            tx.commit().await?;
            if !due.is_empty() {
                crash_point!(
                    "orchestrator.swept",
                    fail => return nexus_service_kit::crash::no_store()
                );
            }
            self.resend(&due, now).await?;
            self.wake(&due).await?;
            self.cancellations(&due, now).await?;
            self.retention(&due, now).await?;
            if due.len() < LIMIT as usize {
                return Ok(());
            }
        }
    }

    /// The mutant's way to treat timers: whoever starts it often enough never meets a deadline.
    async fn reset_timers(&self) -> Result<(), Error> {
        let tx = self.store.begin_shared().await?;
        let later = self.deps.clock.now().plus_millis(PRUNE_EVERY_MS);
        for kind in [kind::DEADLINE, kind::APPROVAL] {
            dispatch::postpone(&tx, kind, later).await?;
        }
        Ok(tx.commit().await?)
    }

    /// A channel with another life lost what was in it: everything unsettled is due at once.
    async fn watch_incarnations(&self) -> Result<(), Error> {
        let mut seen = Vec::new();
        let work = [
            channels::INFERENCE_REQUEST,
            channels::TOOLS_EXECUTE,
            channels::CONVERSATIONS,
        ]
        .map(str::to_owned);
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
        for row in due.iter().filter(|row| row.kind == kind::MESSAGE) {
            if row.until > now {
                by_org.entry(row.org).or_default().push(row.id.clone());
            } else {
                self.give_up(row).await?;
            }
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
            crash_point!(
                "orchestrator.before_resend",
                fail => return nexus_service_kit::crash::no_bus(),
                twice => drop(self.deps.bus.publish(messages.clone()).await)
            );
            self.deps.bus.publish(messages).await?;
        }
        Ok(())
    }

    /// Nobody carries out a command after its deadline.
    async fn give_up(&self, row: &Due) -> Result<(), Error> {
        let id = MessageId::new(row.id.clone()).map_err(|error| Error::Row {
            row: "dispatch",
            reason: error.to_string(),
        })?;
        let tx = self.store.begin_shared().await?;
        write::settle(&tx.tenant(row.org), &[id]).await?;
        Ok(tx.commit().await?)
    }

    async fn wake(&self, due: &[Due]) -> Result<(), Error> {
        let timers = due
            .iter()
            .filter_map(|row| Some((row, timer_of(row)?)))
            .map(|(row, (conversation, which))| {
                let event = timer(row.org, conversation, which);
                (row, Translated::Event(Box::new(event)))
            });
        let (rows, events): (Vec<&Due>, Vec<Translated>) = timers.unzip();
        if events.is_empty() {
            return Ok(());
        }
        let handled = self.intake.handle(events).await;
        let tx = self.store.begin_shared().await?;
        for (row, handled) in rows.into_iter().zip(handled) {
            match handled {
                Ok(()) => dispatch::forget(&tx, row).await?,
                // Stays due, and comes again with a later sweep.
                Err(failure) => tracing::warn!(?failure, "a timer could not be handled"),
            }
        }
        Ok(tx.commit().await?)
    }

    /// Prunes the organisations whose turn it is, each in a transaction of its own.
    async fn retention(&self, due: &[Due], now: Timestamp) -> Result<(), Error> {
        for row in due.iter().filter(|row| row.kind == kind::RETENTION) {
            let days = self.owned.history_days(row.org);
            let before = Before {
                repetitions: now.plus_millis(-millis(self.config.retention)),
                history: days.map(|days| now.plus_millis(-i64::from(days) * DAY_MS)),
            };
            let tx = self.store.begin_shared().await?;
            let rows = prune::prune(&tx.tenant(row.org), before).await?;
            let next = now.plus_millis(PRUNE_EVERY_MS);
            dispatch::plan_next_retention(&tx, row, next).await?;
            tx.commit().await?;
            tracing::debug!(rows, "pruned an organisation");
        }
        Ok(())
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

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
