//! `SearXNG`: many engines behind one of the operator's own.

use serde::Deserialize;
use url::Url;

use super::http::endpoint;
use super::{Query, Results, SearchClient, SearchEngine, SearchError, hit};

const NAME: &str = "searxng";

/// `SearXNG`. Its `settings.yml` must have `json` among `search.formats`.
#[derive(Debug)]
pub struct SearXng {
    client: SearchClient,
    base: Url,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    results: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    #[serde(default)]
    title: String,
    url: Option<String>,
    content: Option<String>,
    engine: Option<String>,
    #[serde(rename = "publishedDate")]
    published: Option<String>,
}

impl SearXng {
    /// An engine at `base`.
    #[must_use]
    pub const fn new(client: SearchClient, base: Url) -> Self {
        Self { client, base }
    }

    fn url(&self, query: &Query) -> Url {
        let mut url = endpoint(&self.base, "search");
        let mut pairs = url.query_pairs_mut();
        pairs
            .append_pair("q", query.text())
            .append_pair("format", "json");
        if let Some(freshness) = query.freshness() {
            pairs.append_pair("time_range", freshness.as_str());
        }
        // It has no country of its own: a language may have one.
        if let Some(language) = query.language() {
            let country = query.country().map(str::to_ascii_uppercase);
            let locale = country.map_or_else(|| language.to_owned(), |c| format!("{language}-{c}"));
            pairs.append_pair("language", &locale);
        }
        drop(pairs);
        url
    }
}

#[async_trait::async_trait]
impl SearchEngine for SearXng {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn search(&self, query: &Query) -> Result<Results, SearchError> {
        let request = self.client.http().get(self.url(query));
        let found: Result<Found, _> = self.client.ask(NAME, request).await;
        let found = found.map_err(|error| match error {
            // There is no key that could be wrong.
            SearchError::Key { engine } => SearchError::Setup {
                engine,
                reason: "it refuses JSON: add `json` to `search.formats` in its settings.yml"
                    .to_owned(),
            },
            other => other,
        })?;
        let results = found.results.iter().filter_map(|one| {
            let source = one.engine.as_deref().unwrap_or(NAME);
            let snippet = one.content.as_deref().unwrap_or_default();
            hit(
                &one.title,
                one.url.as_deref()?,
                snippet,
                one.published.as_deref(),
                source,
            )
        });
        Ok(Results {
            engine: NAME.to_owned(),
            results: results.take(query.count().into()).collect(),
        })
    }
}
