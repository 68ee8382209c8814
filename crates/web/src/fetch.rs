//! Fetching one document of the public web.

mod body;
mod hop;
mod limits;
mod media;
mod redirect;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use tokio::time::{Instant, timeout};
use url::Url;

pub use self::limits::{Identity, Limits};
pub use self::media::{Accept, ContentType};

pub(crate) use self::hop::Ask;
pub(crate) use self::redirect::{Carries, next};

use crate::error::Error;
use crate::guard::{Reach, Target};
use crate::resolve::{Resolver, SystemResolver};
use crate::robots::{self, Robots};
use crate::text::shown;

/// How documents are fetched. The default reaches the public web and nothing else.
#[derive(Clone, Debug, Default)]
pub struct FetcherConfig {
    /// What may be reached.
    pub reach: Reach,
    /// How much is read, and for how long.
    pub limits: Limits,
    /// What the `User-Agent` says.
    pub identity: Identity,
    /// Whether `robots.txt` is asked first.
    pub robots: RobotsPolicy,
}

/// Whether `robots.txt` is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RobotsPolicy {
    /// As RFC 9309 has it.
    #[default]
    Respect,
    /// Not asked: for an operator's own hosts.
    Ignore,
}

/// Fetches documents: cheap to clone, with one cache of `robots.txt`.
#[derive(Clone, Debug)]
pub struct Fetcher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: FetcherConfig,
    resolver: Arc<dyn Resolver>,
    tls: rustls::ClientConfig,
    robots: Mutex<robots::Cache>,
}

/// A document as it came, unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where it was in the end.
    pub url: Url,
    /// What the server says it is.
    pub content_type: ContentType,
    /// Its bytes.
    pub body: Bytes,
}

