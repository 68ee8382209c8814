//! Polynomials in one unknown with integers as coefficients.
//!
//! Every polynomial here is primitive: its coefficients share no factor, and the leading one is
//! positive. Roots do not change by that, and the numbers stay as small as they can.

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{One, Signed, Zero};

use super::polynomial::Polynomial;
use super::work::{Halt, Rational, Work};

/// Coefficients from the constant up. Of zero: none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Univariate(Vec<BigInt>);

impl Univariate {
    /// Of a polynomial in one unknown.
    pub(super) fn of(polynomial: &Polynomial, work: &Work<'_>) -> Result<Self, Halt> {
        let mut common = BigInt::one();
        for (_, value) in polynomial.terms() {
            let bits = common.bits() + value.denom().bits();
            work.pay(64 * bits, 0)?;
            common = common.lcm(value.denom());
        }
        let degree = usize::try_from(polynomial.degree()).unwrap_or(0);
        let mut coefficients = vec![BigInt::zero(); degree + 1];
        for (powers, value) in polynomial.terms() {
            let power = powers.first().copied().unwrap_or(0);
            let place = usize::try_from(power).unwrap_or(0);
            if let Some(coefficient) = coefficients.get_mut(place) {
                *coefficient = work.times(value.numer(), &(&common / value.denom()))?;
            }
        }
        Self(coefficients).primitive(work)
    }

