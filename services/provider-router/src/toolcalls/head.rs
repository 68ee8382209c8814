//! Whether JSON in prose is a call, while it is being read.
//!
//! Most of it is not, and then it must neither be held back from a reader nor be complained about.

use serde_json::Value;

use super::shape::{ARGUMENTS, BESIDE, NAMES};
use super::tools::Tools;

#[derive(Debug)]
pub(super) struct Head<'c> {
    tools: &'c Tools<'c>,
    /// The depth of the object that would be the call.
    level: usize,
    course: Course,
    named: bool,
    argued: bool,
}

/// What can be said of it so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// Not one key with its colon.
    Nothing,
    /// It may be one.
    Begun,
    /// It is none: it has another key, or names what was not offered.
    Foreign,
}

impl<'c> Head<'c> {
    pub(super) const fn new(tools: &'c Tools<'c>, level: usize) -> Self {
        Self {
            tools,
            level,
            course: Course::Nothing,
            named: false,
            argued: false,
        }
    }

    /// Whether it is no call, however it goes on.
    pub(super) const fn is_foreign(&self) -> bool {
        matches!(self.course, Course::Foreign)
    }

    /// Whether it is JSON at least: it has a key with its colon.
    pub(super) const fn is_begun(&self) -> bool {
        !matches!(self.course, Course::Nothing)
    }

    /// Whether it named an offered tool and went on to its arguments.
    pub(super) const fn looks_like_a_call(&self) -> bool {
        self.named && self.argued && !self.is_foreign()
    }

    pub(super) fn key(&mut self, depth: usize, key: &str) {
        if self.course == Course::Nothing {
            self.course = Course::Begun;
        }
        self.argued |= ARGUMENTS.contains(&key);
        let known = [NAMES.as_slice(), &ARGUMENTS, &BESIDE];
        if depth == self.level && !known.iter().any(|keys| keys.contains(&key)) {
            self.course = Course::Foreign;
        }
    }

    pub(super) fn value(&mut self, depth: usize, key: &str, value: &Value) {
        if !NAMES.contains(&key) {
            return;
        }
        let here = depth == self.level;
        match value {
            Value::String(name) if self.tools.knows(name) => self.named = true,
            Value::String(name) if self.tools.nearest(name).is_some() => {}
            Value::Object(_) if key == "function" => {}
            _ if here => self.course = Course::Foreign,
            _ => {}
        }
    }
}
