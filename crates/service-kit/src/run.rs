//! A process around a node: configuration, logs, signals, exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, ConfigError, ConfigSource, NodeConfig};
use crate::{Node, NodeError, RunningNode, Service, telemetry};

const USAGE: &str = "options:
  --config FILE            the configuration (else NEXUS_CONFIG, else config/nexus.yaml)
  --set SECTION.KEY=VALUE  one key, above the file and the environment; may be repeated";

/// The `main` of a service's own binary: reads the configuration, runs a node with this one
/// service until SIGTERM or SIGINT, and says how it went.
pub fn main_of(
    name: &'static str,
    make: impl FnOnce(&ConfigSource) -> Result<Box<dyn Service>, ConfigError>,
) -> ExitCode {
    let Some(options) = Options::read(std::env::args().skip(1)) else {
        complain(&format!("{name}: runs this service alone\n{USAGE}"));
        return ExitCode::from(2);
    };
    match configure(name, &options, make) {
        Ok((config, service)) => run_process(config, vec![service], |_| ()),
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(2)
        }
    }
}

/// Runs a node until SIGTERM or SIGINT, with logs, TLS and a runtime of its own. `started` is told
/// when every service has started.
pub fn run_process(
    config: NodeConfig,
    services: Vec<Box<dyn Service>>,
    started: impl FnOnce(&RunningNode),
) -> ExitCode {
    telemetry::install_tls();
    if let Err(error) = telemetry::install_logs(&config.log) {
        complain(&error.to_string());
        return ExitCode::from(2);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("the runtime could not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run_until_signal(config, services, started));
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Runs a node until SIGTERM or SIGINT. A second signal ends the process at once.
///
/// # Errors
/// What kept the node from starting, or ended it.
pub async fn run_until_signal(
    config: NodeConfig,
    services: Vec<Box<dyn Service>>,
    started: impl FnOnce(&RunningNode),
) -> Result<(), NodeError> {
    let mut signals = Signals::listen()?;
    let node = tokio::select! {
        node = Node::start(config, services) => node?,
        () = signals.next() => return Ok(()),
    };
    started(&node);
    tokio::select! {
        () = node.deps().shutdown.cancelled() => {}
        () = signals.next() => node.shutdown(),
    }
    end(node, signals).await
}

async fn end(node: RunningNode, mut signals: Signals) -> Result<(), NodeError> {
    tracing::info!("stopping: what is in flight may finish; a second signal ends at once");
    tokio::select! {
        ended = node.stopped() => ended,
        () = signals.next() => exit_at_once(),
    }
}

#[expect(clippy::exit, reason = "the second signal asks for exactly this")]
fn exit_at_once() -> ! {
    std::process::exit(130)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, NodeError> {
        let failed = |error: std::io::Error| {
            NodeError::Fatal(format!("signals cannot be received: {error}"))
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[derive(Default)]
struct Options {
    file: Option<PathBuf>,
    overrides: Vec<(String, String)>,
}

impl Options {
    /// `None` when an option is not known or lacks its value.
    fn read(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            let value = arguments.next();
            match argument.as_str() {
                "--config" => options.file = Some(value?.into()),
                "--set" => {
                    let (key, value) = value.as_deref()?.split_once('=')?;
                    options.overrides.push((key.to_owned(), value.to_owned()));
                }
                _ => return None,
            }
        }
        Some(options)
    }
}

fn configure(
    name: &'static str,
    options: &Options,
    make: impl FnOnce(&ConfigSource) -> Result<Box<dyn Service>, ConfigError>,
) -> Result<(NodeConfig, Box<dyn Service>), ConfigError> {
    let file = options.file.clone().or_else(config::config_file);
    let source = ConfigSource::load(file.as_deref(), &options.overrides)?;
    source.check_sections(&[name])?;
    Ok((NodeConfig::from_source(&source)?, make(&source)?))
}

#[expect(
    clippy::print_stderr,
    reason = "said before there is a log, or after it has ended"
)]
fn complain(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn read(arguments: &[&str]) -> Option<Options> {
        Options::read(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn options_are_read_or_refused() {
        let options = read(&["--config", "a.yaml", "--set", "bus.url=redis://h?a=b"]).unwrap();
        assert_eq!(options.file.unwrap().to_str(), Some("a.yaml"));
        assert_eq!(
            options.overrides,
            [("bus.url".to_owned(), "redis://h?a=b".to_owned())]
        );
        assert!(read(&[]).unwrap().overrides.is_empty());
        for bad in [
            &["--help"][..],
            &["--config"],
            &["--set", "bus.url"],
            &["--port", "1"],
        ] {
            assert!(read(bad).is_none(), "{bad:?}");
        }
    }
}
