//! What sites ask of programs (RFC 9309), remembered for a while.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use robotxt::AccessResult;
use tokio::time::Instant;
use url::Url;

use crate::error::Error;
use crate::fetch::Identity;
use crate::text::shown;

/// How long an answer counts. RFC 9309 allows a day.
const KEPT: Duration = Duration::from_secs(3600);
/// How long it counts that a site could not be asked.
const KEPT_UNREACHABLE: Duration = Duration::from_secs(60);
/// Most sites that are remembered.
const MAX_SITES: usize = 1024;
/// Most bytes of `robots.txt` that are remembered, over all sites.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// What one site asks of programs.
#[derive(Debug)]
pub(crate) struct Robots {
    rules: robotxt::Robots,
    reached: Reached,
    size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    Yes,
    No,
}

impl Robots {
    /// The rules of a file.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self {
            size: text.len(),
            ..Self::of(AccessResult::Successful(text), Reached::Yes)
        }
    }

    /// There is no file: everything may be read.
    pub(crate) fn unavailable() -> Self {
        Self::of(AccessResult::Unavailable, Reached::Yes)
    }

    /// Nobody knows: nothing may be read.
    pub(crate) fn unreachable() -> Self {
        Self::of(AccessResult::Unreachable, Reached::No)
    }

    fn of(access: AccessResult<'_>, reached: Reached) -> Self {
        Self {
            rules: robotxt::Robots::from_access(access, Identity::PRODUCT),
            reached,
            size: 0,
        }
    }

    /// Whether a page of the site may be read.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Error> {
        let refused = |reason| Error::Robots {
            url: shown(url.as_str()),
            reason,
        };
        match self.reached {
            Reached::No => Err(refused(
                "its robots.txt cannot be had, so it may be off limits",
            )),
            Reached::Yes if self.rules.is_url_allowed(url) => Ok(()),
            Reached::Yes => Err(refused("its robots.txt asks programs not to")),
        }
    }
}

/// Remembers what sites ask, for a while and up to a size.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    sites: HashMap<String, (Arc<Robots>, Instant)>,
    /// In the order in which they came.
    order: VecDeque<String>,
    bytes: usize,
}

impl Cache {
    /// What an origin asked, if that still counts.
    pub(crate) fn get(&self, origin: &str, now: Instant) -> Option<Arc<Robots>> {
        let (robots, since) = self.sites.get(origin)?;
        let kept = match robots.reached {
            Reached::Yes => KEPT,
            Reached::No => KEPT_UNREACHABLE,
        };
        (now.duration_since(*since) < kept).then(|| Arc::clone(robots))
    }

    /// Remembers what an origin asks.
    pub(crate) fn put(&mut self, origin: String, robots: Arc<Robots>, now: Instant) {
        self.forget(&origin);
        self.bytes += robots.size;
        self.order.push_back(origin.clone());
        self.sites.insert(origin, (robots, now));
        while self.sites.len() > MAX_SITES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.front().cloned() else {
                break;
            };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, origin: &str) {
        if let Some((robots, _)) = self.sites.remove(origin) {
            self.bytes = self.bytes.saturating_sub(robots.size);
            self.order.retain(|other| other != origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &str) -> Url {
        Url::parse("https://site.example")
            .unwrap()
            .join(path)
            .unwrap()
    }

    #[test]
    fn a_group_for_nexus_counts_more_than_that_for_all() {
        let robots = Robots::parse(
            b"User-agent: *\nDisallow: /\n\nUser-agent: nexus\nDisallow: /private\nAllow: /private/open\n",
        );
        assert!(robots.check(&url("/page?x=1")).is_ok());
        assert!(robots.check(&url("/private/open/a")).is_ok());
        let error = robots.check(&url("/private/a")).unwrap_err();
        assert_eq!(error.code(), "robots");
    }

    #[test]
    fn nothing_is_read_of_a_site_that_cannot_be_asked() {
        assert!(Robots::unavailable().check(&url("/a")).is_ok());
        assert!(Robots::unreachable().check(&url("/a")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_forgotten_in_time() {
        let mut cache = Cache::default();
        cache.put("a".into(), Arc::new(Robots::unavailable()), Instant::now());
        cache.put("b".into(), Arc::new(Robots::unreachable()), Instant::now());
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(cache.get("a", Instant::now()).is_some());
        assert!(cache.get("b", Instant::now()).is_none());
        tokio::time::advance(KEPT).await;
        assert!(cache.get("a", Instant::now()).is_none());
    }

    #[test]
    fn the_cache_is_bounded_in_sites_and_in_bytes() {
        let now = Instant::now();
        let mut cache = Cache::default();
        for site in 0..MAX_SITES + 10 {
            cache.put(site.to_string(), Arc::new(Robots::unavailable()), now);
        }
        assert_eq!(
            (cache.sites.len(), cache.order.len()),
            (MAX_SITES, MAX_SITES)
        );
        assert!(cache.get("9", now).is_none() && cache.get("10", now).is_some());
        let large = vec![b'#'; robotxt::BYTE_LIMIT];
        for site in 0..40 {
            cache.put(
                format!("large-{site}"),
                Arc::new(Robots::parse(&large)),
                now,
            );
            assert!(cache.bytes <= MAX_BYTES);
        }
        assert!(cache.get("large-39", now).is_some());
    }
}
