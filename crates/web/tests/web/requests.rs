//! Requests a model writes.

use axum::Router;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{any, get, post};
use nexus_web::guard::Reach;
use nexus_web::request::{AllowedHost, Body, HttpRequest, RequestPolicy, Requester};
use nexus_web::{Fetcher, FetcherConfig};
use serde_json::json;

use crate::fixtures::Server;

async fn api() -> Server {
    let routes = Router::new()
        .route(
            "/v1/echo",
            post(|headers: HeaderMap, body: String| async move {
                let kind = headers
                    .get(header::CONTENT_TYPE)
                    .and_then(|v| v.to_str().ok())
                    .unwrap_or("")
                    .to_owned();
                (
                    StatusCode::CREATED,
                    [(header::SET_COOKIE, "s=1")],
                    axum::Json(json!({"got": body, "as": kind})),
                )
            }),
        )
        .route(
            "/v1/method",
            any(|method: Method| async move { method.to_string() }),
        )
        .route("/v1/away", get(|| async { Redirect::to("/v2/secret") }))
        .route(
            "/v1/post-away",
            post(|| async { Redirect::to("/v2/secret") }),
        )
        .route("/v2/secret", get(|| async { "secret" }))
        .route(
            "/v1/bytes",
            get(|| async {
                ([(header::CONTENT_TYPE, "image/png")], vec![0_u8, 1, 2]).into_response()
            }),
        );
    Server::start(routes).await
}

fn requester(server: &Server, policy: RequestPolicy) -> Requester {
    Requester::new(Fetcher::new(server.config()).unwrap(), policy)
}

fn policy(server: &Server, path: &str, methods: &[&str]) -> RequestPolicy {
    let host = AllowedHost::new("127.0.0.1", Some(server.address.port()), path, methods).unwrap();
    RequestPolicy {
        hosts: vec![host],
        headers: vec!["X-Trace".to_owned(), "Cookie".to_owned()],
    }
}

fn ask(method: &str, url: String) -> HttpRequest {
    HttpRequest {
        method: method.to_owned(),
        url,
        ..HttpRequest::default()
    }
}

#[tokio::test]
async fn what_is_listed_is_sent_and_the_answer_is_typed() {
    let server = api().await;
    let requester = requester(&server, policy(&server, "/v1", &["GET", "HEAD", "POST"]));
    let mut request = ask("post", server.url("/v1/echo"));
    request.headers = vec![
        ("Content-Type".into(), "application/json".into()),
        ("x-trace".into(), "7".into()),
    ];
    request.body = Some("{}".into());
    let response = requester.send(&request).await.unwrap();
    assert_eq!(response.status, 201);
    assert_eq!(
        response.body,
        Body::Json {
            value: json!({"got": "{}", "as": "application/json"})
        }
    );
    assert!(
        !response
            .headers
            .iter()
            .any(|(name, _)| name == "set-cookie")
    );
    let response = requester
        .send(&ask("HEAD", server.url("/v1/method")))
        .await
        .unwrap();
    assert_eq!((response.status, response.body), (200, Body::Empty));
    let response = requester
        .send(&ask("GET", server.url("/v1/bytes")))
        .await
        .unwrap();
    assert_eq!(response.body, Body::Binary { bytes: 3 });
    let response = requester
        .send(&ask("GET", server.url("/v1/none")))
        .await
        .unwrap();
    assert_eq!(response.status, 404);
}

#[tokio::test]
async fn what_is_not_listed_is_refused_before_it_is_sent() {
    let server = api().await;
    let requester = requester(&server, policy(&server, "/v1", &["GET"]));
    for (method, path) in [
        ("POST", "/v1/echo"),
        ("GET", "/v2/secret"),
        ("GET", "/v1/../v2/secret"),
        ("GET", "/v1/%2e%2e/v2/secret"),
        ("GET", "/v1/..%2fv2/secret"),
        ("GET", "/v1%2f..%2fv2/secret"),
        ("GET", "/v1/..%252fv2"),
        ("GET", "/v1/..;/v2/secret"),
        ("GET", "/v1\\..\\v2/secret"),
        ("GET", "/v12"),
        ("CONNECT", "/v1"),
        ("TRACE", "/v1"),
        ("GET /v2/secret HTTP/1.1\r\nX:", "/v1"),
    ] {
        let error = requester
            .send(&ask(method, server.url(path)))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "not_allowed", "{method} {path}: {error}");
    }
    let elsewhere = ask("GET", "http://example.org/v1".to_owned());
    assert_eq!(
        requester.send(&elsewhere).await.unwrap_err().code(),
        "not_allowed"
    );
    assert!(requester.send(&ask("GET", server.url("/v1"))).await.is_ok());
}

