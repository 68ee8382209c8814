//! `current_time`: what time it is.

use nexus_contracts::Timestamp;
use nexus_store::EffectClass;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::tool::{Tool, ToolContext, ToolError};

/// Tells the time, in UTC or at an offset from it.
pub struct CurrentTime;

/// The arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// `UTC` (the default) or an offset from UTC such as `+02:00`. Names of places are not accepted.
    #[serde(default)]
    pub timezone: Option<String>,
}

impl Tool for CurrentTime {
    const NAME: &'static str = "current_time";
    const DESCRIPTION: &'static str = "Tells the current date, time and weekday. Use it whenever \
        the answer depends on what day or time it is now.";
    const EFFECT: EffectClass = EffectClass::ReadOnly;
    type Args = Args;
    type Output = Value;

    async fn call(&self, args: Args, ctx: &ToolContext) -> Result<Value, ToolError> {
        let text = args.timezone.as_deref().unwrap_or("UTC");
        let offset = offset(text).ok_or_else(|| {
            ToolError::BadArguments(format!(
                "timezone `{text}` is not known: give `UTC` or an offset such as `+02:00` or \
                 `-05:30`; names of places are not accepted"
            ))
        })?;
        tell(ctx.now, offset)
    }
}

fn tell(now: Timestamp, offset: UtcOffset) -> Result<Value, ToolError> {
    let failed = |reason: String| ToolError::Failed(format!("the time cannot be told: {reason}"));
    let nanos = i128::from(now.as_millis()) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .map_err(|error| failed(error.to_string()))?
        .checked_to_offset(offset)
        .ok_or_else(|| failed("out of range".to_owned()))?
        .truncate_to_second();
    let time = moment
        .format(&Rfc3339)
        .map_err(|error| failed(error.to_string()))?;
    Ok(json!({
        "time": time,
        "weekday": moment.weekday().to_string(),
        "timezone": if offset.is_utc() { "UTC".to_owned() } else { format!("UTC{}", sign(offset)) },
    }))
}

fn sign(offset: UtcOffset) -> String {
    let (hours, minutes, _) = offset.as_hms();
    let sign = if offset.is_negative() { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", hours.abs(), minutes.abs())
}

/// Reads `UTC`, `Z`, `+02:00`, `+0200`, `+2`, `UTC+2` and the like.
fn offset(text: &str) -> Option<UtcOffset> {
    let text = text.trim();
    let upper = text.to_ascii_uppercase();
    let rest = ["UTC", "GMT"]
        .iter()
        .find_map(|name| upper.strip_prefix(name))
        .unwrap_or(&upper);
    if rest.is_empty() || rest == "Z" {
        return (!text.is_empty()).then_some(UtcOffset::UTC);
    }
    // A typographic minus is what some models write.
    let (negative, digits) = match rest.strip_prefix('+') {
        Some(digits) => (false, digits),
        None => (
            true,
            rest.strip_prefix('-')
                .or_else(|| rest.strip_prefix('\u{2212}'))?,
        ),
    };
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some((hours, minutes)), _) if minutes.len() == 2 => (hours, minutes),
        (None, 1 | 2) => (digits, "00"),
        (None, 4) => digits.split_at_checked(2)?,
        _ => return None,
    };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(hours) || !is_number(minutes) {
        return None;
    }
    let (hours, minutes): (i8, i8) = (hours.parse().ok()?, minutes.parse().ok()?);
    // The world's clocks are between -12:00 and +14:00.
    if hours > 14 || minutes > 59 {
        return None;
    }
    let sign = if negative { -1 } else { 1 };
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(timezone: &str) -> Value {
        // 2026-01-31T23:30:15.250Z, a Saturday.
        tell(
            Timestamp::from_millis(1_769_902_215_250),
            offset(timezone).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn utc_is_the_default_form() {
        let expected = json!({
            "time": "2026-01-31T23:30:15Z", "weekday": "Saturday", "timezone": "UTC"
        });
        for name in ["UTC", "utc", "Z", "GMT", "+00:00", "UTC+0"] {
            assert_eq!(told(name), expected, "{name}");
        }
    }

    #[test]
    fn an_offset_may_change_the_day() {
        for name in ["+02:00", "+0200", "+2", "UTC+2", "gmt+02:00", " +02:00 "] {
            assert_eq!(told(name)["time"], "2026-02-01T01:30:15+02:00", "{name}");
            assert_eq!(told(name)["weekday"], "Sunday", "{name}");
            assert_eq!(told(name)["timezone"], "UTC+02:00", "{name}");
        }
        assert_eq!(told("-05:30")["time"], "2026-01-31T18:00:15-05:30");
        assert_eq!(told("\u{2212}05:30")["timezone"], "UTC-05:30");
    }

    #[test]
    fn what_is_no_offset_is_refused() {
        for name in [
            "",
            " ",
            "Europe/Berlin",
            "+25:00",
            "+02:60",
            "+2:0",
            "2",
            "++2",
            "+",
            "+é2",
        ] {
            assert!(offset(name).is_none(), "{name}");
        }
    }
}
