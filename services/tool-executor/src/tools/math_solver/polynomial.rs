//! Terms as quotients of polynomials with fractions as coefficients, exactly.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::integers;
use super::number::exact_root;
use super::syntax::{Operator, Term};
use super::work::{Halt, Rational, Work, unfit};

/// Highest degree.
pub(super) const MAX_DEGREE: u32 = 32;
/// Most terms of a polynomial in several unknowns.
const MAX_TERMS: usize = 2000;

/// The power of each unknown.
pub(super) type Powers = Vec<u32>;

/// A polynomial in several unknowns. No coefficient is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Polynomial(BTreeMap<Powers, Rational>);

impl Polynomial {
    pub(super) fn constant(value: Rational, unknowns: usize) -> Self {
        Self::term(vec![0; unknowns], value)
    }

    fn term(powers: Powers, value: Rational) -> Self {
        let mut terms = BTreeMap::new();
        if !value.is_zero() {
            terms.insert(powers, value);
        }
        Self(terms)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Powers and coefficients.
    pub(super) fn terms(&self) -> impl Iterator<Item = (&Powers, &Rational)> {
        self.0.iter()
    }

    /// Of a zero polynomial: 0.
    pub(super) fn degree(&self) -> u32 {
        let total = |powers: &Powers| powers.iter().sum();
        self.0.keys().map(total).max().unwrap_or(0)
    }

    /// The value of a polynomial of degree 0.
    pub(super) fn as_constant(&self) -> Option<Rational> {
        match self.0.values().next() {
            None => Some(Rational::zero()),
            Some(value) if self.degree() == 0 => Some(value.clone()),
            Some(_) => None,
        }
    }

    fn negated(&self) -> Self {
        let negate = |(powers, value): (&Powers, &Rational)| (powers.clone(), -value);
        Self(self.0.iter().map(negate).collect())
    }

    fn plus(&self, other: &Self, work: &Work<'_>) -> Result<Self, Halt> {
        let mut sum = self.clone();
        for (powers, value) in &other.0 {
            sum.put(powers, value, work)?;
        }
        Ok(sum)
    }

    fn put(&mut self, powers: &Powers, value: &Rational, work: &Work<'_>) -> Result<(), Halt> {
        let old = self.0.remove(powers).unwrap_or_else(Rational::zero);
        let new = work.add(&old, value)?;
        if !new.is_zero() {
            self.0.insert(powers.clone(), new);
        }
        if self.0.len() > MAX_TERMS {
            return unfit(format!(
                "multiplied out, an equation has more than {MAX_TERMS} terms"
            ));
        }
        Ok(())
    }

    fn times(&self, other: &Self, work: &Work<'_>) -> Result<Self, Halt> {
        if self.degree() + other.degree() > MAX_DEGREE {
            return unfit(format!(
                "multiplied out, an equation has a degree above {MAX_DEGREE}"
            ));
        }
        let mut product = Self(BTreeMap::new());
        for (powers, value) in &self.0 {
            for (others, factor) in &other.0 {
                let powers = powers.iter().zip(others).map(|(a, b)| a + b).collect();
                product.put(&powers, &work.mul(value, factor)?, work)?;
            }
        }
        Ok(product)
    }

    /// The value with these numbers for the unknowns.
    pub(super) fn at(&self, values: &[Rational], work: &Work<'_>) -> Result<Rational, Halt> {
        let mut sum = Rational::zero();
        for (powers, coefficient) in &self.0 {
            let mut term = coefficient.clone();
            for (power, value) in powers.iter().zip(values) {
                term = work.mul(&term, &work.pow(value, &BigInt::from(*power))?)?;
            }
            sum = work.add(&sum, &term)?;
        }
        Ok(sum)
    }
}

/// `above / below`. Nothing is cancelled: where `below` is zero, the term has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quotient {
    pub(super) above: Polynomial,
    pub(super) below: Polynomial,
}

/// Makes quotients of terms.
pub(super) struct Reader<'a> {
    pub(super) unknowns: &'a [String],
    pub(super) work: &'a Work<'a>,
}

/// The value of a term without unknowns.
pub(super) fn value_of(term: &Term, work: &Work<'_>) -> Result<Rational, Halt> {
    let unknowns = &[];
    let quotient = Reader { unknowns, work }.quotient(term)?;
    let value = quotient.as_constant(work)?;
    value.ok_or_else(|| Halt::Unfit("a number was expected, without unknowns".to_owned()))
}

impl Quotient {
    fn as_constant(&self, work: &Work<'_>) -> Result<Option<Rational>, Halt> {
        let parts = self.above.as_constant().zip(self.below.as_constant());
        parts
            .map(|(above, below)| work.div(&above, &below))
            .transpose()
    }
}

