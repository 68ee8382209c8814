//! `nexus chat`: talks in the terminal.

pub mod screen;
mod talk;

use std::io::{IsTerminal, Write};

use crate::cli::ChatArgs;
use crate::deciding;
use crate::exit::Failure;
use crate::locate::locate;
use crate::settings::Settings;
use talk::Talk;

/// Talks until the input ends.
///
/// # Errors
/// When no node can be found, or the terminal breaks. What goes wrong with one answer is said, and
/// the talk goes on; where nobody sees it, the command fails in the end.
pub async fn chat(
    args: &ChatArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let typed = deciding::typed();
    let is_terminal = std::io::stdin().is_terminal();
    let talk = Talk::new(&found.client, &args.choices, (typed, out, is_terminal));
    let result = talk.run().await;
    found.leave().await.and(result)
}
