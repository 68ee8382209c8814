//! Byte-level tokenizers without merges.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Special tokens that every model here has, in this order behind the bytes.
pub(crate) const END_OF_TEXT: &str = "<|endoftext|>";
pub(crate) const START: &str = "<|im_start|>";
pub(crate) const END: &str = "<|im_end|>";

/// A byte as byte-level tokenizers write it.
fn letter(byte: u8) -> char {
    let is_itself = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    if is_itself(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&other| !is_itself(other)).count();
    char::from_u32(256 + u32::try_from(before).unwrap()).unwrap()
}

/// Token ids of a vocabulary.
pub(crate) struct Tokens {
    words: BTreeMap<String, u32>,
    special: Vec<(String, u32, TokenKind)>,
}

impl Tokens {
    /// One token for every byte; its id is the byte.
    pub(crate) fn of_bytes() -> Self {
        let words = (0..=255).map(|byte| (letter(byte).to_string(), u32::from(byte)));
        Self {
            words: words.collect(),
            special: Vec::new(),
        }
    }

    /// One more token for this text, which the tokenizer itself never chooses.
    pub(crate) fn add(&mut self, text: &str) -> u32 {
        let id = self.count();
        let written = text.bytes().map(letter).collect();
        assert_eq!(self.words.insert(written, id), None, "{text}");
        id
    }

    /// One more token that is not text.
    pub(crate) fn add_special(&mut self, text: &str) -> u32 {
        self.add_marked(text, TokenKind::Control)
    }

    /// One more token found as a whole; a control token is no text.
    pub(crate) fn add_marked(&mut self, text: &str, kind: TokenKind) -> u32 {
        let id = self.count();
        self.special.push((text.to_owned(), id, kind));
        id
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.words.len() + self.special.len()).unwrap()
    }

    /// Every token as it is written, by id.
    pub(crate) fn list(&self) -> Vec<(String, TokenKind)> {
        let words = self
            .words
            .iter()
            .map(|(word, id)| (*id, (word.clone(), TokenKind::Normal)));
        let special = self
            .special
            .iter()
            .map(|(text, id, kind)| (*id, (text.clone(), *kind)));
        words
            .chain(special)
            .collect::<BTreeMap<_, _>>()
            .into_values()
            .collect()
    }

    /// `tokenizer.json`.
    pub(crate) fn json(&self) -> Value {
        let added = self.special.iter().map(|(text, id, kind)| {
            let special = matches!(kind, TokenKind::Control);
            json!({"id": id, "content": text, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": special})
        });
        json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": added.collect::<Vec<_>>(),
            "normalizer": null,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false,
                "trim_offsets": true, "use_regex": false},
            "post_processor": null,
            "decoder": {"type": "ByteLevel", "add_prefix_space": true,
                "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "dropout": null, "unk_token": null,
                "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": self.words, "merges": []},
        })
    }
}

/// What GGUF calls a token.
#[derive(Clone, Copy)]
pub(crate) enum TokenKind {
    Normal = 1,
    Control = 3,
    Defined = 4,
}
