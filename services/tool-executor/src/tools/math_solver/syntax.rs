//! How equations and exact expressions are written: text to a tree.
//!
//! What can be read in two ways is refused, not guessed: `1/2x`, `sin x`, `log(x)`, `1,000` among a
//! function's arguments.

mod token;

use super::work::{Halt, Rational, unfit};
use token::{Sign, Token};

/// Longest text of one equation, in bytes.
pub(super) const MAX_BYTES: usize = 1000;
/// Most brackets within brackets.
const MAX_DEPTH: usize = 32;

/// Functions of the reals, by the name they are written with.
const REAL_FUNCTIONS: [&str; 20] = [
    "sqrt", "cbrt", "abs", "exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos",
    "atan", "sinh", "cosh", "tanh", "floor", "ceil", "round", "sign",
];
/// Functions of integers.
pub(super) const INTEGER_FUNCTIONS: [&str; 14] = [
    "gcd",
    "lcm",
    "choose",
    "binomial",
    "ncr",
    "permute",
    "permutations",
    "npr",
    "factorial",
    "modpow",
    "modinv",
    "factor",
    "is_prime",
    "isprime",
];

/// What is to be done with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

/// A term.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    Number(Rational),
    /// An unknown, or `pi` or `e`.
    Name(String),
    Negative(Box<Term>),
    Factorial(Box<Term>),
    Both(Operator, Box<Term>, Box<Term>),
    Call(&'static str, Vec<Term>),
}

impl Term {
    /// Every name in the term, in order.
    pub(super) fn visit_names(&self, visit: &mut impl FnMut(&str)) {
        match self {
            Self::Number(_) => {}
            Self::Name(name) => visit(name),
            Self::Negative(inner) | Self::Factorial(inner) => inner.visit_names(visit),
            Self::Both(_, left, right) => {
                left.visit_names(visit);
                right.visit_names(visit);
            }
            Self::Call(_, arguments) => arguments
                .iter()
                .for_each(|argument| argument.visit_names(visit)),
        }
    }
}

/// `left - right`.
pub(super) fn difference(left: &Term, right: &Term) -> Term {
    both(Operator::Subtract, left.clone(), right.clone())
}

/// Whether the name is that of a function.
pub(super) fn function(name: &str) -> Option<&'static str> {
    let all = REAL_FUNCTIONS.iter().chain(INTEGER_FUNCTIONS.iter());
    all.copied().find(|known| *known == name)
}

