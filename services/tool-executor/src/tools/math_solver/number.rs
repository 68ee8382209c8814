//! Numbers as they come in and as they are told.

use std::borrow::Cow;
use std::fmt;

use num_bigint::{BigInt, BigUint, Sign};
use num_integer::Integer;
use num_rational::Ratio;
use num_traits::{One, Signed, Zero};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::{Value, json};

use super::work::{Halt, Rational, Work, unfit};

/// Significant digits of a rounded number.
pub(super) const DIGITS: usize = 15;
/// Longest text of one number.
const MAX_NUMBER_BYTES: usize = 1000;
/// Largest exponent of ten; that of a double is 308.
const MAX_EXPONENT: i64 = 1000;
/// Longest exact text that is told; what is longer is told rounded.
const MAX_EXACT_CHARS: usize = 2000;
/// Most decimal places that are written out where a number has finitely many.
const MAX_PLACES: usize = 20;

/// A number in the arguments: of JSON, or as text where it must be exact.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar(Given);

#[derive(Clone, Debug, PartialEq)]
enum Given {
    Integer(i128),
    Float(f64),
    Text(String),
}

impl Scalar {
    /// The exact value of what was written. A JSON number with a point has the value of its
    /// shortest decimal form: `0.1` is one tenth.
    pub(super) fn exact(&self) -> Result<Rational, Halt> {
        match &self.0 {
            Given::Integer(value) => Ok(BigInt::from(*value).into()),
            Given::Float(value) => read(&format!("{value:e}")),
            Given::Text(text) => read(text),
        }
    }

    /// Whether the number has so many digits that JSON may have lost some.
    pub(super) fn may_be_rounded(&self) -> bool {
        let Given::Float(value) = self.0 else {
            return false;
        };
        let text = format!("{value:e}");
        let mantissa = text.split('e').next().unwrap_or_default();
        mantissa.bytes().filter(u8::is_ascii_digit).count() > DIGITS
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or text such as \"1/3\"")
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(Given::Integer(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar(Given::Integer(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar(Given::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar(Given::Text(value.to_owned())))
    }
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"] })
    }
}

/// Reads `-12`, `0.5`, `1.5e-3` or `22/7`.
pub(super) fn read(text: &str) -> Result<Rational, Halt> {
    let wrong = || {
        let shown: String = text.chars().take(40).collect();
        Halt::Unfit(format!(
            "`{shown}` is no number: write it as 12, -0.5, 1.5e3 or 1/3, without spaces, units or \
             commas"
        ))
    };
    if text.len() > MAX_NUMBER_BYTES {
        return unfit(format!("a number may have {MAX_NUMBER_BYTES} characters"));
    }
    let text = text.trim().replace('\u{2212}', "-");
    let Some((above, below)) = text.split_once('/') else {
        return decimal(&text).ok_or_else(wrong);
    };
    let (above, below) = (decimal(above.trim_end()), decimal(below.trim_start()));
    let (above, below) = above.zip(below).ok_or_else(wrong)?;
    if below.is_zero() {
        return unfit(format!("`{text}` divides by zero"));
    }
    Ok(above / below)
}

/// A decimal number with an optional sign and exponent of ten, exactly.
pub(super) fn decimal(text: &str) -> Option<Rational> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (negative, unsigned) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{part}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent = exponent.checked_sub(i64::try_from(part.len()).ok()?)?;
    if exponent.abs() > MAX_EXPONENT {
        return None;
    }
    let power = u32::try_from(exponent.unsigned_abs()).ok()?;
    let value = match (digits.parse::<i64>(), 10_i64.checked_pow(power)) {
        // Most numbers are short, and lists of them are long.
        (Ok(above), Some(below)) if exponent < 0 => {
            let (above, below) = Ratio::new(above, below).into_raw();
            Rational::new_raw(above.into(), below.into())
        }
        _ => {
            let scale = BigInt::from(10).pow(power);
            let above = digits.parse::<BigInt>().ok()?;
            if exponent < 0 {
                Rational::new(above, scale)
            } else {
                Rational::from(above * scale)
            }
        }
    };
    Some(if negative { -value } else { value })
}

/// The number as JSON: `exact`, and beside it `decimal` where its decimals end soon, or `approx`.
pub(super) fn tell(number: &Rational) -> Value {
    let exact = number.to_string();
    if exact.len() > MAX_EXACT_CHARS {
        return json!({ "approx": rounded(number, DIGITS) });
    }
    match places(number) {
        Some(0) if exact.len() <= MAX_PLACES => json!({ "exact": exact }),
        Some(places) if places > 0 => json!({ "exact": exact, "decimal": fixed(number, places) }),
        _ => json!({ "exact": exact, "approx": rounded(number, DIGITS) }),
    }
}

/// The shortest exact text: decimals where they end soon, otherwise a fraction.
pub(super) fn exact_text(number: &Rational) -> String {
    match places(number) {
        Some(places) if places > 0 => fixed(number, places),
        _ => number.to_string(),
    }
}

/// How many decimal places the number has; none where they do not end soon.
fn places(number: &Rational) -> Option<usize> {
    let mut scale = BigInt::one();
    for places in 0..=MAX_PLACES {
        if scale.is_multiple_of(number.denom()) {
            return Some(places);
        }
        scale *= 10;
    }
    None
}

/// With exactly so many decimal places; what is beyond is cut off.
fn fixed(number: &Rational, places: usize) -> String {
    let scale = BigInt::from(10).pow(u32::try_from(places).unwrap_or(0));
    let digits = (number.numer().abs() * scale / number.denom()).to_string();
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    let sign = if number.is_negative() { "-" } else { "" };
    if part.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{part}")
    }
}

