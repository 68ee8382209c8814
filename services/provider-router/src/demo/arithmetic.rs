//! Finding sums in what people write, in digits and in words.
//!
//! The demo model does not compute: it hands the sum to a tool, as a real model should. Here is
//! only recognised what a sum is, and written in one way: `6x7` and `6 times 7` are `6 * 7`.

mod tokens;

use tokens::{Token, tokens};

/// Deepest nesting; deeper is not a sum a person wrote.
const DEEPEST: usize = 32;

/// Every sum in the text (in [`super::phrases::plain`] form) and where it begins. A lone number is
/// not a sum.
#[must_use]
pub fn expressions(plain: &str) -> Vec<(usize, String)> {
    let tokens = tokens(plain);
    let mut found = Vec::new();
    let mut from = 0;
    while let Some((at, _)) = tokens.get(from) {
        let mut parser = Parser {
            tokens: &tokens,
            next: from,
            operations: 0,
        };
        match parser.sum(0) {
            Some(sum) => {
                if parser.operations > 0 {
                    found.push((*at, sum));
                }
                from = parser.next.max(from + 1);
            }
            None => from += 1,
        }
    }
    found
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    next: usize,
    operations: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let there = self.peek() == Some(wanted);
        self.next += usize::from(there);
        there
    }

    /// Operands joined by operators; as much as makes sense. Puts everything back on `None`.
    fn sum(&mut self, depth: usize) -> Option<String> {
        let mut text = self.operand(depth)?;
        while let Some(Token::Operator(operator)) = self.peek() {
            let (operator, before) = (*operator, self.next);
            self.next += 1;
            let Some(right) = self.operand(depth) else {
                self.next = before;
                break;
            };
            self.operations += 1;
            for part in [" ", operator, " ", &right] {
                text.push_str(part);
            }
        }
        Some(text)
    }

    fn operand(&mut self, depth: usize) -> Option<String> {
        let (before, operations) = (self.next, self.operations);
        let operand = (depth < DEEPEST)
            .then(|| self.bare_operand(depth + 1))
            .flatten();
        if operand.is_none() {
            (self.next, self.operations) = (before, operations);
        }
        operand.map(|text| self.with_postfix(text))
    }

    fn bare_operand(&mut self, depth: usize) -> Option<String> {
        let token = self.peek()?.clone();
        self.next += 1;
        match token {
            Token::Number(number) => Some(number),
            Token::Operator("-") => Some(format!("-{}", self.operand(depth)?)),
            Token::Open => {
                let inner = self.sum(depth)?;
                self.take(&Token::Close).then(|| format!("({inner})"))
            }
            Token::Function(name) => {
                self.operations += 1;
                let inner = self.operand(depth)?;
                let bare = inner
                    .strip_prefix('(')
                    .and_then(|rest| rest.strip_suffix(')'));
                Some(format!("{name}({})", bare.unwrap_or(&inner)))
            }
            _ => None,
        }
    }

    /// `squared`, `cubed`, `%` behind an operand.
    fn with_postfix(&mut self, mut text: String) -> String {
        while let Some(Token::Postfix(postfix)) = self.peek() {
            text.push_str(postfix);
            self.operations += usize::from(*postfix != "%");
            self.next += 1;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::expressions;
    use crate::demo::phrases::plain;

    fn sums(text: &str) -> Vec<String> {
        expressions(&plain(text))
            .into_iter()
            .map(|(_, sum)| sum)
            .collect()
    }

    #[test]
    fn finds_sums_in_digits_and_words() {
        for (text, sum) in [
            ("What is 37 * 43?", "37 * 43"),
            ("6*7", "6 * 7"),
            ("what's 6x7?", "6 * 7"),
            ("6 × 7 =", "6 * 7"),
            ("twelve? no: 12 divided by 4.", "12 / 4"),
            ("1,000 times 3", "1000 * 3"),
            ("-5 plus 3.5", "-5 + 3.5"),
            ("2 to the power of 10", "2 ^ 10"),
            ("2**10", "2 ^ 10"),
            ("3 squared plus 4 squared", "3^2 + 4^2"),
            ("the square root of 16", "sqrt(16)"),
            ("sqrt(9 + 16) * 2", "sqrt(9 + 16) * 2"),
            ("15% of 80", "15% of 80"),
            ("20 percent of 50", "20% of 50"),
            ("17 mod 5", "17 mod 5"),
            ("17 % 5", "17 mod 5"),
            ("(1 + 2) * (3 - -4)", "(1 + 2) * (3 - -4)"),
            ("sqrt((1+2) * (3))", "sqrt((1 + 2) * (3))"),
            ("1 / 0", "1 / 0"),
            ("2 + 3 +", "2 + 3"),
            ("what is ((2 + 3)?", "(2 + 3)"),
        ] {
            assert_eq!(sums(text), [sum], "{text}");
        }
    }

    #[test]
    fn finds_several() {
        assert_eq!(sums("What is 2+2 and 3*3?"), ["2 + 2", "3 * 3"]);
    }

    #[test]
    fn leaves_alone_what_is_no_sum() {
        for text in [
            "",
            "in 1969",
            "2026-11-22",
            "v1.2-3 of b4",
            "and/or",
            "()",
            "-5",
            "10%",
            "i like pi",
            "24/7",
            "sqrt of nothing",
            "((((",
            "log 3 issues",
        ] {
            assert_eq!(sums(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn survives_depth_and_length() {
        assert_eq!(sums(&"(".repeat(10_000)), Vec::<String>::new());
        assert_eq!(sums(&format!("{}1", "-".repeat(10_000))).len(), 0);
        assert_eq!(sums(&format!("{}1", "1+".repeat(5_000))).len(), 1);
    }
}
