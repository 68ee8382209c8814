//! How results are written: colour, where there is a terminal to show it, and JSON.

use std::fmt::Display;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use nexus_contracts::Timestamp;
use serde::Serialize;

use crate::exit::Failure;

/// What something is, rather than which colour it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Good.
    Good,
    /// Wrong.
    Bad,
    /// Look here.
    Strong,
    /// Of less weight.
    Faint,
    /// A name.
    Name,
}

/// Text in a tone. Escape codes are removed by the stream where nobody can see them.
#[must_use]
pub fn toned(tone: Tone, text: impl Display) -> String {
    let style = match tone {
        Tone::Good => Style::new().fg_color(Some(AnsiColor::Green.into())),
        Tone::Bad => Style::new().fg_color(Some(AnsiColor::Red.into())).bold(),
        Tone::Strong => Style::new().bold(),
        Tone::Faint => Style::new().dimmed(),
        Tone::Name => Style::new().fg_color(Some(AnsiColor::Cyan.into())),
    };
    format!("{style}{text}{style:#}")
}

/// Text filled up to a width and then toned, so that columns stay columns.
#[must_use]
pub fn column(tone: Tone, text: &str, width: usize) -> String {
    toned(tone, format!("{:<width$}", cut(text, width)))
}

/// A value for programs: one line of JSON.
///
/// # Errors
/// When it is no JSON, or nobody reads any more.
pub fn json_line(value: &impl Serialize, out: &mut impl Write) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(Failure::failed)?;
    Ok(writeln!(out, "{text}")?)
}

/// A text of somebody else's: control characters, which could move the cursor, become blanks.
#[must_use]
pub fn plain(text: &str) -> String {
    let kept = |letter: char| matches!(letter, '\n' | '\t') || !letter.is_control();
    let letters = text.chars();
    letters
        .map(|letter| if kept(letter) { letter } else { ' ' })
        .collect()
}

/// At most `width` characters; control characters, which could move the cursor, become blanks.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
    if text.chars().count() <= width {
        return text.chars().map(clean).collect();
    }
    text.chars()
        .take(width.saturating_sub(1))
        .map(clean)
        .chain(['…'])
        .collect()
}

/// The time of day, in UTC.
#[must_use]
pub fn time_of_day(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(11..23).map_or_else(|| text.clone(), str::to_owned)
}

/// Milliseconds for people: `3ms`, `1.25s`, `2m05s`.
#[must_use]
pub fn millis(millis: i64) -> String {
    match millis {
        ..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{}.{:02}s", millis / 1_000, millis % 1_000 / 10),
        _ => format!("{}m{:02}s", millis / 60_000, millis % 60_000 / 1_000),
    }
}
