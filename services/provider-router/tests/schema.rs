//! The JSON Schema of `providers.yaml`: the committed one is current, and it agrees with the parser.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use jsonschema::Validator;
use nexus_provider_router::provider::TYPES;
use nexus_provider_router::registry::file::ProvidersFile;
use nexus_provider_router::registry::schema::schema;
use nexus_service_kit::config::yaml::Document;
use serde_json::{Value, json};

const COMMITTED: &str = "config/providers.schema.json";

fn in_tree(path: &str) -> PathBuf {
    Path::new("../..").join(path)
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(in_tree(path)).context(path.to_owned())
}

fn validator() -> Result<Validator> {
    Ok(jsonschema::draft202012::new(&schema())?)
}

/// What the schema has against a text.
fn complaints(validator: &Validator, value: &Value) -> Vec<String> {
    let errors = validator.iter_errors(value);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// `UPDATE_SCHEMAS=1` writes the file instead, after a change that is meant.
#[test]
fn committed_schema_is_current() -> Result<()> {
    let text = format!("{}\n", serde_json::to_string_pretty(&schema())?);
    if option_env!("UPDATE_SCHEMAS").is_some() {
        std::fs::write(in_tree(COMMITTED), &text)?;
    }
    ensure!(
        read(COMMITTED)? == text,
        "{COMMITTED} differs from the code; run `just schemas`"
    );
    Ok(())
}

#[test]
fn the_schema_knows_every_type_and_says_what_every_key_is_for() -> Result<()> {
    let schema = schema();
    let types: Vec<&str> = TYPES.iter().map(|kind| kind.name).collect();
    assert_eq!(schema["$defs"]["Type"]["enum"], json!(types));
    let defs = schema["$defs"].as_object().context("no definitions")?;
    let objects = defs.values().chain([&schema]).chain(
        defs["Model"]["anyOf"]
            .as_array()
            .context("a name or more")?,
    );
    for object in objects {
        let Some(keys) = object["properties"].as_object() else {
            continue;
        };
        ensure!(object["additionalProperties"] == false, "{object}");
        for (key, about) in keys {
            ensure!(about["description"].is_string(), "`{key}` says nothing");
        }
    }
    let timeouts = &schema["$defs"]["Timeouts"]["properties"];
    assert_eq!(timeouts["connect"]["default"], "5s");
    Ok(())
}

#[test]
fn the_file_that_ships_names_its_schema() -> Result<()> {
    let text = read("config/providers.yaml")?;
    let first = text.lines().next().context("an empty file")?;
    assert_eq!(
        first,
        "# yaml-language-server: $schema=providers.schema.json"
    );
    Ok(())
}

/// The file that ships with all that is commented out in it.
fn in_full(shipped: &str) -> String {
    let mut lines = shipped.lines();
    let active: Vec<String> = lines
        .by_ref()
        .take_while(|line| !line.starts_with("providers:"))
        .map(str::to_owned)
        .collect();
    let of_yaml = |line: &str| {
        let bare = line.replacen("# ", "", 1);
        let word = bare.split_whitespace().next().unwrap_or_default();
        (word == "-" || word.ends_with(':')).then_some(bare)
    };
    let rest = lines.filter_map(of_yaml);
    let lines = active
        .into_iter()
        .chain(["providers:".to_owned()])
        .chain(rest);
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_ships_satisfies_schema_and_parser() -> Result<()> {
    let validator = validator()?;
    let shipped = read("config/providers.yaml")?;
    let full = in_full(&shipped);
    for text in [&shipped, &full] {
        let document = Document::parse(text, "providers.yaml")?;
        let complaints = complaints(&validator, document.value());
        ensure!(complaints.is_empty(), "{complaints:?} of\n{text}");
        ProvidersFile::parse(text, "providers.yaml")?;
    }
    let full = Document::parse(&full, "providers.yaml")?;
    let said = full.value();
    for pointer in ["/providers/openai/breaker/cooldown", "/routes/main/targets"] {
        ensure!(said.pointer(pointer).is_some(), "no {pointer} in {said}");
    }
    Ok(())
}

/// The blocks of YAML in a text.
fn blocks(markdown: &str) -> Vec<&str> {
    let fenced = markdown.split("```yaml\n").skip(1);
    fenced.filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn what_the_documents_show_satisfies_the_schema() -> Result<()> {
    let validator = validator()?;
    let mut shown = 0;
    for path in ["README.md", "services/provider-router/README.md"] {
        let text = read(path)?;
        for block in blocks(&text) {
            let mut value = Document::parse(block, path)?.value().clone();
            let fields = value.as_object_mut().context("no object")?;
            if !fields.contains_key("providers") && !fields.contains_key("routes") {
                continue;
            }
            // A part of a file may leave the rest out.
            fields.entry("providers").or_insert_with(|| json!({}));
            let complaints = complaints(&validator, &value);
            ensure!(complaints.is_empty(), "{path}: {complaints:?} of\n{block}");
            shown += 1;
        }
    }
    ensure!(shown >= 3, "only {shown} blocks were found");
    Ok(())
}

#[test]
fn what_is_broken_satisfies_neither_schema_nor_parser() -> Result<()> {
    let validator = validator()?;
    let provider = |rest: &str| format!("providers: {{a: {{type: openai, {rest}}}}}");
    let route = |rest: &str| {
        format!("default: a\nproviders: {{a: {{type: demo}}}}\nroutes: {{r: {{{rest}}}}}")
    };
    for text in [
        "default: a".to_owned(),
        "providers: [a]".to_owned(),
        "providers: {a: {type: opnai}}".to_owned(),
        "providers: {a: {base_url: \"http://x\"}}".to_owned(),
        "providers: {a b: {type: demo}}\ndefault: a b".to_owned(),
        "providers: {a: {type: demo}}\nprovider: {}".to_owned(),
        "providers: {a: {type: demo}}\ndelegates: {hearing: a}".to_owned(),
        provider("base_ulr: x"),
        provider("api_key_env: sk-canary-1"),
        provider("api_key_env: []"),
        provider("locality: here"),
        provider("headers: [x]"),
        provider("proxy: 3128"),
        provider("limits: {requests_per_minute: many}"),
        provider("limits: {requests_per_hour: 1}"),
        provider("timeouts: {idle: soon}"),
        provider("timeouts: {idle: 30}"),
        provider("breaker: {window: 30 sec}"),
        provider("models: [{context: 8000}]"),
        provider("models: [\"\"]"),
        provider("models: [{name: m, vison: true}]"),
        provider("models: [{name: m, quality: 101}]"),
        provider("models: [{name: m, embeds: maybe}]"),
        provider("models: [{name: m, tools: true}]"),
        provider("models: [{name: m, tools: xml}]"),
        provider("models: [{name: m, price: {input: -1}}]"),
        provider("models: [{name: m, price: {output: 1}}]"),
        provider("models: [{name: m, price: {input: \"1\"}}]"),
        route("strategy: random, targets: [{provider: a}]"),
        route("strategy: cost"),
        route("hedge_after: 2, targets: [{provider: a}]"),
        route("targets: [{provider: a, weight: 0}]"),
        route("targets: [{provider: a}, {provider: a, canary: 101}]"),
        route("targets: [{provider: a, when: {complexity: [hard]}}]"),
        route("targets: [{provider: a, when: {min_tokens: -1}}]"),
    ] {
        let document = Document::parse(&text, "providers.yaml")?;
        let complaints = complaints(&validator, document.value());
        ensure!(!complaints.is_empty(), "the schema takes\n{text}");
        let parsed = ProvidersFile::parse(&text, "providers.yaml");
        ensure!(parsed.is_err(), "the parser takes\n{text}");
    }
    Ok(())
}

#[test]
fn what_the_parser_takes_satisfies_the_schema() -> Result<()> {
    let validator = validator()?;
    for text in [
        "providers: {a: {type: openai, api_key_env: [ONE, TWO], timeouts: {total: 1h 30m, idle: 500ms}}}",
        "providers: {a: {type: openai, base_url: null, model: null, proxy: null}}",
        "providers: {a: {type: openai, models: [m, {name: n, price: {input: 0.25, cached_input: 1}}]}}",
        "providers: {a: {type: openai, models: [{name: n, tools: native}, {name: o, tools: text}, \
         {name: p, tools: none}, {name: q, tools: null}]}}",
        "providers: {a: {type: demo, delay_ms_per_token: 5, headers: {}}}",
        "providers: {a: {type: openai, models: [{name: n, embeds: true}, {name: o, embeds: false}]}}",
        "default: r\nproviders: {a: {type: demo}}\ndelegates: {vision: a, context: r, embed: a}\n\
         routes: {r: {hedge_after: 2s, on_interruption: fail, targets: [{provider: a, weight: 3, \
         when: {purpose: summary, complexity: [low, high], images: false, \
         organisations: [0197a5f0-0000-7000-8000-000000000001]}}]}}",
    ] {
        ProvidersFile::parse(text, "providers.yaml")?;
        let document = Document::parse(text, "providers.yaml")?;
        let complaints = complaints(&validator, document.value());
        ensure!(complaints.is_empty(), "{complaints:?} of\n{text}");
    }
    Ok(())
}
