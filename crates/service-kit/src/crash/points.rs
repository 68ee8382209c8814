//! What happens at the points, and the routes by which a test says so.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use nexus_bus::BusError;
use nexus_store::StoreError;
use parking_lot::Mutex;

/// How often each fault was performed, by `<point> <fault>`.
static PERFORMED: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// What a point was told to do, besides what it did already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Go on.
    Nothing,
    /// Fail.
    Fail,
    /// Do it once more.
    Twice,
}

/// Does what a test wants at a point.
pub async fn at(point: &str) -> Told {
    let told = fail::eval(point, Option::unwrap_or_default);
    match told.as_deref() {
        Some("abort") => std::process::abort(),
        Some("error") => Told::Fail,
        Some("twice") => Told::Twice,
        Some(fault) => {
            let millis = fault.strip_prefix("delay:").and_then(|ms| ms.parse().ok());
            if let Some(millis) = millis {
                performed(point, "delay");
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
            Told::Nothing
        }
        None => Told::Nothing,
    }
}

/// Counts a fault.
pub fn performed(point: &str, fault: &str) {
    tracing::warn!(point, fault, "a test wants this to go wrong");
    let mut all = PERFORMED.lock();
    *all.entry(format!("{point} {fault}")).or_default() += 1;
}

/// `GET /failpoints`, `PUT /failpoints/<point>`.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/failpoints", get(async || Json(PERFORMED.lock().clone())))
        .route("/failpoints/{*point}", put(set))
}

async fn set(Path(point): Path<String>, actions: String) -> Result<(), (StatusCode, String)> {
    let known = |word: &str| {
        ["abort", "error", "twice"].contains(&word)
            || word
                .strip_prefix("delay:")
                .is_some_and(|ms| ms.parse::<u64>().is_ok())
    };
    let words = actions.split("return(").skip(1);
    let mut words = words.filter_map(|rest| rest.split(')').next());
    if let Some(unknown) = words.find(|word| !known(word)) {
        let reason = format!("`{unknown}` is none of abort, delay:<ms>, error, twice");
        return Err((StatusCode::BAD_REQUEST, reason));
    }
    fail::cfg(point, &actions).map_err(|reason| (StatusCode::BAD_REQUEST, reason))
}

/// What comes of asking a database that is away for a moment.
///
/// # Errors
/// Always.
pub fn no_store<T, E: From<StoreError>>() -> Result<T, E> {
    Err(StoreError::Contended { tries: 0 }.into())
}

/// What comes of asking a bus that is away for a moment.
///
/// # Errors
/// Always.
pub fn no_bus<T, E: From<BusError>>() -> Result<T, E> {
    let away = BusError::Unreachable {
        address: "nowhere".to_owned(),
        reason: "a test wants this to fail".to_owned(),
    };
    Err(away.into())
}
