//! Systems of linear equations, solved exactly by Gauss's elimination.

use num_traits::{One, Signed, Zero};

use super::number;
use super::work::{Halt, Rational, Work};

/// One equation: the coefficient of each unknown, and then the constant on the other side.
pub(super) type Row = Vec<Rational>;

/// What solves a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Solution {
    Nothing,
    /// A value for each unknown.
    One(Vec<Rational>),
    /// Of each unknown what it equals; none of those that are free.
    Many(Vec<Option<Row>>),
}

/// Solves for so many unknowns.
pub(super) fn solve(
    mut rows: Vec<Row>,
    unknowns: usize,
    work: &Work<'_>,
) -> Result<Solution, Halt> {
    // Of each unknown: the row that it leads.
    let mut leads: Vec<Option<usize>> = Vec::new();
    let mut done = 0;
    for column in 0..unknowns {
        let filled = |row: &Row| row.get(column).is_some_and(|value| !value.is_zero());
        let Some(found) = rows.iter().skip(done).position(filled) else {
            leads.push(None);
            continue;
        };
        rows.swap(done, done + found);
        clear(&mut rows, done, column, work)?;
        leads.push(Some(done));
        done += 1;
    }
    let constant = |row: &Row| row.last().cloned().unwrap_or_else(Rational::zero);
    if rows.iter().skip(done).any(|row| !constant(row).is_zero()) {
        return Ok(Solution::Nothing);
    }
    let row_of = |lead: &Option<usize>| lead.and_then(|row| rows.get(row));
    if let Some(values) = leads
        .iter()
        .map(|lead| row_of(lead).map(constant))
        .collect()
    {
        return Ok(Solution::One(values));
    }
    let rows = leads.iter().map(|lead| row_of(lead).cloned()).collect();
    Ok(Solution::Many(rows))
}

/// Makes the coefficient in this place 1, and that of all other rows 0.
fn clear(rows: &mut [Row], place: usize, column: usize, work: &Work<'_>) -> Result<(), Halt> {
    let Some(row) = rows.get_mut(place) else {
        return Ok(());
    };
    let lead = row.get(column).cloned().unwrap_or_else(Rational::one);
    for value in row.iter_mut() {
        *value = work.div(value, &lead)?;
    }
    let row = row.clone();
    for (index, other) in rows.iter_mut().enumerate() {
        let factor = other.get(column).cloned().unwrap_or_else(Rational::zero);
        if index == place || factor.is_zero() {
            continue;
        }
        for (value, lead) in other.iter_mut().zip(&row) {
            *value = work.sub(value, &work.mul(lead, &factor)?)?;
        }
    }
    Ok(())
}

/// What the unknown that leads this row equals, in terms of those that are free.
pub(super) fn written(row: &Row, lead: usize, unknowns: &[String]) -> String {
    let mut text = String::new();
    let mut push = |value: &Rational, name: Option<&String>| {
        if value.is_zero() {
            return;
        }
        match (text.is_empty(), value.is_negative()) {
            (true, true) => text.push('-'),
            (true, false) => {}
            (false, true) => text.push_str(" - "),
            (false, false) => text.push_str(" + "),
        }
        let size = number::exact_text(&value.abs());
        match name {
            None => text.push_str(&size),
            Some(name) if value.abs().is_one() => text.push_str(name),
            Some(name) if size.contains('/') => text.push_str(&format!("({size})*{name}")),
            Some(name) => text.push_str(&format!("{size}*{name}")),
        }
    };
    if let Some(constant) = row.last() {
        push(constant, None);
    }
    for (index, (value, name)) in row.iter().zip(unknowns).enumerate() {
        if index != lead {
            push(&-value, Some(name));
        }
    }
    if text.is_empty() {
        text.push('0');
    }
    text
}
