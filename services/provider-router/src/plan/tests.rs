//! Which models are asked, by files as people write them.

use std::sync::LazyLock;

use nexus_contracts::OrgId;
use nexus_contracts::events::Purpose;
use nexus_contracts::settings::Privacy;
use proptest::prelude::{prop_assert, proptest};
use secrecy::SecretString;
use uuid::Uuid;

use super::{Facts, Need, Nothing, Plan, plan};
use crate::complexity::{Complexity, Feature};
use crate::provider::{FailureClass, ProviderFailure};
use crate::registry::Registry;
use crate::registry::file::ProvidersFile;
use crate::registry::models::{Task, ToolUse};

mod vectors;

const FILE: &str = r#"
default: main
providers:
  cheap:
    type: openai
    api_key_env: KEY
    model: small
    models:
      - {name: small, context: 8000, vision: false, tools: none, quality: 40,
         price: {input: 0.1, output: 0.4}}
  strong:
    type: anthropic
    api_key_env: KEY
    model: large
    models:
      - {name: large, context: 200000, schema: false, quality: 90, price: {input: 3, output: 15}}
  eyes: {type: gemini, api_key_env: KEY, model: seeing}
  keyless: {type: openai, api_key_env: NOT_SET, model: gone}
  here: {type: ollama, model: local-1, models: [{name: local-1, vision: false}]}
routes:
  main:
    targets:
      - {provider: keyless}
      - {provider: cheap, when: {complexity: [low]}}
      - {provider: strong}
      - {provider: here}
  cost: {strategy: cost, targets: [{provider: eyes}, {provider: strong}, {provider: cheap}, {provider: here}]}
  quality: {strategy: quality, targets: [{provider: eyes}, {provider: cheap}, {provider: strong}]}
  fast: {strategy: latency, targets: [{provider: cheap}, {provider: strong}, {provider: eyes}]}
  shared: {targets: [{provider: cheap, weight: 3}, {provider: strong, weight: 1}, {provider: here}]}
  canary: {targets: [{provider: eyes, canary: 10}, {provider: strong}]}
  summaries: {targets: [{provider: cheap, when: {purpose: summary}}, {provider: strong}]}
  blind: {targets: [{provider: cheap}, {provider: here}]}
delegates: {vision: eyes}
"#;

fn registry() -> Registry {
    nexus_service_kit::telemetry::install_tls();
    let file = ProvidersFile::parse(FILE, "providers.yaml").unwrap();
    let secrets = |name: &str| (name == "KEY").then(|| SecretString::from("sk-canary-42"));
    Registry::build(&file, &secrets).unwrap()
}

/// Built once: each building sets up the clients of all providers.
static REGISTRY: LazyLock<Registry> = LazyLock::new(registry);

