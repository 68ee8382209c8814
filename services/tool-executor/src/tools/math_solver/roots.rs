//! All roots of a polynomial: fractions exactly, square roots exactly where the rest is quadratic,
//! other real roots within proven bounds, and complex ones by iteration.

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{One, Signed, Zero};
use serde_json::{Value, json};

use super::complex;
use super::number::{self, DIGITS};
use super::univariate::{Chain, Univariate};
use super::work::{Halt, Rational, Work};

/// Binary digits to which a real root is confined: 19 decimal ones.
const PRECISION: u64 = 64;
/// Squares of these are pulled out of a root.
const LARGEST_PULLED: u32 = 1000;

/// A root.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) value: Value,
    /// As `x = …` tells it; begins with `≈ ` where it is rounded only.
    pub(super) text: String,
    /// The real roots' places, for their order and for a range; none of complex ones.
    pub(super) place: Option<Rational>,
    pub(super) multiplicity: usize,
}

/// All roots, and how many complex ones could not be computed.
pub(super) struct Found {
    pub(super) roots: Vec<Root>,
    pub(super) missing: usize,
}

/// The roots of a polynomial that is not constant: real ones in order, then complex ones.
pub(super) fn all(polynomial: &Univariate, work: &Work<'_>) -> Result<Found, Halt> {
    let mut found = Found {
        roots: Vec::new(),
        missing: 0,
    };
    for (factor, multiplicity) in polynomial.square_free(work)? {
        of_square_free(&factor, multiplicity, &mut found, work)?;
    }
    found.roots.sort_by(|a, b| match (&a.place, &b.place) {
        (Some(a), Some(b)) => a.cmp(b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    Ok(found)
}

fn of_square_free(
    factor: &Univariate,
    multiplicity: usize,
    found: &mut Found,
    work: &Work<'_>,
) -> Result<(), Halt> {
    let mut rest = factor.clone();
    let mut irrational = Vec::new();
    for mut interval in isolate(factor, work)? {
        let Some(root) = interval.rational(factor, work)? else {
            irrational.push(interval);
            continue;
        };
        rest = rest.without_root(&root, work)?;
        found.roots.push(Root {
            value: number::tell(&root),
            text: number::exact_text(&root),
            place: Some(root),
            multiplicity,
        });
    }
    if rest.degree() == 2 {
        found.roots.extend(quadratic(&rest, multiplicity, work)?);
        return Ok(());
    }
    let mut places = Vec::new();
    for mut interval in irrational {
        interval.narrow(factor, work)?;
        let place = interval.middle();
        let approx = number::rounded(&place, DIGITS);
        places.push(place.clone());
        found.roots.push(Root {
            value: json!({ "approx": approx }),
            text: format!("≈ {approx}"),
            place: Some(place),
            multiplicity,
        });
    }
    let wanted = rest.degree().saturating_sub(places.len());
    if wanted > 0 {
        let pairs = complex::roots(&rest, &places, work)?;
        found.missing += wanted.saturating_sub(pairs.len());
        found.roots.extend(pairs.into_iter().map(|text| Root {
            value: json!({ "approx": text }),
            text: format!("≈ {text}"),
            place: None,
            multiplicity,
        }));
    }
    Ok(())
}

/// One real root is above `low` and not above `high`, both over `2^scale`.
struct Interval {
    low: BigInt,
    high: BigInt,
    scale: u64,
}

impl Interval {
    fn below(&self) -> BigInt {
        BigInt::one() << self.scale
    }

    fn middle(&self) -> Rational {
        Rational::new(&self.low + &self.high, self.below() << 1_u8)
    }

    /// Keeps the half that the root is in. The polynomial has one simple root here, so its sign
    /// differs from that at `high` exactly below the root.
    fn halve(&mut self, of: &Univariate, at_high: Sign, work: &Work<'_>) -> Result<(), Halt> {
        let middle = &self.low + &self.high;
        self.scale += 1;
        self.low <<= 1_u8;
        self.high <<= 1_u8;
        let here = of.sign_at(&middle, &self.below(), work)?;
        if here == at_high || here == Sign::NoSign {
            self.high = middle;
        } else {
            self.low = middle;
        }
        Ok(())
    }

    /// The root if it is a fraction: its denominator then divides the leading coefficient, and
    /// only one such fraction fits into an interval narrower than one over that.
    fn rational(&mut self, of: &Univariate, work: &Work<'_>) -> Result<Option<Rational>, Halt> {
        let lead = of.lead();
        let mut at_high = of.sign_at(&self.high, &self.below(), work)?;
        while at_high != Sign::NoSign && (&self.high - &self.low) * &lead >= self.below() {
            self.halve(of, at_high, work)?;
            at_high = of.sign_at(&self.high, &self.below(), work)?;
        }
        if at_high == Sign::NoSign {
            return Ok(Some(Rational::new(self.high.clone(), self.below())));
        }
        let above = work.times(&self.high, &lead)?.div_floor(&self.below());
        let candidate = Rational::new(above, lead);
        let low = Rational::new(self.low.clone(), self.below());
        Ok((candidate > low && of.has_root(&candidate, work)?).then_some(candidate))
    }

    /// Confines a root that is no fraction to [`PRECISION`] binary digits.
    fn narrow(&mut self, of: &Univariate, work: &Work<'_>) -> Result<(), Halt> {
        let at_high = of.sign_at(&self.high, &self.below(), work)?;
        while (&self.high - &self.low) << PRECISION > self.low.abs().min(self.high.abs()) {
            self.halve(of, at_high, work)?;
        }
        Ok(())
    }
}

/// Intervals with one real root each.
fn isolate(polynomial: &Univariate, work: &Work<'_>) -> Result<Vec<Interval>, Halt> {
    let chain = Chain::of(polynomial, work)?;
    // Cauchy's bound (1829): no root is larger than 1 + the largest coefficient over the leading one.
    let largest = polynomial.coefficients().iter().map(BigInt::bits).max();
    let bits = largest
        .unwrap_or(0)
        .saturating_sub(polynomial.lead().bits())
        + 2;
    let high = BigInt::one() << bits;
    let low = -&high;
    let one = BigInt::one();
    let ends = (
        chain.changes(&low, &one, work)?,
        chain.changes(&high, &one, work)?,
    );
    let scale = 0;
    let mut open = vec![(Interval { low, high, scale }, ends)];
    let mut alone = Vec::new();
    while let Some((interval, (at_low, at_high))) = open.pop() {
        match at_low.saturating_sub(at_high) {
            0 => {}
            1 => alone.push(interval),
            _ => {
                let middle = &interval.low + &interval.high;
                let scale = interval.scale + 1;
                let here = chain.changes(&middle, &(BigInt::one() << scale), work)?;
                let part = |low, high| Interval { low, high, scale };
                let first = part(interval.low << 1_u8, middle.clone());
                let second = part(middle, interval.high << 1_u8);
                open.push((first, (at_low, here)));
                open.push((second, (here, at_high)));
            }
        }
    }
    Ok(alone)
}

/// The two roots of `a*x^2 + b*x + c`, which are no fractions: `(-b ± s*sqrt(d)) / (2*a)`.
fn quadratic(
    polynomial: &Univariate,
    multiplicity: usize,
    work: &Work<'_>,
) -> Result<Vec<Root>, Halt> {
    let [c, b, a] = polynomial.coefficients() else {
        return Ok(Vec::new());
    };
    let inside: BigInt = work.times(b, b)? - work.times(a, c)? * 4;
    let (mut pulled, mut root) = (BigInt::one(), inside.abs());
    let whole = root.sqrt();
    if &whole * &whole == root {
        (pulled, root) = (whole, BigInt::one());
    }
    for divisor in 2..=LARGEST_PULLED {
        let square = divisor * divisor;
        while root >= square.into() && (&root % square).is_zero() {
            root /= square;
            pulled *= divisor;
        }
    }
    let imaginary = inside.is_negative();
    let below: BigInt = a * 2;
    let common = b.gcd(&pulled).gcd(&below);
    let (center, pulled, below) = (-b / &common, pulled / &common, below / &common);
    let middle = Rational::new(center.clone(), below.clone());
    let square = Rational::from(&pulled * &pulled * &root) / (&below * &below);
    let away = number::root_of(&square, work)?;
    let mut roots = Vec::new();
    for sign in ["-", "+"] {
        let exact = surd((&center, &pulled, &root, &below), sign, inside.sign());
        let place = if sign == "-" {
            &middle - &away
        } else {
            &middle + &away
        };
        let approx = if imaginary {
            let (middle, away) = (
                number::rounded(&middle, DIGITS),
                number::rounded(&away, DIGITS),
            );
            complex::written(&middle, sign, &away)
        } else {
            number::rounded(&place, DIGITS)
        };
        roots.push(Root {
            value: json!({ "exact": exact, "approx": approx }),
            text: exact,
            place: (!imaginary).then_some(place),
            multiplicity,
        });
    }
    Ok(roots)
}

/// `(center ± pulled * sqrt(root)) / below`, as it is written by hand.
fn surd(
    (center, pulled, root, below): (&BigInt, &BigInt, &BigInt, &BigInt),
    sign: &str,
    inside: Sign,
) -> String {
    let imaginary = inside == Sign::Minus;
    let mut factors = Vec::new();
    if !pulled.is_one() || (root.is_one() && !imaginary) {
        factors.push(pulled.to_string());
    }
    if !root.is_one() {
        factors.push(format!("sqrt({root})"));
    }
    if imaginary {
        factors.push("i".to_owned());
    }
    let away = factors.join("*");
    let both = match (center.is_zero(), sign) {
        (true, "-") => format!("-{away}"),
        (true, _) => away,
        (false, _) => format!("{center} {sign} {away}"),
    };
    match (below.is_one(), center.is_zero()) {
        (true, _) => both,
        (false, true) => format!("{both}/{below}"),
        (false, false) => format!("({both})/{below}"),
    }
}
