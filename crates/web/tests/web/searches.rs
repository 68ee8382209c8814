//! Search engines, by answers of the shape their documentation gives.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use nexus_web::Identity;
use nexus_web::search::{
    Brave, Freshness, MAX_RESULTS, Perplexity, Query, Results, SearXng, SearchClient, SearchEngine,
    SearchError, SearchLimits, Serper,
};
use parking_lot::Mutex;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use crate::fixtures::Server;

const KEY: &str = "sk-canary-4711";

/// A question an engine got: path with query, headers, body.
pub(crate) type Asked = Arc<Mutex<Option<(String, HeaderMap, Value)>>>;

/// An engine that always answers the same, and keeps what it was asked.
pub(crate) async fn engine(
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: String,
) -> (Server, Asked) {
    let asked = Asked::default();
    let keep = Arc::clone(&asked);
    let headers: Vec<_> = headers.to_vec();
    let server = Server::start(Router::new().fallback(move |request: Request| {
        let (keep, headers, body) = (Arc::clone(&keep), headers.clone(), body.clone());
        async move {
            let (parts, content) = request.into_parts();
            let content = axum::body::to_bytes(content, 100_000).await.unwrap();
            let content = serde_json::from_slice(&content).unwrap_or(Value::Null);
            *keep.lock() = Some((parts.uri.to_string(), parts.headers, content));
            let mut answer = axum::response::Response::new(axum::body::Body::from(body));
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                answer.headers_mut().insert(name, value.parse().unwrap());
            }
            answer
        }
    }))
    .await;
    (server, asked)
}

pub(crate) fn client(limits: SearchLimits) -> SearchClient {
    SearchClient::new(limits, &Identity::default()).unwrap()
}

pub(crate) fn key() -> SecretString {
    SecretString::from(KEY.to_owned())
}

pub(crate) fn base(server: &Server, path: &str) -> Url {
    server.url(path).parse().unwrap()
}

pub(crate) fn query() -> Query {
    let query = Query::new("  high   water ", 2)
        .unwrap()
        .fresh(Some(Freshness::Week));
    query
        .in_language(Some("EN"))
        .unwrap()
        .in_country(Some("gb"))
        .unwrap()
}

fn urls(results: &Results) -> Vec<&str> {
    results.results.iter().map(|hit| hit.url.as_str()).collect()
}

#[tokio::test]
async fn serper_is_asked_and_read() {
    let body = json!({
        "searchParameters": {"q": "high water", "type": "search"},
        "organic": [
            {"title": "High\u{200b} water", "link": "https://a.example/1", "snippet": "Rising.", "date": "2 days ago", "position": 1},
            {"title": "Bad", "link": "javascript:alert(1)", "position": 2},
            {"title": "Bridge", "link": "https://b.example/2", "position": 3, "sitelinks": []},
            {"title": "More", "link": "https://c.example/3", "snippet": "x", "position": 4}
        ],
        "credits": 1
    });
    let (server, asked) = engine(200, &[], body.to_string()).await;
    let serper = Serper::new(client(SearchLimits::default()), base(&server, "/"), key());
    let results = serper.search(&query()).await.unwrap();
    assert_eq!(
        urls(&results),
        ["https://a.example/1", "https://b.example/2"]
    );
    let first = &results.results[0];
    assert_eq!(
        (first.title.as_str(), first.snippet.as_str()),
        ("High water", "Rising.")
    );
    assert_eq!(
        (first.date.as_deref(), first.source.as_str()),
        (Some("2 days ago"), "serper")
    );
    let (path, headers, sent) = asked.lock().take().unwrap();
    assert_eq!(path, "/search");
    assert_eq!(headers["x-api-key"], KEY);
    assert_eq!(
        sent,
        json!({"q": "high water", "num": 2, "tbs": "qdr:w", "hl": "en", "gl": "gb"})
    );
}

