//! Records as NATS messages: fields are headers under their own names, `payload` is the body.
//!
//! What a header cannot carry (bytes, line breaks, odd names, spaces at an end) stands in
//! `Nexus-Encoded: <name>.<value>`, both base64; fields above [`PACK_ABOVE`] bytes together, which
//! the server would refuse as headers, go into the body in front of the payload.

use async_nats::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::Record;

/// The server takes 64 KiB of headers.
const PACK_ABOVE: usize = 48 * 1024;

/// A field that is no plain header.
const ENCODED: &str = "Nexus-Encoded";
/// The order of the fields, where it is not the usual one.
const ORDER: &str = "Nexus-Order";
/// There is a payload, of no bytes.
const EMPTY: &str = "Nexus-Empty-Payload";
/// The body holds all fields.
const PACKED: &str = "Nexus-Packed";

/// The order of an envelope's fields. Headers have none of their own.
const USUAL: [&str; 8] = [
    "id",
    "type",
    "correlation_id",
    "timestamp",
    "content_type",
    "traceparent",
    "metadata",
    "payload",
];

/// A record as headers and body.
pub(super) fn encode(record: &Record) -> (HeaderMap, Bytes) {
    let payload = record.get("payload");
    let rest = record.size() - payload.map_or(0, Bytes::len);
    if rest > PACK_ABOVE {
        return pack(record);
    }
    let mut headers = HeaderMap::new();
    for (name, value) in record.fields() {
        if name == "payload" {
            continue;
        }
        match plain(name, value) {
            Some(text) => headers.insert(name.as_str(), text),
            None => {
                headers.append(
                    ENCODED,
                    format!("{}.{}", BASE64.encode(name), BASE64.encode(value)),
                );
            }
        }
    }
    if payload.is_some_and(Bytes::is_empty) {
        headers.insert(EMPTY, "1");
    }
    if !record.fields().is_sorted_by_key(|(name, _)| rank(name)) {
        let names: Vec<_> = record
            .fields()
            .iter()
            .map(|(name, _)| BASE64.encode(name))
            .collect();
        headers.insert(ORDER, names.join(","));
    }
    (headers, payload.cloned().unwrap_or_default())
}

/// The record in a message, whoever wrote it.
pub(super) fn decode(headers: Option<&HeaderMap>, body: Bytes) -> Record {
    let no_headers = HeaderMap::new();
    let headers = headers.unwrap_or(&no_headers);
    if headers.get(PACKED).is_some() {
        return unpack(body);
    }
    let mut fields = Vec::with_capacity(10);
    for (name, values) in headers.iter() {
        let name: &str = name.as_ref();
        if is_internal(name) {
            continue;
        }
        if let Some(value) = values.last() {
            fields.push((name.to_owned(), Bytes::copy_from_slice(value.as_ref())));
        }
    }
    fields.extend(
        headers
            .get_all(ENCODED)
            .filter_map(|encoded| decode_field(encoded.as_str())),
    );
    if !body.is_empty() || headers.get(EMPTY).is_some() {
        fields.push(("payload".to_owned(), body));
    }
    match headers.get(ORDER) {
        Some(order) => {
            let names: Vec<_> = order.as_str().split(',').filter_map(decode_text).collect();
            fields.sort_by_cached_key(|(name, _)| names.iter().position(|known| known == name));
        }
        None => fields.sort_by(|(a, _), (b, _)| rank(a).cmp(&rank(b))),
    }
    Record::new(fields)
}

fn rank(name: &str) -> (usize, &str) {
    match USUAL.iter().position(|usual| *usual == name) {
        Some(at) => (at, ""),
        None => (USUAL.len(), name),
    }
}

/// The value as a header, if it survives as one.
fn plain<'a>(name: &str, value: &'a Bytes) -> Option<&'a str> {
    let fits = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':')
        && !is_internal(name);
    let text = std::str::from_utf8(value).ok()?;
    (fits && !text.contains(char::is_control) && text.trim() == text).then_some(text)
}

