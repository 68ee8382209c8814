//! No page makes the reader panic, run out of stack or run on.

use std::time::Duration;

use nexus_web::page::{PageLimits, Reader, read};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::pages::{FILLER, fetched, page};

#[test]
fn deep_pages_keep_their_words_and_the_stack() {
    for open in [
        "<div>",
        "<blockquote>",
        "<ul><li>",
        "<b>",
        "<a href=x>",
        "<table><tr><td>",
        "<span style=x:y>",
    ] {
        let html = format!(
            "<p>{FILLER}</p>{}deepest word",
            open.repeat(900 / open.matches('<').count())
        );
        let page = page("text/html", html).unwrap();
        assert!(page.markdown.contains("The river rose"), "{open}");
        // Readability takes a table of nothing but tables for decoration.
        let kept = page.markdown.contains("deepest word") || open.contains("<table>");
        assert!(kept, "{open}");
    }
}

#[test]
fn what_is_deeper_than_any_page_is_left_out() {
    for open in [
        "<div>",
        "<div><p>",
        "<x><div></x>",
        "<b></y>",
        "<DIV class='>'>",
    ] {
        let html = format!("<p>{FILLER}</p>{}too deep", open.repeat(50_000));
        let page = page("text/html", html).unwrap();
        assert!(
            page.truncated && page.markdown.contains("The river rose"),
            "{open}"
        );
        assert!(!page.markdown.contains("too deep"), "{open}");
    }
}

#[test]
fn more_nodes_than_are_read_leave_the_first_ones() {
    let html = format!("<p>{FILLER}</p>{}", "<p>x</p>".repeat(60_000));
    let page = page("text/html", html).unwrap();
    assert!(page.truncated && page.markdown.contains("The river rose"));
}

#[test]
fn reading_stops_when_it_is_told_to() {
    let html = "<div>".repeat(10_000);
    let error = read(&fetched("text/html", html), &PageLimits::default(), &|| {
        true
    })
    .unwrap_err();
    assert_eq!(error.code(), "unreadable");
}

#[tokio::test]
async fn a_page_that_keeps_the_parser_busy_is_given_up() {
    let limits = PageLimits {
        nodes: usize::MAX,
        time: Duration::from_millis(500),
        ..PageLimits::default()
    };
    let reader = Reader::new(limits, None);
    // Each attribute is compared with all before it; each element looks through all that are open.
    let attributes: String = (0..400_000).map(|n| format!(" a{n}")).collect();
    for html in [format!("<p{attributes}>"), format!("<b{attributes}><i>")] {
        let begin = Instant::now();
        let error = reader.read(fetched("text/html", html)).await.unwrap_err();
        assert_eq!(error.code(), "unreadable");
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "{:?}",
            begin.elapsed()
        );
    }
}

#[tokio::test]
async fn the_worst_pages_within_the_limits_end_in_time() {
    let reader = Reader::new(
        PageLimits {
            time: Duration::from_secs(60),
            ..PageLimits::default()
        },
        None,
    );
    for piece in [
        "<div><p>",
        "<p>a, b, c, d",
        "<a href=/x>y</a> ",
        "<table><tr><td>a",
        "<ul><li>a",
        "<b><i>a",
        "<br><br>",
        "<img alt=a src=b>",
    ] {
        let mut html = piece.repeat(100_000 / piece.len());
        html.push_str(FILLER);
        let page = reader.read(fetched("text/html", html)).await;
        assert!(page.is_ok(), "{piece}: {page:?}");
    }
}

/// Pieces that mean something to a parser, in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,20}",
        "<[a-z]{1,8}( [a-z]{1,6}(=['\"]?[^>]{0,20}['\"]?)?){0,3}/?>",
        "</[a-z]{1,8}>",
        proptest::sample::select(vec![
            "<table>",
            "<tr>",
            "<td>",
            "</table>",
            "<select>",
            "<template>",
            "<svg>",
            "<math>",
            "<p>",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<script>",
            "</script>",
            "<style>",
            "<title>",
            "<a href=x>",
            "<img alt='a' src=b>",
            "<pre><code>",
            "<body>",
            "</html>",
            "<frameset>",
            "<plaintext>",
            "&#0;",
            "&amp",
            "&#x10FFFF;",
            "\u{0}",
            "<form>",
            "<li>",
            "<b>",
            "</b>",
            "<h1>",
            "```",
            "|",
            "[1](x)",
            "\u{f0000}",
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_html_panics_and_all_text_is_bounded(html in soup()) {
        let limits = PageLimits { text_bytes: 500, links: 3, ..PageLimits::default() };
        let page = read(&fetched("text/html", html), &limits, &|| false).unwrap();
        prop_assert!(page.markdown.len() <= 500 && page.links.len() <= 3);
        let forbidden = ['\0', '\u{f0000}', '\u{f0001}', '\u{200b}', '\u{202e}'];
        let clean = !page.markdown.contains(forbidden);
        prop_assert!(clean);
        prop_assert!(page.links.iter().all(|link| link.url.starts_with("http")));
    }

    #[test]
    fn no_bytes_panic(
        body in proptest::collection::vec(any::<u8>(), 0..400),
        content_type in "(text/(html|plain|csv)|application/(xml|json|pdf)|)(; ?charset=[a-z0-9-]{0,12})?",
    ) {
        if let Ok(page) = page(&content_type, body) {
            prop_assert!(page.markdown.len() <= 60_000);
        }
    }
}
