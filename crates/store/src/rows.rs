//! Statements over many rows at once.

use std::fmt::Write;

use crate::session::Rows;
use crate::{StoreError, Value};

/// Most rows of one statement. Larger ones gain nothing, and the fewer sizes there are, the better
/// the prepared statements are reused. Far below what `PostgreSQL` can bind (65,535 values) for up
/// to 1,000 columns.
const MOST_ROWS: usize = 64;

/// `($1,$2),($3,$4)` for two rows of two columns.
#[must_use]
pub fn placeholders(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * (columns * 5 + 3));
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..columns {
            let comma = if column == 0 { "" } else { "," };
            // Writing to a String never fails.
            let _ = write!(text, "{comma}${}", row * columns + column + 1);
        }
        text.push(')');
    }
    text
}

/// How many rows the next statement takes when `left` are left: a power of two, so that there are
/// only seven texts of each statement and all of them stay prepared.
const fn next_size(left: usize) -> usize {
    if left >= MOST_ROWS {
        MOST_ROWS
    } else {
        1 << left.ilog2()
    }
}

/// Whether these values are whole rows of so many columns.
pub(crate) fn check(values: &[Value], columns: usize) -> Result<(), StoreError> {
    if columns == 0 || !values.len().is_multiple_of(columns) {
        return Err(StoreError::Ragged {
            values: values.len(),
            columns,
        });
    }
    Ok(())
}

/// A text for one row: what all of them are checked by.
pub(crate) fn of_one(before: &str, after: &str, columns: usize) -> String {
    format!("{before} {} {after}", placeholders(1, columns))
}

/// Cuts rows into statements: each a text, and its values.
pub(crate) fn statements(
    rows: &Rows,
) -> Result<impl Iterator<Item = (String, &[Value])>, StoreError> {
    let Rows {
        before,
        after,
        columns,
        values,
        ..
    } = rows;
    check(values, *columns)?;
    let mut left = values.as_slice();
    Ok(std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        let size = next_size(left.len() / columns);
        let (now, later) = left.split_at_checked(size * columns)?;
        left = later;
        let text = format!("{before} {} {after}", placeholders(size, *columns));
        Some((text, now))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(columns: usize, values: Vec<Value>) -> Rows {
        Rows {
            before: "INSERT INTO t VALUES".to_owned(),
            after: String::new(),
            columns,
            values,
            all: false,
        }
    }

    #[test]
    fn placeholders_count_through_the_rows() {
        assert_eq!(placeholders(2, 3), "($1,$2,$3),($4,$5,$6)");
        assert_eq!(placeholders(1, 1), "($1)");
        assert_eq!(placeholders(0, 3), "");
    }

    #[test]
    fn every_value_is_in_exactly_one_statement_and_few_texts_exist() {
        let mut texts = std::collections::BTreeSet::new();
        for count in 0..300_i64 {
            let values: Vec<Value> = (0..count * 2).map(Value::from).collect();
            let rows = rows(2, values.clone());
            let mut cut = Vec::new();
            for (text, values) in statements(&rows).unwrap() {
                texts.insert(text);
                cut.extend_from_slice(values);
            }
            assert_eq!(cut, values);
        }
        assert_eq!(texts.len(), 7);
    }

    #[test]
    fn half_a_row_is_refused() {
        let rows = rows(2, vec![Value::from(1_i64); 3]);
        assert!(matches!(
            statements(&rows).err(),
            Some(StoreError::Ragged {
                values: 3,
                columns: 2
            })
        ));
    }
}
