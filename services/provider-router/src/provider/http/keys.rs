//! Several keys of one provider: they take turns, and one that is refused or used up rests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::provider::{FailureClass, ProviderFailure};

/// How long a key rests of which the provider does not say.
const REST: Duration = Duration::from_secs(30);

/// A key that is asked to rest for less rests this long all the same.
const LEAST: Duration = Duration::from_secs(1);

/// How long a key rests that is refused or has no budget left.
const LONG_REST: Duration = Duration::from_mins(10);

/// The keys, as headers.
pub(super) struct Keys {
    all: Vec<Key>,
    turn: AtomicUsize,
}

/// A key, as a header.
pub(super) struct Key {
    name: HeaderName,
    value: HeaderValue,
    rests_until: Mutex<Option<Instant>>,
}

impl Key {
    pub(super) fn header(&self) -> (HeaderName, HeaderValue) {
        (self.name.clone(), self.value.clone())
    }

    fn rests(&self, now: Instant) -> bool {
        self.rests_until.lock().is_some_and(|until| now < until)
    }
}

impl Keys {
    pub(super) fn new(headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        let key = |(name, value)| Key {
            name,
            value,
            rests_until: Mutex::new(None),
        };
        Self {
            all: headers.into_iter().map(key).collect(),
            turn: AtomicUsize::new(0),
        }
    }

    /// Whose turn it is: the next that does not rest, else the one whose rest ends first.
    pub(super) fn next(&self) -> Option<&Key> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let start = turn.checked_rem(self.all.len())?;
        let mut in_turn = self.all.iter().cycle().skip(start).take(self.all.len());
        in_turn
            .find(|key| !key.rests(now))
            .or_else(|| self.all.iter().min_by_key(|key| *key.rests_until.lock()))
    }

    /// A call with this key failed. If the key is the reason it rests, and `true` says that another
    /// one does not.
    pub(super) fn rest(&self, key: &Key, failure: &ProviderFailure) -> bool {
        let rest = match failure.class {
            FailureClass::RateLimited => failure.retry_after.unwrap_or(REST).max(LEAST),
            FailureClass::Unauthorized | FailureClass::QuotaExceeded => LONG_REST,
            _ => return false,
        };
        let now = Instant::now();
        *key.rests_until.lock() = Some(now + rest);
        let mut others = self.all.iter().filter(|other| !std::ptr::eq(*other, key));
        others.any(|other| !other.rests(now))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::{HeaderName, HeaderValue};
    use tokio::time::advance;

    use super::Keys;
    use crate::provider::{FailureClass, ProviderFailure};

    fn keys(count: usize) -> Keys {
        let header = |n: usize| {
            let value = HeaderValue::from_str(&n.to_string()).unwrap();
            (HeaderName::from_static("authorization"), value)
        };
        Keys::new((0..count).map(header).collect())
    }

    fn next(keys: &Keys) -> String {
        let (_, value) = keys.next().unwrap().header();
        value.to_str().unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn keys_take_turns_and_rest() {
        let keys = keys(3);
        assert_eq!([next(&keys), next(&keys), next(&keys)], ["0", "1", "2"]);
        let refused = ProviderFailure::new(FailureClass::RateLimited, "");
        let first = keys.next().unwrap();
        assert!(keys.rest(first, &refused), "two others are fresh");
        let turns: Vec<String> = (0..4).map(|_| next(&keys)).collect();
        assert!(!turns.contains(&"0".to_owned()), "{turns:?}");
        advance(Duration::from_secs(31)).await;
        let turns: Vec<String> = (0..3).map(|_| next(&keys)).collect();
        assert!(turns.contains(&"0".to_owned()), "{turns:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_key_is_used_though_it_rests() {
        let keys = keys(2);
        let refused = ProviderFailure::new(FailureClass::Unauthorized, "");
        assert!(keys.rest(keys.next().unwrap(), &refused));
        let limited = ProviderFailure::new(FailureClass::RateLimited, "");
        assert!(
            !keys.rest(keys.next().unwrap(), &limited),
            "nobody is fresh"
        );
        assert_eq!(next(&keys), "1", "its rest ends first");
        // What is not the key's fault makes nobody rest.
        let failed = ProviderFailure::new(FailureClass::Unavailable, "");
        assert!(!keys.rest(keys.next().unwrap(), &failed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_alone_is_not_another_one() {
        let keys = keys(1);
        let mut limited = ProviderFailure::new(FailureClass::RateLimited, "");
        limited.retry_after = Some(Duration::ZERO);
        assert!(!keys.rest(keys.next().unwrap(), &limited));
    }

    #[test]
    fn no_key_is_fine() {
        assert!(keys(0).next().is_none());
    }
}
