//! Systems of linear equations: their rows, and how their solutions are told.

use num_traits::{One, Zero};
use serde_json::{Map, Value, json};

use super::equations::answer;
use super::linear::{self, Row, Solution};
use super::number;
use super::polynomial::{MAX_DEGREE, Polynomial, Quotient};
use super::work::{Halt, Rational, Work, unfit};

/// Solves for several unknowns: each quotient is zero.
pub(super) fn solve(
    quotients: &[Quotient],
    unknowns: &[String],
    work: &Work<'_>,
) -> Result<Value, Halt> {
    let rows: Result<Vec<Row>, Halt> = quotients
        .iter()
        .map(|quotient| row(&quotient.above, unknowns.len()))
        .collect();
    let divided = quotients.iter().any(|quotient| quotient.below.degree() > 0);
    match linear::solve(rows?, unknowns.len(), work)? {
        Solution::Nothing => Ok(answer(unknowns, "no solution", &[], &[])),
        Solution::One(values) => {
            for quotient in quotients {
                if quotient.below.at(&values, work)?.is_zero() {
                    return Ok(answer(unknowns, "no solution", &[], &[]));
                }
            }
            let texts: Vec<String> = unknowns
                .iter()
                .zip(&values)
                .map(|(name, value)| format!("{name} = {}", number::exact_text(value)))
                .collect();
            let told: Map<String, Value> = unknowns
                .iter()
                .zip(&values)
                .map(|(name, value)| (name.clone(), number::tell(value)))
                .collect();
            Ok(answer(unknowns, &texts.join(", "), &[told.into()], &[]))
        }
        Solution::Many(_) if divided => unfit(
            "there are infinitely many solutions, and an unknown stands below a fraction: multiply \
             the equations out",
        ),
        Solution::Many(rows) => Ok(many(&rows, unknowns)),
    }
}

fn many(rows: &[Option<Row>], unknowns: &[String]) -> Value {
    let mut told = Map::new();
    let (mut texts, mut free) = (Vec::new(), Vec::new());
    for (index, (row, name)) in rows.iter().zip(unknowns).enumerate() {
        let Some(row) = row else {
            free.push(name.clone());
            continue;
        };
        let text = linear::written(row, index, unknowns);
        texts.push(format!("{name} = {text}"));
        told.insert(name.clone(), json!({ "exact": text }));
    }
    let chosen = format!("{} free", free.join(", "));
    texts.push(chosen);
    let text = format!("infinitely many: {}", texts.join("; "));
    let mut answer = answer(unknowns, &text, &[told.into()], &[]);
    if let Value::Object(fields) = &mut answer {
        fields.insert("free".to_owned(), json!(free));
    }
    answer
}

/// The coefficients of a linear equation, and the constant on the other side.
fn row(polynomial: &Polynomial, unknowns: usize) -> Result<Row, Halt> {
    if polynomial.degree() > 1 {
        return unfit(format!(
            "in several unknowns only linear equations are solved. Eliminate unknowns by hand until \
             one equation in one unknown is left: its degree may be up to {MAX_DEGREE}"
        ));
    }
    let mut row = vec![Rational::zero(); unknowns + 1];
    for (powers, value) in polynomial.terms() {
        let place = powers.iter().position(One::is_one);
        let moved = if place.is_some() {
            value.clone()
        } else {
            -value
        };
        if let Some(entry) = row.get_mut(place.unwrap_or(unknowns)) {
            *entry = moved;
        }
    }
    Ok(row)
}
