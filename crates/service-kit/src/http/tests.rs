use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Mounted, Problem, ProblemJson, admin_routes};
use crate::Health;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    text: String,
}

async fn echo(ProblemJson(said): ProblemJson<Said>) -> String {
    said.text
}

async fn broken() -> String {
    panic!("a defect")
}

fn app() -> Router {
    let mounted = Mounted::default();
    let routes = Router::new()
        .route("/echo", post(echo))
        .route("/broken", get(broken));
    mounted.mount(routes, 64);
    mounted.router()
}

async fn problem(response: impl IntoResponse) -> (StatusCode, Value) {
    let response = response.into_response();
    let kind = response.headers().get(header::CONTENT_TYPE).unwrap();
    assert_eq!(kind, "application/problem+json");
    let status = response.status();
    let body = to_bytes(response.into_body(), 64 * 1024).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["status"], status.as_u16());
    assert_eq!(
        body["type"],
        format!("urn:nexus:problem:{}", body["code"].as_str().unwrap())
    );
    assert!(!body["title"].as_str().unwrap().is_empty());
    (status, body)
}

fn request(method: &str, path: &str, kind: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    request
        .header(header::CONTENT_TYPE, kind)
        .body(body.into())
        .unwrap()
}

async fn ask(method: &str, path: &str, kind: &str, body: impl Into<Body>) -> (StatusCode, Value) {
    problem(
        app()
            .oneshot(request(method, path, kind, body))
            .await
            .unwrap(),
    )
    .await
}

const JSON: &str = "application/json";

#[tokio::test]
async fn bad_bodies_are_answered_with_what_is_wrong() {
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(100));
    let cases: [(&str, &[u8], u16, &str, &str); 7] = [
        (
            JSON,
            b"{\"text\":",
            400,
            "malformed_json",
            "EOF while parsing",
        ),
        (
            JSON,
            b"{\"text\":\"\xff\"}",
            400,
            "malformed_json",
            "invalid unicode",
        ),
        (
            JSON,
            b"{\"text\":5}",
            422,
            "wrong_type",
            "text: invalid type: integer `5`",
        ),
        (JSON, b"{}", 422, "wrong_type", "missing field `text`"),
        (
            JSON,
            b"{\"text\":\"\",\"txt\":1}",
            422,
            "wrong_type",
            "unknown field `txt`",
        ),
        (
            "text/plain",
            b"{}",
            415,
            "unsupported_media_type",
            "Content-Type: application/json",
        ),
        (JSON, large.as_bytes(), 413, "too_large", "http.body_limit"),
    ];
    for (kind, body, status, code, detail) in cases {
        let (found, problem) = ask("POST", "/echo", kind, body.to_vec()).await;
        assert_eq!(
            (found.as_u16(), problem["code"].as_str()),
            (status, Some(code)),
            "{problem}"
        );
        assert!(
            problem["detail"].as_str().unwrap().contains(detail),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_good_body_goes_through() {
    let request = request("POST", "/echo", JSON, "{\"text\":\"hi\"}");
    let response = app().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_not_there_and_what_breaks_are_problems_too() {
    let (status, body) = ask("GET", "/nowhere", JSON, "").await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::NOT_FOUND, &json!("not_found"))
    );
    assert!(body["detail"].as_str().unwrap().contains("/nowhere"));
    let (status, body) = ask("DELETE", "/echo", JSON, "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(
        body["detail"]
            .as_str()
            .unwrap()
            .contains("/echo does not take DELETE")
    );
    let (status, body) = ask("GET", "/broken", JSON, "").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        !body.to_string().contains("defect"),
        "the reason stays in the log"
    );
}

#[tokio::test]
async fn a_node_that_is_starting_says_so() {
    let starting = Mounted::default().router();
    let response = starting
        .oneshot(request("GET", "/echo", JSON, ""))
        .await
        .unwrap();
    assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "1");
    let (status, body) = problem(response).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body["detail"].as_str().unwrap().contains("starting"));
}

#[tokio::test]
async fn members_of_a_problem_are_free() {
    let made = Problem::conflict("it is closed")
        .with_code("run_closed", "The run has ended")
        .with("run_id", "r-1");
    let (status, body) = problem(made).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let expected = json!({
        "type": "urn:nexus:problem:run_closed", "title": "The run has ended", "status": 409,
        "detail": "it is closed", "code": "run_closed", "run_id": "r-1",
    });
    assert_eq!(body, expected);
}

async fn probe(health: &Health, path: &str) -> (StatusCode, Value) {
    let app = admin_routes(health.clone());
    let response = app.oneshot(request("GET", path, JSON, "")).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 64 * 1024).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn probes_repeat_what_components_say() {
    let health = Health::default();
    let bus = health.component("bus");
    let (status, body) = probe(&health, "/readyz").await;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("ready")));

    bus.failing("unplugged; plug it in");
    let (status, body) = probe(&health, "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let expected = json!({"name": "bus", "ok": false, "detail": "unplugged; plug it in"});
    assert_eq!(body["components"], json!([expected]));
    assert_eq!(
        probe(&health, "/healthz").await.0,
        StatusCode::OK,
        "it can mend itself"
    );

    bus.ok();
    assert_eq!(probe(&health, "/readyz").await.0, StatusCode::OK);
    bus.dead("panicked");
    bus.ok();
    assert_eq!(
        probe(&health, "/healthz").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(
        probe(&health, "/readyz").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
}
