//! A text that remembers whether somebody looked past its end.
//!
//! What was decided without doing so stays decided, however the text goes on. That is all the
//! streaming side needs to know, so every look at the text goes through here.

use std::cell::Cell;

#[derive(Debug)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    past: Cell<bool>,
    /// How many bytes were looked at, so that tests of how long it takes need no clock.
    #[cfg(test)]
    pub(super) looks: Cell<usize>,
}

impl<'t> Cursor<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self {
            text,
            past: Cell::new(false),
            #[cfg(test)]
            looks: Cell::new(0),
        }
    }

    pub(super) const fn text(&self) -> &'t str {
        self.text
    }

    pub(super) const fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether anything since [`Self::forget`] depended on where the text ends.
    pub(super) const fn looked_past(&self) -> bool {
        self.past.get()
    }

    pub(super) fn forget(&self) {
        self.past.set(false);
    }

    /// Bytes were looked at.
    #[cfg(test)]
    pub(super) fn looked_at(&self, bytes: usize) {
        self.looks.set(self.looks.get() + bytes);
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests count")]
    pub(super) const fn looked_at(&self, _: usize) {}

    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        let byte = self.text.as_bytes().get(at).copied();
        self.looked_at(1);
        if byte.is_none() {
            self.past.set(true);
        }
        byte
    }

    /// The character that begins here.
    pub(super) fn char(&self, at: usize) -> Option<char> {
        let char = self.slice(at, self.len()).chars().next();
        if char.is_none() {
            self.past.set(true);
        }
        char
    }

    /// Whether this word stands here.
    pub(super) fn sees(&self, at: usize, word: &str) -> bool {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        self.looked_at(1);
        if rest.len() < word.len() && word.as_bytes().starts_with(rest) {
            self.past.set(true);
        }
        rest.starts_with(word.as_bytes())
    }

    /// Behind this word; behind what there is of it, where the text ends in the middle of it.
    pub(super) fn behind(&self, at: usize, word: &str) -> Option<usize> {
        let rest = self.slice(at, self.len());
        let cut = !rest.is_empty() && word.starts_with(rest);
        if self.sees(at, word) {
            Some(at + word.len())
        } else {
            cut.then_some(self.len())
        }
    }

    /// Where this word next stands.
    pub(super) fn find(&self, from: usize, word: &str) -> Option<usize> {
        let found = self.text.get(from..).and_then(|rest| rest.find(word));
        self.looked_at(found.unwrap_or_else(|| self.len().saturating_sub(from)));
        if found.is_none() {
            self.past.set(true);
        }
        Some(from + found?)
    }

    /// Behind all whitespace here.
    pub(super) fn blank(&self, at: usize) -> usize {
        self.while_byte(at, |byte| byte.is_ascii_whitespace())
    }

    /// Behind all bytes of this kind.
    pub(super) fn while_byte(&self, mut at: usize, is: impl Fn(u8) -> bool) -> usize {
        while self.byte(at).is_some_and(&is) {
            at += 1;
        }
        at
    }

    /// Behind the name of a tool that begins here; `at` itself where none does.
    pub(super) fn name(&self, at: usize) -> usize {
        self.while_byte(at, is_of_name)
    }

    /// What is between; empty where that is no text.
    pub(super) fn slice(&self, from: usize, to: usize) -> &'t str {
        self.text.get(from..to).unwrap_or_default()
    }
}

const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}
