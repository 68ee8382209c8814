//! `read_result`: the rest of a result of which a model saw the beginning.

use nexus_store::EffectClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artefacts::Artefacts;
use crate::parts::Parts;
use crate::tool::{Tool, ToolContext, ToolError};

/// Most bytes of one reading: below the usual limit of outputs, with room for the rest of the result.
const AT_ONCE: usize = 12 * 1024;

/// Reads on in a result that was cut.
pub struct ReadResult {
    artefacts: Artefacts,
}

impl ReadResult {
    /// Reads what calls left behind.
    #[must_use]
    pub fn new(parts: &Parts) -> Self {
        Self {
            artefacts: parts.artefacts.clone(),
        }
    }
}

/// The arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// The reference that stands where a result was cut.
    pub reference: String,
    /// How many bytes to skip; that many were read before. 0 for the beginning.
    #[serde(default)]
    pub offset: u64,
}

/// A part of a result.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Part {
    /// The text from there.
    pub text: String,
    /// Where to read on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    /// How many bytes there are in all.
    pub bytes: u64,
}

impl Tool for ReadResult {
    const NAME: &'static str = "read_result";
    const DESCRIPTION: &'static str = "Reads on in a tool result that was cut because it is long. \
        Use it only with a reference from such a result, and only when the part you saw is not \
        enough.";
    const EFFECT: EffectClass = EffectClass::ReadOnly;
    // A part is never cut: as JSON, each of its bytes takes six at the most.
    const OUTPUT_LIMIT: Option<u64> = Some(96 * 1024);
    type Args = Args;
    type Output = Part;

    async fn call(&self, args: Args, ctx: &ToolContext) -> Result<Part, ToolError> {
        let found = self.artefacts.find(ctx.whose(), &args.reference, ctx.now);
        let found = found.await.map_err(|error| {
            ToolError::Unavailable(format!("results cannot be read at the moment: {error}"))
        })?;
        let Some(bytes) = found else {
            return Err(ToolError::BadArguments(format!(
                "no result is kept under the reference `{}` in this conversation; it may be too \
                 old. Call the tool that gave it again",
                args.reference
            )));
        };
        let text = String::from_utf8_lossy(&bytes);
        part(&text, args.offset)
    }
}

/// The part of a text from an offset on, cut between characters.
fn part(text: &str, offset: u64) -> Result<Part, ToolError> {
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    if from >= text.len() {
        return Err(ToolError::BadArguments(format!(
            "the result has {bytes} bytes; `offset` must be less"
        )));
    }
    let from = text.floor_char_boundary(from);
    let to = text.floor_char_boundary(from.saturating_add(AT_ONCE));
    let next = (to < text.len()).then(|| u64::try_from(to).unwrap_or(u64::MAX));
    Ok(Part {
        text: text.get(from..to).unwrap_or_default().to_owned(),
        next_offset: next,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    #[test]
    fn an_offset_behind_the_end_is_refused() {
        assert!(part("abc", 3).is_err());
        assert!(part("", 0).is_err());
        assert_eq!(part("abc", 1).unwrap().text, "bc");
    }

    proptest! {
        /// Reading on by `next_offset` gives every character once.
        #[test]
        fn parts_make_up_the_whole(text in "(a|é|漢|😀){1,30000}") {
            let (mut read, mut offset) = (String::new(), Some(0));
            while let Some(from) = offset {
                let part = part(&text, from).unwrap();
                prop_assert!(!part.text.is_empty());
                read.push_str(&part.text);
                offset = part.next_offset;
            }
            prop_assert!(read == text);
        }
    }
}
