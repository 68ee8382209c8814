//! Running the program.

use std::time::Duration;

use anyhow::{Result, ensure};
use nexus_testkit::Spawn;

/// Longest run: nextest ends a test soon after that.
const LIMIT: Duration = Duration::from_secs(110);

/// How a run ended, and what it said.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

/// Runs the program with these words.
pub(crate) async fn chaos(words: &str) -> Result<Ran> {
    let mut process = Spawn::new(env!("CARGO_BIN_EXE_nexus-chaos"))
        .args(words.split_whitespace())
        .start()?;
    let status = process.wait_exit(LIMIT).await?;
    Ok(Ran {
        code: status.code(),
        said: process.output(),
    })
}

/// That every invariant held, faults were injected and requests answered.
pub(crate) fn holds(ran: &Ran) -> Result<()> {
    ensure!(
        ran.code == Some(0),
        "exit code {:?}\n{}",
        ran.code,
        ran.said
    );
    let says = |text: &str| ran.said.lines().any(|line| line.starts_with(text));
    ensure!(says("every invariant holds"), "{}", ran.said);
    ensure!(!says("faults                0"), "no fault\n{}", ran.said);
    ensure!(!says("answered              0"), "no answer\n{}", ran.said);
    Ok(())
}
