//! What the orchestrator counts. Never labelled by tenant.

use metrics::counter;

/// Another replica changed a conversation of a batch; it was loaded again.
pub(crate) fn conflict() {
    counter!("nexus_orchestrator_conflicts_total").increment(1);
}

/// Messages published again because nobody answered them in time.
pub(crate) fn resent(count: usize) {
    counter!("nexus_orchestrator_resent_total").increment(count as u64);
}

/// Messages refused before they reached a conversation.
pub(crate) fn refused(code: &'static str) {
    counter!("nexus_orchestrator_refused_total", "code" => code).increment(1);
}
