//! Statements over many rows at once.

use std::fmt::Write;

use sea_orm::{DbBackend, Value};

use crate::StoreError;

/// Most rows of one statement. Larger ones gain nothing, and the fewer sizes there are, the better
/// the prepared statements are reused. Far below what the databases can bind (32,766 values in
/// `SQLite`, 65,535 in `PostgreSQL`) for up to 500 columns.
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

/// `(?,?),(?,?)`: the same for `SQLite` alone. There a placeholder with a number has a name, and
/// binding looks every name up in a list: with hundreds of values that cost more than the insert.
fn unnamed(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    vec![row; rows].join(",")
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

/// Cuts values into statements: a text of `before`, placeholders and `after`, and its values.
pub(crate) fn statements(
    backend: DbBackend,
    (before, after): (&str, &str),
    columns: usize,
    values: Vec<Value>,
) -> Result<Vec<(String, Vec<Value>)>, StoreError> {
    if columns == 0 || !values.len().is_multiple_of(columns) {
        return Err(StoreError::Ragged {
            values: values.len(),
            columns,
        });
    }
    let mut left = values.len() / columns;
    let mut statements = Vec::with_capacity(left / MOST_ROWS + 6);
    let mut values = values.into_iter();
    while left > 0 {
        let rows = next_size(left);
        let list = if backend == DbBackend::Sqlite {
            unnamed(rows, columns)
        } else {
            placeholders(rows, columns)
        };
        let text = format!("{before} {list} {after}");
        statements.push((text, values.by_ref().take(rows * columns).collect()));
        left -= rows;
    }
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_count_through_the_rows() {
        assert_eq!(placeholders(2, 3), "($1,$2,$3),($4,$5,$6)");
        assert_eq!(placeholders(1, 1), "($1)");
        assert_eq!(placeholders(0, 3), "");
        assert_eq!(unnamed(2, 3), "(?,?,?),(?,?,?)");
    }

    #[test]
    fn every_value_is_in_exactly_one_statement_and_few_texts_exist() {
        let mut texts = std::collections::BTreeSet::new();
        for rows in 0..300_i64 {
            let values: Vec<Value> = (0..rows * 2).map(Value::from).collect();
            let cut = statements(
                DbBackend::Sqlite,
                ("INSERT INTO t VALUES", ""),
                2,
                values.clone(),
            )
            .unwrap();
            texts.extend(cut.iter().map(|(text, _)| text.clone()));
            assert_eq!(
                cut.into_iter()
                    .flat_map(|(_, values)| values)
                    .collect::<Vec<_>>(),
                values
            );
        }
        assert_eq!(texts.len(), 7);
    }

    #[test]
    fn half_a_row_is_refused() {
        let values = vec![Value::from(1_i64); 3];
        assert!(matches!(
            statements(DbBackend::Postgres, ("", ""), 2, values),
            Err(StoreError::Ragged {
                values: 3,
                columns: 2
            })
        ));
    }
}
