//! Records: what a channel carries.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::BusError;

/// Flat fields in order. Names are unique; values of fields other than `payload` are UTF-8 without
/// line breaks, so that every backend can carry them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    fields: Vec<(String, Bytes)>,
}

impl Record {
    /// A record of these fields; of two with one name the last stays.
    #[must_use]
    pub fn new(fields: impl IntoIterator<Item = (String, Bytes)>) -> Self {
        let mut record = Self::default();
        for (name, value) in fields {
            record.set(name, value);
        }
        record
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.fields
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value)
    }

    /// The value of a field, where it is UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Sets a field, in place when it exists.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Bytes>) {
        let (name, value) = (name.into(), value.into());
        match self.fields.iter_mut().find(|(field, _)| *field == name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name, value)),
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) -> Option<Bytes> {
        let at = self.fields.iter().position(|(field, _)| field == name)?;
        Some(self.fields.remove(at).1)
    }

    /// All fields in order.
    #[must_use]
    pub fn fields(&self) -> &[(String, Bytes)] {
        &self.fields
    }

    /// All fields in order, owned.
    #[must_use]
    pub fn into_fields(self) -> Vec<(String, Bytes)> {
        self.fields
    }

    /// Bytes of all names and values together.
    #[must_use]
    pub fn size(&self) -> usize {
        self.fields
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }

    /// Gives the record an `id` when its writer left it out: derived from where it was first
    /// stored, so that every reader and every redelivery names it alike.
    pub fn ensure_id(&mut self, channel: &str, incarnation: &str, entry: EntryId) {
        if self.get("id").is_some_and(|id| !id.is_empty()) {
            return;
        }
        let mut hasher = Sha256::new();
        for part in [channel, incarnation, &entry.to_string()] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let digest = hasher.finalize();
        self.set("id", hex::encode(digest.get(..16).unwrap_or(&digest)));
    }
}

/// Where a record stands in its channel. Ordered as the channel is; names nothing outside of it.
///
/// Redis: milliseconds and counter of the stream entry. NATS and embedded: sequence and 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// The part that is compared first.
    pub major: u64,
    /// The part that is compared second.
    pub minor: u64,
}

impl EntryId {
    /// An id of both parts.
    #[must_use]
    pub const fn new(major: u64, minor: u64) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.major, self.minor)
    }
}

impl FromStr for EntryId {
    type Err = BusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (major, minor) = text.split_once('-').unwrap_or((text, "0"));
        match (major.parse(), minor.parse()) {
            (Ok(major), Ok(minor)) => Ok(Self { major, minor }),
            _ => Err(BusError::Protocol(format!("`{text}` is not an entry id"))),
        }
    }
}

/// A record as it stands in a channel. Always has an `id` field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub id: EntryId,
    /// When the bus stored it, in milliseconds since 1970.
    pub stored_at_ms: i64,
    /// What it says.
    pub record: Record,
}

/// A record on its way into a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The channel.
    pub channel: String,
    /// What to append.
    pub record: Record,
}

/// Where reading without a group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// At the oldest entry kept.
    Start,
    /// Behind this entry.
    After(EntryId),
    /// At the first entry stored at or after this moment, in milliseconds since 1970.
    Time(i64),
    /// Behind the newest entry there is now: yields nothing yet.
    End,
}
