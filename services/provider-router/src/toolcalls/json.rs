//! JSON as models write it.
//!
//! Reads strict JSON as it is, and beyond it only what has one reading; every departure is noted.
//! What it cannot read it says exactly: whether the text ended, or where it went wrong.

mod string;

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value};

use super::cursor::Cursor;
use super::head::Head;
use super::words::{Ambiguity, Problem, Reason, Repair};
use super::{MAX_CALL_BYTES, MAX_DEPTH};

/// What was repaired of one call.
pub(super) type Repairs = BTreeSet<Repair>;

/// In what language values are written. What is usual in a language is no repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Json,
    Python,
}

/// Reads one value.
#[derive(Debug)]
pub(super) struct Reader<'c, 't> {
    cursor: &'c Cursor<'t>,
    /// Where it is; on an error, the byte that it could not take.
    pub(super) at: usize,
    /// How many brackets are open.
    pub(super) depth: usize,
    from: usize,
    dialect: Dialect,
    /// What ends the value from outside, as the end of the text does.
    stop: Option<&'static str>,
    pub(super) repairs: Repairs,
    pub(super) head: Option<Head<'c>>,
}

impl<'c, 't> Reader<'c, 't> {
    pub(super) const fn new(cursor: &'c Cursor<'t>, at: usize) -> Self {
        Self {
            cursor,
            at,
            depth: 0,
            from: at,
            dialect: Dialect::Json,
            stop: None,
            repairs: Repairs::new(),
            head: None,
        }
    }

    pub(super) const fn until(mut self, stop: Option<&'static str>) -> Self {
        self.stop = stop;
        self
    }

    pub(super) const fn python(mut self) -> Self {
        self.dialect = Dialect::Python;
        self
    }

    pub(super) fn watched(mut self, head: Head<'c>) -> Self {
        self.head = Some(head);
        self
    }

    pub(super) fn note(&mut self, repair: Repair) {
        let usual = [
            Repair::TrailingComma,
            Repair::SingleQuotes,
            Repair::PythonWord,
            Repair::Comment,
            Repair::Escape,
        ];
        if self.dialect == Dialect::Json || !usual.contains(&repair) {
            self.repairs.insert(repair);
        }
    }

    fn malformed(&self, problem: Problem) -> Reason {
        Reason::Malformed {
            problem,
            at: self.at,
        }
    }

    /// What must not stand here; where nothing does, the value is cut off.
    pub(super) fn unexpected(&self) -> Reason {
        if self.ends() {
            Reason::CutOff
        } else {
            self.malformed(Problem::Unexpected)
        }
    }

    /// Whether nothing of the value follows.
    pub(super) fn ends(&self) -> bool {
        let stopped = self
            .stop
            .is_some_and(|stop| self.cursor.sees(self.at, stop));
        stopped || self.cursor.byte(self.at).is_none()
    }

