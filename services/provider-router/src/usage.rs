//! Telling what attempts took: `usage.recorded`.

use nexus_bus::{Bus, Outgoing};
use nexus_contracts::events::Purpose;
use nexus_contracts::{Envelope, Metadata, Timestamp, channels};
use nexus_service_kit::outgoing;

use crate::metrics;
use crate::tally::Attempt;

/// One event for each attempt at the command in `about`, under ids that follow from the command's and
/// from the claim it was carried out under; counts them in the metrics too.
#[must_use]
pub fn records(
    attempts: &[Attempt],
    about: (&Envelope, u64),
    purpose: Purpose,
    now: Timestamp,
) -> Vec<Outgoing> {
    let places = 1_u32..;
    let records = places.zip(attempts).filter_map(|(place, attempt)| {
        metrics::attempted(attempt);
        let (command, epoch) = about;
        let id = command.id.result(&format!("usage/{epoch}/{place}"));
        let metadata = Metadata {
            causation_id: Some(command.id.clone()),
            ..command.metadata.clone()
        };
        match Envelope::new(id, now, &attempt.recorded(place, purpose)) {
            Ok(envelope) => {
                let mut envelope = envelope
                    .correlated(command.correlation_id.clone())
                    .with_metadata(metadata);
                envelope.traceparent.clone_from(&command.traceparent);
                Some(outgoing(channels::USAGE, &envelope))
            }
            Err(error) => {
                tracing::error!(id = %command.id, %error, "a usage could not be written");
                None
            }
        }
    });
    records.collect()
}

/// Publishes what no result takes along.
pub async fn tell(bus: &Bus, records: Vec<Outgoing>) {
    if records.is_empty() {
        return;
    }
    if let Err(error) = bus.publish(records).await {
        tracing::warn!(%error, "the usage of a call that was given up could not be told");
    }
}
