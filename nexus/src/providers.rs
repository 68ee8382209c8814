//! `nexus providers` and `nexus models`: who can answer, how they fare, and what they cost.

mod health;
mod spend;

use std::io::Write;

use nexus_bus::{Bus, BusError};
use nexus_contracts::tables;
use nexus_provider_router::doctor::{Depth, check_one};
use nexus_provider_router::registry::ROUTE;
use nexus_provider_router::registry::models::{Model, ToolUse};
use nexus_provider_router::service::registry;
use nexus_provider_router::{DEFAULT_CONFIG, NAME, ProviderStatus};
use nexus_service_kit::Clock;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cli::JsonArgs;
use crate::cli::providers::{ProvidersAction, ProvidersArgs, TestArgs};
use crate::exit::Failure;
use crate::reading::open_to_read;
use crate::settings::Settings;
use crate::style::{Tone, column, cut};

use spend::Spend;

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
    // Routes have no models of their own.
    let providers = all.iter().filter(|provider| provider.kind != ROUTE);
    let models = providers.flat_map(|provider| {
        // The usual one for vectors may stand in no list.
        let unlisted = |model: &&String| !provider.models.contains(*model);
        let vectors = provider.embedding_model.iter().filter(unlisted);
        let of = move |model| (provider, model);
        provider.models.iter().chain(vectors).map(of)
    });
    if args.json {
        let models: Vec<_> = models
            .map(|(provider, model)| {
                json!({
                    "provider": provider.name,
                    "model": model,
                    "usable": provider.usable,
                    "default": provider.default && *model == provider.model,
                    "default_for_vectors": provider.default && makes_vectors(provider, model),
                    "facts": provider.facts.iter().find(|facts| facts.name == *model),
                })
            })
            .collect();
        writeln!(out, "{}", json!({ "models": models }))?;
        return Ok(());
    }
    for (provider, model) in models {
        let default = provider.default && *model == provider.model;
        let facts = provider.facts.iter().find(|facts| facts.name == *model);
        let mut notes = facts.map(described).unwrap_or_default();
        if makes_vectors(provider, model) {
            let note = if provider.default {
                "makes vectors by default"
            } else {
                "makes vectors"
            };
            notes.insert(0, note.to_owned());
        }
        if default {
            notes.insert(0, "answers by default".to_owned());
        }
        let line = [
            column(tone(provider), word(provider), 10),
            column(Tone::Name, &provider.name, 20),
            column(Tone::Strong, model, 40),
            notes.join(", "),
        ];
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(())
}

/// Whether a provider turns texts into vectors by this model, unless another is named.
fn makes_vectors(provider: &ProviderStatus, model: &str) -> bool {
    provider.embedding_model.as_deref() == Some(model)
}

/// What the file says of a model, in words.
fn described(model: &Model) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(model.context.map(|tokens| format!("{tokens} tokens")));
    notes.extend(model.tools.map(|tools| {
        let words = match tools {
            ToolUse::Native => "tools",
            ToolUse::Text => "tools in text",
            ToolUse::None => "no tools",
        };
        words.to_owned()
    }));
    for (can, what) in [
        (model.vision, "pictures"),
        (model.schema, "JSON Schema"),
        (model.embeds, "vectors"),
    ] {
        match can {
            Some(true) => notes.push(what.to_owned()),
            Some(false) => notes.push(format!("no {what}")),
            None => {}
        }
    }
    notes.extend(model.price.map(|price| {
        let [input, output] = [price.input, price.output].map(spend::dollars);
        format!("{input} in and {output} out per million")
    }));
    notes
}

async fn list(args: &JsonArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let seen = look(settings).await?;
    if args.json {
        let rows: Vec<Value> = seen.all.iter().map(|one| seen.as_json(one)).collect();
        writeln!(out, "{}", json!({ "providers": rows }))?;
        return Ok(());
    }
    if seen.all.is_empty() {
        let hint = "no router has announced its providers; start one with `nexus up`";
        writeln!(out, "{hint}")?;
    }
    for provider in &seen.all {
        let (tone, word) = seen.state(provider);
        let line = [
            column(tone, &word, 10),
            column(Tone::Name, &provider.name, 20),
            column(Tone::Faint, &provider.kind, 12),
            column(Tone::Strong, &provider.model, 30),
            note(provider).to_owned(),
        ];
        writeln!(out, "{}", line.join("  ").trim_end())?;
        if let Some(reason) = &provider.reason {
            writeln!(out, "  → {}", cut(reason, REASON))?;
        }
        if provider.kind == ROUTE {
            writeln!(out, "  → {}", provider.models.join(", then "))?;
        }
        for line in seen.details(provider) {
            writeln!(out, "  → {}", cut(&line, REASON))?;
        }
    }
    Ok(())
}

/// Everything the bus says of providers.
struct Looked {
    all: Vec<ProviderStatus>,
    health: health::Fleet,
    spend: Spend,
}

impl Looked {
    /// How a provider is, in a word.
    fn state(&self, provider: &ProviderStatus) -> (Tone, String) {
        match self.health.worst(&provider.name) {
            Some(word) if provider.usable => (Tone::Bad, word.to_owned()),
            _ => (tone(provider), word(provider).to_owned()),
        }
    }

    /// What there is to say besides.
    fn details(&self, provider: &ProviderStatus) -> Vec<String> {
        let mut lines = self.health.lines(&provider.name);
        lines.extend(self.spend.line(provider));
        lines
    }

    fn as_json(&self, provider: &ProviderStatus) -> Value {
        let mut row = json!(provider);
        if let Value::Object(row) = &mut row {
            row.insert("health".to_owned(), self.health.as_json(&provider.name));
            row.insert("today".to_owned(), self.spend.as_json(&provider.name));
        }
        row
    }
}

async fn look(settings: &Settings) -> Result<Looked, Failure> {
    let bus = open_to_read(settings).await?;
    let looked = async {
        Ok(Looked {
            all: statuses(&bus).await?,
            health: health::Fleet::read(&bus, Clock::system().now()).await?,
            spend: Spend::today(&bus, Clock::system().now()).await?,
        })
    };
    let looked = looked.await;
    bus.close().await;
    looked.map_err(|error: BusError| Failure::unreachable(error))
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
    let all = statuses(&bus).await;
    bus.close().await;
    all.map_err(Failure::unreachable)
}

async fn statuses(bus: &Bus) -> Result<Vec<ProviderStatus>, BusError> {
    let entries = bus.table_list(tables::PROVIDERS).await?;
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
