//! What a document is said to be, and what is taken.

use reqwest::header::{CONTENT_TYPE, HeaderMap};

/// A media type as a server gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentType {
    essence: String,
    charset: Option<String>,
}

impl ContentType {
    /// Reads the value of a `Content-Type`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parts = text.split(';');
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let value = value.trim().trim_matches('"');
            name.trim()
                .eq_ignore_ascii_case("charset")
                .then(|| value.to_ascii_lowercase())
        });
        Self { essence, charset }
    }

    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let value = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        value.map(Self::parse).unwrap_or_default()
    }

    /// `text/html`, in lower case; empty when the server said nothing.
    #[must_use]
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// The character set, where one is named.
    #[must_use]
    pub fn charset(&self) -> Option<&str> {
        self.charset.as_deref()
    }
}

/// The media types a caller takes. A document of which the server says nothing is always taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    patterns: Vec<String>,
}

impl Accept {
    /// What [`crate::page::Reader`] can read.
    #[must_use]
    pub fn pages() -> Self {
        Self::of(&[
            "text/html",
            "application/xhtml+xml",
            "application/pdf",
            "text/*",
            "application/json",
            "application/*+json",
            "application/x-ndjson",
            "application/yaml",
            "application/xml",
            "application/*+xml",
        ])
    }

    /// Everything.
    #[must_use]
    pub fn any() -> Self {
        Self::of(&["*/*"])
    }

    /// Types such as `text/html`, `text/*` and `application/*+json`.
    #[must_use]
    pub fn of(patterns: &[&str]) -> Self {
        let patterns = patterns
            .iter()
            .map(|pattern| pattern.to_ascii_lowercase())
            .collect();
        Self { patterns }
    }

    /// Whether a document of this type is taken.
    #[must_use]
    pub fn takes(&self, found: &ContentType) -> bool {
        let essence = found.essence();
        essence.is_empty() || self.patterns.iter().any(|pattern| fits(pattern, essence))
    }

    /// As it is sent. Wildcards within a subtype are no part of the header's grammar.
    pub(crate) fn header(&self) -> String {
        let sent: Vec<&str> = self
            .patterns
            .iter()
            .map(String::as_str)
            .filter(|pattern| !pattern.contains("*+"))
            .collect();
        sent.join(", ")
    }
}

fn fits(pattern: &str, essence: &str) -> bool {
    if pattern == "*/*" {
        return true;
    }
    match pattern.split_once('*') {
        Some((before, after)) => {
            essence.len() > before.len() + after.len()
                && essence.starts_with(before)
                && essence.ends_with(after)
        }
        None => pattern == essence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_they_are_written() {
        let html = ContentType::parse("Text/HTML ; boundary=x; Charset=\"ISO-8859-1\"");
        assert_eq!(
            (html.essence(), html.charset()),
            ("text/html", Some("iso-8859-1"))
        );
        assert_eq!(ContentType::parse(";;=;").essence(), "");
    }

    #[test]
    fn pages_are_texts_and_pdf() {
        let takes = |text| Accept::pages().takes(&ContentType::parse(text));
        for text in [
            "text/html",
            "text/markdown",
            "application/ld+json",
            "image/svg+xml",
            "",
        ] {
            assert_eq!(takes(text), text != "image/svg+xml", "{text}");
        }
        for text in [
            "image/png",
            "application/octet-stream",
            "application/zip",
            "text/",
            "video/mp4",
        ] {
            assert!(!takes(text), "{text}");
        }
        assert!(!Accept::pages().header().contains("*+"));
    }
}
