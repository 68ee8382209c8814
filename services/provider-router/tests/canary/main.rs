//! A provider key never appears in a log, envelope, error, metric or trace.
//!
//! Keys come from the environment, which a test cannot change for itself. So the test starts itself once more
//! with the keys set: that process is a node with a router whose providers do everything wrong that quotes a
//! key. Whatever it wrote, logged, published and counted is then searched from outside, where an assertion
//! cannot be a part of what it searches.

mod forms;
mod node;
mod report;
mod settings;
mod upstream;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use forms::found;
use settings::{KEYS, NEVER, TELLING};

/// Names the folder of the node; set where the test runs as the node.
const FOLDER: &str = "NEXUS_CANARY_FOLDER";

/// In every question.
const MARKER: &str = "harmless-marker-5521";

/// Where an answer belongs, and so what is in it: the results, the live streams, the files of the bus and of
/// the ledger.
const OF_ANSWERS: &[&str] = &["channel-inference.response", "live", "data"];

#[test]
fn canary_keys_show_up_nowhere() -> Result<()> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return node::run(Path::new(&folder));
    }
    let folder = tempfile::tempdir()?;
    let seen = folder.path().join("seen");
    std::fs::create_dir_all(&seen)?;
    let output = Command::new(std::env::current_exe()?)
        .args(["--exact", "canary_keys_show_up_nowhere", "--nocapture"])
        .env(FOLDER, folder.path())
        .env("RUST_BACKTRACE", "0")
        .envs(KEYS.iter().copied())
        .output()?;
    let log = [output.stdout, output.stderr].concat();
    std::fs::write(seen.join("log"), &log)?;
    let log = String::from_utf8_lossy(&log);
    let end: Vec<&str> = log.lines().rev().take(5).collect();
    ensure!(output.status.success(), "the node failed: {end:#?}");

    let pieces = pieces(folder.path())?;
    what_must_be_there_is(&pieces)?;
    for piece in &pieces {
        for secret in NEVER {
            let form = found(secret, &piece.bytes);
            ensure!(form.is_none(), "{} has {secret}: {form:?}", piece.name);
        }
        let may_tell = OF_ANSWERS.iter().any(|name| piece.name.starts_with(name));
        let form = found(TELLING, &piece.bytes).filter(|_| !may_tell);
        ensure!(form.is_none(), "{} has {TELLING}: {form:?}", piece.name);
    }
    Ok(())
}

/// Something that is searched.
struct Piece {
    name: String,
    bytes: Vec<u8>,
}

/// What was collected, and every file the node left; not its configuration, where secrets belong.
fn pieces(folder: &Path) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    for (place, prefix) in [("seen", ""), ("data", "data/")] {
        for path in files(&folder.join(place))? {
            let name = path.file_name().context("a file without a name")?;
            pieces.push(Piece {
                name: format!("{prefix}{}", name.to_string_lossy()),
                bytes: std::fs::read(&path)?,
            });
        }
    }
    Ok(pieces)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

/// A search of nothing finds nothing: each piece holds what only the way under test can have put there.
fn what_must_be_there_is(pieces: &[Piece]) -> Result<()> {
    for (name, text) in [
        ("channel-inference.request", MARKER),
        ("channel-inference.response", "All is well."),
        ("channel-inference.response", "refuses answered 401"),
        ("channel-inference.response", "[redacted]"),
        ("channel-inference.response", TELLING),
        ("channel-usage.recorded", "unauthorized"),
        ("live", "All is "),
        ("table-control.providers", "NEXUS_CANARY_UNSET"),
        ("table-providers.health", "failing answered 500"),
        ("table-workers", "provider-router"),
        ("metrics", "nexus_provider_requests_total"),
        ("metrics", "provider=\"refuses\""),
        ("ready", "ready"),
        ("checks", "proxied answered 407"),
        ("broken", "expected"),
        ("log", "a provider failed"),
        ("log", "provider.attempt"),
        ("log", "TRACE"),
        ("log", "the changed providers cannot be used"),
        ("data/", "All is well."),
        ("data/", MARKER),
    ] {
        let mut named = pieces.iter().filter(|piece| piece.name.starts_with(name));
        let holds = named.any(|piece| forms::has(text.as_bytes(), &piece.bytes));
        ensure!(holds, "no `{name}` has `{text}`");
    }
    Ok(())
}
