//! Durations as the configuration writes them: one number and one unit.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

fn parse(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(at)?;
    let (_, size) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    let millis = number.parse::<u64>().ok()?.checked_mul(*size)?;
    Some(Duration::from_millis(millis))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse(text.trim()).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "`{text}` is not a duration; write it like 250ms, 30s, 5m or 1h"
        ))
    })
}

pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let fits = |(_, size): &&(&str, u64)| millis > 0 && millis % size == 0;
    let (unit, size) = UNITS.iter().rev().find(fits).unwrap_or(&("ms", 1));
    to.collect_str(&format_args!("{}{unit}", millis / size))
}
