//! Lists of ids as one array.

use std::borrow::Cow;

use crate::Value;

/// A statement as it is sent.
pub(super) struct Text<'a> {
    pub(super) sql: Cow<'a, str>,
    /// What `$1`, `$2` … stand for, up to the list.
    pub(super) values: &'a [Value],
    /// What the placeholder behind them stands for.
    pub(super) list: Option<Vec<&'a str>>,
}

impl<'a> Text<'a> {
    pub(super) const fn plain(sql: Cow<'a, str>, values: &'a [Value]) -> Self {
        let list = None;
        Self { sql, values, list }
    }

    /// `… IN ($3,$4,$5)` at the end of the values becomes `… = ANY($3)` with one array. A list of
    /// placeholders is put together again for every row that is looked at, unless the plan was
    /// made to find each of them in an index; for one array it is, whatever is known of the table.
    pub(super) fn of(sql: &'a str, values: &'a [Value]) -> Self {
        Self::with_array(sql, values).unwrap_or_else(|| Self::plain(Cow::Borrowed(sql), values))
    }

    fn with_array(sql: &'a str, values: &'a [Value]) -> Option<Self> {
        let (before, rest) = sql.split_once(" IN ($")?;
        let (inner, after) = rest.split_once(')')?;
        // One that holds another list, or more than placeholders, stays as it is.
        if after.contains(" IN ($") {
            return None;
        }
        let numbers = inner.split(",$").map(str::parse::<usize>);
        let numbers: Vec<usize> = numbers.collect::<Result<_, _>>().ok()?;
        let first = *numbers.first()?;
        let counts_on = numbers
            .iter()
            .zip(first..)
            .all(|(is, should)| *is == should);
        if !counts_on || first + numbers.len() != values.len() + 1 {
            return None;
        }
        // One is an equality, which any plan finds in the index.
        if numbers.len() == 1 {
            return None;
        }
        let (head, tail) = values.split_at_checked(first.checked_sub(1)?)?;
        let texts = tail.iter().map(|value| match value {
            Value::Text(Some(text)) => Some(text.as_str()),
            _ => None,
        });
        let list: Option<Vec<&str>> = texts.collect();
        Some(Self {
            sql: Cow::Owned(format!("{before} = ANY(${first}){after}")),
            values: head,
            list: Some(list?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize) -> Vec<Value> {
        (0..count).map(|at| Value::from(at.to_string())).collect()
    }

    #[test]
    fn a_list_at_the_end_is_one_array() {
        let given = values(5);
        let sql = "SELECT a FROM t WHERE o = $1 AND c = $2 AND id IN ($3,$4,$5) FOR UPDATE";
        let text = Text::of(sql, &given);
        assert_eq!(
            text.sql,
            "SELECT a FROM t WHERE o = $1 AND c = $2 AND id = ANY($3) FOR UPDATE"
        );
        assert_eq!(text.values, &given[..2]);
        assert_eq!(text.list, Some(vec!["2", "3", "4"]));
    }

    #[test]
    fn whatever_else_there_is_stays() {
        for (sql, count) in [
            ("SELECT 1", 0),
            ("SELECT a FROM t WHERE id IN ($1,$2) AND b = $3", 3),
            ("SELECT a FROM t WHERE id IN ($2,$1)", 2),
            ("SELECT a FROM t WHERE id IN ($1,lower($2))", 2),
            ("SELECT a FROM t WHERE a IN ($1) AND b IN ($2)", 2),
            ("SELECT a FROM t WHERE a = $1 AND b IN ($2)", 2),
        ] {
            let given = values(count);
            let text = Text::of(sql, &given);
            assert_eq!((text.sql.as_ref(), text.list), (sql, None));
        }
        let numbers = [Value::from(1_i64), Value::from(2_i64)];
        assert!(
            Text::of("SELECT a FROM t WHERE id IN ($1,$2)", &numbers)
                .list
                .is_none()
        );
    }
}
