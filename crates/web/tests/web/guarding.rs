//! No way leads past the guard: not by redirects, not by names.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use nexus_web::guard::Reach;
use nexus_web::{Accept, Fetcher, FetcherConfig};

use crate::fixtures::{Names, Server};

/// A server whose `/go` leads to `to`, and how often anything but `/go` was asked for.
async fn leads(to: &'static str) -> Server {
    Server::start(Router::new().route("/go", get(move || async move { Redirect::temporary(to) })))
        .await
}

#[tokio::test]
async fn a_redirect_is_checked_like_any_url() {
    for (to, code) in [
        (
            "http://169.254.169.254/latest/meta-data/",
            "blocked_address",
        ),
        ("http://[::ffff:127.0.0.1]/", "blocked_address"),
        ("http://[::ffff:7f00:1]:8080/", "blocked_address"),
        ("//10.0.0.1/", "blocked_address"),
        ("http://0x7f.1/", "blocked_address"),
        ("http://localhost/", "blocked_host"),
        ("http://metadata.google.internal/", "blocked_host"),
        ("http://8.8.8.8:6379/", "blocked_port"),
        ("http://user:pw@example.org/", "bad_url"),
        ("file:///etc/passwd", "bad_url"),
        ("/go", "redirect"),
    ] {
        let server = leads(to).await;
        let error = server.fetch("/go").await.unwrap_err();
        assert_eq!(error.code(), code, "{to}: {error}");
    }
}

#[tokio::test]
async fn a_redirect_to_another_port_of_an_open_address_is_refused() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let inner = Server::start(Router::new().fallback(move || async move {
        count.fetch_add(1, Ordering::Relaxed);
        "secret"
    }))
    .await;
    let to = inner.url("/admin");
    let outer = Server::start(
        Router::new().route("/go", get(move || async move { Redirect::permanent(&to) })),
    )
    .await;
    let error = outer.fetch("/go").await.unwrap_err();
    assert_eq!(error.code(), "blocked_address");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn redirects_come_to_an_end() {
    let hops = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&hops);
    let server = Server::start(Router::new().fallback(move || async move {
        let hop = count.fetch_add(1, Ordering::Relaxed);
        Redirect::to(&format!("/{hop}"))
    }))
    .await;
    let error = server.fetch("/start").await.unwrap_err();
    assert_eq!(error.code(), "redirect");
    // The first question and five redirects.
    assert_eq!(hops.load(Ordering::Relaxed), 6);
    let pair = Router::new()
        .route("/a", get(|| async { Redirect::to("/b") }))
        .route("/b", get(|| async { Redirect::to("/a") }));
    assert_eq!(
        Server::start(pair)
            .await
            .fetch("/a")
            .await
            .unwrap_err()
            .code(),
        "redirect"
    );
    let mute = Router::new().route("/go", get(|| async { StatusCode::FOUND }));
    assert_eq!(
        Server::start(mute)
            .await
            .fetch("/go")
            .await
            .unwrap_err()
            .code(),
        "redirect"
    );
}

/// The names of a test, at the port of a server that stands on a loopback address.
fn fetcher(server: &Server, names: &Arc<Names>, reach: Reach) -> (Fetcher, String) {
    let config = FetcherConfig {
        reach,
        ..server.config()
    };
    let url = format!("http://site.example.org:{}/", server.address.port());
    (
        Fetcher::with_resolver(config, Arc::clone(names) as _).unwrap(),
        url,
    )
}

#[tokio::test]
async fn every_address_of_a_name_must_be_public() {
    let server = Server::start(Router::new().fallback(|| async { "secret" })).await;
    let port = Reach {
        allow: Vec::new(),
        ports: vec![server.address.port()],
    };
    for addresses in [
        &["127.0.0.1"][..],
        &["8.8.8.8", "127.0.0.1"],
        &["::ffff:127.0.0.1"],
        &["::1"],
        &["10.0.0.1", "8.8.8.8"],
    ] {
        let names = Names::of(&[("site.example.org", &[addresses])]);
        let (fetcher, url) = fetcher(&server, &names, port.clone());
        let error = fetcher.fetch(&url, &Accept::any()).await.unwrap_err();
        assert_eq!(error.code(), "blocked_address", "{addresses:?}: {error}");
    }
    let names = Names::of(&[("site.example.org", &[&[]])]);
    let (with_nothing, url) = fetcher(&server, &names, port.clone());
    assert_eq!(
        with_nothing
            .fetch(&url, &Accept::any())
            .await
            .unwrap_err()
            .code(),
        "unknown_host"
    );
    let (without, url) = fetcher(&server, &Names::of(&[]), port);
    assert_eq!(
        without
            .fetch(&url, &Accept::any())
            .await
            .unwrap_err()
            .code(),
        "unknown_host"
    );
}

#[tokio::test]
async fn a_name_is_resolved_once_and_the_checked_address_is_connected_to() {
    let server = Server::start(Router::new().fallback(|| async { "page" })).await;
    // At the first question the open address, at any further one another server's: were the name
    // asked again for the connection, this one would not be found.
    let names = Names::of(&[("site.example.org", &[&["127.0.0.1"], &["127.0.0.2"]])]);
    let (pinned, url) = fetcher(&server, &names, server.reach());
    let fetched = pinned.fetch(&url, &Accept::any()).await.unwrap();
    assert_eq!(&fetched.body[..], b"page");
    assert_eq!(names.asked.load(Ordering::Relaxed), 1);
    // And the name is asked and checked anew for the next request.
    let error = pinned.fetch(&url, &Accept::any()).await.unwrap_err();
    assert_eq!(error.code(), "blocked_address");
}

#[tokio::test]
async fn a_name_that_turns_inward_is_caught_at_the_redirect() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(Router::new().fallback(move || async move {
        let hop = count.fetch_add(1, Ordering::Relaxed);
        Redirect::to(&format!("/{hop}"))
    }))
    .await;
    let names = Names::of(&[("site.example.org", &[&["127.0.0.1"], &["169.254.169.254"]])]);
    let (fetcher, url) = fetcher(&server, &names, server.reach());
    let error = fetcher.fetch(&url, &Accept::any()).await.unwrap_err();
    assert_eq!(error.code(), "blocked_address");
    assert!(error.to_string().contains("169.254.169.254"), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
