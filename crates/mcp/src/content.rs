//! Results as typed parts, no larger than the limits allow.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rmcp::model::{ContentBlock, ResourceContents};
use serde_json::Value;

use crate::text::{cut, line};

/// Parts of one result that are kept.
const MOST_PARTS: usize = 100;
/// Longest address, name or media type, in bytes.
const LONGEST_NAME: usize = 2048;

/// What a server returned. All of it is the server's: data, never instructions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallResult {
    /// In the order of the server.
    pub parts: Vec<Part>,
    /// The structured result, where the server gives one.
    pub structured: Option<Value>,
    /// What was left out or cut because of its size or form, for people and models.
    pub notes: Vec<String>,
}

/// One part of a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Text.
    Text(String),
    /// An image.
    Image {
        /// Media type, as the server says.
        mime: String,
        /// The decoded bytes.
        data: Bytes,
    },
    /// Sound.
    Audio {
        /// Media type, as the server says.
        mime: String,
        /// The decoded bytes.
        data: Bytes,
    },
    /// A resource with text.
    ResourceText {
        /// Its name at the server; only the server can open it.
        uri: String,
        /// Media type, as the server says.
        mime: Option<String>,
        /// The text.
        text: String,
    },
    /// A resource of bytes.
    ResourceBytes {
        /// Its name at the server; only the server can open it.
        uri: String,
        /// Media type, as the server says.
        mime: Option<String>,
        /// The decoded bytes.
        data: Bytes,
    },
    /// A resource that can be read through the server.
    Link {
        /// Its name at the server; never to be opened otherwise.
        uri: String,
        /// What the server calls it.
        name: String,
        /// Media type, as the server says.
        mime: Option<String>,
    },
}

impl CallResult {
    /// The text of all parts, a line between them.
    #[must_use]
    pub fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text(text) | Part::ResourceText { text, .. } => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn of(blocks: Vec<ContentBlock>, structured: Option<Value>, most: usize) -> Self {
        let mut filling = Filling::new(most);
        for block in blocks {
            filling.block(block);
        }
        if let Some(structured) = structured {
            filling.structured(structured);
        }
        filling.result
    }

    pub(crate) fn of_resources(contents: Vec<ResourceContents>, most: usize) -> Self {
        let mut filling = Filling::new(most);
        for content in contents {
            filling.resource(content);
        }
        filling.result
    }
}

/// A result being put together, with the bytes still free.
struct Filling {
    result: CallResult,
    free: usize,
}

impl Filling {
    fn new(most: usize) -> Self {
        Self {
            result: CallResult::default(),
            free: most,
        }
    }

    fn block(&mut self, block: ContentBlock) {
        match block {
            ContentBlock::Text(it) => {
                let text = self.text(it.text);
                self.push(text.map(Part::Text));
            }
            ContentBlock::Image(it) => {
                let data = self.bytes("an image", &it.data);
                self.push(data.map(|data| Part::Image {
                    mime: name(&it.mime_type),
                    data,
                }));
            }
            ContentBlock::Audio(it) => {
                let data = self.bytes("a sound", &it.data);
                self.push(data.map(|data| Part::Audio {
                    mime: name(&it.mime_type),
                    data,
                }));
            }
            ContentBlock::Resource(it) => self.resource(it.resource),
            ContentBlock::ResourceLink(it) => self.push(Some(Part::Link {
                uri: name(&it.uri),
                name: name(&it.name),
                mime: it.mime_type.as_deref().map(name),
            })),
            _ => self.note("a part of a kind that is not known was left out".to_owned()),
        }
    }

