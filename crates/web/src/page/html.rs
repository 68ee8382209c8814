//! From HTML to Markdown.

use dom_query::Document;
use dom_smoothie::{Article, Config, Readability};
use html5ever::tendril::{StrTendril, TendrilSink as _};
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, parse_document};

use super::{
    Kind, LINE_CHARS, Link, Page, PageLimits, charset, clean, depth, references, unreadable,
};
use crate::error::Error;
use crate::fetch::Fetched;
use crate::text::{head, line, visible};

/// Bytes given to the parser at a time: so long it goes on when it should stop.
const PIECE: usize = 4096;
/// An article shorter than this, in characters, may be something else: the page is read whole
/// when that gives twice as much.
const SHORT: usize = 300;

/// Reads an HTML page.
pub(super) fn read(
    document: &Fetched,
    limits: &PageLimits,
    stop: &dyn Fn() -> bool,
) -> Result<Page, Error> {
    let text = charset::decode(&document.body, &document.content_type, Kind::Html);
    let too_long = || unreadable(&document.url, "its HTML takes too long to read");
    let (tree, whole) = parse(&text, limits.nodes, stop).ok_or_else(too_long)?;
    references::resolve(&tree, &document.url);
    clean::clean(&tree);
    if stop() {
        return Err(too_long());
    }
    let said = Said::of(&tree);
    let body = tree.clone();
    let article = article(tree);
    if stop() {
        return Err(too_long());
    }
    let found = article
        .as_ref()
        .map(|article| Document::fragment(article.content.clone()));
    let (markdown, links) = choose(found, &body, limits);
    let markdown = tidy(&references::brackets(&markdown));
    let kept = head(&markdown, limits.text_bytes);
    let of_article = |pick: fn(&Article) -> Option<String>| article.as_ref().and_then(pick);
    let title = of_article(|article| Some(article.title.clone())).filter(|title| !title.is_empty());
    Ok(Page {
        url: document.url.to_string(),
        title: short(title.or(said.title)),
        byline: short(of_article(|article| article.byline.clone())),
        published: short(of_article(|article| article.published_time.clone()).or(said.published)),
        language: short(
            said.language
                .or_else(|| of_article(|article| article.lang.clone())),
        ),
        kind: Kind::Html,
        truncated: !whole || kept.len() < markdown.len(),
        markdown: kept.trim_end().to_owned(),
        links: used(links, kept),
    })
}

/// Feeds the parser piece by piece: some pages of a few hundred kilobytes keep it busy for hours.
/// Returns the tree and whether it is whole, or nothing when it was told to stop.
fn parse(text: &str, nodes: usize, stop: &dyn Fn() -> bool) -> Option<(Document, bool)> {
    let opts = ParseOpts {
        tree_builder: TreeBuilderOpts {
            scripting_enabled: false,
            ..TreeBuilderOpts::default()
        },
        ..ParseOpts::default()
    };
    let mut parser = parse_document(Document::default(), opts);
    let shallow = depth::shallow(text);
    let mut rest = shallow;
    while !rest.is_empty() && parser.tokenizer.sink.sink.tree.len() < nodes {
        if stop() {
            return None;
        }
        let piece = head(rest, PIECE);
        rest = rest.get(piece.len()..).unwrap_or_default();
        parser.process(StrTendril::from_slice(piece));
    }
    let whole = rest.is_empty() && shallow.len() == text.len();
    Some((parser.finish(), whole))
}

/// The article of a page, without what is around it.
fn article(tree: Document) -> Option<Article> {
    let config = Config {
        // Scripts are gone by now.
        disable_json_ld: true,
        char_threshold: SHORT,
        // They name the languages of code.
        keep_classes: true,
        ..Config::default()
    };
    let mut readability = Readability::with_document(tree, None, Some(config)).ok()?;
    readability.parse().ok()
}

/// The article, or the whole page when that is not one.
fn choose(found: Option<Document>, body: &Document, limits: &PageLimits) -> (String, Vec<Link>) {
    let article = found.map(|tree| markdown(&tree, limits.links));
    if let Some((text, links)) = article {
        let whole = body.body().map(|body| body.normalized_char_count());
        let length = text.chars().count();
        if length >= SHORT || whole.unwrap_or_default() < 2 * length {
            return (text, links);
        }
    }
    markdown(body, limits.links)
}

fn markdown(tree: &Document, links: usize) -> (String, Vec<Link>) {
    let links = references::number(tree, links);
    (tree.md(None).to_string(), links)
}

/// What the page says of itself where readability does not look.
struct Said {
    title: Option<String>,
    published: Option<String>,
    language: Option<String>,
}

impl Said {
    fn of(tree: &Document) -> Self {
        let attribute = |selector: &str, name: &str| {
            let value = tree.select_single(selector).attr(name);
            value.map(|value| value.to_string())
        };
        let title = tree.select_single("title").text();
        let published = [
            "meta[property='article:published_time']",
            "meta[name='date']",
            "meta[name='dc.date']",
            "meta[itemprop='datePublished']",
        ];
        let published = published
            .iter()
            .find_map(|selector| attribute(selector, "content"));
        Self {
            title: Some(title.to_string()),
            published: published.or_else(|| attribute("time[datetime]", "datetime")),
            language: attribute("html", "lang"),
        }
    }
}

/// A line of what the page says of itself.
fn short(text: Option<String>) -> Option<String> {
    let text = line(&text?, LINE_CHARS);
    (!text.is_empty()).then_some(text)
}

/// Without what cannot be seen, without blanks at ends of lines, and with single empty lines.
fn tidy(markdown: &str) -> String {
    let text = visible(markdown);
    let mut tidy = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.lines() {
        let line = line.trim_end();
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    tidy.trim().to_owned()
}

/// The links whose numbers are in the text that is left.
fn used(links: Vec<Link>, text: &str) -> Vec<Link> {
    let is_used = |link: &Link| text.contains(&format!("[{}]", link.number));
    links.into_iter().filter(is_used).collect()
}
