//! Reads `?wait=`.

use std::time::Duration;

use crate::request::Invalid;

/// `30s`, `500ms`, `1m`, or seconds without a unit.
///
/// # Errors
/// [`Invalid`] for anything else.
pub fn parse(text: &str) -> Result<Duration, Invalid> {
    let digits = text
        .trim()
        .trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text.trim().get(digits.len()..).unwrap_or_default();
    let millis = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let wait = digits.parse::<u64>().ok().zip(millis);
    let wait = wait.and_then(|(number, millis)| number.checked_mul(millis));
    wait.map(Duration::from_millis).ok_or_else(|| {
        let shown: String = text
            .chars()
            .filter(|letter| !letter.is_control())
            .take(40)
            .collect();
        Invalid::unacceptable(
            "bad_wait",
            format!("`wait={shown}` is no duration; write 30s, 500ms or 1m"),
        )
    })
}