    /// # Errors
    /// [`Reason`] why there is no value here.
    pub(super) fn value(&mut self) -> Result<Value, Reason> {
        self.blank()?;
        if self.quote().is_some() {
            return self.string().map(Value::String);
        }
        match self.cursor.byte(self.at) {
            Some(b'{') => self.object().map(Value::Object),
            Some(b'[') => self.array().map(Value::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(byte) if byte.is_ascii_alphabetic() => self.word(),
            _ => Err(self.unexpected()),
        }
    }

    /// Behind whitespace and comments.
    ///
    /// # Errors
    /// [`Reason::CutOff`] in a comment that does not end.
    pub(super) fn blank(&mut self) -> Result<(), Reason> {
        loop {
            self.at = self.cursor.blank(self.at);
            let line = match self.cursor.byte(self.at) {
                Some(b'#') => true,
                Some(b'/') => self.cursor.sees(self.at, "//"),
                _ => return Ok(()),
            };
            if line {
                self.at = self.cursor.while_byte(self.at, |byte| byte != b'\n');
            } else if self.cursor.sees(self.at, "/*") {
                let Some(end) = self.cursor.find(self.at + 2, "*/") else {
                    self.at = self.cursor.len();
                    return Err(Reason::CutOff);
                };
                self.at = end + 2;
            } else {
                return Ok(());
            }
            self.note(Repair::Comment);
        }
    }

    fn open(&mut self) -> Result<(), Reason> {
        if self.depth >= MAX_DEPTH {
            return Err(Reason::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    /// Behind a value in brackets: whether another may follow.
    ///
    /// # Errors
    /// When something else stands there.
    pub(super) fn goes_on(&mut self, close: u8) -> Result<bool, Reason> {
        self.blank()?;
        if self.at - self.from > MAX_CALL_BYTES {
            return Err(Reason::TooLong);
        }
        match self.cursor.byte(self.at) {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.close();
                Ok(false)
            }
            // The last value is whole, so only brackets are missing.
            _ if self.ends() => {
                self.depth -= 1;
                self.note(Repair::Unclosed);
                Ok(false)
            }
            _ => Err(self.malformed(Problem::Unexpected)),
        }
    }

    fn array(&mut self) -> Result<Vec<Value>, Reason> {
        self.open()?;
        let mut list = Vec::new();
        loop {
            self.blank()?;
            if self.cursor.byte(self.at) == Some(b']') {
                if !list.is_empty() {
                    self.note(Repair::TrailingComma);
                }
                self.close();
                return Ok(list);
            }
            list.push(self.value()?);
            if !self.goes_on(b']')? {
                return Ok(list);
            }
        }
    }

    /// # Errors
    /// [`Reason`] why there is no object here.
    pub(super) fn object(&mut self) -> Result<Map<String, Value>, Reason> {
        self.open()?;
        let mut map = Map::new();
        loop {
            self.blank()?;
            if self.cursor.byte(self.at) == Some(b'}') {
                if !map.is_empty() {
                    self.note(Repair::TrailingComma);
                }
                self.close();
                return Ok(map);
            }
            if self.quote().is_none() {
                return Err(self.unexpected());
            }
            let key = self.string()?;
            if map.contains_key(&key) {
                return Err(Reason::DuplicateKey { key });
            }
            self.blank()?;
            if self.cursor.byte(self.at) != Some(b':') {
                return Err(self.unexpected());
            }
            self.at += 1;
            if let Some(head) = &mut self.head {
                head.key(self.depth, &key);
            }
            let value = self.value()?;
            if let Some(head) = &mut self.head {
                head.value(self.depth, &key, &value);
            }
            map.insert(key, value);
            if !self.goes_on(b'}')? {
                return Ok(map);
            }
        }
    }

    fn number(&mut self) -> Result<Number, Reason> {
        let from = self.at;
        self.at = self.cursor.while_byte(from, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_')
        });
        // More digits may have followed.
        if self.cursor.byte(self.at).is_none() {
            return Err(Reason::CutOff);
        }
        let said = self.cursor.slice(from, self.at);
        let number: Option<Number> = serde_json::from_str(said).ok();
        let whole = |number: &Number| {
            let said_whole = !said.contains(['.', 'e', 'E']) && said != "-0";
            !(said_whole && number.is_f64())
        };
        number
            .filter(whole)
            .ok_or_else(|| self.malformed(Problem::Number))
    }

    fn word(&mut self) -> Result<Value, Reason> {
        let from = self.at;
        self.at = self
            .cursor
            .while_byte(from, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let said = self.cursor.slice(from, self.at);
        let value = match said {
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            "null" | "None" => Value::Null,
            _ => return Err(self.unexpected()),
        };
        if said.starts_with(|first: char| first.is_ascii_uppercase()) {
            self.note(Repair::PythonWord);
        }
        Ok(value)
    }

    const fn quoted_otherwise() -> Reason {
        Reason::Ambiguous {
            what: Ambiguity::UnescapedQuote,
        }
    }
}
