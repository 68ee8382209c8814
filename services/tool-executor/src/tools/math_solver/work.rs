//! Bounds of a computation: how large a number may become, and how much may be done in all.
//!
//! Both are counted and not timed, so what is refused is refused on every machine alike; the call's
//! time limit ends what remains, through the flag.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, Zero};

use crate::tool::ToolError;

/// An exact fraction.
pub(super) type Rational = BigRational;

/// Largest integer that is computed, in bits: 9,864 decimal digits.
pub(super) const MAX_BITS: u64 = 1 << 15;
/// Most work of one call, in operations on machine words: about a second of an optimised build.
const MAX_WORK: u64 = 1_000_000_000;

/// Why a computation ends without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// The arguments do not fit.
    Unfit(String),
    /// It cannot be computed, or not within the bounds.
    Failed(String),
    /// It is no fraction: another way, without exactness, may exist.
    Inexact(String),
}

impl From<Halt> for ToolError {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Unfit(reason) | Halt::Inexact(reason) => Self::BadArguments(reason),
            Halt::Failed(reason) => Self::Failed(reason),
        }
    }
}

pub(super) fn unfit<T>(reason: impl Into<String>) -> Result<T, Halt> {
    Err(Halt::Unfit(reason.into()))
}

/// What may still be done.
pub(super) struct Work<'a> {
    stopped: &'a AtomicBool,
    left: Cell<u64>,
}

impl<'a> Work<'a> {
    /// All the work of one call, which ends early once `stopped` is set.
    pub(super) fn new(stopped: &'a AtomicBool) -> Self {
        Self {
            stopped,
            left: Cell::new(MAX_WORK),
        }
    }

    /// Takes `amount` operations on machine words off what is left.
    pub(super) fn spend(&self, amount: u64) -> Result<(), Halt> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Halt::Failed("the calculation was stopped".to_owned()));
        }
        let left = self.left.get().checked_sub(amount).ok_or_else(|| {
            Halt::Failed("this takes too much work: ask for something smaller".to_owned())
        })?;
        self.left.set(left);
        Ok(())
    }

    /// Pays for a product, quotient or greatest common divisor of integers of so many bits.
    pub(super) fn pay(&self, bits: u64, other: u64) -> Result<(), Halt> {
        if bits.saturating_add(other) > 2 * MAX_BITS {
            return Err(too_large());
        }
        self.spend(1 + (bits / 64 + 1) * (other / 64 + 1))
    }

    /// `a * b`.
    pub(super) fn times(&self, a: &BigInt, b: &BigInt) -> Result<BigInt, Halt> {
        self.pay(a.bits(), b.bits())?;
        Ok(a * b)
    }

    /// Pays for a sum, product or quotient of fractions. The common divisor that each is reduced
    /// by is found bit by bit, so it costs bits times words.
    fn reduce(&self, a: &Rational, b: &Rational) -> Result<(), Halt> {
        let bits = size(a) + size(b);
        if bits > 2 * MAX_BITS {
            return Err(too_large());
        }
        self.spend(16 + bits * (bits / 64 + 1))
    }

    /// `a + b`.
    pub(super) fn add(&self, a: &Rational, b: &Rational) -> Result<Rational, Halt> {
        self.reduce(a, b)?;
        Ok(a + b)
    }

    /// `a - b`.
    pub(super) fn sub(&self, a: &Rational, b: &Rational) -> Result<Rational, Halt> {
        self.reduce(a, b)?;
        Ok(a - b)
    }

    /// `a * b`.
    pub(super) fn mul(&self, a: &Rational, b: &Rational) -> Result<Rational, Halt> {
        self.reduce(a, b)?;
        Ok(a * b)
    }

    /// `a / b`.
    pub(super) fn div(&self, a: &Rational, b: &Rational) -> Result<Rational, Halt> {
        if b.is_zero() {
            return Err(Halt::Failed("division by zero".to_owned()));
        }
        self.reduce(a, b)?;
        Ok(a / b)
    }

    /// `base ^ exponent`.
    pub(super) fn pow(&self, base: &Rational, exponent: &BigInt) -> Result<Rational, Halt> {
        if base.is_zero() && exponent.is_negative() {
            return Err(Halt::Failed("division by zero".to_owned()));
        }
        let one = BigInt::from(1);
        if base.denom() == &one && (base.is_zero() || base.numer().magnitude() == one.magnitude()) {
            // Whatever the exponent is: 0, 1 and -1 do not grow.
            let odd = exponent.bit(0);
            let kept = odd || (base.is_zero() && !exponent.is_zero());
            return Ok(if kept { base.clone() } else { one.into() });
        }
        let power = i32::try_from(exponent).map_err(|_too_far| too_large())?;
        let bits = size(base).saturating_mul(u64::from(power.unsigned_abs()));
        if bits > MAX_BITS {
            return Err(too_large());
        }
        self.spend(16 + bits * (bits / 64 + 1))?;
        Ok(base.pow(power))
    }
}

/// Bits of the longer of numerator and denominator.
pub(super) fn size(number: &Rational) -> u64 {
    number.numer().bits().max(number.denom().bits())
}

pub(super) fn too_large() -> Halt {
    Halt::Failed(format!(
        "the numbers become too large: at most {MAX_BITS} bits are calculated with"
    ))
}