    /// From the constant up.
    pub(super) fn coefficients(&self) -> &[BigInt] {
        &self.0
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn degree(&self) -> usize {
        self.0.len().saturating_sub(1)
    }

    pub(super) fn lead(&self) -> BigInt {
        self.0.last().cloned().unwrap_or_default()
    }

    fn trim(&mut self) {
        while self.0.last().is_some_and(Zero::is_zero) {
            self.0.pop();
        }
    }

    /// Divided by what its coefficients have in common; the leading one becomes positive.
    fn primitive(mut self, work: &Work<'_>) -> Result<Self, Halt> {
        self.trim();
        if self.lead().is_negative() {
            self.0.iter_mut().for_each(|value| *value = -&*value);
        }
        self.reduced(work)
    }

    /// Divided by what its coefficients have in common; the signs stay.
    fn reduced(mut self, work: &Work<'_>) -> Result<Self, Halt> {
        self.trim();
        let mut common = BigInt::zero();
        for value in &self.0 {
            let bits = common.bits().max(value.bits());
            work.spend(16 + bits * (bits / 64 + 1))?;
            common = common.gcd(value);
            if common.is_one() {
                return Ok(self);
            }
        }
        if !common.is_zero() {
            self.0.iter_mut().for_each(|value| *value /= &common);
        }
        Ok(self)
    }

    fn derived(&self) -> Self {
        let powers = 1_u32..;
        let terms = self.0.iter().skip(1).zip(powers);
        Self(terms.map(|(value, power)| value * power).collect())
    }

    /// The remainder of a division by `divisor`, times a positive number.
    fn remainder(&self, divisor: &Self, work: &Work<'_>) -> Result<Self, Halt> {
        let lead = divisor.lead();
        let scale = lead.abs();
        let mut rest = self.clone();
        while rest.0.len() >= divisor.0.len() && !divisor.is_zero() {
            let mut top = rest.lead();
            if lead.is_negative() {
                top = -top;
            }
            let shift = rest.0.len() - divisor.0.len();
            for value in &mut rest.0 {
                *value = work.times(value, &scale)?;
            }
            for (value, other) in rest.0.iter_mut().skip(shift).zip(&divisor.0) {
                *value -= work.times(other, &top)?;
            }
            rest.trim();
        }
        Ok(rest)
    }

    /// The greatest common divisor.
    pub(super) fn gcd(&self, other: &Self, work: &Work<'_>) -> Result<Self, Halt> {
        let (mut first, mut second) = (self.clone(), other.clone());
        while !second.is_zero() {
            let rest = first.remainder(&second, work)?.primitive(work)?;
            first = std::mem::replace(&mut second, rest);
        }
        first.primitive(work)
    }

    /// Divided by a primitive polynomial that divides it: the quotient is one of integers
    /// (Gauss's lemma).
    pub(super) fn divided(&self, divisor: &Self, work: &Work<'_>) -> Result<Self, Halt> {
        let lead = divisor.lead();
        if lead.is_zero() {
            return Err(Halt::Failed("division by zero".to_owned()));
        }
        let mut rest = self.clone();
        let mut quotient = vec![BigInt::zero(); (self.0.len() + 1).saturating_sub(divisor.0.len())];
        while rest.0.len() >= divisor.0.len() {
            let top = rest.lead() / &lead;
            let shift = rest.0.len() - divisor.0.len();
            for (value, other) in rest.0.iter_mut().skip(shift).zip(&divisor.0) {
                *value -= work.times(other, &top)?;
            }
            rest.0.pop();
            if let Some(place) = quotient.get_mut(shift) {
                *place = top;
            }
        }
        Self(quotient).primitive(work)
    }

    /// Factors without repeated roots, and how often the roots of each are repeated (Yun, 1976).
    pub(super) fn square_free(&self, work: &Work<'_>) -> Result<Vec<(Self, usize)>, Halt> {
        let mut factors = Vec::new();
        let mut repeated = self.gcd(&self.derived(), work)?;
        let mut all = self.divided(&repeated, work)?;
        let mut times = 1;
        while all.degree() > 0 {
            let more = all.gcd(&repeated, work)?;
            let here = all.divided(&more, work)?;
            if here.degree() > 0 {
                factors.push((here, times));
            }
            repeated = repeated.divided(&more, work)?;
            all = more;
            times += 1;
        }
        Ok(factors)
    }

    /// Without the roots that `other` has too.
    pub(super) fn without_roots_of(mut self, other: &Self, work: &Work<'_>) -> Result<Self, Halt> {
        loop {
            let common = self.gcd(other, work)?;
            if common.degree() == 0 {
                return Ok(self);
            }
            self = self.divided(&common, work)?;
        }
    }

    /// Divided by the factor of the root `root`.
    pub(super) fn without_root(&self, root: &Rational, work: &Work<'_>) -> Result<Self, Halt> {
        let factor = Self(vec![-root.numer(), root.denom().clone()]);
        self.divided(&factor, work)
    }

    /// The sign at `above / below`, with `below` positive: that of the value times
    /// `below^degree`, which is an integer.
    pub(super) fn sign_at(
        &self,
        above: &BigInt,
        below: &BigInt,
        work: &Work<'_>,
    ) -> Result<Sign, Halt> {
        let mut value = BigInt::zero();
        let mut scale = BigInt::one();
        for coefficient in self.0.iter().rev() {
            value = work.times(&value, above)? + work.times(coefficient, &scale)?;
            scale = work.times(&scale, below)?;
        }
        Ok(value.sign())
    }

    /// Whether it is zero at this number.
    pub(super) fn has_root(&self, root: &Rational, work: &Work<'_>) -> Result<bool, Halt> {
        Ok(self.sign_at(root.numer(), root.denom(), work)? == Sign::NoSign)
    }
}

/// Sturm's chain (1829): by how many the changes of sign fall between two numbers, so many real
/// roots a polynomial without repeated ones has between them.
pub(super) struct Chain(Vec<Univariate>);

impl Chain {
    pub(super) fn of(polynomial: &Univariate, work: &Work<'_>) -> Result<Self, Halt> {
        let mut chain = vec![polynomial.clone()];
        let mut before = polynomial.clone();
        let mut next = polynomial.derived().reduced(work)?;
        while !next.is_zero() {
            chain.push(next.clone());
            let mut rest = before.remainder(&next, work)?.reduced(work)?;
            rest.0.iter_mut().for_each(|value| *value = -&*value);
            before = std::mem::replace(&mut next, rest);
        }
        Ok(Self(chain))
    }

    /// Changes of sign at `above / below`.
    pub(super) fn changes(
        &self,
        above: &BigInt,
        below: &BigInt,
        work: &Work<'_>,
    ) -> Result<usize, Halt> {
        let mut changes = 0;
        let mut last = Sign::NoSign;
        for polynomial in &self.0 {
            let sign = polynomial.sign_at(above, below, work)?;
            if sign == Sign::NoSign {
                continue;
            }
            changes += usize::from(last != Sign::NoSign && last != sign);
            last = sign;
        }
        Ok(changes)
    }
}
