//! How much of a growing answer may already be shown.

use super::Tool;
use super::cursor::Cursor;
use super::scan::{Piece, Scan, Stage};
use super::tools::Tools;

/// A text is looked at again once what was not settled has grown by one part in so many. Then all
/// looks together cost this many times the text, whatever is in it, and nobody sees it lag.
const PART: usize = 64;

/// The part of a text, from its start, that is prose however the text goes on.
///
/// It never shrinks as the text grows, and the prose of the whole begins with it. It ends where the
/// first call or refusal begins, without the whitespace before; what follows a call comes with the
/// whole answer. Looks at all of the text: [`Shown`] is for one that grows by many small pieces.
#[must_use]
pub fn safe_prefix<'t>(text: &'t str, tools: &[Tool<'_>]) -> &'t str {
    Shown::default().of(text, tools)
}

/// How far a growing text has been looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// What may be shown, in bytes.
    safe: usize,
    /// Where the next look begins.
    clean: usize,
    /// How long the text was when it was last looked at.
    looked: usize,
}

impl Shown {
    /// The part of the text that may be shown; at most [`safe_prefix`], and all of it while little is
    /// unsettled. The text must be the one of the last call with more behind it, and the tools the
    /// same.
    pub fn of<'t>(&mut self, text: &'t str, tools: &[Tool<'_>]) -> &'t str {
        let grown = text.len().saturating_sub(self.looked);
        let unsettled = self.looked.saturating_sub(self.clean);
        if grown > unsettled / PART {
            let cursor = Cursor::new(text);
            let tools = Tools(tools);
            let mut scan = Scan::new(&cursor, &tools, Stage::Growing, self.clean);
            let open = match scan.next() {
                Some(Piece::Open(at)) => at,
                Some(Piece::Block(block)) => block.from,
                None => text.len(),
            };
            self.safe = cursor.slice(0, open).trim_end().len();
            self.clean = scan.clean;
            self.looked = text.len();
        }
        text.get(..self.safe).unwrap_or_default()
    }
}
