//! A statement cut into words, placeholders and brackets.

use std::iter::Peekable;
use std::str::Chars;

/// Part of a statement. What brackets enclose is one part.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// A keyword or name, in lower case.
    Word(String),
    /// A placeholder: which value is bound to it, from 0.
    Place(usize),
    /// What brackets enclose.
    Group(Vec<Self>),
    Comma,
    Dot,
    Equals,
    /// Literals and every other operator.
    Other,
}

impl Node {
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.word() == Some(word)
    }
}

/// Reads a statement.
///
/// # Errors
/// What about it is not read, because it could hide what the statement does.
pub(super) fn read(sql: &str) -> Result<Vec<Node>, &'static str> {
    let mut reader = Reader {
        left: sql.chars().peekable(),
        unnamed: 0,
    };
    reader.nodes(None)
}

struct Reader<'a> {
    left: Peekable<Chars<'a>>,
    unnamed: usize,
}

impl Reader<'_> {
    /// Reads up to `end`, or to the end of the statement.
    fn nodes(&mut self, end: Option<char>) -> Result<Vec<Node>, &'static str> {
        let mut nodes = Vec::new();
        while let Some(next) = self.left.next() {
            match next {
                '(' => nodes.push(Node::Group(self.nodes(Some(')'))?)),
                ')' if end.is_some() => return Ok(nodes),
                ')' => return Err("its brackets do not match"),
                ',' => nodes.push(Node::Comma),
                '.' => nodes.push(Node::Dot),
                '\'' => nodes.push(self.quoted('\'').map(|_text| Node::Other)?),
                '"' => nodes.push(self.quoted('"').map(Node::Word)?),
                '$' | '?' => nodes.push(self.place(next)?),
                ';' if end.is_none() && self.left.all(char::is_whitespace) => return Ok(nodes),
                ';' => return Err("it is more than one statement"),
                c if c.is_whitespace() => {}
                c if c.is_ascii_digit() => {
                    self.take(|c| c.is_ascii_alphanumeric() || c == '.');
                    nodes.push(Node::Other);
                }
                c if c.is_alphabetic() || c == '_' => nodes.push(self.name(c)?),
                c if is_operator(c) => self.operator(c, &mut nodes)?,
                _ => return Err("it has a sign that is not read"),
            }
        }
        if end.is_some() {
            return Err("its brackets do not match");
        }
        Ok(nodes)
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while let Some(next) = self.left.next_if(|next| belongs(*next)) {
            text.push(next);
        }
        text
    }

    fn name(&mut self, first: char) -> Result<Node, &'static str> {
        let rest = self.take(|c| c.is_alphanumeric() || c == '_');
        // E'…' and its like escape their quotes in ways of their own.
        if self.left.peek() == Some(&'\'') {
            return Err("it has a text with a prefix");
        }
        Ok(Node::Word(format!("{first}{rest}").to_lowercase()))
    }

    fn quoted(&mut self, quote: char) -> Result<String, &'static str> {
        let mut text = String::new();
        while let Some(next) = self.left.next() {
            if next != quote {
                text.push(next);
            } else if self.left.next_if_eq(&quote).is_some() {
                text.push(quote);
            } else {
                return Ok(text.to_lowercase());
            }
        }
        Err("its quotes do not match")
    }

    fn place(&mut self, sign: char) -> Result<Node, &'static str> {
        let digits = self.take(|c| c.is_ascii_digit());
        if sign == '?' && digits.is_empty() {
            self.unnamed += 1;
            return Ok(Node::Place(self.unnamed - 1));
        }
        match digits.parse::<usize>() {
            Ok(number @ 1..) => Ok(Node::Place(number - 1)),
            _ => Err("it has a placeholder that is not a number"),
        }
    }

    fn operator(&mut self, first: char, nodes: &mut Vec<Node>) -> Result<(), &'static str> {
        let operator = format!("{first}{}", self.take(is_operator));
        if operator.contains("--") || operator.contains("/*") {
            return Err("it has a comment");
        }
        nodes.push(match operator.as_str() {
            "=" => Node::Equals,
            _ => Node::Other,
        });
        Ok(())
    }
}

fn is_operator(c: char) -> bool {
    "<>=!|:+-*/%&^~#@".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_make_groups_and_places_are_counted() {
        let nodes = read("SELECT \"A\".b FROM t WHERE x >= 'it''s' AND (y = $2)").unwrap();
        assert!(nodes.contains(&Node::Word("a".to_owned())));
        let group = Node::Group(vec![
            Node::Word("y".to_owned()),
            Node::Equals,
            Node::Place(1),
        ]);
        assert_eq!(nodes.last(), Some(&group));
        assert!(!nodes.contains(&Node::Equals), ">= is no equality");
        assert_eq!(
            read("?, ?").unwrap(),
            [Node::Place(0), Node::Comma, Node::Place(1)]
        );
    }

    #[test]
    fn what_could_hide_something_is_refused() {
        for sql in [
            "SELECT 1; DELETE FROM t",
            "SELECT E'\\' OR '",
            "SELECT $tag$ x $tag$",
            "SELECT 1 -- rest",
            "SELECT /* x */ 1",
            "SELECT `a`",
            "SELECT (1",
            "SELECT 1)",
            "SELECT 'x",
        ] {
            assert!(read(sql).is_err(), "{sql}");
        }
        assert!(read("SELECT 1; \n").is_ok());
    }
}
