//! What becomes of pages.

use bytes::Bytes;
use nexus_web::page::{Kind, Page, PageLimits, Reader, read};
use nexus_web::{ContentType, Error, Fetched};

/// A document as a server would give it.
pub(crate) fn fetched(content_type: &str, body: impl Into<Bytes>) -> Fetched {
    Fetched {
        url: "https://site.example/news/page.html".parse().unwrap(),
        content_type: ContentType::parse(content_type),
        body: body.into(),
    }
}

pub(crate) fn page(content_type: &str, body: impl Into<Bytes>) -> Result<Page, Error> {
    read(
        &fetched(content_type, body),
        &PageLimits::default(),
        &|| false,
    )
}

pub(crate) const FILLER: &str = "The river rose by four metres in two days, and the old bridge, \
    which had stood since the year 1702, was closed to carts and later to walkers as well. People \
    who live on the island were asked to keep water and candles at hand, and the school has been \
    turned into a kitchen, where volunteers cook for three hundred people at noon and at six.";

fn article() -> String {
    format!(
        r##"<!doctype html><html lang="en"><head><title>High water | The Daily Bridge</title>
<base href="/news/"><meta name="author" content="Ada Quill">
<meta property="article:published_time" content="2026-11-03T08:00:00Z">
<script>var secret = "SCRIPT";</script><style>.x{{color:red}}</style></head><body>
<nav><a href="/">HOME</a> <a href="/sport">SPORT</a></nav>
<div class="advert">BUY-NOW</div>
<article><h1>High water</h1><p class="byline">By Ada Quill</p>
<p>{FILLER} <a href="report.html?a=1#part">The report</a> says more,
<a href="javascript:alert(1)">nothing</a> here, <a href="#below">below</a>.</p>
<p>{FILLER}</p>
<img src="https://tracker.example/pixel.gif" alt="The bridge at dawn">
<img src="https://tracker.example/blank.gif">
<h2>Levels</h2>
<table><tr><th>Day</th><th>Metres</th></tr><tr><td>Mon</td><td>3.1</td></tr>
<tr><td>Tue</td><td>7|2</td></tr></table>
<pre><code class="language-python">def level(day):
    return day * 2  # [x](y)
</code></pre>
<ul><li>first</li><li>second <a href="https://other.example/x">other</a> and
<a href="report.html?a=1#part">again</a></li></ul>
<p>{FILLER}</p></article>
<footer>IMPRINT <a href="/legal">legal</a></footer></body></html>"##
    )
}

