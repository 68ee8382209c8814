//! Replies taken apart and records put into commands.

use std::str::FromStr;

use ::redis::{Cmd, Value};
use bytes::Bytes;

use crate::{BusError, EntryId, Record};

/// An entry as it comes: without an `id` field where its writer left it out.
pub(super) type RawEntry = (EntryId, Record);

fn unexpected(wanted: &str, value: &Value) -> BusError {
    let kind = match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => "a string",
        Value::Array(_) => "a list",
        _ => "something else",
    };
    BusError::Protocol(format!("redis answered {kind} where {wanted} was expected"))
}

pub(super) fn bytes(value: Value) -> Result<Bytes, BusError> {
    match value {
        Value::BulkString(data) => Ok(data.into()),
        Value::SimpleString(text) => Ok(text.into_bytes().into()),
        Value::Int(number) => Ok(number.to_string().into_bytes().into()),
        other => Err(unexpected("a string", &other)),
    }
}

pub(super) fn text(value: Value) -> Result<String, BusError> {
    match value {
        // Field names of foreign writers may be anything.
        Value::BulkString(data) => Ok(String::from_utf8(data)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())),
        Value::SimpleString(text) => Ok(text),
        other => Err(unexpected("a string", &other)),
    }
}

pub(super) fn number(value: &Value) -> Result<u64, BusError> {
    match value {
        Value::Int(number) => Ok(u64::try_from(*number).unwrap_or_default()),
        other => Err(unexpected("a number", other)),
    }
}

/// A number that may be -1 for none.
pub(super) fn number_or_none(value: &Value) -> Result<Option<u64>, BusError> {
    match value {
        Value::Int(number) => Ok(u64::try_from(*number).ok()),
        other => Err(unexpected("a number", other)),
    }
}

pub(super) fn list(value: Value) -> Result<Vec<Value>, BusError> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Nil => Ok(Vec::new()),
        other => Err(unexpected("a list", &other)),
    }
}

/// A list of exactly `N`.
pub(super) fn tuple<const N: usize>(value: Value) -> Result<[Value; N], BusError> {
    <[Value; N]>::try_from(list(value)?).map_err(|items| {
        let count = items.len();
        BusError::Protocol(format!(
            "redis answered {count} values where {N} were expected"
        ))
    })
}

pub(super) fn entry_id(value: Value) -> Result<EntryId, BusError> {
    EntryId::from_str(&text(value)?)
}

/// `[id, [field, value, …]]`.
pub(super) fn entry(value: Value) -> Result<RawEntry, BusError> {
    let [id, fields] = tuple(value)?;
    let mut fields = list(fields)?.into_iter();
    let mut pairs = Vec::with_capacity(fields.len() / 2);
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        pairs.push((text(name)?, bytes(value)?));
    }
    Ok((entry_id(id)?, Record::new(pairs)))
}

pub(super) fn entries(value: Value) -> Result<Vec<RawEntry>, BusError> {
    list(value)?.into_iter().map(entry).collect()
}

/// What `XREADGROUP` and `XREAD` answer for one stream.
pub(super) fn stream_entries(value: Value) -> Result<Vec<RawEntry>, BusError> {
    match list(value)?.into_iter().next() {
        Some(stream) => {
            let [_key, found] = tuple(stream)?;
            entries(found)
        }
        None => Ok(Vec::new()),
    }
}

/// `[[entry, attempts], …]`, as the scripts answer.
pub(super) fn attempted(value: Value) -> Result<Vec<(RawEntry, u32)>, BusError> {
    let item = |value: Value| {
        let [found, attempts] = tuple(value)?;
        Ok((
            entry(found)?,
            u32::try_from(number(&attempts)?).unwrap_or(u32::MAX),
        ))
    };
    list(value)?.into_iter().map(item).collect()
}

/// Appends a record to a stream.
pub(super) fn xadd(key: &str, record: &Record) -> Cmd {
    let fields = record.fields();
    let mut command = Cmd::with_capacity(3 + 2 * fields.len(), 8 + key.len() + record.size());
    command.arg("XADD").arg(key).arg("*");
    for (name, value) in fields {
        command.arg(name.as_bytes()).arg(value.as_ref());
    }
    command
}

/// A stream entry has at least one field.
pub(super) fn check(channel: &str, record: &Record) -> Result<(), BusError> {
    if record.fields().is_empty() {
        return Err(BusError::Protocol(format!(
            "a record without fields cannot be stored in `{channel}`"
        )));
    }
    Ok(())
}

/// Milliseconds for the server: rounded up, so that nothing is due early.
pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX / 2)
}
