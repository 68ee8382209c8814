//! One run: talk and faults, healing, waiting, reading what is stored, checking.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use nexus_bus::Bus;
use nexus_testkit::wait_until;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::CLIENTS;
use crate::config::BusKind;
use crate::deployment::Deployment;
use crate::fault::{Lane, Schedule};
use crate::history::{History, Refused};
use crate::http::Http;
use crate::log::Log;
use crate::model::Model;
use crate::nemesis::Nemesis;
use crate::observe;
use crate::raw::Raw;
use crate::report::{Aside, Report};
use crate::scenario::Scenario;
use crate::scrape::{self, Counters};
use crate::takeover::takeover;
use crate::talk::{Route, Talker};

/// Between two looks for workers that ended by themselves.
const SUPERVISED: Duration = Duration::from_millis(200);

/// A deployment that is up, with a model, and everybody who asks.
pub struct Stage {
    /// Servers and workers.
    pub deployment: Arc<Deployment>,
    /// The model.
    pub model: Model,
    /// What is written down.
    pub log: Arc<Log>,
    /// The bus beside the workers.
    pub bus: Bus,
    /// The HTTP interface.
    pub http: Arc<Http>,
    /// Ends listeners and the supervisor.
    end: CancellationToken,
    tasks: JoinSet<Result<()>>,
    counters: Arc<Mutex<Counters>>,
}

