//! Statistics of lists of numbers, exactly: the lists become integers over one common denominator.

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{One, ToPrimitive, Zero};
use serde_json::{Map, Value, json};

use super::number::{self, Scalar};
use super::work::{Halt, Rational, Work, size, unfit};

/// Most numbers of one list.
pub const MAX_NUMBERS: usize = 100_000;
/// Most quantiles of one call, and most modes that are told.
const MAX_TOLD: usize = 100;
/// Every statistic, by the name it is asked for with.
const NAMES: [&str; 14] = [
    "count",
    "sum",
    "mean",
    "median",
    "mode",
    "min",
    "max",
    "range",
    "variance",
    "stdev",
    "quantiles",
    "covariance",
    "correlation",
    "regression",
];
/// Those of two lists.
const OF_PAIRS: [&str; 3] = ["covariance", "correlation", "regression"];

/// What is asked.
pub(super) struct Question {
    pub(super) data: Vec<Scalar>,
    pub(super) y: Option<Vec<Scalar>>,
    pub(super) statistics: Vec<String>,
    pub(super) quantiles: Vec<Scalar>,
}

/// The statistics that were asked for; of none, all.
pub(super) fn answer(question: &Question, work: &Work<'_>) -> Result<Value, Halt> {
    let names = names(question)?;
    let x = List::read(&question.data, "data", work)?;
    let y = question.y.as_ref();
    let y = y.map(|y| List::read(y, "y", work)).transpose()?;
    let pairs = y.as_ref().map(|y| Pairs::of(&x, y, work)).transpose()?;
    let chances: Result<Vec<Rational>, Halt> =
        question.quantiles.iter().map(Scalar::exact).collect();
    let mut result = Map::new();
    for name in names {
        let value = match (&pairs, name) {
            (Some(pairs), "covariance" | "correlation" | "regression") => pairs.tell(name, work)?,
            (None, "covariance" | "correlation" | "regression") => {
                return unfit(format!(
                    "`{name}` needs `y`, a second list as long as `data`"
                ));
            }
            (_, "quantiles") => x.quantiles(chances.clone()?, work)?,
            _ => x.tell(name, work)?,
        };
        result.insert(name.to_owned(), value);
    }
    let mut told = Map::new();
    told.insert("result".to_owned(), result.into());
    let all = question.data.iter().chain(question.y.iter().flatten());
    if all.into_iter().any(Scalar::may_be_rounded) {
        let note = "some numbers have more than 15 digits, and JSON may have rounded them: give \
                    them as text to be exact";
        told.insert("notes".to_owned(), json!([note]));
    }
    Ok(told.into())
}

