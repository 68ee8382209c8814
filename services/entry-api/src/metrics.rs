//! What this service counts.

use metrics::{Counter, Gauge, Histogram};

/// The figures, registered once.
pub struct Metrics {
    /// Messages taken (202).
    pub taken: Counter,
    /// Messages of one commit.
    pub commit_size: Histogram,
    /// Messages published, repetitions included.
    pub published: Counter,
    /// Of those, repetitions.
    pub republished: Counter,
    /// Messages the orchestrator has not answered.
    pub unanswered: Gauge,
    /// Answers recorded.
    pub answers: Counter,
    /// Event streams open now.
    pub streams: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            taken: metrics::counter!("nexus_entry_api_messages_taken_total"),
            commit_size: metrics::histogram!("nexus_entry_api_commit_size"),
            published: metrics::counter!("nexus_entry_api_published_total"),
            republished: metrics::counter!("nexus_entry_api_republished_total"),
            unanswered: metrics::gauge!("nexus_entry_api_unanswered"),
            answers: metrics::counter!("nexus_entry_api_answers_total"),
            streams: metrics::gauge!("nexus_entry_api_event_streams"),
        }
    }
}
