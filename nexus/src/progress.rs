//! Something that moves on standard error while a person waits; nothing where nobody looks.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often it moves.
const TICK: Duration = Duration::from_millis(120);

/// A spinner with a word beside it.
#[must_use]
pub fn spinner(word: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(word);
    bar.enable_steady_tick(TICK);
    bar
}

/// Stands still and out of the way while a person types.
pub fn pause(bar: &ProgressBar) {
    bar.disable_steady_tick();
    if !bar.is_hidden() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        // What stands there is not taken back by hiding it.
        anstream::eprint!("\r\u{1b}[2K");
    }
}

/// Moves again.
pub fn go_on(bar: &ProgressBar) {
    if std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.enable_steady_tick(TICK);
    }
}
