//! `current_time`: what time it is.

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use nexus_contracts::Timestamp;
use nexus_store::EffectClass;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::tool::{Tool, ToolContext, ToolError};

/// Longest name of a time zone; the longest of IANA's has 32 characters.
const MAX_NAME_BYTES: usize = 64;
/// Most zones that are named in place of one that is not known.
const MAX_SUGGESTIONS: usize = 5;

/// Tells the time, in UTC, in a time zone, or at an offset from UTC.
pub struct CurrentTime;

/// The arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// `UTC` (the default), a time zone by its IANA name such as `Europe/Berlin`, or an offset from
    /// UTC such as `+02:00`.
    #[serde(default)]
    pub timezone: Option<String>,
}

impl Tool for CurrentTime {
    const NAME: &'static str = "current_time";
    const DESCRIPTION: &'static str = "Tells the current date, time and weekday, anywhere in the \
        world. Use it whenever the answer depends on what day or time it is now.";
    const EFFECT: EffectClass = EffectClass::ReadOnly;
    const EXAMPLE: Option<&'static str> = Some(r#"{"timezone": "Europe/Berlin"}"#);
    type Args = Args;
    type Output = Value;

    async fn call(&self, args: Args, ctx: &ToolContext) -> Result<Value, ToolError> {
        // The zones that are built in, whatever the machine has: every replica tells the same.
        let zones = TimeZoneDatabase::bundled();
        let zone = Zone::find(args.timezone.as_deref().unwrap_or("UTC"), &zones)?;
        zone.tell(ctx.now)
    }
}

/// Where the time is told.
#[derive(Clone, Debug)]
enum Zone {
    Offset(Offset),
    Named(TimeZone),
}

impl Zone {
    /// An offset wins over a name: `GMT+2` is two hours ahead, unlike IANA's `Etc/GMT+2`.
    fn find(text: &str, zones: &TimeZoneDatabase) -> Result<Self, ToolError> {
        if let Some(offset) = offset(text) {
            return Ok(Self::Offset(offset));
        }
        let name = text.trim().replace(' ', "_");
        if name.len() <= MAX_NAME_BYTES
            && let Ok(zone) = zones.get(&name)
        {
            return Ok(Self::Named(zone));
        }
        let shown: String = text.chars().take(MAX_NAME_BYTES).collect();
        let near = suggestions(&name, zones);
        let near = if near.is_empty() {
            String::new()
        } else {
            format!(" (did you mean {}?)", near.join(" or "))
        };
        Err(ToolError::BadArguments(format!(
            "timezone `{}` is not known{near}: give `UTC`, an IANA name such as `Europe/Berlin` or \
             `America/New_York`, or an offset such as `+02:00` or `-05:30`",
            shown.escape_debug()
        )))
    }

    fn tell(self, now: Timestamp) -> Result<Value, ToolError> {
        let moment = jiff::Timestamp::from_millisecond(now.as_millis())
            .map_err(|error| ToolError::Failed(format!("the time cannot be told: {error}")))?;
        let (zone, name) = match self {
            Self::Offset(offset) if offset == Offset::UTC => {
                let told = moment.to_zoned_datetime(TimeZone::UTC);
                return Ok(json!({
                    "time": told.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                    "weekday": told.strftime("%A").to_string(),
                    "timezone": "UTC",
                }));
            }
            Self::Offset(offset) => (TimeZone::fixed(offset), None),
            Self::Named(zone) => (zone.clone(), zone.iana_name().map(str::to_owned)),
        };
        let told = moment.to_zoned_datetime(zone);
        let mut answer = json!({
            "time": told.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            "weekday": told.strftime("%A").to_string(),
            "timezone": name.clone().unwrap_or_else(|| told.strftime("UTC%:z").to_string()),
        });
        if let (Value::Object(fields), Some(_)) = (&mut answer, name) {
            let dst = told.time_zone().to_offset_info(moment).dst();
            fields.insert("daylight_saving".to_owned(), dst.is_dst().into());
        }
        Ok(answer)
    }
}

/// Zones of a city that was named alone: `Berlin`, `new york`.
fn suggestions(name: &str, zones: &TimeZoneDatabase) -> Vec<String> {
    let city = name.rsplit('/').next().unwrap_or_default();
    zones
        .available()
        .map(|zone| zone.as_str().to_owned())
        .filter(|zone| {
            let mut parts = zone.rsplit('/');
            parts
                .next()
                .is_some_and(|last| last.eq_ignore_ascii_case(city))
        })
        .take(MAX_SUGGESTIONS)
        .map(|zone| format!("`{zone}`"))
        .collect()
}

