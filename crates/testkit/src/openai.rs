//! A server that speaks as an OpenAI-compatible one does, from scripts.

mod script;
mod server;
mod vectors;

pub use script::{Gate, Script, ToolCall};
pub use server::{FakeOpenAi, Received};
