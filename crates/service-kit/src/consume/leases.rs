//! What this loop holds, and the heartbeat that keeps it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_bus::{GroupSettler, LeaseToken};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::outage::Outage;

/// Every delivery that was received and is not settled. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Leases {
    held: Arc<Mutex<HashMap<LeaseToken, CancellationToken>>>,
}

impl Leases {
    /// Holds a delivery from now on; the token is cancelled when it is lost.
    pub(super) fn hold(&self, token: &LeaseToken) -> CancellationToken {
        let lost = CancellationToken::new();
        self.held.lock().insert(token.clone(), lost.clone());
        lost
    }

    /// It is settled, or given up.
    pub(super) fn release(&self, token: &LeaseToken) {
        self.held.lock().remove(token);
    }

    /// Whether it is still ours.
    pub(super) fn holds(&self, token: &LeaseToken) -> bool {
        self.held.lock().contains_key(token)
    }

    fn tokens(&self) -> Vec<LeaseToken> {
        self.held.lock().keys().cloned().collect()
    }

    fn lose(&self, tokens: &[LeaseToken]) {
        let mut held = self.held.lock();
        for lost in tokens.iter().filter_map(|token| held.remove(token)) {
            lost.cancel();
        }
    }
}

/// Extends everything held every third of a lease, for ever: whoever owns this drops it.
///
/// A bus that does not answer loses nothing by itself: only its word that another worker owns a
/// delivery cancels the work on it.
pub(super) async fn heartbeat(
    leases: Leases,
    settler: Arc<dyn GroupSettler>,
    lease: Duration,
    mut outage: Outage,
) {
    let mut ticks = tokio::time::interval(lease / 3);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let tokens = leases.tokens();
        if tokens.is_empty() {
            continue;
        }
        match settler.extend(&tokens).await {
            Ok(lost) => {
                outage.worked();
                leases.lose(&lost);
            }
            Err(error) => {
                outage.failed(&error);
            }
        }
    }
}
