//! Flat fields as one value of the database: MessagePack of (name, bytes) pairs.

use bytes::Bytes;

use crate::error::Error;

pub(super) fn encode(fields: &[(String, Bytes)]) -> Result<Vec<u8>, Error> {
    rmp_serde::to_vec(fields).map_err(|error| Error::Row {
        row: "outbox",
        reason: error.to_string(),
    })
}

pub(super) fn decode(body: &[u8]) -> Result<Vec<(String, Bytes)>, Error> {
    rmp_serde::from_slice(body).map_err(|error| Error::Row {
        row: "outbox",
        reason: error.to_string(),
    })
}
