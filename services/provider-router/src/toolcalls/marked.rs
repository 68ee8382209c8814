//! Calls behind a mark that is only ever used for calls.

use super::cursor::Cursor;
use super::json::{Reader, Repairs};
use super::shape::{Made, Maker, Outcome, Sure};
use super::words::{Reason, Repair};
use super::{Format, named, python, xml};

/// A mark, and what ends what it begins.
#[derive(Debug)]
pub(super) struct Wrapper {
    open: &'static str,
    close: &'static str,
    /// Servers take the end mark away, or the model writes none.
    open_ended: Option<OpenEnded>,
    pub(super) format: Format,
}

#[derive(Debug)]
struct OpenEnded;

const fn closed(open: &'static str, close: &'static str, format: Format) -> Wrapper {
    Wrapper {
        open,
        close,
        open_ended: None,
        format,
    }
}

const fn open_ended(open: &'static str, close: &'static str, format: Format) -> Wrapper {
    Wrapper {
        open,
        close,
        open_ended: Some(OpenEnded),
        format,
    }
}

const WRAPPERS: [Wrapper; 13] = [
    closed("<tool_call>", "</tool_call>", Format::Tagged),
    closed("<tool_calls>", "</tool_calls>", Format::Tagged),
    closed("<|tool_call|>", "<|/tool_call|>", Format::Tagged),
    closed("<|START_ACTION|>", "<|END_ACTION|>", Format::Tagged),
    closed(
        "<|action_start|><|plugin|>",
        "<|action_end|>",
        Format::Tagged,
    ),
    closed("<function_call>", "</function_call>", Format::Tagged),
    closed("<function_calls>", "</function_calls>", Format::Invoke),
    closed(
        concat!("<", "ant", "ml:function_calls>"),
        concat!("</", "ant", "ml:function_calls>"),
        Format::Invoke,
    ),
    closed("<tool_code>", "</tool_code>", Format::Pythonic),
    closed(
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁calls▁end｜>",
        Format::Named,
    ),
    closed(
        "<|tool_calls_section_begin|>",
        "<|tool_calls_section_end|>",
        Format::Named,
    ),
    open_ended("[TOOL_CALLS]", "</s>", Format::Mistral),
    open_ended("<|python_tag|>", "<|eom_id|>", Format::PythonTag),
];

/// Why it does not go on.
#[derive(Debug)]
pub(super) struct Fault {
    /// `None` where nobody needs to know.
    pub(super) reason: Option<Reason>,
    /// What could not be taken.
    pub(super) at: usize,
    /// How many brackets were open.
    pub(super) depth: usize,
}

impl Fault {
    pub(super) fn of(reason: Reason, reader: &Reader<'_, '_>) -> Self {
        Self {
            reason: Some(reason),
            at: reader.at,
            depth: reader.depth,
        }
    }
}

/// Something that is a call, or several.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) to: usize,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) text: String,
}

impl Item {
    pub(super) fn one(outcome: Outcome, to: usize) -> Self {
        Self {
            to,
            outcomes: vec![outcome],
            text: String::new(),
        }
    }
}

/// What a mark turned out to begin.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Behind the last call.
    pub(super) to: usize,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) text: String,
    /// Where it could not go on.
    pub(super) fault: Option<Fault>,
}

impl Found {
    pub(super) fn of(item: Item) -> Self {
        let mut found = Self::default();
        found.push(item);
        found
    }

    pub(super) fn failed(fault: Fault) -> Self {
        let mut found = Self {
            to: fault.at,
            ..Self::default()
        };
        found.fail(fault);
        found
    }

    pub(super) fn push(&mut self, item: Item) {
        self.to = item.to;
        self.outcomes.extend(item.outcomes);
        self.text.push_str(&item.text);
    }

    pub(super) fn fail(&mut self, mut fault: Fault) {
        self.outcomes.extend(fault.reason.take().map(Err));
        self.fault = Some(fault);
    }

    /// Says of the last call that something was repaired.
    pub(super) fn note(&mut self, repair: Repair) {
        let mut calls = self.outcomes.iter_mut().flatten();
        if let Some(Made { repairs, .. }) = calls.next_back() {
            repairs.insert(repair);
        }
    }
}

/// Looks at a text and makes calls of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'s, 't> {
    pub(super) cursor: &'s Cursor<'t>,
    pub(super) maker: Maker<'s>,
}

