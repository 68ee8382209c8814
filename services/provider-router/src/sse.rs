//! Server-sent events, out of bytes as they come (HTML standard §9.2.6).
//!
//! Pure and push-based: however the bytes are cut, the events are the same. Only `data` is kept,
//! because that is all a chat stream uses. More lenient than the standard in one point: an event
//! that the stream ends in, without the blank line, still counts, because many servers end so.

/// Longest event, in bytes. A server that never ends its line must not fill the memory.
pub const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// Why the bytes are not a stream of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// One event is longer than [`MAX_EVENT_BYTES`].
    #[error("an event of the stream is longer than {MAX_EVENT_BYTES} bytes")]
    TooLong,
    /// The data of an event is not UTF-8.
    #[error("an event of the stream is not UTF-8")]
    NotUtf8,
}

/// Reads events out of bytes.
#[derive(Debug, Default)]
pub struct SseDecoder {
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    after_cr: bool,
    past_first_line: bool,
}

impl SseDecoder {
    /// Takes the next bytes; returns the data of every event they complete.
    ///
    /// # Errors
    /// [`SseError`]; the decoder is of no use afterwards.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<String>, SseError> {
        let mut events = Vec::new();
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (head, tail) = bytes.split_at(at);
            self.extend_line(head)?;
            self.end_line(&mut events)?;
            bytes = match tail {
                [b'\r', b'\n', rest @ ..] => rest,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [_, rest @ ..] => rest,
                [] => &[],
            };
        }
        self.extend_line(bytes)?;
        Ok(events)
    }

    /// The stream ended; returns the event it ended in, if any.
    ///
    /// # Errors
    /// [`SseError::NotUtf8`].
    pub fn finish(&mut self) -> Result<Vec<String>, SseError> {
        let mut events = Vec::new();
        self.end_line(&mut events)?;
        self.dispatch(&mut events)?;
        Ok(events)
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), SseError> {
        let data = self.data.as_ref().map_or(0, Vec::len);
        if self.line.len() + data + bytes.len() > MAX_EVENT_BYTES {
            return Err(SseError::TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<String>) -> Result<(), SseError> {
        let mut whole = std::mem::take(&mut self.line);
        let line = match whole.strip_prefix(b"\xEF\xBB\xBF") {
            Some(rest) if !self.past_first_line => rest,
            _ => whole.as_slice(),
        };
        self.past_first_line = true;
        if line.is_empty() {
            self.dispatch(events)?;
        } else if let Some(value) = data_of(line) {
            match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            }
        }
        whole.clear();
        self.line = whole;
        Ok(())
    }

    fn dispatch(&mut self, events: &mut Vec<String>) -> Result<(), SseError> {
        let Some(data) = self.data.take() else {
            return Ok(());
        };
        // What was not UTF-8 is of no use in a message; that it was not, is.
        match String::from_utf8(data) {
            Ok(text) => events.push(text),
            Err(_not_utf8) => return Err(SseError::NotUtf8),
        }
        Ok(())
    }
}

/// The value of a `data` line; comments and other fields have none.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data")?;
    match rest {
        [] => Some(rest),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{SseDecoder, SseError};

    fn decode(pieces: &[&[u8]]) -> Result<Vec<String>, SseError> {
        let mut decoder = SseDecoder::default();
        let mut events = Vec::new();
        for piece in pieces {
            events.extend(decoder.push(piece)?);
        }
        events.extend(decoder.finish()?);
        Ok(events)
    }

    #[test]
    fn reads_every_line_ending_and_skips_comments() {
        let stream = b"\xEF\xBB\xBF: keepalive\r\ndata: a\r\n\r\ndata:b\rdata: c\r\rid: 7\nevent: x\ndata\n\n\n\ndata: end";
        assert_eq!(decode(&[stream]).unwrap(), ["a", "b\nc", "", "end"]);
    }

    #[test]
    fn a_line_feed_behind_a_split_carriage_return_is_no_blank_line() {
        assert_eq!(
            decode(&[b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n"]).unwrap(),
            ["a\nb"]
        );
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(decode(&[b"data: \xff\n\n"]), Err(SseError::NotUtf8));
        let endless = vec![b'x'; super::MAX_EVENT_BYTES + 1];
        assert_eq!(decode(&[&endless]), Err(SseError::TooLong));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            lines in proptest::collection::vec(
                ("(data: ?|data|: |id: )?[a-z😀é]{0,6}", "(\n|\r|\r\n)"), 0..24),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
        ) {
            let bytes: Vec<u8> =
                lines.iter().flat_map(|(a, b)| [a.as_bytes(), b.as_bytes()].concat()).collect();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(decode(&pieces), decode(&[&bytes]));
        }
    }
}