/// Headers that are not fields: the server's and ours.
fn is_internal(name: &str) -> bool {
    let starts = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    starts("nats-") || starts("nexus-")
}

fn decode_field(encoded: &str) -> Option<(String, Bytes)> {
    let (name, value) = encoded.split_once('.')?;
    Some((decode_text(name)?, BASE64.decode(value).ok()?.into()))
}

fn decode_text(encoded: &str) -> Option<String> {
    String::from_utf8(BASE64.decode(encoded).ok()?).ok()
}

fn pack(record: &Record) -> (HeaderMap, Bytes) {
    let mut body = BytesMut::with_capacity(record.size() + 8 * record.fields().len());
    for (name, value) in record.fields() {
        for part in [name.as_bytes(), value] {
            // A part of 4 GiB is refused for its size long before.
            body.put_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
            body.put_slice(part);
        }
    }
    let mut headers = HeaderMap::new();
    headers.insert(PACKED, "1");
    (headers, body.freeze())
}

fn unpack(mut body: Bytes) -> Record {
    let mut fields = Vec::new();
    while let (Some(name), Some(value)) = (take(&mut body), take(&mut body)) {
        fields.push((String::from_utf8_lossy(&name).into_owned(), value));
    }
    Record::new(fields)
}

fn take(body: &mut Bytes) -> Option<Bytes> {
    if body.remaining() < 4 {
        return None;
    }
    let length = usize::try_from(body.get_u32()).ok()?;
    (length <= body.remaining()).then(|| body.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &[(&str, &[u8])]) -> Record {
        Record::new(
            fields
                .iter()
                .map(|(n, v)| ((*n).to_owned(), Bytes::copy_from_slice(v))),
        )
    }

    fn survives(record: &Record) {
        let (headers, body) = encode(record);
        assert_eq!(&decode(Some(&headers), body), record);
    }

    #[test]
    fn an_envelope_is_plain_headers() {
        let envelope = record(&[("id", b"1"), ("type", b"x.y"), ("payload", b"\x00\xff")]);
        let (headers, body) = encode(&envelope);
        assert_eq!(headers.len(), 2, "{headers:?}");
        assert_eq!(headers.get("type").unwrap().as_str(), "x.y");
        assert_eq!(body.as_ref(), b"\x00\xff");
        survives(&envelope);
    }

    #[test]
    fn whatever_a_header_cannot_carry_survives() {
        survives(&record(&[("payload", b""), ("id", b"1")]));
        survives(&record(&[("z", b"1"), ("a", b"2"), ("id", b"3")]));
        survives(&record(&[
            ("bytes", b"\xff\xfe"),
            ("lines", b"a\r\nb"),
            ("nul", b"\0"),
        ]));
        survives(&record(&[
            ("spaces", b" x "),
            ("", b"no name"),
            ("na:me", b"1"),
            ("empty", b""),
        ]));
        survives(&record(&[
            ("Nats-Msg-Id", b"1"),
            ("nexus-packed", b"2"),
            ("ü", b"3"),
        ]));
        survives(&record(&[
            ("a,b", b"1"),
            ("a", b"2"),
            ("payload", b"p"),
            ("id", b"i"),
        ]));
        survives(&record(&[]));
    }

    #[test]
    fn more_than_headers_hold_goes_into_the_body() {
        let large = vec![b'x'; 70_000];
        survives(&record(&[
            ("id", b"1"),
            ("metadata", &large),
            ("payload", b"p"),
        ]));
    }

    #[test]
    fn a_foreign_message_is_its_headers_and_its_body() {
        let mut headers = HeaderMap::new();
        headers.insert("type", "message.submitted");
        headers.insert("Nats-Msg-Id", "7");
        let read = decode(Some(&headers), Bytes::from_static(b"{}"));
        assert_eq!(
            read,
            record(&[("type", b"message.submitted"), ("payload", b"{}")])
        );
        assert_eq!(decode(None, Bytes::new()), Record::default());
    }
}
