//! Roots of any function of one unknown within a range, in doubles: changes of sign are looked for
//! at evenly spaced places, and narrowed down to neighbouring doubles by halving.

use num_traits::ToPrimitive;

use super::syntax::{Operator, Term};
use super::work::{Halt, Work, unfit};

/// Places that are looked at.
pub(super) const PLACES: u32 = 4000;
/// Most roots that are told.
pub(super) const MAX_ROOTS: usize = 100;
/// Halvings from the widest range of doubles to neighbours.
const MAX_HALVINGS: u32 = 2200;
/// A change of sign is a root when the value has fallen to this part of what it was around it;
/// at a jump it has not, and at a pole it has grown.
const FALLEN_TO: f64 = 1e-6;

/// An equation in one unknown: where `left` equals `right`.
pub(super) struct Search<'a> {
    pub(super) left: &'a Term,
    pub(super) right: &'a Term,
    pub(super) unknown: &'a str,
}

/// What was found.
pub(super) struct Found {
    /// In order.
    pub(super) roots: Vec<f64>,
    /// Whether there are more.
    pub(super) more: bool,
    /// Whether the equation has a value somewhere in the range.
    pub(super) defined: bool,
}

impl Search<'_> {
    /// Looks between `low` and `high`, ends included.
    pub(super) fn run(&self, low: f64, high: f64, work: &Work<'_>) -> Result<Found, Halt> {
        if !(low.is_finite() && high.is_finite() && low < high) {
            return unfit("`range` is two finite numbers, the smaller one first");
        }
        let mut found = Found {
            roots: Vec::new(),
            more: false,
            defined: false,
        };
        let mut before = (low, f64::NAN);
        for place in 0..=PLACES {
            work.spend(500)?;
            let part = f64::from(place) / f64::from(PLACES);
            let at = if place == PLACES {
                high
            } else {
                low * (1.0 - part) + high * part
            };
            let value = self.value(at)?;
            found.defined |= value.is_finite();
            let root = if value == 0.0 {
                Some(at)
            } else if before.1 * value < 0.0 {
                self.narrow(before, (at, value), work)?
            } else {
                None
            };
            before = (at, value);
            let Some(root) = root else { continue };
            if found.roots.len() == MAX_ROOTS {
                found.more = true;
                break;
            }
            found.roots.push(root);
        }
        Ok(found)
    }

    fn value(&self, at: f64) -> Result<f64, Halt> {
        Ok(self.of(self.left, at)? - self.of(self.right, at)?)
    }

    fn narrow(
        &self,
        (mut low, at_low): (f64, f64),
        (mut high, at_high): (f64, f64),
        work: &Work<'_>,
    ) -> Result<Option<f64>, Halt> {
        // One end may be at a pole; with both there, nothing tells a root from it.
        let ends = [at_low.abs(), at_high.abs()];
        let around = ends.into_iter().filter(|end| end.is_finite());
        let around = around.fold(0.0, f64::max);
        let (mut below, mut above) = (at_low, at_high);
        for _ in 0..MAX_HALVINGS {
            let middle = low / 2.0 + high / 2.0;
            if middle <= low || middle >= high {
                break;
            }
            work.spend(500)?;
            let value = self.value(middle)?;
            if value == 0.0 {
                return Ok(Some(middle));
            }
            if value.is_nan() {
                return Ok(None);
            }
            if (value < 0.0) == (at_low < 0.0) {
                (low, below) = (middle, value);
            } else {
                (high, above) = (middle, value);
            }
        }
        let (nearest, left) = if below.abs() <= above.abs() {
            (low, below)
        } else {
            (high, above)
        };
        Ok((left.abs() <= FALLEN_TO * around).then_some(nearest))
    }

    fn of(&self, term: &Term, at: f64) -> Result<f64, Halt> {
        Ok(match term {
            Term::Number(value) => value.to_f64().unwrap_or(f64::NAN),
            Term::Name(name) if name == self.unknown => at,
            Term::Name(name) => match name.as_str() {
                "pi" => std::f64::consts::PI,
                "e" => std::f64::consts::E,
                _ => return unfit(format!("`{name}` is not known here")),
            },
            Term::Negative(inner) => -self.of(inner, at)?,
            Term::Factorial(inner) => factorial(self.of(inner, at)?),
            Term::Both(operator, left, right) => {
                let (left, right) = (self.of(left, at)?, self.of(right, at)?);
                match operator {
                    Operator::Add => left + right,
                    Operator::Subtract => left - right,
                    Operator::Multiply => left * right,
                    Operator::Divide => left / right,
                    Operator::Power => left.powf(right),
                }
            }
            Term::Call(name, arguments) => {
                let [argument] = arguments.as_slice() else {
                    return not_of_reals(name);
                };
                real(name, self.of(argument, at)?)?
            }
        })
    }
}

fn not_of_reals<T>(name: &str) -> Result<T, Halt> {
    unfit(format!(
        "`{name}` is a function of integers and has no place in an equation"
    ))
}

fn real(name: &str, x: f64) -> Result<f64, Halt> {
    Ok(match name {
        "sqrt" => x.sqrt(),
        "cbrt" => x.cbrt(),
        "abs" => x.abs(),
        "exp" => x.exp(),
        "ln" => x.ln(),
        "log2" => x.log2(),
        "log10" => x.log10(),
        "sin" => x.sin(),
        "cos" => x.cos(),
        "tan" => x.tan(),
        "asin" => x.asin(),
        "acos" => x.acos(),
        "atan" => x.atan(),
        "sinh" => x.sinh(),
        "cosh" => x.cosh(),
        "tanh" => x.tanh(),
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        "round" => x.round(),
        "sign" if x == 0.0 => 0.0,
        "sign" => x.signum(),
        "factorial" => factorial(x),
        _ => return not_of_reals(name),
    })
}

/// Of whole numbers; of others there is none here. 170! is the largest double.
fn factorial(x: f64) -> f64 {
    if x < 0.0 || x.fract() != 0.0 {
        return f64::NAN;
    }
    let last = x.min(171.0).to_u32().unwrap_or(0);
    (1..=last).map(f64::from).product()
}
