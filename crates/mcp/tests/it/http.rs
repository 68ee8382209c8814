//! Servers at an address: an own small one that follows the protocol, or does not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use nexus_mcp::{CallError, Health, Server};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{TOKEN, call, failed, fleet_of, ready, said, until};

/// What one test's server saw and does.
#[derive(Default)]
struct Remote {
    /// Headers of every request, `name: value`.
    seen: Mutex<Vec<String>>,
    sessions: AtomicUsize,
    /// Answer the next call with 404, as for a session that is over.
    forget: AtomicUsize,
    /// Where every request is sent on to.
    redirect: Option<String>,
    status: Option<StatusCode>,
}

async fn serve(remote: Remote) -> (String, Arc<Remote>) {
    // Another test of this process may have been first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let remote = Arc::new(remote);
    let app = Router::new()
        .route("/mcp", any(answer))
        .with_state(Arc::clone(&remote));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, remote)
}

async fn answer(State(remote): State<Arc<Remote>>, headers: HeaderMap, body: String) -> Response {
    let line = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        format!("{name}: {}", value.to_str().unwrap_or_default())
    };
    remote.seen.lock().unwrap().extend(headers.iter().map(line));
    if let Some(to) = &remote.redirect {
        return (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, to.clone())],
        )
            .into_response();
    }
    if let Some(status) = remote.status {
        return status.into_response();
    }
    let Ok(message) = serde_json::from_str::<Value>(&body) else {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    };
    reply(&remote, &headers, &message)
}

fn reply(remote: &Remote, headers: &HeaderMap, message: &Value) -> Response {
    let id = &message["id"];
    let session = headers
        .get("mcp-session-id")
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default();
    let method = message["method"].as_str().unwrap_or_default();
    if method == "initialize" {
        let session = format!("session-{}", remote.sessions.fetch_add(1, Ordering::SeqCst));
        let result = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
            "serverInfo": {"name": "remote", "version": "1"}});
        let body = json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
        let kind = (header::CONTENT_TYPE, "application/json".to_owned());
        return (
            [
                kind,
                (header::HeaderName::from_static("mcp-session-id"), session),
            ],
            body,
        )
            .into_response();
    }
    if method == "tools/call" && remote.forget.swap(0, Ordering::SeqCst) > 0 {
        return StatusCode::NOT_FOUND.into_response();
    }
    let size = message["params"]["arguments"]["size"].as_u64().unwrap_or(0);
    let result = match method {
        "tools/list" => {
            json!({"tools": [{"name": "large", "description": "x", "inputSchema": {"type": "object"}}]})
        }
        "tools/call" => {
            let text = format!("{session}{}", "x".repeat(usize::try_from(size).unwrap()));
            json!({"content": [{"type": "text", "text": text}]})
        }
        "ping" => json!({}),
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    axum::Json(json!({"jsonrpc": "2.0", "id": id, "result": result})).into_response()
}

fn server(url: &str) -> Server {
    let mut server = Server {
        url: Some(url.to_owned()),
        bearer_env: Some("TOKEN".to_owned()),
        ..Server::default()
    };
    server
        .headers_env
        .insert("X-Tenant".to_owned(), "TOKEN".to_owned());
    server.restart.first = std::time::Duration::from_millis(100);
    server
}

#[tokio::test]
async fn the_token_and_headers_go_along_and_a_session_that_is_over_is_renewed() {
    let (url, remote) = serve(Remote::default()).await;
    let fleet = fleet_of(server(&url)).await;
    ready(&fleet).await;
    assert_eq!(said(&fleet, "large", json!({})).await, "session-0");
    remote.forget.store(1, Ordering::SeqCst);
    assert_eq!(said(&fleet, "large", json!({})).await, "session-1");
    let seen = remote.seen.lock().unwrap().join("\n");
    assert!(
        seen.contains(&format!("authorization: Bearer {TOKEN}")),
        "{seen}"
    );
    assert!(seen.contains(&format!("x-tenant: {TOKEN}")), "{seen}");
    fleet.shutdown().await;
}

#[tokio::test]
async fn a_redirect_is_refused_so_that_no_token_goes_elsewhere() {
    let (elsewhere, other) = serve(Remote::default()).await;
    let (url, first) = serve(Remote {
        redirect: Some(elsewhere),
        ..Remote::default()
    })
    .await;
    let fleet = fleet_of(server(&url)).await;
    let reason = failed(&fleet).await;
    assert!(!reason.contains(TOKEN), "{reason}");
    assert!(!first.seen.lock().unwrap().is_empty());
    assert!(other.seen.lock().unwrap().is_empty());
    fleet.shutdown().await;
}

#[tokio::test]
async fn a_body_larger_than_a_message_may_be_is_not_read() {
    let (url, _) = serve(Remote::default()).await;
    let mut server = server(&url);
    server.limits.message_bytes = 100_000;
    let fleet = fleet_of(server).await;
    ready(&fleet).await;
    let error = call(&fleet, "large", json!({"size": 1_000_000}))
        .await
        .unwrap_err();
    assert!(error.may_have_acted(), "{error}");
    assert!(matches!(error, CallError::Lost { .. }), "{error}");
    ready(&fleet).await;
    assert!(call(&fleet, "large", json!({"size": 10})).await.is_ok());
    fleet.shutdown().await;
}

#[tokio::test]
async fn one_that_refuses_or_is_not_there_is_tried_again() {
    let (url, _) = serve(Remote {
        status: Some(StatusCode::UNAUTHORIZED),
        ..Remote::default()
    })
    .await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    for url in [url, nowhere] {
        let fleet = fleet_of(server(&url)).await;
        let status = until(&fleet, "tried twice", |status| status.restarts >= 2).await;
        assert!(!matches!(status.health, Health::Ready));
        let reason = failed(&fleet).await;
        assert!(!reason.contains(TOKEN), "{reason}");
        fleet.shutdown().await;
    }
}
