//! Links and images become references: numbers and words that nothing loads by itself.

use std::collections::HashMap;

use dom_query::{Document, NodeRef};
use url::Url;

use super::{LINE_CHARS, Link};
use crate::text::line;

/// Stand for brackets until the Markdown is written, which would escape those. Characters for
/// private use: what a page itself has of them is removed first.
const OPEN: char = '\u{f0000}';
const CLOSE: char = '\u{f0001}';

/// Makes every `href` an absolute http or https URL, or takes it away.
pub(super) fn resolve(document: &Document, page: &Url) {
    let base = document
        .select("base[href]")
        .attr("href")
        .and_then(|href| page.join(&href).ok())
        .filter(|base| matches!(base.scheme(), "http" | "https"))
        .unwrap_or_else(|| page.clone());
    for link in document.select("a[href]").nodes() {
        let href = link.attr("href").unwrap_or_default();
        match absolute(&base, page, href.trim()) {
            Some(url) => link.set_attr("href", url.as_str()),
            None => link.remove_attr("href"),
        }
    }
}

fn absolute(base: &Url, page: &Url, href: &str) -> Option<Url> {
    if href.starts_with('#') {
        return None;
    }
    let url = base.join(href).ok()?;
    let same_page = url.fragment().is_some() && {
        let mut without = url.clone();
        without.set_fragment(None);
        without == *page
    };
    let plain = matches!(url.scheme(), "http" | "https") && url.username().is_empty();
    (plain && !same_page && url.as_str().len() <= crate::guard::MAX_URL_BYTES).then_some(url)
}

/// Replaces links by their words and a number, and images by their descriptions.
pub(super) fn number(document: &Document, max: usize) -> Vec<Link> {
    for text in document.root().descendants() {
        if text.is_text() {
            let words = text.text();
            if words.contains([OPEN, CLOSE]) {
                text.set_text(words.replace([OPEN, CLOSE], ""));
            }
        }
    }
    for image in document.select("img, image").nodes() {
        describe(document, image);
    }
    let mut links: Vec<Link> = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for node in document.select("a").nodes() {
        if let Some(url) = node.attr("href") {
            let text = line(&node.text().replace([OPEN, CLOSE], ""), LINE_CHARS);
            let known = numbers.get(&*url).copied();
            let number = known.or_else(|| (links.len() < max).then_some(links.len() + 1));
            if let Some(number) = number {
                if known.is_none() {
                    numbers.insert(url.to_string(), number);
                    let url = url.to_string();
                    links.push(Link { number, text, url });
                }
                let mark = document.tree.new_text(format!(" {OPEN}{number}{CLOSE}"));
                node.append_child(&mark);
            }
        }
        node.remove_all_attrs();
        node.rename("span");
    }
    links
}

fn describe(document: &Document, image: &NodeRef<'_>) {
    let words = line(&image.attr("alt").unwrap_or_default(), LINE_CHARS);
    if !words.is_empty() {
        let words = words.replace([OPEN, CLOSE], "");
        let mark = document
            .tree
            .new_text(format!("{OPEN}image: {words}{CLOSE}"));
        image.insert_before(&mark);
    }
    image.remove_from_parent();
}

/// Writes the brackets, when the Markdown is there.
pub(super) fn brackets(markdown: &str) -> String {
    markdown.replace(OPEN, "[").replace(CLOSE, "]")
}
