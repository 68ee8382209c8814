//! A whole node in this process, and the commands of a person beside it.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Parser;
use nexus::cli::{Cli, Command};
use nexus::exit::{Exit, Failure};
use nexus::settings::Settings;
use nexus::{ask, compose, doctor, tail, trace, workers};
use nexus_service_kit::{Node, RunningNode};
use serde_json::Value;

/// Runs one command line; what it printed.
async fn run(line: &[&str]) -> Result<String, Failure> {
    let cli = Cli::try_parse_from([&["nexus"], line].concat()).map_err(Failure::usage)?;
    let settings = Settings::load(&cli.global);
    let mut out = Vec::new();
    match cli.command {
        Command::Ask(args) => ask::ask(&args, &settings?, &mut out).await?,
        Command::Trace(args) => trace::trace(&args, &settings?, &mut out).await?,
        Command::Tail(args) => tail::tail(&args, &settings?, &mut out).await?,
        Command::Workers(args) => workers::workers(&args, &settings?, &mut out).await?,
        Command::Doctor(args) => doctor::doctor(&args, settings, &mut out).await?,
        other => return Err(Failure::usage(format!("{other:?}"))),
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

async fn up(folder: &Path) -> Result<RunningNode> {
    let folder = folder.to_str().context("a folder with an odd name")?;
    let line = [
        "nexus",
        "--data",
        folder,
        "--set",
        "http.listen=127.0.0.1:0",
        "--set",
    ];
    let line = [&line[..], &["admin.listen=127.0.0.1:0", "up"]].concat();
    let settings = Settings::load(&Cli::try_parse_from(line)?.global)?;
    Ok(Node::start(settings.node.clone(), compose::all(&settings.source)?).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_node_is_asked_traced_and_watched() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = up(folder.path()).await?;
    let url = format!("http://{}", node.http_address());
    let data = folder
        .path()
        .to_str()
        .context("a folder with an odd name")?;

    let said = run(&["ask", "--json", "--url", &url, "What is 37 * 43?"]).await?;
    let said: Value = serde_json::from_str(&said)?;
    assert!(
        said["text"]
            .as_str()
            .is_some_and(|text| text.contains("1591")),
        "{said}"
    );
    assert_eq!(said["metadata"]["provider.demo"], true, "{said}");
    for field in [
        "correlation_id",
        "conversation_id",
        "provider",
        "model",
        "usage",
    ] {
        assert!(!said[field].is_null(), "{field} is missing: {said}");
    }
    let corr = said["correlation_id"]
        .as_str()
        .context("no correlation id")?;

    let found: Value =
        serde_json::from_str(&run(&["trace", "--json", "--data", data, corr]).await?)?;
    let hops = found["hops"].as_array().context("no hops")?;
    let types: Vec<_> = hops.iter().filter_map(|hop| hop["type"].as_str()).collect();
    for wanted in [
        "message.submitted",
        "message.accepted",
        "inference.requested",
        "inference.completed",
        "tool.requested",
        "tool.completed",
        "message.completed",
    ] {
        assert!(types.contains(&wanted), "{wanted} is missing: {types:?}");
    }
    let seen = run(&["tail", "--no-follow", "--corr", &corr[..8], "--data", data]).await?;
    assert_eq!(seen.lines().count(), hops.len(), "{seen}");
    let alive = run(&["workers", "--data", data]).await?;
    assert!(alive.contains("orchestrator"), "{alive}");

    let failure = run(&["ask", "--url", &url, "--provider", "dmeo", "x"])
        .await
        .unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.what.contains("did you mean `demo`?"), "{failure}");
    node.shutdown();
    node.stopped().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_node_asking_starts_one_and_goes_on_where_it_ended() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder
        .path()
        .to_str()
        .context("a folder with an odd name")?;
    // A port nobody holds: found free, then let go.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let listen = format!("http.listen=127.0.0.1:{port}");
    let first = run(&["ask", "--json", "--data", data, "--set", &listen, "hello"]).await?;
    let first: Value = serde_json::from_str(&first)?;
    let conversation = first["conversation_id"]
        .as_str()
        .context("no conversation")?;
    let line = [
        "ask",
        "--data",
        data,
        "--set",
        &listen,
        "--conversation",
        conversation,
        "What is 6*7?",
    ];
    assert!(run(&line).await?.contains("42"));

    // The file is held, and no node answers where the configuration says.
    let node = up(folder.path()).await?;
    let failure = run(&["ask", "--data", data, "--set", &listen, "hello"])
        .await
        .unwrap_err();
    assert_eq!(failure.exit, Exit::Unreachable);
    assert!(failure.to_string().contains("--url"), "{failure}");
    node.shutdown();
    node.stopped().await?;
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_is_said_with_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder
        .path()
        .to_str()
        .context("a folder with an odd name")?;
    for line in [vec!["tail"], vec!["trace", "x"], vec!["workers"]] {
        let failure = run(&[&line[..], &["--data", data]].concat())
            .await
            .unwrap_err();
        assert_eq!(failure.exit, Exit::Unreachable, "{line:?}");
        assert!(failure.to_string().contains("nexus up"), "{failure}");
    }
    let failure = run(&["ask", "--url", "http://127.0.0.1:9", "x"])
        .await
        .unwrap_err();
    assert_eq!(failure.exit, Exit::Unreachable);
    let failure = run(&["ask", "--url", "nonsense", "x"]).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    Ok(())
}

#[tokio::test]
async fn the_doctor_finds_what_is_wrong() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder
        .path()
        .to_str()
        .context("a folder with an odd name")?;
    let ports = [
        "--set",
        "http.listen=127.0.0.1:0",
        "--set",
        "admin.listen=127.0.0.1:0",
    ];
    let well = run(&[&["doctor", "--data", data][..], &ports].concat()).await?;
    assert!(well.contains("DEMO"), "{well}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let held = format!("http.listen={}", taken.local_addr()?);
    let failure = run(&["doctor", "--data", data, "--set", &held])
        .await
        .unwrap_err();
    assert_eq!(failure.exit, Exit::Failed);
    let failure = run(&["doctor", "--set", "http.lisen=1"]).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Failed);
    Ok(())
}
