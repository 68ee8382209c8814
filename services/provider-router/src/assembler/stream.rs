//! The body of a response, as its bytes come, into an answer.

use super::{Answer, WireError};
use crate::provider::dialect::Reader;
use crate::sse::{MAX_EVENT_BYTES, SseDecoder, SseError};

/// An answer on its way. Pure: whoever reads the network pushes what it got.
#[derive(Debug)]
pub struct AnswerStream {
    body: Body,
    reader: Box<dyn Reader>,
}

#[derive(Debug)]
enum Body {
    /// Server-sent events.
    Events(SseDecoder),
    /// JSON, from a server that does not stream.
    Whole(Vec<u8>),
}

impl AnswerStream {
    /// A body of server-sent events.
    #[must_use]
    pub fn of_events(reader: Box<dyn Reader>) -> Self {
        Self {
            body: Body::Events(SseDecoder::default()),
            reader,
        }
    }

    /// A body that is JSON as a whole.
    #[must_use]
    pub fn of_whole(reader: Box<dyn Reader>) -> Self {
        Self {
            body: Body::Whole(Vec::new()),
            reader,
        }
    }

    /// Takes the next bytes; returns the text they add.
    ///
    /// # Errors
    /// [`WireError`]; the answer is lost then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<String, WireError> {
        let events = match &mut self.body {
            Body::Events(decoder) => decoder.push(bytes)?,
            Body::Whole(body) if body.len() + bytes.len() > MAX_EVENT_BYTES => {
                return Err(SseError::TooLong.into());
            }
            Body::Whole(body) => {
                body.extend_from_slice(bytes);
                return Ok(String::new());
            }
        };
        let mut text = String::new();
        for event in events {
            text.push_str(&self.reader.push(&event)?);
        }
        Ok(text)
    }

    /// Whether nothing of interest follows.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.reader.is_done()
    }

    /// Whether the model was done; token counts may still follow.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.reader.is_finished()
    }

    /// The body ended: the text its last bytes add, and the answer.
    ///
    /// # Errors
    /// [`WireError::Unfinished`] when it ended too early, in the middle of an event too.
    pub fn close(mut self) -> Result<(String, Answer), WireError> {
        let rest = match &mut self.body {
            Body::Whole(body) => vec![String::from_utf8_lossy(body).into_owned()],
            // Half a character is no character: the answer broke off inside of it.
            Body::Events(decoder) => decoder.finish().unwrap_or_default(),
        };
        let cut_short = matches!(self.body, Body::Events(_));
        let mut text = String::new();
        for event in rest {
            match self.reader.push(&event) {
                Ok(more) => text.push_str(&more),
                Err(WireError::NotJson(_)) if cut_short => break,
                Err(error) => return Err(error),
            }
        }
        Ok((text, self.reader.finish()?))
    }
}