#[tokio::test]
async fn brave_is_asked_and_read() {
    let body = json!({"type": "search", "web": {"type": "search", "results": [
        {"title": "High water", "url": "https://a.example/1", "description": "Rising.", "page_age": "2026-11-20T00:00:00", "age": "9 days ago"}
    ]}});
    let (server, asked) = engine(200, &[], body.to_string()).await;
    let brave = Brave::new(
        client(SearchLimits::default()),
        base(&server, "/res/v1"),
        key(),
    );
    let results = brave.search(&query()).await.unwrap();
    assert_eq!(
        results.results[0].date.as_deref(),
        Some("2026-11-20T00:00:00")
    );
    let (path, headers, _) = asked.lock().take().unwrap();
    assert_eq!(headers["x-subscription-token"], KEY);
    assert_eq!(
        path,
        "/res/v1/web/search?q=high+water&count=2&result_filter=web&text_decorations=false\
         &freshness=pw&search_lang=en&country=GB"
    );
    let (server, _) = engine(200, &[], json!({"type": "search"}).to_string()).await;
    let brave = Brave::new(client(SearchLimits::default()), base(&server, ""), key());
    assert!(brave.search(&query()).await.unwrap().results.is_empty());
}

#[tokio::test]
async fn searxng_on_this_machine_is_asked_and_read() {
    let body = json!({"query": "high water", "number_of_results": 0, "results": [
        {"url": "https://a.example/1", "title": "High water", "content": "Rising.", "engine": "duckduckgo", "publishedDate": null},
        {"title": "no url", "content": null},
        {"url": "https://b.example/2", "title": "B", "content": null, "engine": "bing", "publishedDate": "2026-11-01T00:00:00"}
    ], "answers": [], "unresponsive_engines": []});
    let (server, asked) = engine(200, &[], body.to_string()).await;
    let searxng = SearXng::new(client(SearchLimits::default()), base(&server, "/searx/"));
    let results = searxng.search(&query()).await.unwrap();
    assert_eq!(
        urls(&results),
        ["https://a.example/1", "https://b.example/2"]
    );
    assert_eq!(
        (results.engine.as_str(), results.results[0].source.as_str()),
        ("searxng", "duckduckgo")
    );
    let (path, _, _) = asked.lock().take().unwrap();
    assert_eq!(
        path,
        "/searx/search?q=high+water&format=json&time_range=week&language=en-GB"
    );
    let (server, _) = engine(403, &[], "<h1>Forbidden</h1>".into()).await;
    let searxng = SearXng::new(client(SearchLimits::default()), base(&server, "/"));
    let error = searxng.search(&query()).await.unwrap_err();
    assert!(
        error.code() == "setup" && error.to_string().contains("search.formats"),
        "{error}"
    );
}

#[tokio::test]
async fn perplexity_lists_pages() {
    let body = json!({"id": "1", "results": [
        {"title": "High water", "url": "https://a.example/1", "snippet": "Rising.", "date": "2026-11-20", "last_updated": "2026-11-21"}
    ]});
    let (server, asked) = engine(200, &[], body.to_string()).await;
    let perplexity = Perplexity::new(client(SearchLimits::default()), base(&server, "/"), key());
    let results = perplexity.search(&query()).await.unwrap();
    assert_eq!(results.results[0].date.as_deref(), Some("2026-11-20"));
    let (path, headers, sent) = asked.lock().take().unwrap();
    assert_eq!(path, "/search");
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(
        sent,
        json!({
            "query": "high water", "max_results": 2, "search_recency_filter": "week",
            "search_language_filter": ["en"], "country": "GB"
        })
    );
}

