//! What `providers.yaml` may say, and what it gets for the rest.

use secrecy::SecretString;

use super::file::ProvidersFile;
use super::{ProviderStatus, Registry};
use crate::provider::FailureClass;

fn build(text: &str) -> Result<Registry, String> {
    nexus_service_kit::telemetry::install_tls();
    let file = ProvidersFile::parse(text, "providers.yaml").map_err(|error| error.to_string())?;
    let secrets = |name: &str| (name == "THE_KEY").then(|| SecretString::from("sk-canary-42"));
    Registry::build(&file, &secrets).map_err(|error| error.to_string())
}

fn error(text: &str) -> String {
    build(text)
        .err()
        .unwrap_or_else(|| panic!("no error: {text:?}"))
}

fn status(text: &str, name: &str) -> ProviderStatus {
    let statuses = build(text).unwrap().statuses();
    statuses
        .into_iter()
        .find(|status| status.name == name)
        .unwrap()
}

#[test]
fn the_file_that_ships_is_the_demo_alone() {
    let demo = status(include_str!("../../../../config/providers.yaml"), "demo");
    assert!(demo.usable && demo.default && demo.demo);
    assert_eq!(demo.models, ["demo-1"]);
}

#[test]
fn a_real_provider_is_two_lines() {
    let text = "default: openai\nproviders: {openai: {type: openai}}";
    let openai = status(text, "openai");
    assert!(openai.default && !openai.demo && !openai.usable);
    assert!(openai.reason.unwrap().contains("OPENAI_API_KEY"));
    let text = "providers: {it: {type: openai, api_key_env: THE_KEY, model: m, models: [n]}}";
    let usable = status(text, "it");
    assert!(usable.usable && usable.default);
    assert_eq!(usable.models, ["m", "n"]);
}

#[test]
fn vectors_are_made_by_the_first_that_embeds_or_the_usual_one() {
    let made_by = |settings: &str| {
        let text = format!("providers: {{it: {{{settings}}}}}");
        status(&text, "it").embedding_model
    };
    for (settings, model) in [
        ("type: demo", Some("demo-embed-1")),
        ("type: openai", Some("text-embedding-3-small")),
        ("type: gemini", Some("gemini-embedding-001")),
        ("type: ollama", Some("nomic-embed-text")),
        ("type: local", Some("default-embedding")),
        ("type: openai, base_url: 'http://x/v1'", None),
        (
            "type: ollama, base_url: 'http://x/v1'",
            Some("nomic-embed-text"),
        ),
        ("type: human", None),
        ("type: anthropic", None),
        ("type: perplexity", None),
        (
            "type: local, models: [chat, {name: bge, embeds: true}, {name: e5, embeds: true}]",
            Some("bge"),
        ),
        (
            "type: openai, models: [{name: none, embeds: false}]",
            Some("text-embedding-3-small"),
        ),
    ] {
        assert_eq!(made_by(settings).as_deref(), model, "{settings}");
    }
    let wrong = error("providers: {it: {type: demo, models: [{name: m, embeds: maybe}]}}");
    assert!(
        wrong.contains("embeds") || wrong.contains("maybe"),
        "{wrong}"
    );
}

#[test]
fn the_usual_key_goes_to_the_usual_address_only() {
    let text = "providers: {it: {type: openai, base_url: \"http://127.0.0.1:9/v1\"}}";
    assert!(status(text, "it").usable);
}

#[test]
fn calls_of_what_is_not_there_say_what_is() {
    let text = "default: demo\nproviders: {demo: {type: demo}, openai: {type: openai}}";
    let registry = build(text).unwrap();
    assert_eq!(&*registry.find(None).unwrap().name, "demo");
    let unknown = registry.find(Some("opnai")).err().unwrap();
    assert_eq!(unknown.class, FailureClass::UnknownProvider);
    assert_eq!(
        unknown.detail,
        "there is no provider `opnai`, only: demo, openai; did you mean `openai`?"
    );
    let missing = registry
        .find(Some("openai"))
        .unwrap()
        .provider
        .as_ref()
        .err()
        .unwrap();
    assert_eq!(missing.class, FailureClass::MissingKey);
}

