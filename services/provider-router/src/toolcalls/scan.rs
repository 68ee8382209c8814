//! Goes through a text from left to right and decides, wherever a call could begin, whether one does.
//!
//! A decision depends on what stands before and on what was looked at, on nothing else. So what was
//! decided without looking past the end of a growing text is decided for good.

use super::cursor::Cursor;
use super::fence::{self, Before};
use super::head::Head;
use super::json::Reader;
use super::marked::{Fault, Found, Look};
use super::shape::{Maker, Outcome, Sure};
use super::tools::Tools;
use super::words::Ambiguity;
use super::{Ending, Format, python};

/// What models think aloud: calls in it are thoughts.
const THOUGHTS: [(&str, &str); 2] = [("<think>", "</think>"), ("<thinking>", "</thinking>")];

/// How much of the text there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// More may follow.
    Growing,
    /// All.
    Ended(Ending),
}

/// What was found.
#[derive(Debug)]
pub(super) enum Piece {
    /// Calls, or refusals, or both.
    Block(Block),
    /// From here on it depends on what follows. Only of a growing text; nothing comes after it.
    Open(usize),
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) from: usize,
    /// Behind the last call.
    pub(super) to: usize,
    pub(super) outcomes: Vec<Outcome>,
    /// What stays of it in the prose.
    pub(super) text: String,
}

pub(super) enum Step {
    /// Nothing up to here.
    Prose(usize),
    /// Something; go on at the second.
    Block(Block, usize),
}

pub(super) struct Scan<'s, 't> {
    cursor: &'s Cursor<'t>,
    tools: &'s Tools<'s>,
    look: Look<'s, 't>,
    stage: Stage,
    at: usize,
    /// Before here are the remains of broken JSON: what looks like a call in it was part of it.
    quiet: usize,
    /// Whether it is between two backticks of a line.
    in_code: bool,
    /// The last place where a scan can begin that knows nothing of what came before.
    pub(super) clean: usize,
}

impl<'s, 't> Scan<'s, 't> {
    pub(super) fn new(
        cursor: &'s Cursor<'t>,
        tools: &'s Tools<'s>,
        stage: Stage,
        from: usize,
    ) -> Self {
        let ending = match stage {
            Stage::Growing => Ending::Done,
            Stage::Ended(ending) => ending,
        };
        Self {
            cursor,
            tools,
            look: Look {
                cursor,
                maker: Maker { tools, ending },
            },
            stage,
            at: from,
            quiet: from,
            in_code: false,
            clean: from,
        }
    }

    fn step(&mut self, byte: u8) -> Step {
        let at = self.at;
        let calm = at >= self.quiet;
        match byte {
            b'\n' => {
                self.in_code = false;
                if calm {
                    self.clean = at + 1;
                }
                Step::Prose(at + 1)
            }
            b'`' => self.ticks(),
            b'<' => self.thought().unwrap_or_else(|| self.mark()),
            b'>' if self.begins_line() => self.mark(),
            b'[' if calm => match self.mark() {
                Step::Prose(_) => self.list(),
                block @ Step::Block(..) => block,
            },
            b'[' => self.mark(),
            b'{' if calm => self.bare(1),
            _ => Step::Prose(at + 1),
        }
    }

    /// Whether only whitespace stands before on this line.
    fn begins_line(&self) -> bool {
        let before = self.cursor.slice(0, self.at);
        let line = before.trim_end_matches([' ', '\t']);
        line.is_empty() || line.ends_with('\n')
    }

    fn is_quoted(&self) -> bool {
        let before = self.cursor.slice(0, self.at);
        self.in_code || before.ends_with(['"', '\'', '“', '„', '‘'])
    }

    fn ticks(&mut self) -> Step {
        let run = self.cursor.while_byte(self.at, |byte| byte == b'`') - self.at;
        if run >= 3 {
            if self.at < self.quiet {
                return Step::Prose(self.at + run);
            }
            let before = if self.begins_line() {
                Before::Nothing
            } else {
                Before::Something
            };
            return fence::step(&self.look, self.at, run, before);
        }
        self.in_code = !self.in_code;
        Step::Prose(self.at + run)
    }

    fn thought(&self) -> Option<Step> {
        let (open, close) = THOUGHTS
            .iter()
            .find(|(open, _)| !self.in_code && self.cursor.sees(self.at, open))?;
        let from = self.at + open.len();
        let rest = self.cursor.slice(from, self.cursor.len());
        let end = rest.find(close).map(|end| from + end + close.len());
        let looked = end.unwrap_or(self.cursor.len());
        self.cursor.looked_at(looked - self.at);
        // Nothing in it is a call, however it goes on.
        self.cursor.forget();
        Some(Step::Prose(end.unwrap_or(self.cursor.len())))
    }

    fn mark(&mut self) -> Step {
        match self.look.marked(self.at) {
            None => Step::Prose(self.at + 1),
            Some(found) if self.in_code => self.quoted(&found.outcomes, found.to),
            Some(found) => self.found(found),
        }
    }

