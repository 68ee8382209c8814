//! Cutting a text into chunks. Pure.
//!
//! Chunks lie one behind the other with nothing between them: together they are the text, and each
//! is found in it by its offsets. They end where the text does: at headings, paragraphs, list items,
//! records; where one of these is too long, at lines, sentences, words, and at last anywhere. The
//! work grows with the length of the text and not faster, whatever it is.

mod blocks;

use std::ops::Range;
use std::rc::Rc;

use unicode_segmentation::UnicodeSegmentation;

use blocks::Block;

/// Finding the end of a sentence may look ahead as far as the text goes. Inside a window of so many
/// bytes that costs little, whatever is written there.
const WINDOW: usize = 16 << 10;

/// A heading begins a new chunk when the one before has at least a fourth of its size: sections of
/// two lines each would be chunks that say nothing.
const ENOUGH: usize = 4;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where it stands in the text, in bytes.
    pub range: Range<usize>,
    /// What it stands under and does not say itself: the headings above it, from the largest to the
    /// smallest with ` > ` between them, or the first record of a table. Empty where there is none.
    pub context: String,
}

/// Cuts a text into chunks of at most `most` characters. Empty texts have none.
///
/// Markdown and what was extracted from HTML is cut by its blocks, `text/csv` and
/// `text/tab-separated-values` by records, anything else by paragraphs.
#[must_use]
pub fn chunks(text: &str, content_type: &str, most: usize) -> Vec<Chunk> {
    let blocks = blocks::of(text, content_type);
    let mut packer = Packer {
        text,
        most: most.max(1),
        done: Vec::new(),
        open: 0..0,
        chars: 0,
        context: Rc::from(""),
    };
    let ends = blocks.iter().skip(1).map(|block| block.start);
    for (block, end) in blocks.iter().zip(ends.chain([text.len()])) {
        packer.block(block, end);
    }
    packer.flush();
    packer.done
}

/// Where a text that is too long may be cut, best first.
#[derive(Clone, Copy)]
enum Cut {
    Lines,
    Windows,
    Sentences,
    Words,
    Anywhere,
}

impl Cut {
    const fn next(self) -> Self {
        match self {
            Self::Lines => Self::Windows,
            Self::Windows => Self::Sentences,
            Self::Sentences => Self::Words,
            Self::Words | Self::Anywhere => Self::Anywhere,
        }
    }

    fn parts(self, text: &str, most: usize) -> Vec<&str> {
        match self {
            Self::Lines => text.split_inclusive('\n').collect(),
            Self::Windows => windows(text),
            Self::Sentences => text.split_sentence_bounds().collect(),
            Self::Words => text.split_word_bounds().collect(),
            Self::Anywhere => every(text, most),
        }
    }
}

fn windows(mut text: &str) -> Vec<&str> {
    let mut windows = Vec::new();
    while text.len() > WINDOW {
        let end = text.floor_char_boundary(WINDOW);
        let head = text.get(..end).unwrap_or_default();
        // Between two words, if there are any.
        let end = head.rfind(' ').map_or(end, |at| at + 1);
        let (window, rest) = text.split_at(end);
        windows.push(window);
        text = rest;
    }
    windows.push(text);
    windows
}

/// Parts of so many characters.
fn every(text: &str, most: usize) -> Vec<&str> {
    let mut starts: Vec<usize> = text
        .char_indices()
        .step_by(most)
        .map(|(at, _)| at)
        .collect();
    starts.push(text.len());
    let pairs = starts.iter().zip(starts.iter().skip(1));
    pairs
        .filter_map(|(from, to)| text.get(*from..*to))
        .collect()
}

struct Packer<'a> {
    text: &'a str,
    most: usize,
    done: Vec<Chunk>,
    /// What is being put together.
    open: Range<usize>,
    /// Its characters.
    chars: usize,
    context: Rc<str>,
}

impl Packer<'_> {
    fn block(&mut self, block: &Block, end: usize) {
        let range = block.start..end;
        let chars = self.count(&range);
        let breaks = block.is_heading && self.chars * ENOUGH >= self.most;
        if breaks || self.chars + chars > self.most {
            self.flush();
        }
        self.feed(range, chars, &block.context, Cut::Lines);
    }

    fn feed(&mut self, range: Range<usize>, chars: usize, context: &Rc<str>, cut: Cut) {
        if self.chars + chars > self.most {
            if chars > self.most {
                return self.cut(&range, context, cut);
            }
            self.flush();
        }
        if self.open.is_empty() {
            self.open.start = range.start;
            self.context = Rc::clone(context);
        }
        self.open.end = range.end;
        self.chars += chars;
    }

    fn cut(&mut self, range: &Range<usize>, context: &Rc<str>, cut: Cut) {
        let mut start = range.start;
        let text = self.text.get(range.clone()).unwrap_or_default();
        for part in cut.parts(text, self.most) {
            let end = start + part.len();
            self.feed(start..end, part.chars().count(), context, cut.next());
            start = end;
        }
    }

    fn flush(&mut self) {
        if !self.open.is_empty() {
            self.done.push(Chunk {
                range: self.open.clone(),
                context: self.context.to_string(),
            });
        }
        self.open = self.open.end..self.open.end;
        self.chars = 0;
    }

    fn count(&self, range: &Range<usize>) -> usize {
        let text = self.text.get(range.clone()).unwrap_or_default();
        text.chars().count()
    }
}

#[cfg(test)]
mod tests;
