//! Results as the ledger keeps them: the whole record, so that a repetition is identical.

use bytes::Bytes;
use nexus_bus::{Outgoing, Record};

use nexus_contracts::channels::INFERENCE_LOCAL_RESULTS;

/// The record as bytes.
///
/// # Errors
/// None is known; the encoder's words.
pub fn encode(result: &Outgoing) -> Result<Bytes, String> {
    rmp_serde::to_vec(result.record.fields())
        .map(Bytes::from)
        .map_err(|error| error.to_string())
}

/// The record again.
///
/// # Errors
/// When the bytes are not what [`encode`] wrote.
pub fn decode(bytes: &[u8]) -> Result<Outgoing, String> {
    let fields: Vec<(String, Bytes)> =
        rmp_serde::from_slice(bytes).map_err(|error| error.to_string())?;
    Ok(Outgoing {
        channel: INFERENCE_LOCAL_RESULTS.to_owned(),
        record: Record::new(fields),
    })
}
