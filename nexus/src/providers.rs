//! `nexus providers` and `nexus models`: who can answer.

use std::io::Write;

use nexus_contracts::tables;
use nexus_provider_router::doctor::{Depth, check_one};
use nexus_provider_router::service::registry;
use nexus_provider_router::{DEFAULT_CONFIG, NAME, ProviderStatus};
use serde_json::json;
use tokio::time::Instant;

use crate::cli::JsonArgs;
use crate::cli::providers::{ProvidersAction, ProvidersArgs, TestArgs};
use crate::exit::Failure;
use crate::reading::open_to_read;
use crate::settings::Settings;
use crate::style::{Tone, column, cut};

/// Longest reason that is shown.
const REASON: usize = 500;

/// Lists providers, or tests one.
///
/// # Errors
/// When the bus cannot be read, or the test failed.
pub async fn providers(
    args: &ProvidersArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    match &args.action {
        None => list(&args.list, settings, out).await,
        Some(ProvidersAction::List(args)) => list(args, settings, out).await,
        Some(ProvidersAction::Test(args)) => test(args, settings, out).await,
    }
}

/// Lists the models of all providers.
///
/// # Errors
/// When the bus cannot be read.
pub async fn models(
    args: &JsonArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let all = announced(settings).await?;
    let models = all.iter().flat_map(|provider| {
        let of = move |model| (provider, model);
        provider.models.iter().map(of)
    });
    if args.json {
        let models: Vec<_> = models
            .map(|(provider, model)| {
                json!({
                    "provider": provider.name,
                    "model": model,
                    "usable": provider.usable,
                    "default": provider.default && *model == provider.model,
                })
            })
            .collect();
        writeln!(out, "{}", json!({ "models": models }))?;
        return Ok(());
    }
    for (provider, model) in models {
        let default = provider.default && *model == provider.model;
        let note = if default { "answers by default" } else { "" };
        let line = [
            column(tone(provider), word(provider), 10),
            column(Tone::Name, &provider.name, 20),
            column(Tone::Strong, model, 40),
            note.to_owned(),
        ];
        writeln!(out, "{}", line.join("  "))?;
    }
    Ok(())
}

async fn list(args: &JsonArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let all = announced(settings).await?;
    if args.json {
        writeln!(out, "{}", json!({ "providers": all }))?;
        return Ok(());
    }
    if all.is_empty() {
        let hint = "no router has announced its providers; start one with `nexus up`";
        writeln!(out, "{hint}")?;
    }
    for provider in &all {
        let line = [
            column(tone(provider), word(provider), 10),
            column(Tone::Name, &provider.name, 20),
            column(Tone::Faint, &provider.kind, 12),
            column(Tone::Strong, &provider.model, 30),
            note(provider).to_owned(),
        ];
        writeln!(out, "{}", line.join("  "))?;
        if let Some(reason) = &provider.reason {
            writeln!(out, "  → {}", cut(reason, REASON))?;
        }
    }
    Ok(())
}

const fn tone(provider: &ProviderStatus) -> Tone {
    if provider.usable {
        Tone::Good
    } else {
        Tone::Bad
    }
}

const fn word(provider: &ProviderStatus) -> &'static str {
    if provider.usable {
        "usable"
    } else {
        "not usable"
    }
}

const fn note(provider: &ProviderStatus) -> &'static str {
    match (provider.default, provider.demo) {
        (true, true) => "answers by default; DEMO: no model behind it",
        (true, false) => "answers by default",
        (false, true) => "DEMO: no model behind it",
        (false, false) => "",
    }
}

/// What the running routers say of themselves: they may have other files than this machine.
async fn announced(settings: &Settings) -> Result<Vec<ProviderStatus>, Failure> {
    let bus = open_to_read(settings).await?;
    let entries = bus.table_list(tables::PROVIDERS).await;
    bus.close().await;
    let entries = entries.map_err(Failure::unreachable)?;
    // A newer router may announce in words this program does not know.
    let mut all: Vec<ProviderStatus> = entries
        .iter()
        .filter_map(|entry| serde_json::from_slice(&entry.value).ok())
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

async fn test(args: &TestArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let config = settings.source.section(NAME, DEFAULT_CONFIG);
    let config = config.map_err(Failure::usage)?;
    let registry = registry(&config).map_err(Failure::usage)?;
    let configured = registry.find(Some(&args.name)).map_err(Failure::usage)?;
    let began = Instant::now();
    let check = check_one(configured, Depth::Ask).await;
    let took = began.elapsed().as_millis();
    if args.print.json {
        let (name, ok, detail) = (&check.name, check.ok, &check.detail);
        let found = json!({ "name": name, "ok": ok, "detail": detail, "took_ms": took });
        writeln!(out, "{found}")?;
    } else if check.ok {
        let mark = column(Tone::Good, "ok", 3);
        writeln!(out, "{mark} {}: {}, in {took} ms", check.name, check.detail)?;
    }
    if check.ok {
        Ok(())
    } else {
        Err(Failure::failed(check.detail))
    }
}
