//! The node that is looked at: a real one, with this one service, on files of its own.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nexus_bus::ReadFrom;
use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::{InferenceRequested, ModelParameters, Purpose};
use nexus_contracts::{ConversationId, Envelope, MessageId, Metadata, OrgId, RunId, channels};
use nexus_provider_router::{Config, DEFAULT_CONFIG, NAME, service};
use nexus_service_kit::{Clock, ConfigSource, Node, NodeConfig, RunningNode, outgoing, telemetry};
use nexus_testkit::wait_until;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::report::{Report, get};
use crate::settings::{ASKED, ONE, PASSWORD, SESSION, TELLING, TWO, broken, providers};
use crate::upstream::Upstream;
use crate::{MARKER, forms};

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(40);

/// Runs a node until everybody was asked, and leaves what can be seen of it in `folder`.
pub(crate) fn run(folder: &Path) -> Result<()> {
    // As an operator with the loudest filter has it, and beginning and end of every span besides: what a
    // collector of traces would get.
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(std::io::stderr)
        .init();
    telemetry::install_tls();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(live(folder))
}

async fn live(folder: &Path) -> Result<()> {
    let upstream = Upstream::start().await?;
    let closed = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let files = folder.join("config");
    std::fs::create_dir_all(&files)?;
    let file = files.join("providers.yaml");
    std::fs::write(&file, providers(upstream.port, closed))?;

    let (node, config) = start(folder, &file).await?;
    let report = Report::into(folder.join("seen"));
    let runs = ask_everybody(&node).await?;
    report.bus(node.bus(), &runs).await?;
    report.admin(&node).await?;
    report.checks(&config).await?;
    report.broken(&config, &files, &broken()).await?;
    break_the_file(&node, &file).await?;
    node.shutdown();
    node.stopped().await?;
    the_keys_were_sent(&upstream)
}

async fn start(folder: &Path, file: &Path) -> Result<(RunningNode, Config)> {
    let data = folder.join("data");
    std::fs::create_dir_all(&data)?;
    let of_router = |key: &str| format!("{NAME}.{key}");
    let overrides: Vec<(String, String)> = [
        (
            "bus.url".to_owned(),
            format!("embedded:{}", data.join("bus.db").display()),
        ),
        (
            "bus.blobs".to_owned(),
            data.join("blobs").display().to_string(),
        ),
        ("store.url".to_owned(), format!("sqlite:{}", data.display())),
        ("http.listen".to_owned(), "127.0.0.1:0".to_owned()),
        ("admin.listen".to_owned(), "127.0.0.1:0".to_owned()),
        (of_router("providers_file"), file.display().to_string()),
        (of_router("reload_every"), "20ms".to_owned()),
        (of_router("retries.tries"), "2".to_owned()),
        (of_router("retries.base"), "1ms".to_owned()),
    ]
    .into();
    let source = ConfigSource::of_layers(None, [], &overrides)?;
    let config: Config = source.section(NAME, DEFAULT_CONFIG)?;
    let node = Node::start(
        NodeConfig::from_source(&source)?,
        vec![service(config.clone())],
    )
    .await?;
    Ok((node, config))
}

/// Puts a question to each, and waits until all are answered; by name, the run of each.
async fn ask_everybody(node: &RunningNode) -> Result<BTreeMap<&'static str, RunId>> {
    let mut runs = BTreeMap::new();
    let mut commands = Vec::new();
    for name in ASKED {
        let (command, run) = question(name)?;
        commands.push(outgoing(channels::INFERENCE_REQUEST, &command));
        runs.insert(*name, run);
    }
    node.bus().publish(commands).await?;
    let everybody = async || {
        let channel = channels::INFERENCE_RESPONSE;
        let results = node.bus().read(channel, ReadFrom::Start, 1000).await?;
        Ok(results.len() >= ASKED.len())
    };
    wait_until(PATIENCE, "an answer of everybody", everybody).await?;
    Ok(runs)
}

fn question(provider: &str) -> Result<(Envelope, RunId)> {
    let text = format!("Hello, {provider}! This is {MARKER}.");
    let asked = InferenceRequested {
        messages: vec![ChatMessage::text(Role::User, text)],
        tools: Vec::new(),
        provider: Some(provider.to_owned()),
        model: None,
        parameters: ModelParameters::default(),
        quiet: false,
        purpose: Purpose::Answer,
        privacy: nexus_contracts::settings::Privacy::Open,
        cache: nexus_contracts::settings::Caching::Off,
        extra: [].into(),
    };
    let clock = Clock::system();
    let (org, id) = (OrgId(clock.new_id()), MessageId::new(provider)?);
    let run = RunId::of(org, "test", &id);
    let metadata = Metadata {
        org_id: Some(org),
        run_id: Some(run),
        step: Some(1),
        conversation_id: Some(ConversationId::opened_by(run)),
        ..Metadata::default()
    };
    let envelope = Envelope::new(id, clock.now(), &asked)?.with_metadata(metadata);
    Ok((envelope, run))
}

/// Puts a key in a wrong place, and waits until the node has refused the file.
async fn break_the_file(node: &RunningNode, file: &Path) -> Result<()> {
    let broken = broken().into_iter().next().context("nothing is broken")?;
    std::fs::write(file, broken)?;
    let refused = async || {
        let metrics = get(node, "metrics").await?;
        Ok(metrics.contains("nexus_provider_reloads_total{outcome=\"refused\"}"))
    };
    wait_until(PATIENCE, "a file that is refused", refused).await
}

/// What was never sent cannot leak; and where a redirect pointed nobody went.
fn the_keys_were_sent(upstream: &Upstream) -> Result<()> {
    let heads = upstream.heads();
    for secret in [ONE, TWO, TELLING, SESSION, PASSWORD] {
        let sent = heads
            .iter()
            .any(|head| forms::found(secret, head.quoted().as_bytes()).is_some());
        ensure!(sent, "{secret} was never sent");
    }
    let followed = heads.iter().any(|head| head.target.contains("elsewhere"));
    ensure!(!followed, "a redirect was followed");
    Ok(())
}
