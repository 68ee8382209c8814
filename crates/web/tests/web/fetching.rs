//! What is sent, what is taken, and what sites ask of programs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use nexus_web::{Accept, Error, Fetcher, FetcherConfig, RobotsPolicy};

use crate::fixtures::Server;

#[tokio::test]
async fn a_page_comes_with_its_type_and_the_question_is_plain() {
    let server = Server::start(Router::new().route(
        "/page",
        get(|headers: HeaderMap| async move {
            let lines = headers
                .iter()
                .map(|(name, value)| format!("{name}: {value:?}\n"));
            (
                [
                    (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
                    (header::SET_COOKIE, "id=1"),
                ],
                lines.collect::<String>(),
            )
        }),
    ))
    .await;
    let fetched = server.fetch("/page#part").await.unwrap();
    assert_eq!(fetched.url.as_str(), server.url("/page"));
    assert_eq!(fetched.content_type.charset(), Some("utf-8"));
    let told = String::from_utf8(fetched.body.to_vec()).unwrap();
    assert!(told.contains("user-agent: \"Nexus/"), "{told}");
    for name in ["cookie:", "referer:", "authorization:"] {
        assert!(!told.contains(name), "{told}");
    }
}

#[tokio::test]
async fn a_cookie_does_not_come_back_after_a_redirect() {
    let server = Server::start(
        Router::new()
            .route(
                "/a",
                get(|| async { ([(header::SET_COOKIE, "id=1; Path=/")], Redirect::to("/b")) }),
            )
            .route(
                "/b",
                get(|headers: HeaderMap| async move { format!("{:?}", headers.get("cookie")) }),
            ),
    )
    .await;
    let fetched = server.fetch("/a").await.unwrap();
    assert_eq!(
        (&fetched.body[..], fetched.url.path()),
        (&b"None"[..], "/b")
    );
}

#[tokio::test]
async fn a_status_is_told_with_the_time_to_wait() {
    let server = Server::start(
        Router::new()
            .route(
                "/busy",
                get(|| async { (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "7")]) }),
            )
            .route("/kept", get(|| async { StatusCode::NOT_MODIFIED })),
    )
    .await;
    let Err(
        error @ Error::Status {
            status,
            retry_after,
            ..
        },
    ) = server.fetch("/busy").await
    else {
        panic!("no status");
    };
    assert_eq!((status, retry_after.map(|t| t.as_secs())), (429, Some(7)));
    assert!(error.is_passing());
    assert!(
        server
            .fetch("/none")
            .await
            .unwrap_err()
            .to_string()
            .contains("404")
    );
    assert_eq!(server.fetch("/kept").await.unwrap_err().code(), "status");
}

#[tokio::test]
async fn a_type_the_caller_does_not_take_is_refused() {
    let typed = |value: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, value)], "x").into_response() })
    };
    let server = Server::start(
        Router::new()
            .route("/png", typed("image/png"))
            .route("/md", typed("text/markdown")),
    )
    .await;
    let error = server.fetch("/png").await.unwrap_err();
    assert_eq!(error.code(), "content_type");
    assert!(error.to_string().contains("image/png"));
    assert!(server.fetch("/md").await.is_ok());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let server = Server::start(Router::new()).await;
    let (url, config) = (server.url("/"), server.config());
    drop(server);
    let error = Fetcher::new(config)
        .unwrap()
        .fetch(&url, &Accept::any())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "unreachable", "{error}");
}

/// A site with this `robots.txt`, and how often that was asked for.
async fn site(status: StatusCode, robots: &'static str) -> (Server, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let robots = get(move || async move {
        count.fetch_add(1, Ordering::Relaxed);
        (status, robots)
    });
    let routes = Router::new()
        .route("/robots.txt", robots)
        .fallback(|| async { "page" });
    (Server::start(routes).await, asked)
}

fn respectful(server: &Server) -> Fetcher {
    Fetcher::new(FetcherConfig {
        robots: RobotsPolicy::Respect,
        ..server.config()
    })
    .unwrap()
}

#[tokio::test]
async fn robots_txt_is_asked_once_and_obeyed() {
    let (server, asked) = site(StatusCode::OK, "User-agent: *\nDisallow: /private\n").await;
    let fetcher = respectful(&server);
    assert!(
        fetcher
            .fetch(&server.url("/open"), &Accept::any())
            .await
            .is_ok()
    );
    let error = fetcher
        .fetch(&server.url("/private/a"), &Accept::any())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "robots");
    assert!(
        server.fetch("/private/a").await.is_ok(),
        "an operator may ignore it"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn without_robots_txt_all_may_be_read_and_with_a_broken_one_nothing() {
    for (status, readable) in [
        (StatusCode::NOT_FOUND, true),
        (StatusCode::FORBIDDEN, true),
        (StatusCode::INTERNAL_SERVER_ERROR, false),
        (StatusCode::SERVICE_UNAVAILABLE, false),
    ] {
        let (server, _) = site(status, "").await;
        let got = respectful(&server)
            .fetch(&server.url("/a"), &Accept::any())
            .await;
        assert_eq!(got.is_ok(), readable, "{status}: {got:?}");
    }
}

#[tokio::test]
async fn robots_txt_counts_at_the_end_of_a_redirect_too() {
    let (closed, _) = site(StatusCode::OK, "User-agent: Nexus\nDisallow: /\n").await;
    let to = closed.url("/page");
    let open =
        Server::start(Router::new().route("/go", get(move || async move { Redirect::to(&to) })))
            .await;
    let mut config = FetcherConfig {
        robots: RobotsPolicy::Respect,
        ..open.config()
    };
    config.reach.allow.extend(closed.reach().allow);
    let error = Fetcher::new(config)
        .unwrap()
        .fetch(&open.url("/go"), &Accept::any())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "robots");
}

#[tokio::test]
async fn a_redirect_of_robots_txt_leads_no_further_than_any_other() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let inner = Server::start(Router::new().fallback(move || async move {
        count.fetch_add(1, Ordering::Relaxed);
    }))
    .await;
    let to = inner.url("/");
    let server = Server::start(
        Router::new().route("/robots.txt", get(move || async move { Redirect::to(&to) })),
    )
    .await;
    let error = respectful(&server)
        .fetch(&server.url("/a"), &Accept::any())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "robots");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}
