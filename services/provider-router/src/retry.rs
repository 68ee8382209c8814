//! When to try again. Pure: chance is passed in.

use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// How often and how patiently, section `retries`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Most tries of one command, the first included.
    pub tries: u32,
    /// Longest wait before the second try; twice as long before each further one.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub base: Duration,
    /// No wait grows longer than this by itself.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub max: Duration,
    /// A provider that asks to be left alone for longer than this is given up at once.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub patience: Duration,
}

impl RetryPolicy {
    /// How long to wait before the next try, or `None` to give up.
    ///
    /// Full jitter: anything between nothing and the doubling limit, so that callers that failed
    /// together do not come back together. `asked` is what the provider asked for, `left` the time
    /// until the deadline, `chance` between 0 and 1.
    #[must_use]
    pub fn wait(
        &self,
        tried: u32,
        asked: Option<Duration>,
        left: Duration,
        chance: f64,
    ) -> Option<Duration> {
        if tried >= self.tries || asked.is_some_and(|asked| asked > self.patience) {
            return None;
        }
        let doubled = self
            .base
            .saturating_mul(1 << tried.saturating_sub(1).min(16));
        let jittered = doubled.min(self.max).mul_f64(chance.clamp(0.0, 1.0));
        let wait = asked.unwrap_or_default().saturating_add(jittered);
        (wait < left).then_some(wait)
    }
}

/// How long a provider asks to be left alone.
///
/// `retry-after-ms`, or `Retry-After` in seconds or as a date (RFC 9110 §10.2.3). A date is read
/// against the answer's own `Date`, so that clocks that disagree do not matter.
#[must_use]
pub fn asked_for(header: impl Fn(&str) -> Option<String>) -> Option<Duration> {
    let number = |text: String| text.trim().parse::<f64>().ok();
    if let Some(millis) = header("retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let after = header("retry-after")?;
    if let Some(seconds) = number(after.clone()) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let moment = |text: &str| OffsetDateTime::parse(text.trim(), &Rfc2822).ok();
    let wait = moment(&after)? - moment(&header("date")?)?;
    Some(Duration::try_from(wait).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{prop_assert, proptest};

    use super::{RetryPolicy, asked_for};

    const POLICY: RetryPolicy = RetryPolicy {
        tries: 4,
        base: Duration::from_millis(100),
        max: Duration::from_millis(250),
        patience: Duration::from_secs(5),
    };
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn waits_double_up_to_the_maximum_and_end() {
        let waits = |tried| {
            POLICY
                .wait(tried, None, LONG, 1.0)
                .map(|wait| wait.as_millis())
        };
        assert_eq!(
            [1, 2, 3, 4].map(waits),
            [Some(100), Some(200), Some(250), None]
        );
        assert_eq!(POLICY.wait(1, None, LONG, 0.0), Some(Duration::ZERO));
    }

    #[test]
    fn what_the_provider_asks_for_is_kept_or_it_is_given_up() {
        let asked = |seconds| POLICY.wait(1, Some(Duration::from_secs(seconds)), LONG, 0.5);
        assert_eq!(asked(2), Some(Duration::from_millis(2050)));
        assert_eq!(asked(6), None);
        let left = Duration::from_secs(1);
        assert_eq!(
            POLICY.wait(1, Some(Duration::from_secs(2)), left, 0.5),
            None
        );
    }

    #[test]
    fn retry_after_in_every_form() {
        let read = |headers: &[(&str, &str)]| {
            asked_for(|name| {
                let found = headers.iter().find(|(header, _)| *header == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(read(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(
            read(&[("retry-after-ms", "250")]),
            Some(Duration::from_millis(250))
        );
        let date = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        let after = ("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT");
        assert_eq!(read(&[date, after]), Some(Duration::from_secs(30)));
        assert_eq!(read(&[after]), None);
        assert_eq!(read(&[("retry-after", "-3")]), None);
        assert_eq!(read(&[("retry-after", "soon"), date]), None);
        assert_eq!(read(&[]), None);
    }

    proptest! {
        #[test]
        fn never_waits_past_the_deadline(
            tried in 0..10_u32, asked in 0..10_000_u64, left in 0..10_000_u64, chance in 0.0..1.0,
        ) {
            let (asked, left) = (Duration::from_millis(asked), Duration::from_millis(left));
            let wait = POLICY.wait(tried, Some(asked), left, chance);
            prop_assert!(wait.is_none_or(|wait| wait < left && wait >= asked));
        }
    }
}