/// Reads a term. `unknowns` are those that are given: `xy` is their product when it is none itself.
pub(super) fn parse(text: &str, unknowns: &[String]) -> Result<Term, Halt> {
    if text.len() > MAX_BYTES {
        return unfit(format!("an equation may have {MAX_BYTES} bytes"));
    }
    let tokens = token::split(text, unknowns)?;
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        depth: 0,
    };
    let term = parser.sum()?;
    match parser.next() {
        None => Ok(term),
        Some(extra) => unfit(format!("`{extra}` is not expected there in `{text}`")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

fn both(operator: Operator, left: Term, right: Term) -> Term {
    Term::Both(operator, Box::new(left), Box::new(right))
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    /// Takes the sign if it comes next.
    fn take(&mut self, sign: Sign) -> bool {
        let found = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn sum(&mut self) -> Result<Term, Halt> {
        let mut left = self.product()?;
        loop {
            let operator = if self.take(Sign::Plus) {
                Operator::Add
            } else if self.take(Sign::Minus) {
                Operator::Subtract
            } else {
                return Ok(left);
            };
            left = both(operator, left, self.product()?);
        }
    }

    fn product(&mut self) -> Result<Term, Halt> {
        let mut left = self.signed()?;
        let mut divided = false;
        loop {
            if self.take(Sign::Times) {
                left = both(Operator::Multiply, left, self.signed()?);
                divided = false;
            } else if self.take(Sign::Over) {
                left = both(Operator::Divide, left, self.signed()?);
                divided = true;
            } else if self.begins_operand() {
                if divided {
                    return unfit(format!(
                        "`{}` can be read in two ways: after `/`, write `(1/2)*x` or `1/(2*x)` \
                         instead of `1/2x`",
                        self.text
                    ));
                }
                if matches!(self.peek(), Some(Token::Number(_))) {
                    return unfit(format!(
                        "an operator is missing before a number in `{}`",
                        self.text
                    ));
                }
                left = both(Operator::Multiply, left, self.power()?);
            } else {
                return Ok(left);
            }
        }
    }

    /// Whether an operand follows without an operator: a product.
    fn begins_operand(&self) -> bool {
        matches!(
            self.peek(),
            Some(Token::Number(_) | Token::Name(_) | Token::Function(_) | Token::Sign(Sign::Open))
        )
    }

    /// Signs before an operand: they bind less than a power, so `-x^2` is `-(x^2)`.
    fn signed(&mut self) -> Result<Term, Halt> {
        let mut negative = false;
        loop {
            if self.take(Sign::Minus) {
                negative = !negative;
            } else if !self.take(Sign::Plus) {
                break;
            }
        }
        let term = self.power()?;
        Ok(if negative {
            Term::Negative(Box::new(term))
        } else {
            term
        })
    }

    /// `a^b^c` is `a^(b^c)`.
    fn power(&mut self) -> Result<Term, Halt> {
        let base = self.operand()?;
        if !self.take(Sign::Caret) {
            return Ok(base);
        }
        self.enter()?;
        let exponent = self.signed()?;
        self.depth -= 1;
        Ok(both(Operator::Power, base, exponent))
    }

    fn enter(&mut self) -> Result<(), Halt> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return unfit(format!("terms are nested deeper than {MAX_DEPTH}"));
        }
        Ok(())
    }

    fn operand(&mut self) -> Result<Term, Halt> {
        let mut term = match self.next() {
            Some(Token::Number(value)) => Term::Number(value),
            Some(Token::Name(name)) => Term::Name(name),
            Some(Token::Function(name)) => Term::Call(name, self.arguments(name)?),
            Some(Token::Sign(Sign::Open)) => {
                self.enter()?;
                let inner = self.sum()?;
                self.close()?;
                inner
            }
            Some(other) => {
                return unfit(format!(
                    "`{other}` is not expected there in `{}`",
                    self.text
                ));
            }
            None => return unfit(format!("`{}` ends too early", self.text)),
        };
        while self.take(Sign::Factorial) {
            term = Term::Factorial(Box::new(term));
        }
        Ok(term)
    }

    fn close(&mut self) -> Result<(), Halt> {
        self.depth -= 1;
        if self.take(Sign::Close) {
            return Ok(());
        }
        unfit(format!("a closing bracket is missing in `{}`", self.text))
    }

    fn arguments(&mut self, name: &str) -> Result<Vec<Term>, Halt> {
        if !self.take(Sign::Open) {
            return unfit(format!(
                "put the argument of `{name}` in brackets: `{name}(…)`"
            ));
        }
        self.enter()?;
        let mut arguments = vec![self.sum()?];
        while self.take(Sign::Comma) {
            arguments.push(self.sum()?);
        }
        self.close()?;
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, proptest};

    use super::*;

    fn shown(text: &str) -> String {
        fn show(term: &Term) -> String {
            match term {
                Term::Number(value) => value.to_string(),
                Term::Name(name) => name.clone(),
                Term::Negative(inner) => format!("neg({})", show(inner)),
                Term::Factorial(inner) => format!("fact({})", show(inner)),
                Term::Both(operator, left, right) => {
                    format!("{operator:?}({},{})", show(left), show(right)).to_lowercase()
                }
                Term::Call(name, arguments) => {
                    let all: Vec<String> = arguments.iter().map(show).collect();
                    format!("{name}({})", all.join(","))
                }
            }
        }
        let unknowns = ["x".to_owned(), "y".to_owned()];
        parse(text, &unknowns).map_or_else(|halt| format!("{halt:?}"), |term| show(&term))
    }

    #[test]
    fn terms_bind_as_in_mathematics() {
        for (text, tree) in [
            ("2x", "multiply(2,x)"),
            ("2x^2", "multiply(2,power(x,2))"),
            ("x² + y³", "add(power(x,2),power(y,3))"),
            ("-x^2", "neg(power(x,2))"),
            ("2^-3", "power(2,neg(3))"),
            ("2^3^2", "power(2,power(3,2))"),
            ("a - b - c", "subtract(subtract(a,b),c)"),
            ("x(x+1)", "multiply(x,add(x,1))"),
            ("xy", "multiply(x,y)"),
            ("2 ** 3 · x", "multiply(power(2,3),x)"),
            ("1,234.5x", "multiply(2469/2,x)"),
            ("1.5e3 x", "multiply(1500,x)"),
            ("gcd(12, 18)!", "fact(gcd(12,18))"),
            ("6 ÷ 3 − 1", "subtract(divide(6,3),1)"),
            ("--x", "x"),
        ] {
            assert_eq!(shown(text), tree, "{text}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for (text, word) in [
            ("1/2x", "two ways"),
            ("sin x", "brackets"),
            ("log(x)", "log10"),
            ("gcd(1,250, 3)", "spaces"),
            ("gcd(1,000,250)", "spaces"),
            ("1,0 x", "thousands"),
            ("(x", "missing"),
            ("x)", "not expected"),
            ("x +", "too early"),
            ("", "too early"),
            ("x $ 2", "is not understood"),
            ("foo(2)", "no function"),
            ("x 2", "operator is missing"),
            ("2.5.3", "operator is missing"),
        ] {
            assert!(shown(text).contains(word), "{text}: {}", shown(text));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            drop(parse(&text, &[]));
        }

        #[test]
        fn any_row_of_tokens_is_read_or_refused(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "1", "2.5", "x", "e", "(", ")", "+", "-", "*", "/", "^", "!", ",", " ", "sqrt",
                    "gcd", ".", "²", "1e9", ",000",
                ]),
                0..500,
            )
        ) {
            let text = parts.concat();
            let read = parse(&text, &["x".to_owned()]);
            prop_assert!(text.len() <= MAX_BYTES || read.is_err());
        }
    }
}
