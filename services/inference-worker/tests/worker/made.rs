//! Models small enough to be made by a test.
//!
//! The *scripted* one says fixed texts: its embeddings are one-hot, its attention is zero, and its
//! head is a table of which token follows which. Its chat template picks the script. The *random*
//! ones have weights from a seed: what they say is noise, but every part of the engine works on it.

mod random;
mod scripted;
mod tokens;
mod weights;

pub(crate) use random::{random, random_embedding, random_gguf};
pub(crate) use scripted::scripted;
