//! Results as the ledger keeps them: whole records, so that a repetition is identical.

use bytes::Bytes;
use nexus_bus::{Outgoing, Record};
use nexus_contracts::channels;

/// A record: its channel and its fields.
type Kept = (String, Vec<(String, Bytes)>);

/// The records as bytes.
///
/// # Errors
/// None is known; the encoder's words.
pub fn encode(results: &[Outgoing]) -> Result<Bytes, String> {
    let kept: Vec<(&str, &[(String, Bytes)])> = results
        .iter()
        .map(|result| (result.channel.as_str(), result.record.fields()))
        .collect();
    rmp_serde::to_vec(&kept)
        .map(Bytes::from)
        .map_err(|error| error.to_string())
}

/// The records again.
///
/// # Errors
/// When the bytes are not what [`encode`] wrote, now or when it wrote one record alone.
pub fn decode(bytes: &[u8]) -> Result<Vec<Outgoing>, String> {
    let several = rmp_serde::from_slice::<Vec<Kept>>(bytes);
    let kept = several.or_else(|error| {
        let alone = rmp_serde::from_slice(bytes).map_err(|_older_one| error.to_string())?;
        Ok::<_, String>(vec![(channels::INFERENCE_RESPONSE.to_owned(), alone)])
    })?;
    let record = |(channel, fields)| Outgoing {
        channel,
        record: Record::new(fields),
    };
    Ok(kept.into_iter().map(record).collect())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use nexus_bus::{Outgoing, Record};
    use nexus_contracts::channels;

    use super::{decode, encode};

    fn record(channel: &str) -> Outgoing {
        let fields = [
            ("id", "7"),
            ("payload", "\u{0}\u{ff}"),
            ("x-unknown", "kept"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), Bytes::from(value)));
        Outgoing {
            channel: channel.to_owned(),
            record: Record::new(fields),
        }
    }

    #[test]
    fn records_come_back_as_they_were() {
        let results = [
            record(channels::INFERENCE_RESPONSE),
            record(channels::USAGE),
        ];
        assert_eq!(decode(&encode(&results).unwrap()).unwrap(), results);
        assert!(decode(b"nonsense").is_err());
    }

    #[test]
    fn one_record_as_it_was_kept_before_comes_back_too() {
        let alone = record(channels::INFERENCE_RESPONSE);
        let kept = rmp_serde::to_vec(alone.record.fields()).unwrap();
        assert_eq!(decode(&kept).unwrap(), [alone]);
    }
}
