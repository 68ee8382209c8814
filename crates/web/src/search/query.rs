//! What is searched for.

use std::str::FromStr;

use super::SearchError;

/// Longest query, in characters: the least that an engine here accepts (Brave's).
pub const MAX_QUERY_CHARS: usize = 400;
/// Most results of one query: the least that an engine here gives (Brave's and Perplexity's).
pub const MAX_RESULTS: u8 = 20;

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    text: String,
    count: u8,
    freshness: Option<Freshness>,
    language: Option<String>,
    country: Option<String>,
}

/// How old a page may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The last 24 hours.
    Day,
    /// The last 7 days.
    Week,
    /// The last month.
    Month,
    /// The last year.
    Year,
}

impl Freshness {
    /// `day`, `week`, `month` or `year`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

impl FromStr for Freshness {
    type Err = SearchError;

    fn from_str(text: &str) -> Result<Self, SearchError> {
        [Self::Day, Self::Week, Self::Month, Self::Year]
            .into_iter()
            .find(|one| one.as_str().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| bad("freshness is `day`, `week`, `month` or `year`"))
    }
}

impl Query {
    /// A query for up to `count` pages, at least one and at most [`MAX_RESULTS`].
    ///
    /// # Errors
    ///
    /// [`SearchError::BadQuery`] when the text is empty or too long.
    pub fn new(text: &str, count: u8) -> Result<Self, SearchError> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return Err(bad("the query is empty"));
        }
        if text.chars().count() > MAX_QUERY_CHARS {
            return Err(bad(
                "the query is longer than 400 characters: use its key words",
            ));
        }
        Ok(Self {
            text,
            count: count.clamp(1, MAX_RESULTS),
            freshness: None,
            language: None,
            country: None,
        })
    }

    /// Only pages as young as this.
    #[must_use]
    pub const fn fresh(mut self, freshness: Option<Freshness>) -> Self {
        self.freshness = freshness;
        self
    }

    /// Only pages in this language (ISO 639-1, `de`).
    ///
    /// # Errors
    ///
    /// [`SearchError::BadQuery`] when it is not two letters.
    pub fn in_language(mut self, language: Option<&str>) -> Result<Self, SearchError> {
        let wrong = "language is a code of two letters such as `en`";
        self.language = language.map(|code| two_letters(code, wrong)).transpose()?;
        Ok(self)
    }

    /// As seen from this country (ISO 3166-1, `de`).
    ///
    /// # Errors
    ///
    /// [`SearchError::BadQuery`] when it is not two letters.
    pub fn in_country(mut self, country: Option<&str>) -> Result<Self, SearchError> {
        let wrong = "country is a code of two letters such as `us`";
        self.country = country.map(|code| two_letters(code, wrong)).transpose()?;
        Ok(self)
    }

    /// The text, with single blanks.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many pages are wanted.
    #[must_use]
    pub const fn count(&self) -> u8 {
        self.count
    }

    /// How old a page may be.
    #[must_use]
    pub const fn freshness(&self) -> Option<Freshness> {
        self.freshness
    }

    /// Two letters, in lower case.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// Two letters, in lower case.
    #[must_use]
    pub fn country(&self) -> Option<&str> {
        self.country.as_deref()
    }
}

fn two_letters(code: &str, wrong: &str) -> Result<String, SearchError> {
    let code = code.trim().to_ascii_lowercase();
    if code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_lowercase()) {
        Ok(code)
    } else {
        Err(bad(wrong))
    }
}

fn bad(reason: &str) -> SearchError {
    SearchError::BadQuery(reason.to_owned())
}
