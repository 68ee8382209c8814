//! Nexus in one binary: every service in one process, and the command line around them.

pub mod apart;
pub mod approvals;
pub mod ask;
pub mod channels;
pub mod chat;
pub mod cli;
pub mod client;
pub mod compose;
pub mod conversations;
pub mod deciding;
pub mod doctor;
pub mod documents;
pub mod exit;
pub mod inbox;
pub mod locate;
pub mod mcp;
pub mod near;
pub mod openapi;
pub mod progress;
pub mod providers;
pub mod reading;
pub mod route;
pub mod schema;
pub mod settings;
pub mod steps;
pub mod style;
pub mod tail;
pub mod tools;
pub mod trace;
pub mod up;
pub mod workers;

use std::process::ExitCode;

use clap::Parser;
use nexus_service_kit::config::LogConfig;
use nexus_service_kit::telemetry::install_logs;

use cli::{Cli, Command};
use exit::{Exit, Failure};
use settings::Settings;
use style::{Tone, toned};

/// The whole program: reads the command line, does what it says, tells how it went.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; a closed terminal is none either.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    if cli.global.no_color {
        anstream::ColorChoice::Never.write_global();
    }
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            if failure.exit != Exit::Done {
                anstream::eprintln!("{} {failure}", toned(Tone::Bad, "error:"));
            }
            failure.exit.into()
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    let out = &mut anstream::stdout();
    let settings = || Settings::load(&cli.global);
    match cli.command {
        Command::Schema(args) => schema::schema(&args, out).map(|()| ExitCode::SUCCESS),
        Command::Up => up::up(&settings()?),
        Command::Run(args) => up::run(&args, &settings()?),
        Command::Ask(args) => block_on(ask::ask(&args, &settings()?, out)),
        Command::Chat(args) => block_on(chat::chat(&args, &settings()?, out)),
        Command::Conversations(args) => {
            block_on(conversations::conversations(&args, &settings()?, out))
        }
        Command::Approvals(args) => block_on(approvals::approvals(&args, &settings()?, out)),
        Command::Inbox(args) => block_on(inbox::inbox(&args, &settings()?, out)),
        Command::Documents(args) => block_on(documents::documents(&args, &settings()?, out)),
        Command::Memories(args) => block_on(documents::memories(&args, &settings()?, out)),
        Command::Mcp(args) => block_on(mcp::mcp(&args, &settings()?, out)),
        Command::Tools(args) => block_on(tools::tools(&args, &settings()?, out)),
        Command::Tail(args) => block_on(tail::tail(&args, &settings()?, out)),
        Command::Trace(args) => block_on(trace::trace(&args, &settings()?, out)),
        Command::Workers(args) => block_on(workers::workers(&args, &settings()?, out)),
        Command::Providers(args) => block_on(providers::providers(&args, &settings()?, out)),
        Command::Models(args) => block_on(providers::models(&args, &settings()?, out)),
        Command::Route(args) => route::route(&args, &settings()?, out),
        Command::Doctor(args) => block_on(doctor::doctor(&args, settings(), out)),
    }
}

/// Runs a command on a runtime of its own; its log shows only what broke.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<ExitCode, Failure> {
    install_logs(&LogConfig {
        level: "error".to_owned(),
    })
    .map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    let result = runtime.block_on(command);
    // Standard input may be read by a thread that nothing wakes.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}
