//! What probes and scrapers ask: `/healthz`, `/readyz`, `/metrics`.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use super::Problem;
use crate::{Health, telemetry};

/// The routes of the admin listener.
pub(crate) fn admin_routes(health: Health) -> Router {
    let routes = Router::new();
    #[cfg(feature = "failpoints")]
    let routes = routes.merge(crate::crash::routes());
    routes
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(measured))
        .fallback(async || Problem::not_found("here are /healthz, /readyz and /metrics"))
        .with_state(health)
}

async fn alive(State(health): State<Health>) -> impl IntoResponse {
    if health.is_alive() {
        (StatusCode::OK, Json(json!({"status": "alive"})))
    } else {
        let body = json!({"status": "dead", "components": health.components()});
        (StatusCode::SERVICE_UNAVAILABLE, Json(body))
    }
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let (status, word) = if health.is_ready() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    (
        status,
        Json(json!({"status": word, "components": health.components()})),
    )
}

async fn measured() -> impl IntoResponse {
    let text = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (text, telemetry::render_metrics())
}