impl Reader<'_> {
    /// The term as a quotient.
    ///
    /// # Errors
    /// [`Halt::Inexact`] where it is none with fractions as coefficients.
    pub(super) fn quotient(&self, term: &Term) -> Result<Quotient, Halt> {
        match term {
            Term::Number(value) => Ok(self.constant(value.clone())),
            Term::Name(name) => self.name(name),
            Term::Negative(inner) => {
                let inner = self.quotient(inner)?;
                Ok(Quotient {
                    above: inner.above.negated(),
                    ..inner
                })
            }
            Term::Factorial(inner) => {
                let value = self.number(inner, "a factorial")?;
                let result = integers::call("factorial", &[value], self.work)?;
                Ok(self.constant(result))
            }
            Term::Both(Operator::Power, base, exponent) => {
                let exponent = self.number(exponent, "an exponent")?;
                self.power(&self.quotient(base)?, &exponent)
            }
            Term::Both(operator, left, right) => {
                let (left, right) = (self.quotient(left)?, self.quotient(right)?);
                self.both(*operator, &left, &right)
            }
            Term::Call(name, arguments) => {
                let what = format!("the argument of `{name}`");
                let values: Result<Vec<Rational>, Halt> = arguments
                    .iter()
                    .map(|argument| self.number(argument, &what))
                    .collect();
                let result = integers::call(name, &values?, self.work)?;
                Ok(self.constant(result))
            }
        }
    }

    fn constant(&self, value: Rational) -> Quotient {
        let unknowns = self.unknowns.len();
        Quotient {
            above: Polynomial::constant(value, unknowns),
            below: Polynomial::constant(Rational::one(), unknowns),
        }
    }

    fn name(&self, name: &str) -> Result<Quotient, Halt> {
        let Some(index) = self.unknowns.iter().position(|unknown| unknown == name) else {
            return match name {
                "pi" | "e" => Err(Halt::Inexact(format!("`{name}` is no fraction"))),
                _ => unfit(format!("`{name}` is not known here")),
            };
        };
        let powers = (0..self.unknowns.len()).map(|at| u32::from(at == index));
        let above = Polynomial::term(powers.collect(), Rational::one());
        let one = self.constant(Rational::one());
        Ok(Quotient { above, ..one })
    }

    /// The value of a term that must not hold an unknown.
    fn number(&self, term: &Term, what: &str) -> Result<Rational, Halt> {
        let value = self.quotient(term)?.as_constant(self.work)?;
        value.ok_or_else(|| Halt::Inexact(format!("{what} holds an unknown")))
    }

    fn both(
        &self,
        operator: Operator,
        left: &Quotient,
        right: &Quotient,
    ) -> Result<Quotient, Halt> {
        let work = self.work;
        let (above, below) = match operator {
            Operator::Add | Operator::Subtract => {
                let added = if operator == Operator::Add {
                    right.above.clone()
                } else {
                    right.above.negated()
                };
                if left.below == right.below {
                    (left.above.plus(&added, work)?, left.below.clone())
                } else {
                    let first = left.above.times(&right.below, work)?;
                    let second = added.times(&left.below, work)?;
                    (
                        first.plus(&second, work)?,
                        left.below.times(&right.below, work)?,
                    )
                }
            }
            Operator::Divide => return self.divide(left, right),
            Operator::Multiply | Operator::Power => (
                left.above.times(&right.above, work)?,
                left.below.times(&right.below, work)?,
            ),
        };
        Ok(Quotient { above, below })
    }

    /// `(a/b) / (c/d)` is `(a*d*d) / (b*c*d)`: it has no value where `d` is zero, either.
    fn divide(&self, left: &Quotient, right: &Quotient) -> Result<Quotient, Halt> {
        let work = self.work;
        if right.above.is_zero() {
            return Err(Halt::Failed("division by zero".to_owned()));
        }
        if let Some(divisor) = right.as_constant(work)? {
            let factor = self.constant(work.div(&Rational::one(), &divisor)?);
            return self.both(Operator::Multiply, left, &factor);
        }
        let mut above = left.above.times(&right.below, work)?;
        let mut below = left.below.times(&right.above, work)?;
        if right.below.degree() > 0 {
            above = above.times(&right.below, work)?;
            below = below.times(&right.below, work)?;
        }
        Ok(Quotient { above, below })
    }

    fn power(&self, base: &Quotient, exponent: &Rational) -> Result<Quotient, Halt> {
        let work = self.work;
        if let Some(value) = base.as_constant(work)? {
            let power = work.pow(&value, exponent.numer())?;
            if exponent.is_integer() {
                return Ok(self.constant(power));
            }
            let root = exponent.denom().to_u32();
            let root = root.and_then(|degree| exact_root(&power, degree));
            let inexact = || Halt::Inexact(format!("`{value}^({exponent})` is no fraction"));
            return root.map(|root| self.constant(root)).ok_or_else(inexact);
        }
        if !exponent.is_integer() {
            return Err(Halt::Inexact(format!(
                "an unknown has the exponent {exponent}"
            )));
        }
        let times = exponent.numer().magnitude().to_u32();
        let times = times.filter(|times| *times <= MAX_DEGREE).ok_or_else(|| {
            Halt::Unfit(format!(
                "an unknown has an exponent above {MAX_DEGREE}: `{exponent}`"
            ))
        })?;
        let mut product = self.constant(Rational::one());
        for _ in 0..times {
            product = self.both(Operator::Multiply, &product, base)?;
        }
        if exponent.is_negative() {
            product = self.divide(&self.constant(Rational::one()), &product)?;
        }
        Ok(product)
    }
}