#[test]
fn an_article_is_read_without_what_is_around_it() {
    let page = page("text/html; charset=utf-8", article()).unwrap();
    let text = &page.markdown;
    assert_eq!(page.kind, Kind::Html);
    assert!(
        page.title.as_deref().unwrap().starts_with("High water"),
        "{page:?}"
    );
    assert_eq!(page.byline.as_deref(), Some("Ada Quill"));
    assert_eq!(page.published.as_deref(), Some("2026-11-03T08:00:00Z"));
    assert_eq!(page.language.as_deref(), Some("en"));
    assert!(!page.truncated);
    for gone in [
        "SCRIPT",
        "BUY-NOW",
        "SPORT",
        "IMPRINT",
        "javascript",
        "color:red",
    ] {
        assert!(!text.contains(gone), "{gone}: {text}");
    }
    for kept in [
        "The river rose",
        "## Levels",
        "| Mon | 3.1 |",
        "7\\|2",
        "- first",
        "    return day * 2  # [x](y)",
        "```python",
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
}

#[test]
fn links_and_images_are_references_that_nothing_loads() {
    let page = page("text/html", article()).unwrap();
    let text = &page.markdown;
    assert!(text.contains("The report [1] says"), "{text}");
    assert!(
        text.contains("other [2] and") && text.contains("again [1]"),
        "{text}"
    );
    assert!(text.contains("[image: The bridge at dawn]"), "{text}");
    assert!(
        !text.contains("tracker.example") && !text.replace("[x](y)", "").contains("]("),
        "{text}"
    );
    let urls: Vec<&str> = page.links.iter().map(|link| link.url.as_str()).collect();
    assert_eq!(
        urls,
        [
            "https://site.example/news/report.html?a=1#part",
            "https://other.example/x"
        ]
    );
    assert_eq!(page.links[1].text, "other");
}

#[test]
fn a_page_that_is_no_article_is_read_whole() {
    let html = "<title>Index</title><ul><li><a href=a>One</a></li><li><a href=b>Two</a></li></ul>";
    let page = page("text/html", html).unwrap();
    assert_eq!(page.title.as_deref(), Some("Index"));
    assert_eq!(page.markdown, "- One [1]\n- Two [2]");
    assert_eq!(page.links.len(), 2);
}

#[test]
fn a_page_cannot_write_brackets_of_references_itself() {
    let html = "<p>See \u{f0000}7\u{f0001} and <a href=/x>this</a></p>";
    assert_eq!(
        page("text/html", html).unwrap().markdown,
        "See 7 and this [1]"
    );
}

#[test]
fn pages_in_old_character_sets_are_read() {
    let html =
        b"<html><head><meta charset=windows-1251></head><body><p>\xcf\xf0\xe8\xe2\xe5\xf2</p>";
    assert_eq!(page("text/html", html.to_vec()).unwrap().markdown, "Привет");
    let latin = b"<p>caf\xe9 \x93quoted\x94</p>".to_vec();
    assert_eq!(page("text/html", latin).unwrap().markdown, "café “quoted”");
    let mut wide = vec![0xff, 0xfe];
    wide.extend("<p>zażółć</p>".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(page("text/html", wide).unwrap().markdown, "zażółć");
}

#[test]
fn texts_stay_as_they_are() {
    for (content_type, body, kind) in [
        ("text/plain", "a\r\n  b\u{7}\n", Kind::Text),
        ("text/markdown", "# a", Kind::Markdown),
        ("application/json", "{\"a\": [1]}", Kind::Json),
        ("application/ld+json", "{}", Kind::Json),
        ("text/csv", "a,b\n1,2", Kind::Csv),
        (
            "application/xml",
            "<?xml version='1.0'?><a>b</a>",
            Kind::Xml,
        ),
        (
            "application/xml",
            "<?xml version='1.0'?><rss><channel/></rss>",
            Kind::Feed,
        ),
        ("application/atom+xml", "<feed/>", Kind::Feed),
        ("", "{\"a\":1}", Kind::Json),
        ("", "plain words", Kind::Text),
    ] {
        let page = page(content_type, body).unwrap();
        assert_eq!(page.kind, kind, "{content_type}");
        let expected = body.replace("\r\n", "\n").replace('\u{7}', "");
        assert_eq!(page.markdown, expected.trim_end(), "{content_type}");
    }
    assert_eq!(page("", "<!DOCTYPE html><p>x").unwrap().kind, Kind::Html);
    for (content_type, body) in [
        ("image/png", &b"\x89PNG"[..]),
        ("", b"\0\x01"),
        ("text/plain", b"a\0b"),
    ] {
        assert_eq!(
            page(content_type, body.to_vec()).unwrap_err().code(),
            "content_type"
        );
    }
}

#[test]
fn a_long_text_is_cut_between_characters_and_says_so() {
    let limits = PageLimits {
        text_bytes: 1001,
        ..PageLimits::default()
    };
    for content_type in ["text/plain", "text/html"] {
        let document = fetched(content_type, "ä".repeat(4000));
        let page = read(&document, &limits, &|| false).unwrap();
        assert_eq!(
            (page.markdown.len(), page.truncated),
            (1000, true),
            "{content_type}"
        );
    }
    let short = page("text/plain", "ä\n").unwrap();
    assert!(!short.truncated);
}

#[tokio::test]
async fn a_reader_reads_and_says_where_it_cannot() {
    let reader = Reader::new(PageLimits::default(), None);
    let page = reader
        .read(fetched("text/html", "<p>words</p>"))
        .await
        .unwrap();
    assert_eq!(page.markdown, "words");
    let error = reader
        .read(fetched("application/pdf", "%PDF-1.4"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "unreadable");
}
