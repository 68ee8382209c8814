//! Listening: sockets bound before anything starts, routes mounted when services have started.

use std::any::Any;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use super::Problem;
use crate::NodeError;

/// A bound socket, not yet served.
pub(crate) struct Listening {
    listener: TcpListener,
    /// Where it listens; the port is never 0.
    pub(crate) address: SocketAddr,
}

/// Binds an address; `key` is the configuration key that names it.
pub(crate) async fn bind(address: SocketAddr, key: &'static str) -> Result<Listening, NodeError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AddrInUse => NodeError::InUse { address, key },
        _ => NodeError::Listen {
            address,
            key,
            reason: error.to_string(),
        },
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Listening { listener, address })
}

/// Serves until `stop`, then lets requests finish.
pub(crate) async fn serve(listening: Listening, routes: Router, stop: CancellationToken) {
    // Without it every small answer waits up to 40 ms for the client's delayed acknowledgement.
    let listener = listening.listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    });
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = served.await {
        tracing::error!(address = %listening.address, %error, "the listener ended");
    }
}

/// The routes of all services, mounted once they have started; 503 until then.
#[derive(Clone, Default)]
pub(crate) struct Mounted(Arc<OnceLock<Router>>);

impl Mounted {
    /// Puts the services' routes in place.
    pub(crate) fn mount(&self, routes: Router, body_limit: usize) {
        let routes = routes
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(DefaultBodyLimit::max(body_limit))
            .layer(CatchPanicLayer::custom(panicked));
        if self.0.set(routes).is_err() {
            tracing::error!("routes were mounted twice; the first ones stay");
        }
    }

    /// The router to serve.
    pub(crate) fn router(self) -> Router {
        Router::new().fallback(dispatch).with_state(self)
    }
}

async fn dispatch(State(mounted): State<Mounted>, request: Request) -> Response {
    if let Some(refusal) = super::guard::refusal(request.headers()) {
        return refusal.into_response();
    }
    match mounted.0.get() {
        Some(routes) => match routes.clone().oneshot(request).await {
            Ok(response) => worded(response).await,
            Err(never) => match never {},
        },
        None => Problem::unavailable("the node is starting; /readyz on the admin port says why")
            .into_response(),
    }
}

/// What an extractor refused in plain text, in the form every other error has.
async fn worded(response: Response) -> Response {
    let status = response.status();
    let plain = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !status.is_client_error() || !plain {
        return response;
    }
    let text = to_bytes(response.into_body(), MOST_WORDS)
        .await
        .unwrap_or_default();
    let detail = String::from_utf8_lossy(&text).into_owned();
    Problem {
        status,
        ..Problem::bad_request(detail)
    }
    .into_response()
}

/// Longest refusal in plain text that is passed on, in bytes.
const MOST_WORDS: usize = 4096;

async fn not_found(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}", uri.path()))
}

async fn method_not_allowed(request: Request) -> Problem {
    let detail = format!(
        "{} does not take {}",
        request.uri().path(),
        request.method()
    );
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Problem::new(status, "method_not_allowed", "Method not allowed", detail)
}

/// The panic itself is in the log: the panic hook wrote it.
fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    Problem::internal().into_response()
}
