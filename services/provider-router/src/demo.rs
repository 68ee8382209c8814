//! The demo model: a pure function from a chat completions request to a chat completions stream.
//!
//! It needs no network and makes nothing up: it recognises arithmetic, the time, small talk and
//! what it was told earlier, asks for tools as a real model does, and says what it is whenever
//! that is not enough. Its stream is read by the same assembler as a real provider's, so whatever
//! works with it works with a model that has learned something.

pub mod arithmetic;
pub mod conversation;
pub mod embed;
pub mod facts;
pub mod intent;
pub mod phrases;
pub mod reply;
pub mod results;
pub mod stream;
pub mod summary;

use serde_json::Value;

use conversation::Conversation;

/// The one model there is.
pub const MODEL: &str = "demo-1";

/// Answers the body of `POST /chat/completions` with the data of each event of the stream.
#[must_use]
pub fn respond(body: &Value) -> Vec<String> {
    let conversation = Conversation::of(body);
    let said = reply::reply(&conversation);
    stream::events(&said, conversation.words)
}

#[cfg(test)]
mod tests;
