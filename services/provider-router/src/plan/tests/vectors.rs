//! Which models make vectors.

use nexus_contracts::OrgId;
use nexus_contracts::events::Purpose;
use nexus_contracts::settings::Privacy;
use uuid::Uuid;

use super::{complexity, names};
use crate::plan::{Need, Nothing, Plan, plan};
use crate::provider::{FailureClass, ProviderFailure};
use crate::registry::Registry;
use crate::registry::file::ProvidersFile;
use crate::registry::models::Task;

const FILE: &str = r#"
default: main
providers:
  two:
    type: ollama
    model: llama
    models: [llama, {name: e1, embeds: true, context: 100}, {name: e2, embeds: true}, {name: no, embeds: false}]
  plain: {type: ollama, model: qwen3}
  talks: {type: perplexity, base_url: "http://127.0.0.1:9"}
  people: {type: human}
  workers: {type: local}
routes:
  main: {targets: [{provider: talks}, {provider: people}, {provider: two, model: llama}, {provider: two, model: no}, {provider: two, model: e2}, {provider: plain}]}
  talkers: {targets: [{provider: talks}, {provider: people}]}
"#;

fn need(target: Option<&'static str>, model: Option<&'static str>) -> Need<'static> {
    Need {
        task: Task::Embed,
        target,
        model,
        org: OrgId(Uuid::nil()),
        seed: "a command",
        privacy: Privacy::Open,
        purpose: Purpose::Answer,
        tools: false,
        images: false,
        schema: false,
        tokens: 10,
        answer_tokens: 0,
    }
}

fn planned(file: &str, need: &Need<'_>) -> Result<Plan, ProviderFailure> {
    nexus_service_kit::telemetry::install_tls();
    let file = ProvidersFile::parse(file, "providers.yaml").unwrap();
    let registry = Registry::build(&file, &|_: &str| None).unwrap();
    plan(&registry, need, &complexity(0.1), &Nothing)
}

fn models(plan: &Plan) -> Vec<&str> {
    plan.candidates.iter().map(|one| &*one.model).collect()
}

#[test]
fn targets_for_answers_stand_for_the_models_that_make_vectors() {
    let plan = planned(FILE, &need(None, None)).unwrap();
    // The targets of `two` that are for answers share one model for vectors: asked once.
    assert_eq!(names(&plan), ["two", "two", "plain"]);
    assert_eq!(models(&plan), ["e1", "e2", "nomic-embed-text"]);
    let skipped: Vec<_> = plan.skipped.iter().map(|one| &*one.provider).collect();
    assert_eq!(skipped, ["talks", "people"]);
    for one in &plan.skipped {
        assert!(one.why.contains("turn texts into vectors"), "{}", one.why);
    }
}

#[test]
fn a_model_that_is_named_is_taken_unless_it_is_known_not_to() {
    for (target, model, made_by) in [
        (Some("two"), None, "e1"),
        (Some("two"), Some("e2"), "e2"),
        (Some("two"), Some("llama"), "llama"),
        (Some("two"), Some("unheard-of"), "unheard-of"),
        (None, Some("e2"), "e2"),
        (None, Some("nomic-embed-text"), "nomic-embed-text"),
        (Some("workers"), None, "default-embedding"),
        (Some("workers"), Some("bge"), "bge"),
    ] {
        let plan = planned(FILE, &need(target, model)).unwrap();
        assert_eq!(models(&plan), [made_by], "{target:?} {model:?}");
    }
    for (target, model) in [
        (Some("two"), Some("no")),
        (Some("people"), None),
        (Some("talks"), None),
        (Some("talkers"), None),
    ] {
        let failure = planned(FILE, &need(target, model)).err().unwrap();
        assert_eq!(failure.class, FailureClass::Unsupported, "{failure}");
        assert!(
            failure.detail.contains("turn texts into vectors"),
            "{failure}"
        );
    }
}

#[test]
fn a_text_that_is_too_long_for_one_goes_to_the_next() {
    let long = Need {
        tokens: 200,
        ..need(None, None)
    };
    let plan = planned(FILE, &long).unwrap();
    assert_eq!(models(&plan), ["e2", "nomic-embed-text"]);
}

#[test]
fn who_makes_none_may_have_a_delegate() {
    let file = format!("{FILE}delegates: {{embed: plain}}\n");
    let plan = planned(&file, &need(Some("talkers"), None)).unwrap();
    assert_eq!(models(&plan), ["nomic-embed-text"]);
}