/// An answer of any status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) url: Url,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Fetcher {
    /// A fetcher that asks the system's resolver.
    ///
    /// # Errors
    ///
    /// [`Error::Setup`] when TLS cannot be set up.
    pub fn new(config: FetcherConfig) -> Result<Self, Error> {
        Self::with_resolver(config, Arc::new(SystemResolver))
    }

    /// A fetcher with a resolver of its own.
    ///
    /// # Errors
    ///
    /// As [`Fetcher::new`].
    pub fn with_resolver(
        config: FetcherConfig,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self, Error> {
        let inner = Inner {
            config,
            resolver,
            tls: crate::tls::client_config()?,
            robots: Mutex::new(robots::Cache::default()),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Fetches a document, through at most [`Limits::redirects`] redirects.
    ///
    /// # Errors
    ///
    /// Every [`Error`] but [`Error::Unreadable`] and [`Error::Setup`].
    pub async fn fetch(&self, url: &str, accept: &Accept) -> Result<Fetched, Error> {
        self.in_time(url, self.fetch_page(url, accept)).await
    }

    pub(crate) fn config(&self) -> &FetcherConfig {
        &self.inner.config
    }

    /// Gives something up when the whole time is over.
    pub(crate) async fn in_time<T>(
        &self,
        url: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let after = self.inner.config.limits.total;
        timeout(after, work).await.unwrap_or_else(|_elapsed| {
            Err(Error::Timeout {
                url: shown(url),
                after,
            })
        })
    }

    async fn fetch_page(&self, url: &str, accept: &Accept) -> Result<Fetched, Error> {
        let mut target = self.inner.config.reach.check_url(url)?;
        for followed in 0.. {
            self.obey_robots(&target).await?;
            let response = self.ask(&target, &Ask::get(accept)).await?;
            let location = response.headers().get(LOCATION);
            let limit = self.inner.config.limits.redirects;
            match next(&target, response.status(), location, Carries::Nothing)? {
                Some(_) if followed == limit => return Err(too_many(&target, limit)),
                // What a redirect leads to is as little trusted as what a model wrote.
                Some(url) => target = self.inner.config.reach.check(url)?,
                None => return self.take(&target, response, accept).await,
            }
        }
        Err(too_many(&target, self.inner.config.limits.redirects))
    }

    async fn take(
        &self,
        target: &Target,
        response: reqwest::Response,
        accept: &Accept,
    ) -> Result<Fetched, Error> {
        let status = response.status();
        if !status.is_success() {
            return Err(Error::Status {
                url: shown(target.url().as_str()),
                status: status.as_u16(),
                retry_after: retry_after(response.headers()),
            });
        }
        let content_type = ContentType::of(response.headers());
        if !accept.takes(&content_type) {
            return Err(Error::ContentType {
                url: shown(target.url().as_str()),
                found: shown(content_type.essence()),
            });
        }
        let body = body::read(target, response, &self.inner.config.limits).await?;
        Ok(Fetched {
            url: target.url().clone(),
            content_type,
            body,
        })
    }

    async fn obey_robots(&self, target: &Target) -> Result<(), Error> {
        if self.inner.config.robots == RobotsPolicy::Ignore {
            return Ok(());
        }
        let origin = target.url().origin().ascii_serialization();
        let cached = self.inner.robots.lock().get(&origin, Instant::now());
        let robots = match cached {
            Some(robots) => robots,
            None => {
                let robots = Arc::new(self.fetch_robots(target).await?);
                let mut cache = self.inner.robots.lock();
                cache.put(origin, Arc::clone(&robots), Instant::now());
                robots
            }
        };
        robots.check(target.url())
    }

    /// Reads `robots.txt` of a site; what goes wrong on the way is an answer too.
    async fn fetch_robots(&self, target: &Target) -> Result<Robots, Error> {
        let Ok(url) = target.url().join("/robots.txt") else {
            return Ok(Robots::unreachable());
        };
        let mut target = self.inner.config.reach.check(url)?;
        for followed in 0.. {
            let response = match self.ask(&target, &Ask::get(&Accept::any())).await {
                Ok(response) => response,
                // A site that cannot be reached at all is better told as that.
                Err(
                    error @ (Error::BlockedAddress { .. }
                    | Error::UnknownHost { .. }
                    | Error::Unreachable { .. }
                    | Error::Setup(_)),
                ) if followed == 0 => return Err(error),
                Err(_why) => return Ok(Robots::unreachable()),
            };
            let status = response.status();
            let location = response.headers().get(LOCATION);
            match next(&target, status, location, Carries::Nothing) {
                Ok(Some(_)) if followed == self.inner.config.limits.redirects => {
                    return Ok(Robots::unavailable());
                }
                Ok(Some(url)) => match self.inner.config.reach.check(url) {
                    Ok(checked) => target = checked,
                    Err(_why) => return Ok(Robots::unreachable()),
                },
                Ok(None) if status.is_success() => {
                    let limits = self.inner.config.limits.for_robots();
                    let read = body::read_head(&target, response, &limits).await;
                    return Ok(
                        read.map_or_else(|_why| Robots::unreachable(), |b| Robots::parse(&b))
                    );
                }
                Ok(None) if status.is_client_error() => return Ok(Robots::unavailable()),
                Ok(None) | Err(_) => return Ok(Robots::unreachable()),
            }
        }
        Ok(Robots::unreachable())
    }

    /// Reads the rest of an answer, whatever its status.
    pub(crate) async fn answer(
        &self,
        target: &Target,
        response: reqwest::Response,
    ) -> Result<Answer, Error> {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = body::read(target, response, &self.inner.config.limits).await?;
        Ok(Answer {
            url: target.url().clone(),
            status,
            headers,
            body,
        })
    }
}

/// More redirects than are followed.
pub(crate) fn too_many(target: &Target, limit: usize) -> Error {
    Error::Redirect {
        url: shown(target.url().as_str()),
        reason: format!("more than {limit} redirects"),
    }
}

/// `Retry-After` in seconds; a date is not read. No more than a day.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds.min(86_400)))
}
