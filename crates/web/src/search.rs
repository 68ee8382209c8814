//! Search engines behind one trait.
//!
//! Engines are the operator's: their addresses come from the configuration and may be on this
//! machine (`SearXNG` often is), so they are not checked by [`crate::guard`]. They get no system
//! proxy, no redirects, and the same limits of time and size.

mod brave;
mod error;
mod http;
mod perplexity;
mod query;
mod searxng;
mod serper;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::brave::Brave;
pub use self::error::SearchError;
pub use self::http::{SearchClient, SearchLimits};
pub use self::perplexity::{Perplexity, PerplexityAnswers};
pub use self::query::{Freshness, MAX_QUERY_CHARS, MAX_RESULTS, Query};
pub use self::searxng::SearXng;
pub use self::serper::Serper;

use crate::text::line;

/// Something that finds pages.
#[async_trait]
pub trait SearchEngine: Send + Sync {
    /// Its name, as results give it.
    fn name(&self) -> &'static str;

    /// Finds pages.
    ///
    /// # Errors
    ///
    /// Every [`SearchError`].
    async fn search(&self, query: &Query) -> Result<Results, SearchError>;
}

/// Something that searches, reads and answers.
#[async_trait]
pub trait AnswerEngine: Send + Sync {
    /// Its name, as answers give it.
    fn name(&self) -> &'static str;

    /// Answers a question from what it finds on the web.
    ///
    /// # Errors
    ///
    /// Every [`SearchError`].
    async fn answer(&self, query: &Query) -> Result<Answer, SearchError>;
}

/// Pages that were found, the best first. Titles and snippets are the words of strangers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// Who found them.
    pub engine: String,
    /// The pages.
    pub results: Vec<Hit>,
}

/// One page that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// Its title.
    pub title: String,
    /// Where it is: http or https.
    pub url: String,
    /// What of it fits the query.
    pub snippet: String,
    /// When it was written, as the engine puts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Who found it; with `SearXNG` the engine behind it.
    pub source: String,
}

/// An answer with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who answered.
    pub engine: String,
    /// The model that did.
    pub model: String,
    /// The answer; `[2]` in it is the second citation.
    pub text: String,
    /// What it rests on, by number.
    pub citations: Vec<Citation>,
    /// Whether the answer was longer.
    pub truncated: bool,
}

/// What an answer rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// Its number in the answer, from 1.
    pub number: usize,
    /// Where it is.
    pub url: String,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// When it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
}

const TITLE_CHARS: usize = 300;
const SNIPPET_CHARS: usize = 1500;

/// A hit, made fit to be shown; nothing when it leads to no page of the web.
fn hit(title: &str, url: &str, snippet: &str, date: Option<&str>, source: &str) -> Option<Hit> {
    let url = url::Url::parse(url).ok()?;
    if !matches!(url.scheme(), "http" | "https") || url.as_str().len() > crate::guard::MAX_URL_BYTES
    {
        return None;
    }
    let date = date
        .map(|date| line(date, 40))
        .filter(|date| !date.is_empty());
    Some(Hit {
        title: line(title, TITLE_CHARS),
        url: url.to_string(),
        snippet: line(snippet, SNIPPET_CHARS),
        date,
        source: line(source, 60),
    })
}
