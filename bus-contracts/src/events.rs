//! One struct per event, one file per family. A new event is a struct here and a line in
//! [`crate::CATALOGUE`].

pub mod approval;
pub mod conversation;
pub mod embedding;
pub mod inference;
pub mod message;
pub mod receipt;
pub mod tool;
pub mod usage;

pub use approval::{ApprovalDecided, ApprovalRequested, Decision};
pub use conversation::{
    ConversationBranch, ConversationBranched, ConversationConfigure, ConversationDelete,
    ConversationDeleted, ConversationImport, ConversationImported, ConversationRename,
    ConversationRenamed, ConversationSummarized,
};
pub use embedding::{EmbeddingCompleted, EmbeddingFailed, EmbeddingRequested};
pub use inference::{
    InferenceCompleted, InferenceFailed, InferenceRequested, ModelParameters, Purpose,
};
pub use message::{
    Agreement, Clarification, MessageAccepted, MessageCompleted, MessageFailed, MessageSubmitted,
    RunCancel,
};
pub use receipt::ReceiptRecorded;
pub use tool::{ToolCompleted, ToolFailed, ToolRequested};
pub use usage::UsageRecorded;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What travels in an envelope.
pub trait Event: Serialize + DeserializeOwned + schemars::JsonSchema {
    /// The name in the field `type`.
    const TYPE: &'static str;
    /// The channel it travels on; adapters and clients append their name to the first two of
    /// [`crate::channels`].
    const CHANNEL: &'static str;
    /// Counts changes that a reader of the one before would misread. Adding an optional field is
    /// none of those.
    const VERSION: u32;
}
