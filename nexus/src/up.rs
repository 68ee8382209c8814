//! `nexus up` and `nexus run`: a node until a signal ends it.

use std::process::ExitCode;
use std::time::Duration;

use nexus_bus::BusUrl;
use nexus_contracts::tables;
use nexus_provider_router::ProviderStatus;
use nexus_service_kit::telemetry::{install_logs, install_tls};
use nexus_service_kit::{NodeConfig, NodeError, RunningNode, Service, TableView};

use crate::apart::{self, APART};
use crate::cli::RunArgs;
use crate::compose;
use crate::exit::Failure;
use crate::settings::Settings;
use crate::style::{Tone, toned};

/// How long the greeting waits for the providers to be known.
const PATIENCE: Duration = Duration::from_secs(5);

/// Every service in this process.
///
/// # Errors
/// What is wrong with the configuration.
pub fn up(settings: &Settings) -> Result<ExitCode, Failure> {
    let services = compose::all(&settings.source).map_err(Failure::usage)?;
    run_until_signal(settings, services, Scope::Whole)
}

/// Some services in this process.
///
/// # Errors
/// An unknown name with the nearest known one, or what is wrong with the configuration.
pub fn run(args: &RunArgs, settings: &Settings) -> Result<ExitCode, Failure> {
    if args.services.iter().any(|name| name == "help") {
        for entry in compose::SERVICES {
            anstream::println!("{:<18}{}", entry.name, entry.about);
        }
        for apart in APART {
            anstream::println!("{:<18}{}", apart.name, apart.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(apart) = apart::chosen(&args.services)? {
        return Err(apart.become_it(settings));
    }
    let services = compose::chosen(&settings.source, &args.services)?;
    run_until_signal(settings, services, Scope::Part)
}

/// How much of Nexus runs in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Whole,
    Part,
}

fn run_until_signal(
    settings: &Settings,
    services: Vec<Box<dyn Service>>,
    scope: Scope,
) -> Result<ExitCode, Failure> {
    let names: Vec<&'static str> = services.iter().map(|service| service.name()).collect();
    let bus = bus_in_words(&settings.node.bus.url);
    let started = |node: &RunningNode| {
        let facts = Facts {
            http: node.http_address().to_string(),
            admin: node.admin_address().to_string(),
            bus,
            store: without_password(&settings.node.store),
            services: names,
        };
        if scope == Scope::Whole {
            let deps = node.deps().clone();
            node.deps().tasks.spawn("greeting", async move {
                let providers = TableView::<ProviderStatus>::watch(&deps, tables::PROVIDERS).await;
                let active = first_active(&providers);
                let active = tokio::time::timeout(PATIENCE, active).await.ok().flatten();
                print(&facts.greeting(active.as_ref()));
            });
        } else {
            print(&facts.lines());
        }
    };
    serve(&settings.node, services, started)
}

fn serve(
    config: &NodeConfig,
    services: Vec<Box<dyn Service>>,
    started: impl FnOnce(&RunningNode),
) -> Result<ExitCode, Failure> {
    install_tls();
    install_logs(&config.log).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    let node = nexus_service_kit::run_until_signal(config.clone(), services, started);
    let ended = runtime.block_on(node);
    runtime.shutdown_background();
    ended
        .map(|()| ExitCode::SUCCESS)
        .map_err(|error| match error {
            NodeError::Config(_) => Failure::usage(error),
            NodeError::Bus(_)
            | NodeError::Store(_)
            | NodeError::InUse { .. }
            | NodeError::Listen { .. } => Failure::unreachable(error),
            NodeError::Service { .. } | NodeError::Routes { .. } | NodeError::Fatal(_) => {
                Failure::failed(error)
            }
        })
}

/// The provider that answers when nobody names one, once it is known.
async fn first_active(providers: &TableView<ProviderStatus>) -> Option<ProviderStatus> {
    let mut changed = providers.changed();
    loop {
        if let Some(active) = providers
            .all()
            .into_values()
            .find(|provider| provider.default)
        {
            return Some(active);
        }
        changed.changed().await.ok()?;
    }
}

/// A closed terminal is no reason to stop.
fn print(lines: &[String]) {
    use std::io::Write;
    let mut out = anstream::stdout().lock();
    for line in lines {
        if writeln!(out, "{line}").is_err() {
            return;
        }
    }
    drop(out.flush());
}

/// What a node says about itself when it has started.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where its services listen.
    pub http: String,
    /// Where its probes are.
    pub admin: String,
    /// The bus, in words.
    pub bus: String,
    /// The store, without its password.
    pub store: String,
    /// Its services.
    pub services: Vec<&'static str>,
}

impl Facts {
    /// Where everything is.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let row = |name: &str, value: &str| format!("  {name:<10}{value}");
        vec![
            format!(
                "{} {}",
                toned(Tone::Strong, "nexus"),
                self.services.join(", ")
            ),
            row("api", &toned(Tone::Name, format!("http://{}", self.http))),
            row("admin", &format!("http://{}/readyz", self.admin)),
            row("bus", &self.bus),
            row("store", &self.store),
        ]
    }

    /// The same, who answers, and what to try.
    #[must_use]
    pub fn greeting(&self, active: Option<&ProviderStatus>) -> Vec<String> {
        let mut lines = self.lines();
        lines.push(format!("  {:<10}{}", "provider", provider_in_words(active)));
        lines.extend(["".into(), toned(Tone::Strong, "Try next")]);
        lines.extend(
            ["nexus ask \"What is 37 * 43?\"", "nexus chat", "nexus tail"]
                .map(|command| format!("  {command}")),
        );
        lines
    }
}

fn provider_in_words(active: Option<&ProviderStatus>) -> String {
    match active {
        None => "not known yet; `nexus doctor` says more".to_owned(),
        Some(active) => {
            let name = format!("{} ({})", active.name, active.model);
            match (&active.reason, active.demo) {
                (Some(reason), _) => format!("{name}  {}", toned(Tone::Bad, reason)),
                (None, true) => {
                    let note = "DEMO: no model behind it; config/providers.yaml names real ones";
                    format!("{name}  {}", toned(Tone::Bad, note))
                }
                (None, false) => name,
            }
        }
    }
}

fn bus_in_words(url: &BusUrl) -> String {
    match url {
        BusUrl::Embedded { path, .. } => format!("embedded, {}", path.display()),
        BusUrl::Redis(url) | BusUrl::Nats(url) => without_password(url),
    }
}

/// An address that may be shown.
#[must_use]
pub fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://…@{place}"),
        _ => url.to_owned(),
    }
}
