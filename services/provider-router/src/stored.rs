//! Results as the ledger keeps them: the whole record, so that a repetition is identical.

use bytes::Bytes;
use nexus_bus::{Outgoing, Record};
use nexus_contracts::channels;

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
        channel: channels::INFERENCE_RESPONSE.to_owned(),
        record: Record::new(fields),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use nexus_bus::{Outgoing, Record};
    use nexus_contracts::channels;

    use super::{decode, encode};

    #[test]
    fn a_record_comes_back_as_it_was() {
        let fields = [
            ("id", "7"),
            ("payload", "\u{0}\u{ff}"),
            ("x-unknown", "kept"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), Bytes::from(value)));
        let channel = channels::INFERENCE_RESPONSE.to_owned();
        let result = Outgoing {
            channel,
            record: Record::new(fields),
        };
        assert_eq!(decode(&encode(&result).unwrap()), Ok(result));
        assert!(decode(b"nonsense").is_err());
    }
}
