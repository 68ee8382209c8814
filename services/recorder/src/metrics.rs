//! What the recorder counts. Never labelled by tenant.

use metrics::counter;

/// Messages archived.
pub(crate) fn archived(count: usize) {
    counter!("nexus_recorder_archived_total").increment(count as u64);
}

/// Conversations erased.
pub(crate) fn erased(count: usize) {
    counter!("nexus_recorder_erased_total").increment(count as u64);
}