#[tokio::test]
async fn headers_that_open_something_are_never_sent() {
    let server = api().await;
    let requester = requester(&server, policy(&server, "", &["GET"]));
    for (name, value) in [
        ("Host", "other"),
        ("Cookie", "a=1"),
        ("Authorization", "Bearer x"),
        ("authorization ", "Bearer x"),
        ("Proxy-Authorization", "x"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "0"),
        ("Sec-Fetch-Mode", "x"),
        ("X-Unlisted", "x"),
        ("x trace", "x"),
        ("accept", "a\r\nHost: other"),
        ("", "x"),
    ] {
        let mut request = ask("GET", server.url("/v1/method"));
        request.headers = vec![(name.to_owned(), value.to_owned())];
        let error = requester.send(&request).await.unwrap_err();
        assert_eq!(error.code(), "not_allowed", "{name}: {error}");
    }
    let mut with_body = ask("GET", server.url("/v1/method"));
    with_body.body = Some("x".into());
    assert_eq!(
        requester.send(&with_body).await.unwrap_err().code(),
        "not_allowed"
    );
}

#[tokio::test]
async fn a_redirect_does_not_leave_the_list() {
    let server = api().await;
    let narrow = requester(&server, policy(&server, "/v1", &["GET", "POST"]));
    let error = narrow
        .send(&ask("GET", server.url("/v1/away")))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "not_allowed");
    let response = narrow
        .send(&ask("POST", server.url("/v1/post-away")))
        .await
        .unwrap();
    assert_eq!(response.status, 303);
    let wide = requester(&server, policy(&server, "", &["GET"]));
    let response = wide
        .send(&ask("GET", server.url("/v1/away")))
        .await
        .unwrap();
    assert_eq!(
        (response.status, response.url),
        (200, server.url("/v2/secret"))
    );
}

#[tokio::test]
async fn a_listed_host_is_not_thereby_an_open_address() {
    let server = api().await;
    let config = FetcherConfig {
        reach: Reach::default(),
        ..server.config()
    };
    let requester = Requester::new(Fetcher::new(config).unwrap(), policy(&server, "", &["GET"]));
    let error = requester
        .send(&ask("GET", server.url("/v1/method")))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "blocked_address");
}

#[test]
fn hosts_are_listed_as_they_are_meant() {
    let list = |text: &str| serde_json::from_str::<RequestPolicy>(text);
    let policy = list(r#"{"hosts":[{"host":"*.Example.org","path":"/v1/","methods":["post"]},{"host":"[::1]","port":8080}]}"#).unwrap();
    let written = serde_json::to_value(&policy).unwrap();
    assert_eq!(
        written["hosts"][0],
        json!({"host":"*.example.org","path":"/v1","methods":["POST"]})
    );
    assert_eq!(
        serde_json::from_value::<RequestPolicy>(written).unwrap(),
        policy
    );
    for wrong in [
        r#"{"hosts":[{"host":"http://x.org"}]}"#,
        r#"{"hosts":[{"host":"*"}]}"#,
        r#"{"hosts":[{"host":"*.10.0.0.1"}]}"#,
        r#"{"hosts":[{"host":"x.org","path":"v1"}]}"#,
        r#"{"hosts":[{"host":"x.org","methods":["FETCH"]}]}"#,
        r#"{"hosts":[{"host":"x.org","paths":"/"}]}"#,
    ] {
        assert!(list(wrong).is_err(), "{wrong}");
    }
}