impl Look<'_, '_> {
    pub(super) fn wrapper(&self, at: usize) -> Option<&'static Wrapper> {
        let mut wrappers = WRAPPERS.iter();
        wrappers.find(|wrapper| self.cursor.sees(at, wrapper.open))
    }

    /// What a mark here begins; `None` where there is none, or it is only spoken of.
    pub(super) fn marked(&self, at: usize) -> Option<Found> {
        if let Some(wrapper) = self.wrapper(at) {
            return self.wrapped(at, wrapper);
        }
        match self.unwrapped(at, None) {
            Ok(item) => item.map(Found::of),
            Err(fault) => Some(Found::failed(fault)),
        }
    }

    fn wrapped(&self, at: usize, wrapper: &Wrapper) -> Option<Found> {
        let mut found = Found::default();
        let mut here = at + wrapper.open.len();
        let closed = loop {
            let from = here;
            here = self.separators(here);
            if self.cursor.sees(here, wrapper.close) {
                found.to = here + wrapper.close.len();
                break true;
            }
            // Where no end mark is due, what follows is as often prose.
            let goes_on = found.outcomes.is_empty()
                || wrapper.open_ended.is_none()
                || self.cursor.slice(from, here).contains(';');
            if !goes_on {
                break false;
            }
            match self.item(here, wrapper, &found) {
                Ok(Some(item)) => {
                    here = item.to;
                    found.push(item);
                }
                Ok(None) => break false,
                Err(fault) => {
                    found.fail(fault);
                    break true;
                }
            }
        };
        if found.outcomes.is_empty() {
            return None;
        }
        if !closed {
            found.to = self.cursor.behind(here, wrapper.close).unwrap_or(found.to);
        }
        if !closed && wrapper.open_ended.is_none() {
            found.note(Repair::MissingEnd);
        }
        Some(found)
    }

    /// Behind what may stand between calls: a fence of their own, too.
    fn separators(&self, mut at: usize) -> usize {
        loop {
            let from = at;
            at = self.cursor.while_byte(at, |byte| {
                byte.is_ascii_whitespace() || matches!(byte, b',' | b';')
            });
            for fence in ["```json", "```"] {
                if self.cursor.sees(at, fence) {
                    at += fence.len();
                }
            }
            if at == from {
                return at;
            }
        }
    }

    fn item(&self, at: usize, wrapper: &Wrapper, found: &Found) -> Result<Option<Item>, Fault> {
        let is_first = found.outcomes.is_empty();
        if self.wrapper(at).is_some() {
            return Ok(None);
        }
        let stop = Some(wrapper.close);
        if let Some(item) = self.unwrapped(at, stop)? {
            return Ok(Some(item));
        }
        let format = wrapper.format;
        let is_python = matches!(format, Format::PythonTag | Format::Pythonic);
        match self.cursor.byte(at) {
            Some(b'[') if is_python && python::is_list(self, at) => {
                python::list(self, at, stop).map(Some)
            }
            Some(b'{') => self.json(at, stop, format).map(Some),
            // Behind a call it would be a footnote as often.
            Some(b'[') if is_first => self.json(at, stop, format).map(Some),
            _ if is_python => python::call(self, at, stop),
            _ if format == Format::Mistral => named::mistral(self, at),
            _ if format == Format::Tagged => xml::arg_keys(self, at),
            _ => Ok(None),
        }
    }

    /// A call that brings its own mark.
    pub(super) fn unwrapped(
        &self,
        at: usize,
        stop: Option<&'static str>,
    ) -> Result<Option<Item>, Fault> {
        match xml::element(self, at, stop)? {
            Some(item) => Ok(Some(item)),
            None => named::named(self, at),
        }
    }

    pub(super) fn json(
        &self,
        at: usize,
        stop: Option<&'static str>,
        format: Format,
    ) -> Result<Item, Fault> {
        let mut reader = Reader::new(self.cursor, at).until(stop);
        let value = reader
            .value()
            .map_err(|reason| Fault::of(reason, &reader))?;
        let mut repairs = reader.repairs;
        let to = self.surplus(reader.at, stop, &mut repairs);
        let said = self.maker.read(value, &repairs, format, Sure::Marked);
        Ok(Item {
            to,
            outcomes: said.outcomes,
            text: said.text,
        })
    }

    /// Behind closing brackets that close nothing, where nothing else follows them.
    pub(super) fn surplus(
        &self,
        at: usize,
        stop: Option<&'static str>,
        repairs: &mut Repairs,
    ) -> usize {
        let is_close = |byte| matches!(byte, b'}' | b']');
        if !self.cursor.byte(at).is_some_and(is_close) {
            return at;
        }
        let behind = self.cursor.while_byte(at, is_close);
        let stopped = stop.is_some_and(|stop| self.cursor.sees(behind, stop));
        let next = self.cursor.byte(behind);
        if stopped || next.is_none_or(|byte| byte.is_ascii_whitespace()) {
            repairs.insert(Repair::ExtraBracket);
            return behind;
        }
        at
    }
}