/// Reads the names, and what else they are called.
fn names(question: &Question) -> Result<Vec<&'static str>, Halt> {
    if question.statistics.is_empty() {
        let paired = question.y.is_some();
        let all = NAMES.into_iter();
        return Ok(all
            .filter(|name| paired || !OF_PAIRS.contains(name))
            .collect());
    }
    let mut names = Vec::new();
    for asked in &question.statistics {
        let plain = asked.trim().to_lowercase().replace([' ', '-'], "_");
        let known = match plain.as_str() {
            "n" | "length" => "count",
            "total" => "sum",
            "average" | "avg" => "mean",
            "modes" => "mode",
            "minimum" => "min",
            "maximum" => "max",
            "var"
            | "sample_variance"
            | "population_variance"
            | "variance_sample"
            | "variance_population" => "variance",
            "std" | "sd" | "standard_deviation" | "stddev" | "sample_stdev"
            | "population_stdev" | "stdev_sample" | "stdev_population" => "stdev",
            "quantile" | "quartiles" | "percentiles" | "percentile" => "quantiles",
            "linear_regression" => "regression",
            other => other,
        };
        let Some(name) = NAMES.into_iter().find(|name| *name == known) else {
            return unfit(format!(
                "`{}` is no statistic that is known: {}",
                plain.chars().take(40).collect::<String>(),
                NAMES.join(", ")
            ));
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// A list, as integers over a common denominator.
struct List {
    values: Vec<BigInt>,
    sorted: Vec<BigInt>,
    below: BigInt,
    sum: BigInt,
    squares: BigInt,
}

fn undefined(reason: &str) -> Value {
    json!({ "undefined": reason })
}

impl List {
    fn read(list: &[Scalar], name: &str, work: &Work<'_>) -> Result<Self, Halt> {
        if list.is_empty() || list.len() > MAX_NUMBERS {
            return unfit(format!("`{name}` holds 1 to {MAX_NUMBERS} numbers"));
        }
        let mut exact = Vec::with_capacity(list.len());
        let mut below = BigInt::one();
        for number in list {
            let number = number.exact()?;
            let bits = size(&number);
            work.spend(64 + bits * (bits / 64 + 1))?;
            if !below.is_multiple_of(number.denom()) {
                let bits = below.bits() + number.denom().bits();
                work.pay(64 * bits, 0)?;
                work.spend(bits * (bits / 64 + 1))?;
                below = below.lcm(number.denom());
            }
            exact.push(number);
        }
        let mut values = Vec::with_capacity(list.len());
        let (mut sum, mut squares) = (BigInt::zero(), BigInt::zero());
        for number in exact {
            let value = work.times(number.numer(), &(&below / number.denom()))?;
            sum += &value;
            squares += work.times(&value, &value)?;
            values.push(value);
        }
        let mut sorted = values.clone();
        sorted.sort_unstable();
        Ok(Self {
            values,
            sorted,
            below,
            sum,
            squares,
        })
    }

    fn count(&self) -> BigInt {
        self.values.len().into()
    }

    /// A sum over the list, as a number.
    fn over(&self, above: BigInt) -> Rational {
        Rational::new(above, self.below.clone())
    }

    /// The value at a place in order.
    fn ranked(&self, rank: usize) -> Rational {
        self.over(self.sorted.get(rank).cloned().unwrap_or_default())
    }

    /// `count * squares - sum^2`: the squared deviations, times the count.
    fn spread(&self) -> BigInt {
        self.count() * &self.squares - &self.sum * &self.sum
    }

    /// The variance with so many in the denominator.
    fn variance(&self, degrees: &BigInt) -> Option<Rational> {
        let below = self.count() * degrees * &self.below * &self.below;
        (!below.is_zero()).then(|| Rational::new(self.spread(), below))
    }

    fn tell(&self, name: &str, work: &Work<'_>) -> Result<Value, Halt> {
        let last = self.values.len().saturating_sub(1);
        Ok(match name {
            "count" => json!(self.values.len()),
            "sum" => number::tell(&self.over(self.sum.clone())),
            "mean" => number::tell(&(self.over(self.sum.clone()) / self.count())),
            "median" => number::tell(&self.quantile(&Rational::new(1.into(), 2.into()))),
            "min" => number::tell(&self.ranked(0)),
            "max" => number::tell(&self.ranked(last)),
            "range" => number::tell(&(self.ranked(last) - self.ranked(0))),
            "mode" => self.modes(),
            _ => {
                let told = |degrees: BigInt| match (self.variance(&degrees), name) {
                    (None, _) => Ok(undefined("it takes two numbers or more")),
                    (Some(variance), "variance") => Ok(number::tell(&variance)),
                    (Some(variance), _) => number::tell_root(&variance, Sign::Plus, work),
                };
                json!({ "population": told(self.count())?, "sample": told(self.count() - 1)? })
            }
        })
    }

    fn modes(&self) -> Value {
        let runs = self.sorted.chunk_by(|a, b| a == b);
        let most = runs.clone().map(<[BigInt]>::len).max().unwrap_or(0);
        if most == 1 && self.values.len() > 1 {
            return undefined("no number occurs twice");
        }
        let modes: Vec<Value> = runs
            .filter(|run| run.len() == most)
            .filter_map(|run| run.first().cloned())
            .take(MAX_TOLD + 1)
            .map(|mode| number::tell(&self.over(mode)))
            .collect();
        if modes.len() > MAX_TOLD {
            return undefined("more than 100 numbers occur equally often");
        }
        json!({ "values": modes, "times": most })
    }

    /// Between neighbours in order, linearly: the place is `(count - 1) * chance`, counted from 0
    /// (Hyndman and Fan's type 7, 1996).
    fn quantile(&self, chance: &Rational) -> Rational {
        let place = chance * (self.count() - BigInt::one());
        let rank = place.to_integer().to_usize().unwrap_or(0);
        let (low, high) = (self.ranked(rank), self.ranked(rank + 1));
        if place.is_integer() {
            return low;
        }
        let part = place.fract();
        &low + (high - &low) * part
    }

    fn quantiles(&self, mut chances: Vec<Rational>, work: &Work<'_>) -> Result<Value, Halt> {
        if chances.is_empty() {
            let quarter = |count: i32| Rational::new(count.into(), 4.into());
            chances = (1..=3).map(quarter).collect();
        }
        if chances.len() > MAX_TOLD {
            return unfit(format!("at most {MAX_TOLD} `quantiles` are told"));
        }
        let mut values = Vec::new();
        for chance in &chances {
            if *chance < Rational::zero() || *chance > Rational::one() {
                return unfit("`quantiles` are between 0 and 1: 0.9 for the 90th percentile");
            }
            let bits = size(chance) + self.below.bits();
            work.spend(64 + bits * (bits / 64 + 1))?;
            let mut told = number::tell(&self.quantile(chance));
            if let Value::Object(fields) = &mut told {
                fields.insert("at".to_owned(), number::exact_text(chance).into());
            }
            values.push(told);
        }
        let method = "linear interpolation between neighbours in order (type 7, inclusive)";
        Ok(json!({ "values": values, "method": method }))
    }
}

/// Two lists of one length.
struct Pairs<'a> {
    x: &'a List,
    y: &'a List,
    /// `count * sum of x*y - sum of x * sum of y`.
    together: BigInt,
}

impl<'a> Pairs<'a> {
    fn of(x: &'a List, y: &'a List, work: &Work<'_>) -> Result<Self, Halt> {
        if x.values.len() != y.values.len() {
            return unfit(format!(
                "`data` holds {} numbers and `y` {}: they are paired, so give as many",
                x.values.len(),
                y.values.len()
            ));
        }
        let mut products = BigInt::zero();
        for (a, b) in x.values.iter().zip(&y.values) {
            products += work.times(a, b)?;
        }
        let together = x.count() * products - &x.sum * &y.sum;
        Ok(Self { x, y, together })
    }

    fn covariance(&self, degrees: &BigInt) -> Option<Rational> {
        let below = self.x.count() * degrees * &self.x.below * &self.y.below;
        (!below.is_zero()).then(|| Rational::new(self.together.clone(), below))
    }

    /// The square of the correlation; none where a list does not vary.
    fn square(&self) -> Option<Rational> {
        let below = self.x.spread() * self.y.spread();
        let above = &self.together * &self.together;
        (!below.is_zero()).then(|| Rational::new(above, below))
    }

    fn tell(&self, name: &str, work: &Work<'_>) -> Result<Value, Halt> {
        match name {
            "covariance" => {
                let told = |degrees: BigInt| {
                    let value = self.covariance(&degrees);
                    value.map_or_else(
                        || undefined("it takes two pairs or more"),
                        |value| number::tell(&value),
                    )
                };
                let count = self.x.count();
                Ok(json!({ "population": told(count.clone()), "sample": told(count - 1) }))
            }
            "correlation" => self.square().map_or_else(
                || Ok(undefined("one of the lists does not vary")),
                |square| number::tell_root(&square, self.together.sign(), work),
            ),
            _ => Ok(self.regression()),
        }
    }

    /// The line of least squares, `y = slope * x + intercept`.
    fn regression(&self) -> Value {
        let spread = self.x.spread();
        if spread.is_zero() {
            return undefined("`data` does not vary");
        }
        let slope = Rational::new(&self.together * &self.x.below, spread * &self.y.below);
        let mean = |list: &List| list.over(list.sum.clone()) / list.count();
        let intercept = mean(self.y) - &slope * mean(self.x);
        let square = self.square();
        let square = square.map_or_else(
            || undefined("`y` does not vary"),
            |square| number::tell(&square),
        );
        json!({
            "slope": number::tell(&slope),
            "intercept": number::tell(&intercept),
            "r_squared": square,
            "of": "y = slope * data + intercept, by least squares",
        })
    }
}
