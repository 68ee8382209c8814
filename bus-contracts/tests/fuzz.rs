//! Envelopes read from arbitrary fields: refused in words or read, never a panic; and what was read
//! is written so that it reads the same again.

use bytes::Bytes;
use nexus_contracts::{CATALOGUE, ContractError, Envelope, FieldsContext, MessageId, Timestamp};

/// Names that mean something, and one that does not.
const NAMES: [&str; 9] = [
    "id",
    "type",
    "correlation_id",
    "timestamp",
    "content_type",
    "traceparent",
    "metadata",
    "payload",
    "x_other",
];

fn read(fields: Vec<(String, Bytes)>) -> Result<Envelope, ContractError> {
    let context = FieldsContext {
        fallback_id: MessageId::new("fallback")?,
        stored_at: Timestamp::from_millis(0),
    };
    Envelope::from_fields(fields, &context)
}

#[test]
fn arbitrary_fields_are_refused_or_survive() {
    bolero::check!()
        .with_type::<Vec<(u8, Vec<u8>)>>()
        .for_each(|fields| {
            let named = fields.iter().map(|(name, value)| {
                let name = NAMES[usize::from(*name) % NAMES.len()];
                (name.to_owned(), Bytes::copy_from_slice(value))
            });
            let Ok(envelope) = read(named.collect()) else {
                return;
            };
            let again = read(envelope.to_fields().unwrap());
            assert_eq!(again.unwrap(), envelope);
        });
}

#[test]
fn arbitrary_payloads_never_break_an_event() {
    bolero::check!()
        .with_type::<(u8, bool, Vec<u8>)>()
        .for_each(|(event, packed, payload)| {
            let spec = &CATALOGUE[usize::from(*event) % CATALOGUE.len()];
            let content_type = if *packed {
                "application/msgpack"
            } else {
                "application/json"
            };
            let fields = [
                ("type", Bytes::from(spec.event_type)),
                ("content_type", Bytes::from(content_type)),
                ("payload", Bytes::copy_from_slice(payload)),
            ];
            let fields = fields.map(|(name, value)| (name.to_owned(), value));
            if let Ok(envelope) = read(fields.to_vec()) {
                let _ = (spec.round_trip)(&envelope);
            }
        });
}