/// Reads `UTC`, `Z`, `+02:00`, `+0200`, `+2`, `UTC+2` and the like.
fn offset(text: &str) -> Option<Offset> {
    let text = text.trim();
    let upper = text.to_ascii_uppercase();
    let rest = ["UTC", "GMT"]
        .iter()
        .find_map(|name| upper.strip_prefix(name))
        .unwrap_or(&upper);
    if rest.is_empty() || rest == "Z" {
        return (!text.is_empty()).then_some(Offset::UTC);
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
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    // The world's clocks are between -12:00 and +14:00.
    if hours > 14 || minutes > 59 {
        return None;
    }
    let sign = if negative { -1 } else { 1 };
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_at(millis: i64, timezone: &str) -> Value {
        let zone = Zone::find(timezone, &TimeZoneDatabase::bundled()).unwrap();
        zone.tell(Timestamp::from_millis(millis)).unwrap()
    }

    fn told(timezone: &str) -> Value {
        // 2026-01-31T23:30:15.250Z, a Saturday.
        told_at(1_769_902_215_250, timezone)
    }

    fn refusal(timezone: &str) -> String {
        let refused = Zone::find(timezone, &TimeZoneDatabase::bundled());
        refused.unwrap_err().to_string()
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
        for name in ["", " ", "+25:00", "+02:60", "+2:0", "2", "++2", "+", "+é2"] {
            assert!(offset(name).is_none(), "{name}");
            assert!(refusal(name).contains("is not known"), "{name}");
        }
    }

    /// The European Union's clocks change at 01:00 UTC on the last Sundays of March and October
    /// (directive 2000/84/EC).
    #[test]
    fn a_zone_keeps_its_daylight_saving_time_to_the_second() {
        let hour = 3_600_000;
        for (change, before, after) in [
            // 2026-03-29T01:00:00Z
            (
                1_774_746_000_000,
                ("2026-03-29T01:59:59+01:00", false),
                ("2026-03-29T03:00:00+02:00", true),
            ),
            // 2026-10-25T01:00:00Z
            (
                1_792_890_000_000,
                ("2026-10-25T02:59:59+02:00", true),
                ("2026-10-25T02:00:00+01:00", false),
            ),
        ] {
            for (millis, (time, saving)) in [(change - 1, before), (change, after)] {
                let told = told_at(millis, "Europe/Berlin");
                assert_eq!(told["time"], time);
                assert_eq!(told["daylight_saving"], saving, "{time}");
                assert_eq!(told["timezone"], "Europe/Berlin");
                assert_eq!(told["weekday"], "Sunday");
            }
            // Neither where no clock is changed, nor at an offset.
            for fixed in ["Asia/Kolkata", "+05:30"] {
                let apart = [change - hour, change].map(|at| told_at(at, fixed)["time"].clone());
                assert!(
                    apart.iter().all(|time| time.to_string().contains("+05:30")),
                    "{fixed}"
                );
            }
        }
    }

    #[test]
    fn zones_are_found_as_models_write_them() {
        for (name, time, timezone) in [
            (
                "America/New_York",
                "2026-01-31T18:30:15-05:00",
                "America/New_York",
            ),
            (
                "america/new york",
                "2026-01-31T18:30:15-05:00",
                "America/New_York",
            ),
            (
                " Asia/Kathmandu ",
                "2026-02-01T05:15:15+05:45",
                "Asia/Kathmandu",
            ),
            (
                "Australia/Lord_Howe",
                "2026-02-01T10:30:15+11:00",
                "Australia/Lord_Howe",
            ),
            // POSIX signs, as IANA has them, beside the offset that people mean.
            ("Etc/GMT+2", "2026-01-31T21:30:15-02:00", "Etc/GMT+2"),
            ("GMT+2", "2026-02-01T01:30:15+02:00", "UTC+02:00"),
        ] {
            assert_eq!(told(name)["time"], time, "{name}");
            assert_eq!(told(name)["timezone"], timezone, "{name}");
        }
    }

    #[test]
    fn a_zone_that_is_not_known_is_refused_with_those_like_it() {
        assert!(refusal("Berlin").contains("did you mean `Europe/Berlin`?"));
        assert!(refusal("new york").contains("`America/New_York`"));
        for name in ["Mars/Olympus", "../etc/passwd", "\u{0}", "é/é"] {
            let text = refusal(name);
            assert!(text.contains("is not known: give"), "{text}");
        }
        assert!(refusal(&"x".repeat(100_000)).len() < 500);
    }
}
