//! Strings, in whatever quotes.

use super::{Dialect, Reader};
use crate::toolcalls::words::{Problem, Reason, Repair};

/// What a string stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::toolcalls) enum Quote {
    Double,
    Single,
    SmartDouble,
    SmartSingle,
}

impl Quote {
    const fn of(char: char) -> Option<Self> {
        match char {
            '"' => Some(Self::Double),
            '\'' => Some(Self::Single),
            '“' | '”' | '„' => Some(Self::SmartDouble),
            '‘' | '’' | '‚' => Some(Self::SmartSingle),
            _ => None,
        }
    }

    const fn straight(self) -> Option<u8> {
        match self {
            Self::Double => Some(b'"'),
            Self::Single => Some(b'\''),
            Self::SmartDouble | Self::SmartSingle => None,
        }
    }

    /// The plain form of a typographic quote. Inside it may end the string or not: half of the
    /// quotes may have been made typographic, so nobody knows.
    const fn doubtful(self) -> Option<u8> {
        match self {
            Self::SmartDouble => Some(b'"'),
            Self::SmartSingle => Some(b'\''),
            Self::Double | Self::Single => None,
        }
    }

    const fn ended_by(self, char: char) -> bool {
        match self {
            Self::SmartDouble => matches!(char, '“' | '”'),
            Self::SmartSingle => matches!(char, '‘' | '’'),
            Self::Double => char == '"',
            Self::Single => char == '\'',
        }
    }
}

impl Reader<'_, '_> {
    /// The quote that stands here.
    pub(super) fn quote(&self) -> Option<Quote> {
        self.cursor.char(self.at).and_then(Quote::of)
    }

    /// # Errors
    /// [`Reason`] why there is no string here.
    pub(super) fn string(&mut self) -> Result<String, Reason> {
        let Some(quote) = self.quote() else {
            return Err(self.unexpected());
        };
        match quote {
            Quote::Double => {}
            Quote::Single => self.note(Repair::SingleQuotes),
            Quote::SmartDouble | Quote::SmartSingle => self.note(Repair::SmartQuotes),
        }
        self.skip_char();
        let mut text = String::new();
        let mut from = self.at;
        loop {
            match self.cursor.byte(self.at).ok_or(Reason::CutOff)? {
                b'\\' => {
                    text.push_str(self.cursor.slice(from, self.at));
                    self.at += 1;
                    text.push(self.escape(quote)?);
                    from = self.at;
                }
                b'\n' | b'\r' | b'\t' => {
                    self.note(Repair::RawNewline);
                    self.at += 1;
                }
                0..0x20 => return Err(self.malformed(Problem::Control)),
                byte if quote.doubtful() == Some(byte) => return Err(Self::quoted_otherwise()),
                byte if quote.straight() == Some(byte) => break,
                byte if byte.is_ascii() => self.at += 1,
                _ if self
                    .cursor
                    .char(self.at)
                    .is_some_and(|char| quote.ended_by(char)) =>
                {
                    break;
                }
                _ => self.skip_char(),
            }
        }
        text.push_str(self.cursor.slice(from, self.at));
        self.skip_char();
        self.ended()?;
        Ok(text)
    }

    fn skip_char(&mut self) {
        self.at += self.cursor.char(self.at).map_or(0, char::len_utf8);
    }

    /// A string that something else follows than what may follow one did not end there.
    fn ended(&mut self) -> Result<(), Reason> {
        let end = self.at;
        self.at = self.cursor.blank(end);
        let ended = match self.cursor.byte(self.at) {
            Some(b',' | b':' | b'}' | b']' | b'/' | b'#') => true,
            Some(b')') if self.dialect == Dialect::Python => true,
            _ => self.ends(),
        };
        if !ended {
            return Err(Self::quoted_otherwise());
        }
        self.at = end;
        Ok(())
    }

    /// What is meant by a backslash and what follows.
    fn escape(&mut self, quote: Quote) -> Result<char, Reason> {
        let byte = self.cursor.byte(self.at).ok_or(Reason::CutOff)?;
        let char = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'\'' => {
                if quote != Quote::Single {
                    self.note(Repair::Escape);
                }
                '\''
            }
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.malformed(Problem::Escape)),
        };
        self.at += 1;
        Ok(char)
    }

    fn unicode(&mut self) -> Result<char, Reason> {
        let first = self.hex()?;
        if let Some(char) = char::from_u32(first) {
            return Ok(char);
        }
        let pair = (0xd800..0xdc00).contains(&first);
        for byte in *b"\\u" {
            match self.cursor.byte(self.at) {
                None => return Err(Reason::CutOff),
                Some(next) if pair && next == byte => self.at += 1,
                Some(_) => return Err(self.malformed(Problem::Escape)),
            }
        }
        let second = self.hex()?;
        let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400);
        low.and_then(|low| char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low))
            .ok_or_else(|| self.malformed(Problem::Escape))
    }

    /// Four hexadecimal digits.
    fn hex(&mut self) -> Result<u32, Reason> {
        let mut number = 0;
        for _ in 0..4 {
            let byte = self.cursor.byte(self.at).ok_or(Reason::CutOff)?;
            let digit = char::from(byte).to_digit(16);
            number = number * 16 + digit.ok_or_else(|| self.malformed(Problem::Escape))?;
            self.at += 1;
        }
        Ok(number)
    }
}
