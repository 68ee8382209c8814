//! A program with one confined server, to be stopped or killed by a test. Says `ready`; at the end of its
//! input stops the server and says `stopped`; then waits to be killed.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use nexus_mcp::{Bubblewrap, Config, Fleet, Health, MemoryPins, Meta, Parts};
use tokio::io::AsyncReadExt as _;

/// What the arguments are: the program that confines, the configuration and code for the tool `run`.
fn given() -> Result<(PathBuf, Config, String), String> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("an argument is missing");
    let (confiner, config, code) = (next()?, next()?, next()?);
    let config = serde_json::from_str(&config).map_err(|error| error.to_string())?;
    Ok((confiner.into(), config, code))
}

async fn own() -> Result<(), String> {
    let (confiner, config, code) = given()?;
    let fleet = Fleet::new(Parts {
        launcher: Arc::new(Bubblewrap::of_system(Ok(confiner))),
        pins: Arc::new(MemoryPins::default()),
        environment: Arc::new(|_| None),
        sampler: None,
    });
    fleet
        .apply(&config)
        .await
        .map_err(|error| error.to_string())?;
    let mut news = fleet.news();
    let ready = || fleet.statuses().iter().all(|it| it.health == Health::Ready);
    let waited = news.wait_for(|_| ready()).await;
    drop(waited.map_err(|error| error.to_string())?);
    let arguments = serde_json::json!({ "code": code });
    let called = fleet.call("fake__run", arguments, Meta::default()).await;
    called.map_err(|error| error.to_string())?;
    say("ready");
    let read = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    read.map_err(|error| error.to_string())?;
    fleet.shutdown().await;
    say("stopped");
    std::future::pending().await
}

#[expect(clippy::print_stdout, reason = "the test waits for it")]
fn say(word: &str) {
    println!("{word}");
}

#[tokio::main]
async fn main() -> ExitCode {
    match own().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            #[expect(clippy::print_stderr, reason = "the test shows it")]
            {
                eprintln!("{reason}");
            }
            ExitCode::FAILURE
        }
    }
}
