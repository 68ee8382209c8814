//! What a document is, by what the server says and by how it begins.

use serde::{Deserialize, Serialize};

use crate::fetch::Fetched;

/// What a document was before it became text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// HTML or XHTML.
    Html,
    /// Plain text, and every text that is nothing else here.
    Text,
    /// Markdown.
    Markdown,
    /// JSON, or lines of JSON.
    Json,
    /// Values separated by commas or tabs.
    Csv,
    /// XML.
    Xml,
    /// RSS or Atom.
    Feed,
    /// PDF.
    Pdf,
    /// No text.
    Binary,
}

/// How much of the beginning is looked at, in bytes.
const LOOKED_AT: usize = 1024;

impl Kind {
    /// What a document is. A server's word for a text counts; where it says nothing, or `binary`,
    /// or `text/plain` of something that is none, the beginning decides.
    #[must_use]
    pub fn of(document: &Fetched) -> Self {
        let start = document.body.get(..LOOKED_AT).unwrap_or(&document.body);
        if start.starts_with(b"%PDF-") {
            return Self::Pdf;
        }
        let essence = document.content_type.essence();
        match essence {
            "text/html" | "application/xhtml+xml" => Self::Html,
            "text/markdown" | "text/x-markdown" => Self::Markdown,
            "text/csv" | "text/tab-separated-values" => Self::Csv,
            "application/rss+xml" | "application/atom+xml" => Self::Feed,
            "application/json" | "text/json" | "application/x-ndjson" => Self::Json,
            "application/xml" | "text/xml" => xml(start),
            "application/pdf" => Self::Pdf,
            "" | "application/octet-stream" => sniff(start),
            _ if essence.ends_with("+json") => Self::Json,
            _ if essence.ends_with("+xml") => xml(start),
            _ if essence.starts_with("text/") || essence == "application/yaml" => {
                if start.contains(&0) && !is_utf16(start) {
                    Self::Binary
                } else {
                    Self::Text
                }
            }
            _ => Self::Binary,
        }
    }
}

fn is_utf16(start: &[u8]) -> bool {
    start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff])
}

fn xml(start: &[u8]) -> Kind {
    if has(start, b"<rss") || has(start, b"<feed") || has(start, b"<rdf:RDF") {
        Kind::Feed
    } else if has(start, b"<html") {
        Kind::Html
    } else {
        Kind::Xml
    }
}

fn sniff(start: &[u8]) -> Kind {
    if start.contains(&0) && !is_utf16(start) {
        return Kind::Binary;
    }
    let text = start.trim_ascii_start();
    if has(text, b"<!doctype html") || has(text, b"<html") || has(text, b"<head") {
        Kind::Html
    } else if text.starts_with(b"<?xml") {
        xml(text)
    } else if text.starts_with(b"{") || text.starts_with(b"[") {
        Kind::Json
    } else if text.starts_with(b"<") {
        Kind::Html
    } else {
        Kind::Text
    }
}

fn has(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}