impl Stage {
    /// Starts everything.
    ///
    /// # Errors
    /// When a server or a worker does not start.
    pub async fn start(scenario: &Scenario, program: &Path) -> Result<Self> {
        let began = Instant::now();
        let folder = Arc::new(TempDir::with_prefix("nexus-chaos-")?);
        let model = Model::start(began, &folder.path().join("model.jsonl")).await?;
        let shape = &scenario.shape;
        let deployment = Deployment::prepare(shape, program, folder, &model.base_url()).await?;
        let deployment = Arc::new(deployment);
        deployment.start().await?;
        deployment.database.lock().await.watch_versions().await?;
        let (end, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(supervise(Arc::clone(&deployment), end.clone()));
        let (workers, stop) = (deployment.workers.clone(), end.clone());
        let counters = Arc::<Mutex<Counters>>::default();
        let counted = Arc::clone(&counters);
        tasks.spawn(async move { scrape::watch(&counted, &workers, &stop).await });
        Ok(Self {
            bus: deployment.open_bus().await?,
            http: Arc::new(Http::new(deployment.url())?),
            log: Arc::new(Log::new(began)),
            deployment,
            model,
            end,
            tasks,
            counters,
        })
    }

    /// Every way to ask; those on the bus listen from now on.
    pub fn routes(&mut self, bus: BusKind) -> Vec<Route> {
        let mut routes = vec![Route::Http(Arc::clone(&self.http))];
        if bus == BusKind::Embedded {
            return routes;
        }
        for client in CLIENTS {
            let raw = Arc::new(Raw::new(self.bus.clone(), client));
            routes.push(Route::Raw(Arc::clone(&raw), client.configured()));
            let (log, end) = (Arc::clone(&self.log), self.end.clone());
            self.tasks
                .spawn(async move { raw.listen(&log, &end).await });
        }
        routes
    }

    /// Writes that were refused so far.
    #[must_use]
    pub fn refused(&self) -> Refused {
        let counters = self.counters.lock();
        counters.unwrap_or_else(PoisonError::into_inner).refused()
    }

    /// Waits until nothing is left over, for as long as patience lasts; what is left then is for
    /// the checks to judge.
    pub async fn drain(&self, patience: Duration) -> crate::history::Leftovers {
        let mut left = crate::history::Leftovers::default();
        let drained = wait_until(patience, "nothing to be left over", async || {
            left = observe::leftovers(&self.deployment).await?;
            Ok(left.outbox.is_empty() && left.backlogs.is_empty())
        });
        let _left_over = drained.await;
        left
    }

    /// Ends everything and gives what is known, but for what the scenario says.
    ///
    /// # Errors
    /// When a worker does not end, or a database cannot be read.
    pub async fn finish(mut self, mut history: History) -> Result<(History, Aside)> {
        self.end.cancel();
        while let Some(task) = self.tasks.join_next().await {
            task??;
        }
        history.refused = self.refused();
        let mut aside = Aside::default();
        for worker in &self.deployment.workers {
            let lives = worker.lives().await;
            aside.ended_by_themselves += lives.ended_by_itself;
            aside.panics.extend(lives.panics);
        }
        self.deployment.stop().await?;
        aside.output = self.deployment.output().await;
        observe::stored(&self.deployment, &mut history).await?;
        observe::folded(&self.deployment, &mut history).await?;
        (history.requests, history.faults, history.leaks) = self.log.copy();
        history.calls = self.model.calls();
        Ok((history, aside))
    }
}

async fn supervise(deployment: Arc<Deployment>, end: CancellationToken) -> Result<()> {
    loop {
        let pause = tokio::time::sleep(SUPERVISED);
        if end.run_until_cancelled(pause).await.is_none() {
            return Ok(());
        }
        for worker in &deployment.workers {
            worker.supervise().await?;
        }
    }
}

/// Runs a scenario and reports.
///
/// # Errors
/// When the run itself cannot be carried out; what a run finds is in the report.
pub async fn run(scenario: &Scenario, program: &Path, command: &str) -> Result<Report> {
    let mut stage = Stage::start(scenario, program).await?;
    let (stop, give_up) = (CancellationToken::new(), CancellationToken::new());
    for worker in &stage.deployment.workers {
        if scenario.away == Some(worker.service) {
            worker.kill().await?;
        }
    }
    let mut talking = talkers(&mut stage, scenario, (&stop, &give_up));
    if let Err(error) = storm(&stage, scenario, &stop).await {
        return Err(stage.deployment.with_output(error).await);
    }
    stage.deployment.heal().await?;
    let mut history = History {
        healed_at: stage.log.now(),
        patience: u64::try_from(scenario.patience.as_millis())?,
        run_timeout: u64::try_from(scenario.shape.tuning.run_timeout.as_millis())?,
        calls_per_fault: scenario.talkers as u64,
        competed: scenario.takeover,
        ..History::default()
    };
    let everyone = async { while talking.join_next().await.is_some() {} };
    // A little more than an answer may take, so that what is late is seen to be late.
    let limit = scenario.patience + late(scenario);
    let _late = tokio::time::timeout(limit, everyone).await;
    give_up.cancel();
    history.leftovers = stage.drain(scenario.patience).await;
    let looked = observe::look_around(&stage.http, &stage.log).await;
    looked.context("looking around after the run")?;
    let deployment = Arc::clone(&stage.deployment);
    let (history, mut aside) = match stage.finish(history).await {
        Ok(known) => known,
        Err(error) => return Err(deployment.with_output(error).await),
    };
    command.clone_into(&mut aside.command);
    Ok(Report::new(&history, aside))
}

/// Faults for as long as the scenario says.
async fn storm(stage: &Stage, scenario: &Scenario, stop: &CancellationToken) -> Result<()> {
    if scenario.takeover {
        takeover(stage).await.context("takeover")?;
    }
    let timer = async {
        tokio::time::sleep(scenario.lasts).await;
        stop.cancel();
        Ok(())
    };
    // Lanes end when the timer does, and one that fails ends the run.
    let nemesis = Nemesis {
        deployment: Arc::clone(&stage.deployment),
        log: Arc::clone(&stage.log),
        only: scenario.only.clone(),
    };
    let workers = Box::pin(nemesis.run(schedule(scenario, Lane::Workers), stop));
    let beneath = Box::pin(nemesis.run(schedule(scenario, Lane::Beneath), stop));
    futures::future::try_join3(workers, beneath, timer).await?;
    Ok(())
}

fn talkers(
    stage: &mut Stage,
    scenario: &Scenario,
    (stop, give_up): (&CancellationToken, &CancellationToken),
) -> JoinSet<()> {
    let routes = stage.routes(scenario.shape.bus);
    let mut talking = JoinSet::new();
    for (number, route) in (0..scenario.talkers).zip(routes.iter().cycle()) {
        let talker = Talker {
            route: route.clone(),
            name: format!("{}-{number}", route.client()),
            topics: scenario.topics.clone(),
            log: Arc::clone(&stage.log),
        };
        let seed = scenario.seed.wrapping_mul(1_000_003) + number as u64;
        let (stop, give_up) = (stop.clone(), give_up.clone());
        talking.spawn(async move { talker.talk(seed, &stop, &give_up).await });
    }
    talking
}

/// What one lane does.
fn schedule(scenario: &Scenario, lane: Lane) -> Schedule {
    let kinds = scenario.kinds.iter().copied();
    let kinds = kinds.filter(|kind| kind.lane() == lane);
    let seed = scenario.seed.wrapping_mul(2) + lane as u64;
    Schedule::new(seed, kinds.collect(), scenario.pace.clone())
}

fn late(scenario: &Scenario) -> Duration {
    if scenario.topics.silence > 0.0 {
        return scenario
            .shape
            .tuning
            .run_timeout
            .min(Duration::from_secs(10));
    }
    Duration::from_secs(2)
}
