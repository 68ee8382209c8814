//! `nexus-chaos`: breaks everything around a running Nexus and counts what was lost. See README.md.
//!
//! Called by the name `nexus`, the same file is the workers' program: a run needs no second build,
//! and both are of one commit.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use nexus_chaos::report::Report;
use nexus_chaos::scenario::{Options, Scenario};

/// As the `nexus` binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(
    name = "nexus-chaos",
    about = "Breaks everything around a running Nexus and counts what was lost"
)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Writes the report to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes what the workers wrote last to this file
    #[arg(long, value_name = "FILE")]
    logs: Option<PathBuf>,
}

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    if Path::new(&called)
        .file_name()
        .is_some_and(|name| name == "nexus")
    {
        return nexus::main();
    }
    match chaos(&Arguments::parse()) {
        Ok(report) if report.violations.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            say(&format!("the run could not be carried out: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn chaos(arguments: &Arguments) -> Result<Report> {
    let program = std::env::current_exe().context("find this program")?;
    let scenario = Scenario::new(&arguments.options)?;
    let command: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("nexus-chaos {}", command.join(" "));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = match &scenario.wipes {
        Some(wipes) => {
            runtime.block_on(nexus_chaos::wipe::run(&scenario, &program, &command, wipes))
        }
        None => runtime.block_on(nexus_chaos::run::run(&scenario, &program, &command)),
    }?;
    say(&report.to_string());
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    if let Some(file) = &arguments.logs {
        std::fs::write(file, &report.output).with_context(|| file.display().to_string())?;
    }
    Ok(report)
}

/// A closed terminal is no reason to lose the report's file.
fn say(text: &str) {
    let _closed = writeln!(std::io::stdout(), "{text}");
}
