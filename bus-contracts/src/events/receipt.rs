//! Receipts: `receipts`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Event, Extra, MessageId, channels};

/// Whoever had to keep these messages has kept them; their publisher stops repeating them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptRecorded {
    /// The messages, by id; all of one organisation, that of the envelope.
    pub ids: Vec<MessageId>,
    /// Who kept them: the name of an adapter or service.
    pub by: String,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for ReceiptRecorded {
    const TYPE: &'static str = "receipt.recorded";
    const CHANNEL: &'static str = channels::RECEIPTS;
    const VERSION: u32 = 1;
}