fn need(target: Option<&'static str>) -> Need<'static> {
    Need {
        task: Task::Chat,
        target,
        model: None,
        org: OrgId(Uuid::nil()),
        seed: "a conversation",
        privacy: Privacy::Open,
        purpose: Purpose::Answer,
        tools: false,
        images: false,
        schema: false,
        tokens: 1_000,
        answer_tokens: 500,
    }
}

fn complexity(score: f64) -> Complexity {
    Complexity::of(vec![Feature {
        name: "set",
        value: String::new(),
        adds: score,
    }])
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.candidates
        .iter()
        .map(|one| &*one.configured.name)
        .collect()
}

fn planned(need: &Need<'_>) -> Plan {
    plan(&registry(), need, &complexity(0.1), &Nothing)
        .unwrap_or_else(|failure| panic!("{failure}"))
}

fn refused(need: &Need<'_>) -> ProviderFailure {
    let plan = plan(&registry(), need, &complexity(0.1), &Nothing);
    plan.err().unwrap_or_else(|| panic!("there is a plan"))
}

#[test]
fn a_route_is_asked_in_order_without_those_that_cannot() {
    let plan = planned(&need(None));
    assert_eq!(names(&plan), ["cheap", "strong", "here"]);
    assert_eq!(plan.route.as_deref(), Some("main"));
    let skipped = plan.skipped.first().unwrap();
    assert_eq!(skipped.provider, "keyless");
    assert!(skipped.why.contains("NOT_SET"), "{}", skipped.why);
}

#[test]
fn what_is_hard_goes_past_the_cheap_one() {
    let plan = plan(&registry(), &need(None), &complexity(0.8), &Nothing).unwrap();
    assert_eq!(names(&plan), ["strong", "here"]);
    let why = &plan.skipped.get(1).unwrap().why;
    assert_eq!(why, "the question's complexity is high");
}

#[test]
fn who_is_named_is_asked_alone() {
    let plan = planned(&need(Some("strong")));
    assert_eq!(names(&plan), ["strong"]);
    assert_eq!(plan.route, None);
    let failure = refused(&need(Some("keyless")));
    assert_eq!(failure.class, FailureClass::MissingKey);
    let failure = refused(&need(Some("stong")));
    assert_eq!(failure.class, FailureClass::UnknownProvider);
    assert!(
        failure.detail.ends_with("did you mean `strong`?"),
        "{failure}"
    );
}

#[test]
fn a_model_alone_finds_whoever_has_it() {
    let with = |target, model| Need {
        model: Some(model),
        ..need(target)
    };
    assert_eq!(names(&planned(&with(None, "large"))), ["strong"]);
    assert_eq!(names(&planned(&with(None, "seeing"))), ["eyes"]);
    // A model nobody lists goes to who was named.
    let plan = planned(&with(Some("cheap"), "new-one"));
    assert_eq!(&*plan.candidates.first().unwrap().model, "new-one");
    let failure = refused(&with(Some("main"), "smal"));
    assert_eq!(failure.class, FailureClass::UnknownModel);
    assert!(
        failure.detail.ends_with("did you mean `small`?"),
        "{failure}"
    );
}

#[test]
fn what_may_not_leave_stays_and_the_refusal_says_why() {
    for privacy in [Privacy::Sensitive, Privacy::LocalOnly] {
        let with = |target| Need {
            privacy,
            ..need(target)
        };
        assert_eq!(names(&planned(&with(None))), ["here"]);
        let failure = refused(&with(Some("strong")));
        assert_eq!(failure.class, FailureClass::PrivacyRefused);
        assert!(failure.detail.contains("may not leave") || failure.detail.contains("may leave"));
        assert!(failure.detail.contains("locality: local"), "{failure}");
        assert_eq!(
            refused(&with(Some("quality"))).class,
            FailureClass::PrivacyRefused
        );
    }
}

#[test]
fn what_a_model_lacks_passes_it_by() {
    let plan = planned(&Need {
        tools: true,
        ..need(None)
    });
    assert_eq!(names(&plan), ["strong", "here"]);
    let long = planned(&Need {
        tokens: 7_600,
        ..need(None)
    });
    assert_eq!(
        names(&long),
        ["strong", "here"],
        "7,600 and 500 are more than 8,000"
    );
    let shaped = planned(&Need {
        schema: true,
        ..need(None)
    });
    assert_eq!(names(&shaped), ["cheap", "here"]);
}

#[test]
fn a_delegate_does_what_nobody_can() {
    let seeing = |target| Need {
        images: true,
        ..need(target)
    };
    let plan = planned(&seeing(Some("blind")));
    assert_eq!(names(&plan), ["eyes"]);
    let delegated = plan.delegated.unwrap();
    assert_eq!(
        (delegated.from.as_str(), delegated.to.as_str()),
        ("blind", "eyes")
    );
    // Also when it was meant by name.
    assert_eq!(names(&planned(&seeing(Some("cheap")))), ["eyes"]);
    // Never past privacy.
    let failure = refused(&Need {
        privacy: Privacy::Sensitive,
        ..seeing(Some("blind"))
    });
    assert_eq!(failure.class, FailureClass::PrivacyRefused);
    // Where nobody is named, the refusal says what is lacking.
    let failure = refused(&Need {
        tools: true,
        ..need(Some("cheap"))
    });
    assert_eq!(failure.class, FailureClass::Unsupported);
    assert!(
        failure.detail.contains("small cannot call tools"),
        "{failure}"
    );
}

#[test]
fn the_cheapest_the_best_and_the_quickest() {
    // What is here costs nothing; what has no price is dear.
    let cost = planned(&need(Some("cost")));
    assert_eq!(names(&cost), ["here", "cheap", "strong", "eyes"]);
    let quality = planned(&need(Some("quality")));
    assert_eq!(names(&quality), ["strong", "cheap", "eyes"]);
    struct Seen;
    impl Facts for Seen {
        fn latency_ms(&self, provider: &str, _: &str) -> Option<u64> {
            match provider {
                "cheap" => Some(900),
                "strong" => Some(300),
                _ => Some(2_000),
            }
        }
    }
    let fast = plan(&registry(), &need(Some("fast")), &complexity(0.1), &Seen).unwrap();
    assert_eq!(names(&fast), ["strong", "cheap", "eyes"]);
}

#[test]
fn alike_in_speed_a_conversation_stays_where_it_is() {
    struct Alike(u64);
    impl Facts for Alike {
        fn latency_ms(&self, provider: &str, _: &str) -> Option<u64> {
            Some(if provider == "cheap" { 300 } else { self.0 })
        }
    }
    let registry = registry();
    let first = |jitter| {
        let plan = plan(
            &registry,
            &need(Some("fast")),
            &complexity(0.1),
            &Alike(jitter),
        );
        names(&plan.unwrap()).join(" ")
    };
    assert_eq!(first(295), first(305));
    assert_eq!(first(280), first(350));
}

/// How many of a thousand conversations begin with each.
fn firsts(route: &'static str) -> (usize, usize) {
    let registry = registry();
    let seeds: Vec<String> = (0..1_000).map(|n| format!("conversation {n}")).collect();
    let firsts: Vec<String> = seeds
        .iter()
        .map(|seed| {
            let need = Need {
                seed,
                ..need(Some(route))
            };
            let plan = plan(&registry, &need, &complexity(0.1), &Nothing).unwrap();
            let names = names(&plan);
            (*names.first().unwrap()).to_owned()
        })
        .collect();
    let of = |name: &str| firsts.iter().filter(|first| *first == name).count();
    (
        of("strong"),
        of(if route == "shared" { "cheap" } else { "eyes" }),
    )
}

#[test]
fn weights_share_and_canaries_take_their_percentage() {
    // Three standard deviations of a draw of 1,000: 41 and 28.
    let (strong, cheap) = firsts("shared");
    assert!(
        (209..=291).contains(&strong) && strong + cheap == 1_000,
        "{strong}"
    );
    let (strong, eyes) = firsts("canary");
    assert!(
        (72..=128).contains(&eyes) && strong + eyes == 1_000,
        "{eyes}"
    );
}

#[test]
fn who_was_not_drawn_is_still_there_to_fall_back_on() {
    let mut names: Vec<String> = names(&planned(&need(Some("shared"))))
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(
        names.pop().as_deref(),
        Some("here"),
        "without a weight, in its place"
    );
    names.sort();
    assert_eq!(names, ["cheap", "strong"]);
}

#[test]
fn a_target_for_another_purpose_is_passed_by() {
    assert_eq!(names(&planned(&need(Some("summaries")))), ["strong"]);
    let summary = planned(&Need {
        purpose: Purpose::Summary,
        ..need(Some("summaries"))
    });
    assert_eq!(names(&summary), ["cheap", "strong"]);
}

proptest! {
    /// Whatever is needed: a plan never leaks, never names who cannot, and is the same every time.
    #[test]
    fn plans_keep_what_they_promise(
        route in proptest::sample::select(vec!["main", "cost", "shared", "canary", "blind", "here"]),
        private in proptest::bool::ANY, tools in proptest::bool::ANY, images in proptest::bool::ANY,
        tokens in 0..300_000_u64, seed in "[a-z]{1,8}", score in 0.0..1.0,
    ) {
        let need = Need {
            privacy: if private { Privacy::Sensitive } else { Privacy::Open },
            tools, images, tokens, seed: &seed, ..need(Some(route))
        };
        let make = || plan(&REGISTRY, &need, &complexity(score), &Nothing);
        let Ok(made) = make() else { return Ok(()) };
        prop_assert!(!made.candidates.is_empty());
        for candidate in &made.candidates {
            prop_assert!(!private || candidate.configured.local);
            prop_assert!(candidate.configured.provider.is_ok());
            let spec = candidate.spec();
            prop_assert!(!(images && spec.is_some_and(|spec| spec.vision == Some(false))));
            prop_assert!(!(tools && spec.is_some_and(|spec| spec.tools == Some(ToolUse::None))));
        }
        let again = make().unwrap_or_else(|failure| panic!("{failure}"));
        prop_assert!(names(&again) == names(&made));
    }
}