#[tokio::test]
async fn too_often_and_used_up_are_told_apart() {
    let brave_rate = json!({"type": "ErrorResponse", "error": {"code": "RATE_LIMITED", "status": 429,
        "detail": "Request rate limit exceeded for plan.", "meta": {"quota_limit": 2000, "quota_current": 5}}});
    let brave_quota =
        json!({"error": {"code": "QUOTA_LIMITED", "status": 429, "detail": "Quota exceeded."}});
    let perplexity = json!({"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": 401}});
    let serper = json!({"message": "Not enough credits", "statusCode": 400});
    for (status, headers, body, code, seconds) in [
        (
            429,
            &[("retry-after", "9")][..],
            json!({}),
            "rate_limited",
            Some(9),
        ),
        (
            429,
            &[("x-ratelimit-reset", "1, 419704")],
            brave_rate,
            "rate_limited",
            Some(1),
        ),
        (
            429,
            &[("retry-after", "soon")],
            json!("x"),
            "rate_limited",
            None,
        ),
        (429, &[], brave_quota, "quota", None),
        (401, &[], perplexity, "quota", None),
        (400, &[], serper, "quota", None),
        (402, &[], json!(null), "quota", None),
        (401, &[], json!({"message": "Unauthorized."}), "key", None),
        (403, &[], json!({"message": "Unauthorized."}), "key", None),
        (400, &[], json!({"message": "Bad q"}), "status", None),
        (503, &[], json!({}), "status", None),
        (
            302,
            &[("location", "http://169.254.169.254/")],
            json!({}),
            "status",
            None,
        ),
    ] {
        let (server, _) = engine(status, headers, body.to_string()).await;
        let serper = Serper::new(client(SearchLimits::default()), base(&server, "/"), key());
        let error = serper.search(&query()).await.unwrap_err();
        assert_eq!(error.code(), code, "{status} {body}: {error}");
        if let SearchError::RateLimited { retry_after, .. } = &error {
            assert_eq!(retry_after.map(|time| time.as_secs()), seconds, "{body}");
        }
        assert!(!format!("{error} {error:?}").contains(KEY));
    }
}

#[tokio::test]
async fn answers_that_are_none_are_told() {
    for body in [
        "",
        "<html>",
        "{\"organic\": 7}",
        "{\"organic\":[{\"title\":1}]}",
    ] {
        let (server, _) = engine(200, &[], body.to_owned()).await;
        let serper = Serper::new(client(SearchLimits::default()), base(&server, "/"), key());
        assert_eq!(
            serper.search(&query()).await.unwrap_err().code(),
            "bad_answer",
            "{body}"
        );
    }
    let (server, _) = engine(200, &[], " ".repeat(5000)).await;
    let small = SearchLimits {
        bytes: 1000,
        ..SearchLimits::default()
    };
    let serper = Serper::new(client(small), base(&server, "/"), key());
    assert_eq!(
        serper.search(&query()).await.unwrap_err().code(),
        "bad_answer"
    );
    let silent = Server::raw(|stream| async move {
        let _kept = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let short = SearchLimits {
        total: Duration::from_millis(200),
        ..SearchLimits::default()
    };
    let serper = Serper::new(client(short.clone()), base(&silent, "/"), key());
    assert_eq!(serper.search(&query()).await.unwrap_err().code(), "timeout");
    let gone = base(&silent, "/");
    drop(silent);
    let serper = Serper::new(client(short), gone, key());
    let error = serper.search(&query()).await.unwrap_err();
    assert!(matches!(error.code(), "unreachable" | "timeout"), "{error}");
}

#[tokio::test]
async fn keys_are_in_no_word_of_an_engine() {
    let (server, _) = engine(200, &[], String::new()).await;
    let serper = Serper::new(client(SearchLimits::default()), base(&server, "/"), key());
    assert!(!format!("{serper:?}").contains(KEY));
    let odd = SecretString::from(format!("{KEY}\nX: y"));
    let serper = Serper::new(client(SearchLimits::default()), base(&server, "/"), odd);
    let error = serper.search(&query()).await.unwrap_err();
    assert!(
        error.code() == "setup" && !format!("{error:?}{error}").contains(KEY),
        "{error}"
    );
}

#[test]
fn queries_are_bounded() {
    assert_eq!(Query::new("x", 0).unwrap().count(), 1);
    assert_eq!(Query::new("x", 255).unwrap().count(), MAX_RESULTS);
    assert_eq!(Query::new(" a \n b ", 5).unwrap().text(), "a b");
    for text in ["", " \n ", &"x".repeat(401)] {
        assert_eq!(Query::new(text, 5).unwrap_err().code(), "bad_query");
    }
    for code in ["eng", "e", "e1", "", "ée"] {
        assert!(
            Query::new("x", 5).unwrap().in_language(Some(code)).is_err(),
            "{code}"
        );
        assert!(
            Query::new("x", 5).unwrap().in_country(Some(code)).is_err(),
            "{code}"
        );
    }
    assert_eq!("Week".parse::<Freshness>().unwrap(), Freshness::Week);
    assert!("fortnight".parse::<Freshness>().is_err());
}
