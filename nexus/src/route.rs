//! `nexus route explain`: whom a question would be put to, and why. The very plan a call would have, but
//! for what the routers have seen of latencies.

use std::io::Write;

use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::Purpose;
use nexus_contracts::{OrgId, tokens};
use nexus_provider_router::complexity::{Complexity, Estimator, Heuristic, Question};
use nexus_provider_router::plan::{Need, Nothing, Plan, USUAL_ANSWER, plan};
use nexus_provider_router::registry::Registry;
use nexus_provider_router::registry::models::Task;
use nexus_provider_router::service::registry;
use nexus_provider_router::{DEFAULT_CONFIG, NAME};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::route::{RouteAction, RouteArgs};
use crate::exit::Failure;
use crate::settings::Settings;
use crate::style::{Tone, column, cut, toned};

/// Longest reason that is shown.
const REASON: usize = 300;

/// Explains a route.
///
/// # Errors
/// When the configuration cannot be used, or nobody could answer.
pub fn route(
    args: &RouteArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<std::process::ExitCode, Failure> {
    let RouteAction::Explain(args) = &args.action;
    let config = settings.source.section(NAME, DEFAULT_CONFIG);
    let config = config.map_err(Failure::usage)?;
    let registry = registry(&config).map_err(Failure::usage)?;
    let messages = [ChatMessage::text(Role::User, args.text.as_str())];
    let complexity = Heuristic.estimate(&Question {
        messages: &messages,
        tools: &[],
    });
    let seed = args.conversation.map(|id| id.to_string());
    let need = Need {
        task: Task::Chat,
        target: args.provider.as_deref(),
        model: args.model.as_deref(),
        org: args.org.unwrap_or(OrgId(Uuid::nil())),
        seed: seed.as_deref().unwrap_or(&args.text),
        privacy: args.privacy.into(),
        purpose: Purpose::Answer,
        tools: args.tools,
        images: args.images,
        schema: args.schema,
        tokens: tokens::of_prompt(&messages, &[]),
        answer_tokens: USUAL_ANSWER,
    };
    let plan = plan(&registry, &need, &complexity, &Nothing);
    if args.print.json {
        let shown = as_json(&registry, &complexity, plan.as_ref().ok());
        writeln!(out, "{shown}")?;
    } else {
        show_complexity(&complexity, out)?;
        if let Ok(plan) = &plan {
            show_plan(&registry, plan, out)?;
        }
    }
    match plan {
        Ok(_) => Ok(std::process::ExitCode::SUCCESS),
        Err(failure) => Err(Failure::failed(failure)),
    }
}

fn as_json(registry: &Registry, complexity: &Complexity, plan: Option<&Plan>) -> Value {
    let candidates = plan.map(|plan| {
        let candidates = plan.candidates.iter().map(|one| {
            json!({
                "provider": &*one.configured.name,
                "model": &*one.model,
                "local": one.configured.local,
            })
        });
        candidates.collect::<Vec<_>>()
    });
    let route = plan.and_then(|plan| plan.route.as_deref());
    json!({
        "complexity": {
            "score": complexity.score,
            "level": complexity.level(),
            "features": complexity.features,
        },
        "route": route,
        "strategy": route.map(|route| strategy_of(registry, route)),
        "candidates": candidates.unwrap_or_default(),
        "skipped": plan.map(|plan| &plan.skipped),
        "delegated": plan.and_then(|plan| plan.delegated.as_ref()),
    })
}

/// The word for it in providers.yaml.
fn strategy_of(registry: &Registry, route: &str) -> Value {
    json!(registry.routes().get(route).map(|route| route.strategy))
}

fn show_complexity(complexity: &Complexity, out: &mut impl Write) -> Result<(), Failure> {
    let (score, level) = (complexity.score, complexity.level());
    let level = toned(Tone::Strong, level);
    writeln!(
        out,
        "complexity  {score:.2} {level} (low < 0.3 <= medium < 0.7 <= high)"
    )?;
    for feature in &complexity.features {
        let adds = format!("{:+.2}", feature.adds);
        let name = column(Tone::Name, feature.name, 14);
        writeln!(
            out,
            "            {adds:>6}  {name}  {}",
            cut(&feature.value, 80)
        )?;
    }
    Ok(())
}

fn show_plan(registry: &Registry, plan: &Plan, out: &mut impl Write) -> Result<(), Failure> {
    if let Some(delegated) = &plan.delegated {
        let (from, to) = (&delegated.from, &delegated.to);
        let lacking = delegated.lacking;
        writeln!(
            out,
            "delegated   nobody of `{from}` can {lacking}; `{to}` is asked instead"
        )?;
    }
    if let Some(route) = &plan.route {
        let strategy = strategy_of(registry, route);
        let strategy = strategy.as_str().unwrap_or_default();
        let name = toned(Tone::Name, route);
        writeln!(out, "route       {name} (strategy: {strategy})")?;
    }
    let labels = std::iter::once("asked").chain(std::iter::repeat("then"));
    for (label, one) in labels.zip(&plan.candidates) {
        let local = if one.configured.local {
            "stays here"
        } else {
            ""
        };
        let line = [
            format!("{label:<10}"),
            column(Tone::Good, &one.configured.name, 20),
            column(Tone::Strong, &one.model, 30),
            local.to_owned(),
        ];
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    for skipped in &plan.skipped {
        let line = [
            format!("{:<10}", "not"),
            column(Tone::Faint, &skipped.provider, 20),
            column(Tone::Faint, &skipped.model, 30),
            cut(&skipped.why, REASON),
        ];
        writeln!(out, "{}", line.join("  "))?;
    }
    Ok(())
}
