//! Logs and metrics of a process, set up once.

use std::io::IsTerminal;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{self, ConfigError, LogConfig};

/// Libraries that log what others say in full; a filter that names them is heard all the same.
const QUIET: &str = "rmcp=warn";

/// Upper bounds of durations, in seconds: from a step in memory to a long model call.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0,
];

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Installs the recorder of metrics, once per process: several nodes in one process share it.
pub fn install_metrics() {
    METRICS.get_or_init(|| {
        let suffix = Matcher::Suffix("_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(suffix, &SECONDS);
        let recorder = builder.ok()?.build_recorder();
        let handle = recorder.handle();
        match metrics::set_global_recorder(recorder) {
            Ok(()) => Some(handle),
            Err(error) => {
                tracing::warn!(%error, "metrics go to another recorder; /metrics stays empty");
                None
            }
        }
    });
}

/// All metrics in the text format of Prometheus.
pub(crate) fn render_metrics() -> String {
    METRICS
        .get()
        .and_then(Option::as_ref)
        .map(PrometheusHandle::render)
        .unwrap_or_default()
}

/// Keeps histograms from growing between scrapes.
pub(crate) fn tidy_metrics() {
    if let Some(handle) = METRICS.get().and_then(Option::as_ref) {
        handle.run_upkeep();
    }
}

/// Writes logs to stderr: for people on a terminal, as JSON elsewhere. `RUST_LOG` goes before the
/// configured level. A second call changes nothing.
///
/// # Errors
/// [`ConfigError::Invalid`] when the filter cannot be read.
pub fn install_logs(log: &LogConfig) -> Result<(), ConfigError> {
    let (key, text) = match config::log_filter() {
        Some(text) => ("RUST_LOG", text),
        None => ("log.level", log.level.clone()),
    };
    let filter = EnvFilter::try_new(format!("{QUIET},{text}")).map_err(|error| {
        ConfigError::invalid(key, format!("`{text}` is not a log filter: {error}"))
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let set = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    // Set already: by a test, or by whoever embeds a node.
    drop(set);
    Ok(())
}

/// Installs the one TLS provider of the process. A second call changes nothing.
pub fn install_tls() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}