/// Rounded to so many significant digits, half away from zero, without zeros at the end.
pub(super) fn rounded(number: &Rational, digits: usize) -> String {
    if number.is_zero() {
        return "0".to_owned();
    }
    let digits = digits.max(1);
    let length = |part: &BigUint| i64::try_from(part.to_string().len()).unwrap_or(0);
    let (above, below) = (number.numer().magnitude(), number.denom().magnitude());
    // The power of ten of the first digit, or one more.
    let mut power = length(above) - length(below);
    let wanted = i64::try_from(digits).unwrap_or(1);
    let mut text = scaled(above, below, wanted - 1 - power);
    if text.len() < digits {
        power -= 1;
        text = scaled(above, below, wanted - 1 - power);
    }
    if text.len() > digits {
        power += 1;
        text.truncate(digits);
    }
    let sign = if number.is_negative() { "-" } else { "" };
    let kept = text.trim_end_matches('0');
    format!("{sign}{}", place_point(kept, power))
}

/// `above / below * 10^power`, rounded to an integer.
fn scaled(above: &BigUint, below: &BigUint, power: i64) -> String {
    let scale = BigUint::from(10_u8).pow(u32::try_from(power.unsigned_abs()).unwrap_or(0));
    let (above, below) = if power >= 0 {
        (above * scale, below.clone())
    } else {
        (above.clone(), below * scale)
    };
    ((above * 2_u8 + &below) / (below * 2_u8)).to_string()
}

/// Digits whose first has the given power of ten, written out where that is readable.
fn place_point(digits: &str, power: i64) -> String {
    let length = i64::try_from(digits.len()).unwrap_or(0);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    // Beyond, zeros would stand for digits that are not known.
    if (0..16).contains(&power) {
        if length <= power + 1 {
            return format!("{digits}{}", zeros(power + 1 - length));
        }
        let (whole, part) = digits.split_at(usize::try_from(power + 1).unwrap_or(0));
        return format!("{whole}.{part}");
    }
    if (-7..0).contains(&power) {
        return format!("0.{}{digits}", zeros(-power - 1));
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{first}{point}{rest}e{power}")
}

/// A double, rounded; it must be finite.
pub(super) fn rounded_float(value: f64, digits: usize) -> String {
    let exact = Rational::from_float(value).unwrap_or_else(Rational::zero);
    rounded(&exact, digits)
}

/// The root of this degree where it is a fraction.
pub(super) fn exact_root(number: &Rational, degree: u32) -> Option<Rational> {
    if degree == 0 || (number.is_negative() && degree.is_multiple_of(2)) {
        return None;
    }
    let root = |part: &BigInt| {
        let root = part.nth_root(degree);
        (root.pow(degree) == *part).then_some(root)
    };
    Some(Rational::new(root(number.numer())?, root(number.denom())?))
}

/// `sign * sqrt(square)` as JSON, for a square that is not negative.
pub(super) fn tell_root(square: &Rational, sign: Sign, work: &Work<'_>) -> Result<Value, Halt> {
    let negative = sign == Sign::Minus;
    let signed = |root: Rational| if negative { -root } else { root };
    if let Some(root) = exact_root(square, 2) {
        return Ok(tell(&signed(root)));
    }
    let sign = if negative { "-" } else { "" };
    let exact = format!("{sign}sqrt({square})");
    let approx = rounded(&signed(root_of(square, work)?), DIGITS);
    if exact.len() > MAX_EXACT_CHARS {
        return Ok(json!({ "approx": approx }));
    }
    Ok(json!({ "exact": exact, "approx": approx }))
}

/// The square root, right to 20 significant digits.
pub(super) fn root_of(square: &Rational, work: &Work<'_>) -> Result<Rational, Halt> {
    let (above, below) = (square.numer(), square.denom());
    // sqrt(a / b) = sqrt(a * b) / b, with enough bits below to keep 20 digits of any size.
    let shift = 128_u64;
    work.pay(4 * (above.bits() + shift), below.bits() + shift)?;
    let product: BigInt = (above * below) << (2 * shift);
    Ok(Rational::new(product.sqrt(), below << shift))
}
