//! Separate processes over a server: any of them may be killed while questions are in flight.

use std::time::Duration;

use anyhow::{Result, ensure};
use nexus_bus::{Bus, BusConfig};
use nexus_contracts::channels;
use nexus_e2e::cluster::{Cluster, SERVICES};
use nexus_e2e::ledger::Ledger;
use nexus_e2e::questions::{answers_on_bus, ask_over_http, collect, expected, put_on_bus};
use nexus_testkit::wait_until;
use tokio::time::Instant;

const PROGRAM: &str = env!("CARGO_BIN_EXE_nexus-under-test");

/// Questions in flight when a process is killed: half on the bus, half over HTTP.
const QUESTIONS: usize = 200;

/// Longest wait for the last answer after the last kill.
const PATIENCE: Duration = Duration::from_secs(60);

async fn bus_of(cluster: &Cluster, url: &str) -> Result<Bus> {
    Ok(Bus::connect(&BusConfig::new(url.parse()?, cluster.path().join("blobs"))).await?)
}

/// Kills and restarts every worker in turn, each with 200 questions in flight.
async fn survive_kills(cluster: &mut Cluster, bus: &Bus) -> Result<Ledger> {
    let mut ledger = Ledger::default();
    let until = Instant::now() + PATIENCE + Duration::from_secs(60);
    let url = cluster.url();
    let mut over_http = Vec::new();
    for (round, service) in SERVICES.into_iter().enumerate() {
        let first = 1000 + round * QUESTIONS;
        let middle = first + QUESTIONS / 2;
        let before = answers_on_bus(bus).await?.len();
        put_on_bus(bus, first..middle).await?;
        (first..middle).for_each(|number| ledger.asked(format!("question-{number}")));
        let asking = (middle..first + QUESTIONS).map(|number| {
            let url = url.clone();
            tokio::task::spawn_local(async move { ask_over_http(&url, number, until).await })
        });
        over_http.extend(asking);
        // Some are answered, the others are somewhere on their way.
        wait_until(PATIENCE, "the first answers of a round", async || {
            Ok(answers_on_bus(bus).await?.len() > before)
        })
        .await?;
        cluster.kill(service).await?;
        cluster.start(service)?;
    }
    let over_http = over_http.into_iter().map(async |task| task.await?);
    collect(&mut ledger, bus, over_http, until).await?;
    Ok(ledger)
}

fn check_texts(answers: &[(String, String, String)]) -> Result<()> {
    for (question, _, text) in answers {
        let Some(number) = question.strip_prefix("question-") else {
            continue;
        };
        let expected = expected(number.parse()?);
        ensure!(
            text.replace(',', "").contains(&expected),
            "{question}: `{text}` lacks {expected}"
        );
    }
    Ok(())
}

async fn kills(url: String) -> Result<()> {
    let mut cluster = Cluster::new(PROGRAM, &url)?;
    cluster.separate().await?;
    let bus = bus_of(&cluster, &url).await?;
    let ledger = survive_kills(&mut cluster, &bus).await;
    let ledger = ledger.map_err(|error| error.context(cluster.output()))?;
    ledger
        .check()
        .map_err(|error| error.context(cluster.output()))?;
    check_texts(&answers_on_bus(&bus).await?)
}

/// Kills the orchestrator whenever it has acknowledged everything it was sent: what is then not
/// committed is lost, and the ledger says so.
async fn kill_after_acknowledgement(url: &str, setting: Option<&str>) -> Result<Ledger> {
    let mut cluster = Cluster::new(PROGRAM, url)?;
    cluster.separate().await?;
    if let Some(setting) = setting {
        cluster.set(setting);
        cluster.kill("orchestrator").await?;
        cluster.start("orchestrator")?;
    }
    let bus = bus_of(&cluster, url).await?;
    let mut ledger = Ledger::default();
    let numbers = 1000..1050;
    numbers
        .clone()
        .for_each(|number| ledger.asked(format!("question-{number}")));
    put_on_bus(&bus, numbers).await?;
    wait_until(PATIENCE, "the acknowledgement of everything", async || {
        let backlog = bus
            .backlog(channels::REQUESTS_INCOMING, "orchestrator")
            .await?;
        Ok(backlog.undelivered + backlog.pending == 0)
    })
    .await
    .map_err(|error| error.context(cluster.output()))?;
    cluster.kill("orchestrator").await?;
    cluster.start("orchestrator")?;
    let patience = if setting.is_some() {
        Duration::from_secs(10)
    } else {
        PATIENCE
    };
    let nobody = std::iter::empty::<std::future::Ready<Result<(String, String)>>>();
    collect(&mut ledger, &bus, nobody, Instant::now() + patience).await?;
    Ok(ledger)
}

#[tokio::test(flavor = "local")]
async fn redis_loses_and_doubles_nothing() -> Result<()> {
    let server = nexus_testkit::redis().await?;
    kills(server.url()).await
}

#[tokio::test(flavor = "local")]
async fn nats_loses_and_doubles_nothing() -> Result<()> {
    let server = nexus_testkit::nats().await?;
    kills(server.url()).await
}

#[tokio::test(flavor = "local")]
async fn what_was_acknowledged_is_answered() -> Result<()> {
    let server = nexus_testkit::redis().await?;
    kill_after_acknowledgement(&server.url(), None)
        .await?
        .check()
}

/// Without this the tests above would prove nothing.
#[tokio::test(flavor = "local")]
async fn a_build_that_acknowledges_before_it_commits_is_caught() -> Result<()> {
    let server = nexus_testkit::redis().await?;
    let mutant = Some("orchestrator.mutant=ack-before-commit");
    let ledger = kill_after_acknowledgement(&server.url(), mutant).await?;
    ensure!(
        ledger.check().is_err(),
        "a build that acknowledges first lost nothing"
    );
    Ok(())
}