    fn resource(&mut self, contents: ResourceContents) {
        match contents {
            ResourceContents::TextResourceContents {
                uri,
                mime_type,
                text,
                ..
            } => {
                let text = self.text(text);
                let mime = mime_type.as_deref().map(name);
                self.push(text.map(|text| Part::ResourceText {
                    uri: name(&uri),
                    mime,
                    text,
                }));
            }
            ResourceContents::BlobResourceContents {
                uri,
                mime_type,
                blob,
                ..
            } => {
                let data = self.bytes("a resource", &blob);
                let mime = mime_type.as_deref().map(name);
                self.push(data.map(|data| Part::ResourceBytes {
                    uri: name(&uri),
                    mime,
                    data,
                }));
            }
            _ => self.note("a resource of a kind that is not known was left out".to_owned()),
        }
    }

    fn structured(&mut self, value: Value) {
        let size = serde_json::to_vec(&value).map_or(usize::MAX, |bytes| bytes.len());
        if size > self.free {
            self.note(format!(
                "the structured result of {size} bytes was left out: too large"
            ));
            return;
        }
        self.free -= size;
        self.result.structured = Some(value);
    }

    fn text(&mut self, text: String) -> Option<String> {
        let kept = cut(&text, self.free).len();
        self.free -= kept;
        if kept == text.len() {
            return Some(text);
        }
        self.note(format!(
            "a text of {} bytes was cut after {kept}: too large",
            text.len()
        ));
        (kept > 0).then(|| cut(&text, kept).to_owned())
    }

    fn bytes(&mut self, what: &str, encoded: &str) -> Option<Bytes> {
        if encoded.len() / 4 * 3 > self.free + 3 {
            self.note(format!(
                "{what} of {} encoded bytes was left out: too large",
                encoded.len()
            ));
            return None;
        }
        match STANDARD.decode(encoded) {
            Ok(data) if data.len() <= self.free => {
                self.free -= data.len();
                Some(Bytes::from(data))
            }
            Ok(data) => {
                self.note(format!(
                    "{what} of {} bytes was left out: too large",
                    data.len()
                ));
                None
            }
            Err(_) => {
                self.note(format!("{what} was left out: it is not base64"));
                None
            }
        }
    }

    fn push(&mut self, part: Option<Part>) {
        let Some(part) = part else { return };
        if self.result.parts.len() < MOST_PARTS {
            self.result.parts.push(part);
        } else {
            self.note(format!("parts after the first {MOST_PARTS} were left out"));
        }
    }

    fn note(&mut self, note: String) {
        if self.result.notes.len() < MOST_PARTS && self.result.notes.last() != Some(&note) {
            self.result.notes.push(note);
        }
    }
}

fn name(text: &str) -> String {
    line(text, LONGEST_NAME)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_are_decoded() {
        let blocks = vec![
            ContentBlock::text("hello"),
            ContentBlock::image("aGk=", "image/png"),
            ContentBlock::audio("aGk=", "audio/wav"),
            ContentBlock::embedded_text("mem://1", "inside"),
        ];
        let result = CallResult::of(blocks, Some(json!({"a": 1})), 1000);
        assert_eq!(result.text(), "hello\ninside");
        let data = Bytes::from_static(b"hi");
        assert_eq!(
            result.parts[1],
            Part::Image {
                mime: "image/png".into(),
                data
            }
        );
        assert_eq!(result.structured, Some(json!({"a": 1})));
        assert!(result.notes.is_empty());
    }

    #[test]
    fn what_is_too_large_is_cut_or_left_out_and_said() {
        let blocks = vec![
            ContentBlock::text("é".repeat(30)),
            ContentBlock::image("A".repeat(400), "image/png"),
            ContentBlock::image("not base64!", "image/png"),
        ];
        let result = CallResult::of(blocks, Some(json!("x".repeat(100))), 51);
        assert_eq!(result.parts, [Part::Text("é".repeat(25))]);
        assert_eq!(result.structured, None);
        assert_eq!(result.notes.len(), 4, "{:?}", result.notes);
    }

    #[test]
    fn the_number_of_parts_is_bounded() {
        let blocks = vec![ContentBlock::text("x"); 5000];
        let result = CallResult::of(blocks, None, 10_000);
        assert_eq!(result.parts.len(), MOST_PARTS);
        assert_eq!(result.notes.len(), 1);
    }
}
