//! Clients with nothing but a connection to the bus, as the README shows them.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_e2e::cluster::Cluster;
use nexus_testkit::wait_until;
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_nexus-under-test");
const README: &str = include_str!("../../../README.md");
const PATIENCE: Duration = Duration::from_secs(30);

/// The code block of the README behind this marker.
fn example(marker: &str) -> Result<String> {
    let (_, rest) = README
        .split_once(&format!("<!-- test: {marker} -->\n```"))
        .with_context(|| format!("the README has no example {marker}"))?;
    let (_, code) = rest.split_once('\n').context("an example")?;
    Ok(code.split("```").next().unwrap_or_default().to_owned())
}

async fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output)
        .await
        .context("no end")??;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {errors}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn redis_cli_asks_and_is_answered() -> Result<()> {
    let server = nexus_testkit::redis().await?;
    let mut cluster = Cluster::new(PROGRAM, &server.url())?;
    cluster.up().await?;
    let code = example("redis-cli")?;
    let at_port = format!("redis-cli -p {}", server.port());
    let ask = code
        .lines()
        .next()
        .context("a first line")?
        .replacen("redis-cli", &at_port, 1);
    output(Command::new("sh").args(["-c", &ask])).await?;
    let read = format!("{at_port} --no-raw XRANGE requests.processed - +");
    wait_until(PATIENCE, "an answer on requests.processed", async || {
        let answers = output(Command::new("sh").args(["-c", &read])).await?;
        Ok(answers.contains("message.completed") && answers.contains("42"))
    })
    .await
    .with_context(|| cluster.output())
}

#[tokio::test]
async fn eight_lines_of_python_ask_and_are_answered() -> Result<()> {
    let server = nexus_testkit::redis().await?;
    let mut cluster = Cluster::new(PROGRAM, &server.url())?;
    cluster.up().await?;
    let code = example("python")?;
    ensure!(code.lines().count() <= 9, "the README promises eight lines");
    let port = server.port().to_string();
    let printed = output(Command::new("python3").args(["-c", &code, &port])).await;
    let printed = printed.with_context(|| cluster.output())?;
    ensure!(printed.contains("42"), "{printed}");
    Ok(())
}