#[test]
fn a_broken_file_is_reported_with_its_line() {
    for (text, wanted) in [
        (
            "providers:\n  a:\n    type: demo\n    base_ulr: x",
            "providers.yaml:4",
        ),
        (
            "providers:\n  a:\n    type: demo\n    base_ulr: x",
            "base_url",
        ),
        ("providers:\n  a:\n    type: opnai", "providers.yaml:3"),
        (
            "providers:\n  a:\n    type: opnai",
            "did you mean `openai`?",
        ),
        (
            "providers:\n  a: {type: demo}\n  b: {type: demo}\n",
            "`default`",
        ),
        (
            "default: c\nproviders:\n  a: {type: demo}",
            "providers.yaml:1",
        ),
        ("providers:\n  a b: {type: demo}", "providers.yaml:2"),
        ("providers: [", "providers.yaml:"),
        ("", "providers"),
        ("providers: {}", "`default`"),
        (
            "providers:\n  a: {type: openai, timeouts: {idle: soon}}",
            "soon",
        ),
        (
            "providers:\n  a: {type: openai, base_url: ftp://x}",
            "https://",
        ),
        (
            "providers:\n  a: {type: openai, base_url: nonsense}",
            "`base_url`",
        ),
        (
            "providers:\n  a: {type: openai, base_url: \"http://u:p@x/v1\"}",
            "password",
        ),
        (
            "providers:\n  a: {type: openai, base_url: \"http://x\", headers: {\"b d\": x}}",
            "one of the names",
        ),
        (
            "providers:\n  a: {type: openai, delay_ms_per_token: 3}",
            "`delay_ms_per_token`",
        ),
        (
            "providers:\n  a: {type: demo, base_url: \"http://x\"}",
            "type: openai",
        ),
    ] {
        let error = error(text);
        assert!(error.contains(wanted), "{text:?}: {error}");
    }
}

#[test]
fn a_key_in_the_place_of_its_variable_is_refused_and_not_repeated() {
    let text = "providers: {it: {type: openai, api_key_env: sk-secret-1, model: m}}\ndefault: it";
    let error = ProvidersFile::parse(text, "p.yaml")
        .unwrap_err()
        .to_string();
    assert!(error.contains("name of an environment variable"), "{error}");
    assert!(!error.contains("sk-secret-1"), "{error}");
}

#[test]
fn a_secret_in_a_wrong_place_is_refused_and_not_repeated() {
    let it = |rest: &str| format!("providers: {{it: {{type: openai, model: m, {rest}}}}}");
    for (text, wanted) in [
        (
            "providers: {openai: sk-secret-1}".to_owned(),
            "string, expected",
        ),
        (
            it("headers: 'authorization: sk-secret-1'"),
            "string, expected a map",
        ),
        (it("headers: {x: 7352046881}"), "integer, expected a string"),
        (it("proxy: 7352046881"), "integer, expected a string"),
        (it("limits: 'a, expected sk-secret-1'"), "string, expected"),
    ] {
        let error = error(&text);
        assert!(error.contains(wanted), "{text}: {error}");
        for secret in ["secret-1", "7352046881"] {
            assert!(!error.contains(secret), "{text}: {error}");
        }
    }
}

#[test]
fn where_one_provider_is_wanted_a_route_names_its_own() {
    let text =
        "default: r\nproviders: {demo: {type: demo}}\nroutes: {r: {targets: [{provider: demo}]}}";
    let registry = build(text).unwrap();
    let failure = registry.find(Some("r")).err().unwrap();
    assert_eq!(
        failure.detail,
        "`r` is a route; name one of its providers: demo"
    );
}