    /// What stands in inline code: a call that somebody quotes, or one that a model writes so.
    fn quoted(&self, outcomes: &[Outcome], to: usize) -> Step {
        let to = to.max(self.at + 1);
        if outcomes.iter().all(Result::is_err) {
            return Step::Prose(to);
        }
        let block = Block {
            from: self.at,
            to,
            outcomes: vec![Err(Ambiguity::Quoted.into())],
            text: String::new(),
        };
        Step::Block(block, to)
    }

    fn found(&mut self, found: Found) -> Step {
        let resume = match &found.fault {
            Some(fault) => self.give_up(fault),
            None => found.to,
        };
        let block = Block {
            from: self.at,
            to: found.to,
            outcomes: found.outcomes,
            text: found.text,
        };
        Step::Block(block, resume.max(self.at + 1))
    }

    /// Nothing inside of broken JSON is a call, only because what was around it could not be read.
    fn give_up(&mut self, fault: &Fault) -> usize {
        if fault.at >= self.quiet {
            self.quiet = behind(self.cursor, fault.at, fault.depth);
        }
        fault.at
    }

    fn list(&mut self) -> Step {
        let inside = self.cursor.blank(self.at + 1);
        match self.cursor.byte(inside) {
            Some(b'{') => self.bare(2),
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => self.pythonic(),
            _ => Step::Prose(self.at + 1),
        }
    }

    fn pythonic(&mut self) -> Step {
        let at = self.at;
        if !self.begins_line() || !python::begins(&self.look, at) {
            return Step::Prose(at + 1);
        }
        let found = match python::list(&self.look, at, None) {
            Ok(item) => Found::of(item),
            Err(fault) => Found::failed(fault),
        };
        let rest = self
            .cursor
            .while_byte(found.to, |byte| matches!(byte, b' ' | b'\t' | b'\r'));
        let ends_line = matches!(self.cursor.byte(rest), None | Some(b'\n' | b'<'));
        if found.fault.is_none() && !ends_line {
            return self.quoted(&found.outcomes, found.to);
        }
        self.found(found)
    }

    /// JSON in the prose; `level` is the depth at which it would be a call.
    fn bare(&mut self, level: usize) -> Step {
        let head = Head::new(self.tools, level);
        let mut reader = Reader::new(self.cursor, self.at).watched(head);
        let read = reader.value();
        let head = reader
            .head
            .take()
            .unwrap_or_else(|| Head::new(self.tools, level));
        // It is none, however it goes on.
        if head.is_foreign() {
            self.cursor.forget();
        }
        let fault = Fault {
            reason: None,
            at: reader.at.max(self.at + 1),
            depth: reader.depth,
        };
        match read {
            Ok(_) if head.is_foreign() => Step::Prose(reader.at),
            Ok(value) => {
                let mut repairs = reader.repairs;
                let to = self.look.surplus(reader.at, None, &mut repairs);
                let maker = self.look.maker;
                let said = maker.read(value, &repairs, Format::Bare, Sure::Bare);
                if said.outcomes.is_empty() {
                    return Step::Prose(reader.at);
                }
                if self.is_quoted() {
                    return self.quoted(&said.outcomes, to);
                }
                self.found(Found {
                    to,
                    outcomes: said.outcomes,
                    text: said.text,
                    fault: None,
                })
            }
            Err(reason) if head.looks_like_a_call() && !self.is_quoted() => {
                self.found(Found::failed(Fault {
                    reason: Some(reason),
                    ..fault
                }))
            }
            Err(_) => {
                if head.is_begun() {
                    self.give_up(&fault);
                } else {
                    self.quiet = self.quiet.max(fault.at);
                }
                // Marks are still looked for in it.
                Step::Prose(self.at + 1)
            }
        }
    }
}

impl Iterator for Scan<'_, '_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        while let Some(byte) = self.cursor.text().as_bytes().get(self.at).copied() {
            let from = self.at;
            self.cursor.forget();
            let step = self.step(byte);
            let growing = self.stage == Stage::Growing;
            match step {
                Step::Block(block, _) if growing => {
                    self.at = self.cursor.len();
                    return Some(Piece::Open(block.from));
                }
                Step::Block(block, resume) => {
                    self.at = resume;
                    return Some(Piece::Block(block));
                }
                Step::Prose(_) if growing && self.cursor.looked_past() => {
                    self.at = self.cursor.len();
                    return Some(Piece::Open(from));
                }
                Step::Prose(to) => self.at = to,
            }
        }
        None
    }
}

/// Behind the brackets that are open here, as well as can be told of what is broken; at most up to
/// the next empty line.
fn behind(cursor: &Cursor<'_>, at: usize, mut depth: usize) -> usize {
    let text = cursor.slice(at, cursor.len());
    let mut in_string = false;
    let mut escaped = false;
    let mut line_is_empty = false;
    for (byte, at) in text.bytes().zip(at..) {
        cursor.looked_at(1);
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            b'\n' if line_is_empty => return at,
            b'\n' => (in_string, line_is_empty) = (false, true),
            b' ' | b'\t' | b'\r' => {}
            _ => line_is_empty = false,
        }
        match byte {
            b'\\' => escaped = in_string && !was_escaped,
            b'"' if !was_escaped => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    cursor.len()
}
