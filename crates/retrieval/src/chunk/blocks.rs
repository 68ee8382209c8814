//! Where the parts of a text begin that should stay together.

use std::rc::Rc;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// Longest context, in bytes; a longer first record of a table is not repeated.
const MOST_CONTEXT: usize = 400;

/// A part of a text, up to the next one.
pub(super) struct Block {
    /// Where it begins, in bytes.
    pub(super) start: usize,
    /// Whether a section begins with it.
    pub(super) is_heading: bool,
    /// What it stands under.
    pub(super) context: Rc<str>,
}

/// The blocks of a text; the first begins where the text does.
pub(super) fn of(text: &str, content_type: &str) -> Vec<Block> {
    let kind = content_type.split(';').next().unwrap_or_default();
    let mut blocks = match kind.trim().to_ascii_lowercase().as_str() {
        "text/markdown" | "text/x-markdown" | "text/html" | "application/xhtml+xml" => {
            markdown(text)
        }
        "text/csv" | "text/tab-separated-values" => records(text),
        _ => paragraphs(text),
    };
    match blocks.first_mut() {
        Some(first) => first.start = 0,
        None => blocks.push(Block {
            start: 0,
            is_heading: false,
            context: Rc::from(""),
        }),
    }
    blocks
}

/// By blocks of Markdown and items of lists, each under the headings above it.
fn markdown(text: &str) -> Vec<Block> {
    let mut headings = Headings::default();
    let mut blocks: Vec<Block> = Vec::new();
    let mut depth = 0_usize;
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter();
    for (event, range) in parser {
        match &event {
            Event::Start(tag) => {
                let is_heading = matches!(tag, Tag::Heading { .. });
                let is_item = depth == 1 && matches!(tag, Tag::Item);
                let is_new = blocks.last().is_none_or(|last| last.start < range.start);
                if (depth == 0 || is_item) && is_new {
                    blocks.push(Block {
                        start: range.start,
                        is_heading: is_heading && depth == 0,
                        context: headings.path(),
                    });
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if headings.see(&event)
            && let Some(block) = blocks.last_mut()
            && block.is_heading
        {
            block.context = headings.path();
        }
    }
    blocks
}

/// The headings above a place.
#[derive(Default)]
struct Headings {
    above: Vec<(HeadingLevel, String)>,
    path: Option<Rc<str>>,
    /// One that is being read.
    open: Option<String>,
}

impl Headings {
    /// Takes note of an event; whether a heading ended with it.
    fn see(&mut self, event: &Event<'_>) -> bool {
        match event {
            Event::Start(Tag::Heading { .. }) => self.open = Some(String::new()),
            Event::Text(part) | Event::Code(part) => {
                if let Some(open) = &mut self.open
                    && open.len() + part.len() <= MOST_CONTEXT
                {
                    open.push_str(part);
                }
            }
            Event::End(TagEnd::Heading(level)) => {
                let text = self.open.take().unwrap_or_default();
                self.above.retain(|(above, _)| above < level);
                self.above.push((*level, text));
                self.path = None;
                return true;
            }
            _ => {}
        }
        false
    }

    fn path(&mut self) -> Rc<str> {
        let above = &self.above;
        let path = self.path.get_or_insert_with(|| {
            let texts: Vec<&str> = above.iter().map(|(_, text)| text.as_str()).collect();
            let path = texts.join(" > ");
            let end = path.floor_char_boundary(MOST_CONTEXT);
            Rc::from(path.get(..end).unwrap_or_default())
        });
        Rc::clone(path)
    }
}

/// By what stands between empty lines.
fn paragraphs(text: &str) -> Vec<Block> {
    let (mut blocks, mut at, mut was_blank) = (Vec::new(), 0, true);
    let context: Rc<str> = Rc::from("");
    for line in text.split_inclusive('\n') {
        let is_blank = line.trim().is_empty();
        if was_blank && !is_blank {
            blocks.push(Block {
                start: at,
                is_heading: false,
                context: Rc::clone(&context),
            });
        }
        (at, was_blank) = (at + line.len(), is_blank);
    }
    blocks
}

/// By records, each under the first one, which names the columns.
fn records(text: &str) -> Vec<Block> {
    let starts = starts_of_records(text);
    let header = text.get(..starts.get(1).copied().unwrap_or_default());
    let header = header.unwrap_or_default().trim_end();
    let header: Rc<str> = match header.len() <= MOST_CONTEXT {
        true => Rc::from(header),
        false => Rc::from(""),
    };
    let none: Rc<str> = Rc::from("");
    let block = |start: usize| Block {
        start,
        is_heading: false,
        context: Rc::clone(if start == 0 { &none } else { &header }),
    };
    starts.into_iter().map(block).collect()
}

/// A line break inside quotes belongs to a field. Two quotes in a row stand for one, and leave it as
/// it was whether the place is inside.
fn starts_of_records(text: &str) -> Vec<usize> {
    let (mut starts, mut is_quoted) = (vec![0], false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted && at + 1 < text.len() => starts.push(at + 1),
            _ => {}
        }
    }
    starts
}
