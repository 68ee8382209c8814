//! Nexus with points at which it dies, and a tool whose effects can be counted.

use std::process::ExitCode;

use anyhow::{Context, Result};
use nexus::compose::SERVICES;
use nexus_crash_tests::effects::{Append, Register};
use nexus_service_kit::config::config_file;
use nexus_service_kit::{ConfigError, ConfigSource, NodeConfig, Service, run_process};
use nexus_tool_executor::{DEFAULT_CONFIG, NAME, registry, service_with};

fn main() -> Result<ExitCode> {
    let (wanted, overrides) = arguments()?;
    let source = ConfigSource::load(config_file().as_deref(), &overrides)?;
    let chosen = SERVICES
        .iter()
        .filter(|entry| wanted.as_deref().is_none_or(|name| name == entry.name));
    let services: Result<Vec<_>, ConfigError> = chosen
        .map(|entry| match entry.name {
            NAME => tools(&source),
            _ => entry.make(&source),
        })
        .collect();
    let config = NodeConfig::from_source(&source)?;
    Ok(run_process(config, services?, |node| {
        announce(&node.admin_address().to_string());
    }))
}

/// A key and what is laid over its value.
type Setting = (String, String);

/// `up` or `run <service>`, then any number of `--set <key>=<value>`.
fn arguments() -> Result<(Option<String>, Vec<Setting>)> {
    let mut words = std::env::args().skip(1);
    let wanted = match words.next().context("up, or run <service>")?.as_str() {
        "run" => Some(words.next().context("run which service?")?),
        _ => None,
    };
    let settings = words.filter(|word| word != "--set").map(|setting| {
        let (key, value) = setting.split_once('=').context(setting.clone())?;
        Ok((key.to_owned(), value.to_owned()))
    });
    Ok((wanted, settings.collect::<Result<_>>()?))
}

fn tools(source: &ConfigSource) -> Result<Box<dyn Service>, ConfigError> {
    let config = source.section(NAME, DEFAULT_CONFIG)?;
    Ok(service_with(config, |parts| {
        let mut tools = registry::catalogue(parts);
        tools.push(std::sync::Arc::new(Append));
        tools.push(std::sync::Arc::new(Register));
        tools
    }))
}

/// Where a test reaches the points.
#[expect(clippy::print_stdout, reason = "a test reads it")]
fn announce(admin: &str) {
    println!("{}{admin}", nexus_crash_tests::switches::ADMIN);
}
