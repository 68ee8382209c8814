//! How records and lists of sequences are written: a version byte, a checksum, then
//! length-prefixed parts. The checksum is there because `SQLite` pages have none.

use bytes::{BufMut, Bytes, BytesMut};

use crate::Record;

const VERSION: u8 = 1;
const HEADER: usize = 9;

/// What was read is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Damaged(pub(super) &'static str);

/// The bytes a record is stored as.
pub(super) fn encode(record: &Record) -> Bytes {
    let fields = record.fields();
    let mut out = BytesMut::with_capacity(HEADER + 4 + record.size() + 6 * fields.len());
    out.put_bytes(0, HEADER);
    put_varint(&mut out, fields.len() as u64);
    for (name, value) in fields {
        put_part(&mut out, name.as_bytes());
        put_part(&mut out, value);
    }
    seal(out)
}

/// The record these bytes stand for; its values share them.
pub(super) fn decode(stored: &Bytes) -> Result<Record, Damaged> {
    let mut rest = open(stored)?;
    let fields = take_varint(&mut rest)?;
    let mut record = Vec::with_capacity(usize::try_from(fields.min(32)).unwrap_or(0));
    for _ in 0..fields {
        let name = take_part(&mut rest)?;
        let name = std::str::from_utf8(&name).or(Err(Damaged("a field name is not UTF-8")))?;
        record.push((name.to_owned(), take_part(&mut rest)?));
    }
    if !rest.is_empty() {
        return Err(Damaged("bytes are left over"));
    }
    Ok(Record::new(record))
}

/// Ascending sequences, as the differences between them.
pub(super) fn encode_sequences(ascending: &[u64]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER + 4 + 2 * ascending.len());
    out.put_bytes(0, HEADER);
    put_varint(&mut out, ascending.len() as u64);
    let mut previous = 0;
    for &sequence in ascending {
        put_varint(&mut out, sequence.wrapping_sub(previous));
        previous = sequence;
    }
    seal(out)
}

/// The ascending sequences these bytes stand for.
pub(super) fn decode_sequences(stored: &Bytes) -> Result<Vec<u64>, Damaged> {
    let mut rest = open(stored)?;
    let count = take_varint(&mut rest)?;
    let mut sequences = Vec::new();
    let mut previous = 0u64;
    for _ in 0..count {
        let step = take_varint(&mut rest)?;
        previous = previous
            .checked_add(step)
            .ok_or(Damaged("a sequence overflows"))?;
        sequences.push(previous);
    }
    Ok(sequences)
}

fn seal(mut out: BytesMut) -> Bytes {
    if let Some((header, body)) = out.split_at_mut_checked(HEADER) {
        let sum = checksum(body).to_le_bytes();
        let marks = std::iter::once(VERSION).chain(sum);
        header
            .iter_mut()
            .zip(marks)
            .for_each(|(byte, mark)| *byte = mark);
    }
    out.freeze()
}

fn open(stored: &Bytes) -> Result<Bytes, Damaged> {
    let (header, body) = stored
        .split_at_checked(HEADER)
        .ok_or(Damaged("it is cut short"))?;
    let (version, sum) = header.split_first().ok_or(Damaged("it is cut short"))?;
    if *version != VERSION {
        return Err(Damaged("its version is not known"));
    }
    if sum != checksum(body).to_le_bytes() {
        return Err(Damaged("its checksum does not match"));
    }
    Ok(stored.slice(HEADER..))
}

/// Every step is a bijection of the state, so a change within one word always shows. Not against
/// malice.
fn checksum(body: &[u8]) -> u64 {
    let (words, tail) = body.as_chunks::<8>();
    let mut last = [0u8; 8];
    last.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
    let words = words.iter().copied().chain(std::iter::once(last));
    words.fold(body.len() as u64 ^ 0x9e37_79b9_7f4a_7c15, |state, word| {
        let mixed = (state ^ u64::from_le_bytes(word)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 32)
    })
}

fn put_part(out: &mut BytesMut, part: &[u8]) {
    put_varint(out, part.len() as u64);
    out.put_slice(part);
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.put_u8(value.to_le_bytes()[0]);
}

fn take_part(rest: &mut Bytes) -> Result<Bytes, Damaged> {
    let length = take_varint(rest)?;
    match usize::try_from(length) {
        Ok(length) if length <= rest.len() => Ok(rest.split_to(length)),
        _ => Err(Damaged("a part is longer than what is left")),
    }
}

fn take_varint(rest: &mut Bytes) -> Result<u64, Damaged> {
    let mut value = 0u64;
    for (at, byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let _ = rest.split_to(at + 1);
            return Ok(value);
        }
    }
    Err(Damaged("a length does not end"))
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::{Just, Strategy, any, proptest};
    use proptest::{prop_assert, prop_assert_eq};

    use super::{decode, decode_sequences, encode, encode_sequences};
    use crate::Record;

    fn records() -> impl Strategy<Value = Record> {
        let field = ("[a-z_é]{0,12}", vec(any::<u8>(), 0..200));
        vec(field, 0..12).prop_map(|fields| {
            Record::new(fields.into_iter().map(|(name, value)| (name, value.into())))
        })
    }

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_was(record in records()) {
            prop_assert_eq!(decode(&encode(&record)), Ok(record));
        }

        #[test]
        fn one_flipped_bit_is_noticed(
            (stored, at) in records().prop_map(|r| encode(&r)).prop_flat_map(|stored| {
                let bits = stored.len() * 8;
                (Just(stored), 0..bits)
            })
        ) {
            let mut bytes = stored.to_vec();
            bytes[at / 8] ^= 1 << (at % 8);
            prop_assert!(decode(&bytes.into()).is_err());
        }

        #[test]
        fn a_cut_record_is_noticed(record in records(), keep in 0.0..1.0f64) {
            let stored = encode(&record);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of a small length"
            )]
            let cut = (stored.len() as f64 * keep) as usize;
            prop_assert!(decode(&stored.slice(..cut)).is_err());
        }

        #[test]
        fn noise_never_panics(noise in vec(any::<u8>(), 0..300)) {
            let noise = bytes::Bytes::from(noise);
            let _ = decode(&noise);
            let _ = decode_sequences(&noise);
        }

        #[test]
        fn sequences_come_back_as_they_were(sequences in btree_set(any::<u64>(), 0..100)) {
            let sequences: Vec<u64> = sequences.into_iter().collect();
            prop_assert_eq!(decode_sequences(&encode_sequences(&sequences)), Ok(sequences));
        }
    }

    #[test]
    fn what_is_in_flight_costs_about_a_byte_each() {
        let sequences: Vec<u64> = (1_000_000..1_000_256).collect();
        assert!(encode_sequences(&sequences).len() < 300);
    }
}
