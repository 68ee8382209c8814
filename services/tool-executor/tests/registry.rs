//! Schemas, arguments, and what the configuration switches on.

use anyhow::{Context, Result};
use nexus_contracts::{MessageId, OrgId, Timestamp, derive_id};
use std::sync::Arc;

use nexus_bus::{Bus, BusConfig, BusUrl};
use nexus_service_kit::{Clock, ConfigSource, Deps, Stores};
use nexus_store::Ledger;
use nexus_tool_executor::registry::catalogue;
use nexus_tool_executor::tools::{CurrentTime, MathSolver};
use nexus_tool_executor::{
    AnyTool, Config, DEFAULT_CONFIG, NAME, Parts, Registry, ToolContext, ToolError,
};
use serde_json::{Value, json};

/// Tools that need nothing.
fn plain() -> Vec<Arc<dyn AnyTool>> {
    vec![Arc::new(CurrentTime), Arc::new(MathSolver::new())]
}

fn config(overrides: &[(&str, &str)]) -> Result<Config> {
    let full = |(key, value): &(&str, &str)| (format!("{NAME}.{key}"), (*value).to_owned());
    let overrides: Vec<_> = overrides.iter().map(full).collect();
    Ok(ConfigSource::of_layers(None, [], &overrides)?.section(NAME, DEFAULT_CONFIG)?)
}

async fn call(tool: &str, arguments: &str) -> Result<Result<Value, ToolError>> {
    let registry = Registry::new(plain(), &config(&[])?)?;
    let org = OrgId(derive_id([b"org".as_slice()]));
    let now = Timestamp::from_millis(1_769_902_215_250);
    let ctx = ToolContext::new(org, MessageId::new("call")?, now);
    let entry = registry.get(tool).context("the tool exists")?;
    let returned = entry.tool.invoke(arguments, &ctx).await;
    Ok(returned.map(|returned| returned.value))
}

/// What a service has that has just started.
async fn parts(folder: &std::path::Path) -> Result<Parts> {
    let url = BusUrl::Embedded {
        path: folder.join("bus.db"),
        read_only: false,
    };
    let bus = Bus::connect(&BusConfig::new(url, folder.join("blobs"))).await?;
    let stores = Stores::new(&format!("sqlite:{}", folder.display()))?;
    let deps = Deps::new(bus, Clock::system(), stores);
    let store = deps.stores.open(NAME, Ledger::MIGRATIONS).await?;
    Ok(Parts::new(&deps, &Arc::new(config(&[])?), store)?)
}

#[tokio::test]
async fn schemas_are_plain_objects_a_provider_accepts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let parts = parts(folder.path()).await?;
    let registry = Registry::new(catalogue(&parts), &parts.config)?;
    assert_eq!(
        registry.names(),
        "add_document, ask_model, current_time, execute_code, forget, http_request, \
         load_web_page, math_solver, perplexity_search, read_result, recall, remember, \
         search_documents, web_search"
    );
    for spec in registry.listed() {
        let schema = spec
            .parameters
            .as_object()
            .context("a schema is an object")?;
        assert_eq!(schema["type"], "object", "{}", spec.name);
        assert_eq!(schema["additionalProperties"], false, "{}", spec.name);
        assert!(
            !schema.contains_key("$schema") && !schema.contains_key("$defs"),
            "{}",
            spec.name
        );
        let properties = schema["properties"]
            .as_object()
            .context("it has properties")?;
        for (name, property) in properties {
            assert!(
                property["description"].is_string(),
                "{}.{name} is explained",
                spec.name
            );
        }
        assert!(spec.description.len() > 40, "{} is explained", spec.name);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(spec.name.chars().all(plain), "{}", spec.name);
    }
    let entry = registry.get("math_solver").context("it exists")?;
    let spec = &entry.listed;
    let properties = &spec.parameters["properties"];
    assert_eq!(properties["expression"]["type"], "string");
    assert_eq!(properties["equations"]["items"], json!({"type": "string"}));
    let number = json!({"type": ["number", "string"]});
    for list in ["data", "y", "quantiles", "range"] {
        assert_eq!(properties[list]["type"], "array", "{list}");
        assert_eq!(properties[list]["items"], number, "{list}");
    }
    let words = spec.description.split_whitespace().count();
    assert!(words <= 60, "{words} words");
    Ok(())
}

#[tokio::test]
async fn arguments_that_do_not_fit_name_the_field_and_what_was_expected() -> Result<()> {
    for (arguments, words) in [
        (
            r#"{"expression": 5}"#,
            ["`expression`", "expected a string"],
        ),
        (r#"{}"#, ["exactly one of `expression`", "`equations`"]),
        ("", ["exactly one of `expression`", "`data`"]),
        (
            r#"{"data": [1, true]}"#,
            ["`data[1]`", "expected a number, or text"],
        ),
        (
            r#"{"expression": "1", "x": 2}"#,
            ["unknown field `x`", "expected one of `expression`"],
        ),
        (
            r#"{"expression": "1"} and more"#,
            ["trailing characters", "schema"],
        ),
        (r#"{"expression": "1"#, ["EOF", "schema"]),
        ("37 * 43", ["invalid type", "one JSON object"]),
        ("[1]", ["invalid type", "one JSON object"]),
    ] {
        let error = call("math_solver", arguments)
            .await?
            .expect_err("the arguments are refused");
        assert_eq!(error.code(), "bad_arguments", "{arguments}");
        let text = error.to_string();
        assert!(
            words.iter().all(|word| text.contains(word)),
            "{arguments}: {text}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn no_arguments_are_an_empty_object() -> Result<()> {
    for arguments in ["", " ", "null", "{}", r#"{"timezone": null}"#] {
        let told = call("current_time", arguments).await??;
        assert_eq!(told["time"], "2026-01-31T23:30:15Z", "{arguments}");
    }
    let told = call("current_time", r#"{"timezone": "Europe/Berlin"}"#).await??;
    assert_eq!(told["time"], "2026-02-01T00:30:15+01:00");
    let error = call("current_time", r#"{"timezone": "Europe/Atlantis"}"#).await?;
    let error = error.expect_err("no such zone").to_string();
    assert!(
        error.contains("Europe/Atlantis") && error.contains("+02:00"),
        "{error}"
    );
    Ok(())
}

#[test]
fn the_configuration_switches_tools_on_and_off() -> Result<()> {
    let names = |overrides: &[(&str, &str)]| -> Result<String> {
        Ok(Registry::new(plain(), &config(overrides)?)?.names())
    };
    assert_eq!(names(&[("enabled", "[math_solver]")])?, "math_solver");
    assert_eq!(names(&[("disabled", "[math_solver]")])?, "current_time");
    assert_eq!(
        names(&[("enabled", "[math_solver]"), ("disabled", "[math_solver]")])?,
        ""
    );
    let error = names(&[("disabled", "[math]")])
        .expect_err("there is no such tool")
        .to_string();
    assert!(
        error.contains("disabled") && error.contains("current_time, math_solver"),
        "{error}"
    );
    let mut twice = plain();
    twice.extend(plain());
    assert!(Registry::new(twice, &config(&[])?).is_err());
    Ok(())
}
