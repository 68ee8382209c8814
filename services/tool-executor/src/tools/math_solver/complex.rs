//! Complex roots of a polynomial whose real roots are known, by Aberth's iteration in doubles.

use num_complex::Complex64;
use num_traits::ToPrimitive;

use super::number::rounded_float;
use super::univariate::Univariate;
use super::work::{Halt, Rational, Work};

/// Most rounds; some twenty are usual.
const MAX_ROUNDS: usize = 500;
/// Most significant digits that are told.
const MAX_DIGITS: usize = 12;
/// A root with fewer digits that are right is not told.
const MIN_DIGITS: i32 = 4;

/// `a + b*i`, `a - b*i`, from texts without the sign of `b`.
pub(super) fn written(real: &str, sign: &str, imaginary: &str) -> String {
    let imaginary = if imaginary == "1" {
        "i".to_owned()
    } else {
        format!("{imaginary}*i")
    };
    match (real, sign) {
        ("0", "-") => format!("-{imaginary}"),
        ("0", _) => imaginary,
        _ => format!("{real} {sign} {imaginary}"),
    }
}

/// The roots that are not real, as far as doubles tell them, in pairs.
pub(super) fn roots(
    polynomial: &Univariate,
    real: &[Rational],
    work: &Work<'_>,
) -> Result<Vec<String>, Halt> {
    let coefficients = as_doubles(polynomial);
    let Some(mut guesses) = iterate(&coefficients, work)? else {
        return Ok(Vec::new());
    };
    for place in real {
        let place = place.to_f64().unwrap_or(f64::NAN);
        let apart = |guess: &Complex64| (guess - place).norm();
        let nearest = guesses
            .iter()
            .enumerate()
            .min_by(|(_, a), (_, b)| apart(a).total_cmp(&apart(b)));
        if let Some(index) = nearest.map(|(index, _)| index) {
            guesses.swap_remove(index);
        }
    }
    guesses.retain(|guess| guess.im > 0.0);
    guesses.sort_by(|a, b| a.re.total_cmp(&b.re).then(a.im.total_cmp(&b.im)));
    let mut told = Vec::new();
    for guess in guesses {
        let Some(digits) = digits_of(&coefficients, guess) else {
            continue;
        };
        // A part that is nothing but the rounding of the other one is none.
        let noise = guess.norm() * 10_f64.powi(-i32::try_from(digits).unwrap_or(0));
        let part = if guess.re.abs() < noise {
            0.0
        } else {
            guess.re
        };
        if guess.im < noise {
            continue;
        }
        let (middle, away) = (rounded_float(part, digits), rounded_float(guess.im, digits));
        told.push(written(&middle, "+", &away));
        told.push(written(&middle, "-", &away));
    }
    told.truncate(polynomial.degree() - real.len());
    Ok(told)
}

/// The coefficients from the leading one down, scaled so that the largest is about 1.
fn as_doubles(polynomial: &Univariate) -> Vec<f64> {
    let largest = polynomial
        .coefficients()
        .iter()
        .map(num_bigint::BigInt::bits)
        .max();
    let shift = largest.unwrap_or(0);
    let scaled = polynomial.coefficients().iter().rev().map(|value| {
        let scale = num_bigint::BigInt::from(1) << shift;
        Rational::new(value.clone(), scale).to_f64().unwrap_or(0.0)
    });
    scaled.collect()
}

/// The value, the derivative, and the sum of the terms' sizes, by Horner's rule.
fn evaluate(coefficients: &[f64], at: Complex64) -> (Complex64, Complex64, f64) {
    let zero = Complex64::new(0.0, 0.0);
    let size = at.norm();
    let step = |(value, slope, sum): (Complex64, Complex64, f64), coefficient: &f64| {
        (
            value * at + coefficient,
            slope * at + value,
            sum * size + coefficient.abs(),
        )
    };
    coefficients.iter().fold((zero, zero, 0.0), step)
}

/// Aberth's iteration (1973): Newton's, with every root pushed away from the others.
fn iterate(coefficients: &[f64], work: &Work<'_>) -> Result<Option<Vec<Complex64>>, Halt> {
    let degree = coefficients.len().saturating_sub(1);
    let lead = coefficients.first().copied().unwrap_or(0.0);
    let count = degree.to_f64().unwrap_or(1.0);
    let last = coefficients.last().copied().unwrap_or(0.0);
    // The geometric mean of the roots' sizes.
    let radius = (last / lead).abs().powf(1.0 / count);
    if !radius.is_normal() {
        return Ok(None);
    }
    // Evenly on a circle, turned so that no guess is real or another's mirror image.
    let angle = |index: usize| {
        std::f64::consts::TAU * index.to_f64().unwrap_or(0.0) / count + 0.5 / count + 0.1
    };
    let mut guesses: Vec<Complex64> = (0..degree)
        .map(|index| Complex64::from_polar(radius, angle(index)))
        .collect();
    for _ in 0..MAX_ROUNDS {
        work.spend(32 * u64::try_from(degree * degree).unwrap_or(0))?;
        let mut moved = 0.0_f64;
        for index in 0..degree {
            let Some(at) = guesses.get(index).copied() else {
                break;
            };
            let (value, slope, _) = evaluate(coefficients, at);
            let newton = value / slope;
            let others = guesses
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index);
            let push: Complex64 = others.map(|(_, other)| (at - other).inv()).sum();
            let step = newton / (1.0 - newton * push);
            if !step.is_finite() {
                continue;
            }
            if let Some(guess) = guesses.get_mut(index) {
                *guess = at - step;
            }
            moved = moved.max(step.norm() / at.norm().max(f64::MIN_POSITIVE));
        }
        if moved < 4.0 * f64::EPSILON {
            break;
        }
    }
    Ok(Some(guesses))
}

/// How many digits are right: the error is about the rounding of the value over the slope.
fn digits_of(coefficients: &[f64], at: Complex64) -> Option<usize> {
    let (value, slope, sum) = evaluate(coefficients, at);
    let rounding = f64::EPSILON * 4.0 * coefficients.len().to_f64().unwrap_or(1.0) * sum;
    let error = (value.norm() + rounding) / slope.norm() / at.norm();
    let digits = -error.log10().floor() - 1.0;
    let digits = digits.is_finite().then(|| digits.to_i32())??;
    (digits >= MIN_DIGITS).then(|| usize::try_from(digits).unwrap_or(0).min(MAX_DIGITS))
}
