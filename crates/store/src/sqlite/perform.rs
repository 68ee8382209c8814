//! On the thread of a connection: statements, values, rows.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};

use crate::error::DatabaseError;
use crate::session::{Reply, Row, Rows, Step, Then};
use crate::{StoreError, Value};

/// Begins if it has to, performs all steps, commits if told. Stops at what fails.
pub(super) fn perform(
    connection: &Connection,
    begin: Option<&'static str>,
    steps: Vec<Step>,
    then: Then,
) -> Result<Vec<Reply>, StoreError> {
    match begin {
        Some(begin) => {
            connection.prepare_cached(begin)?.raw_execute()?;
        }
        // Some errors end a transaction, and what follows would be committed one by one.
        None if connection.is_autocommit() => {
            let reason = "the transaction was ended by an earlier error";
            return Err(StoreError::Refused(DatabaseError::new(reason)));
        }
        None => {}
    }
    let mut replies = Vec::with_capacity(steps.len());
    for step in steps {
        replies.push(match step {
            Step::Query { sql, values } => Reply::Rows(query(connection, &sql, &values)?),
            Step::Execute { sql, values } => Reply::Changed(execute(connection, &sql, &values)?),
            Step::Rows(rows) => Reply::Changed(each(connection, &rows)?),
            Step::Script(sql) => {
                connection.execute_batch(&sql)?;
                Reply::Changed(0)
            }
        });
    }
    if then == Then::Commit {
        connection.prepare_cached("COMMIT")?.raw_execute()?;
    }
    Ok(replies)
}

/// Begins without waiting. False: another process writes, and somebody has to wait for it.
pub(super) fn begin_now(
    connection: &Connection,
    begin: &str,
    patience: Duration,
) -> Result<bool, StoreError> {
    connection.busy_timeout(Duration::ZERO)?;
    let begun = connection.prepare_cached(begin)?.raw_execute();
    connection.busy_timeout(patience)?;
    match begun {
        Ok(_) => Ok(true),
        Err(error) if is_busy(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether somebody else holds what is needed.
fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked)
    )
}

fn execute(connection: &Connection, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(&numbered(sql))?;
    bind(&mut statement, values)?;
    Ok(statement.raw_execute()? as u64)
}

/// A text for one row, once for each: on the connection's own thread that is as fast as a text for
/// many, and there is one text.
fn each(connection: &Connection, rows: &Rows) -> Result<u64, StoreError> {
    let places = vec!["?"; rows.columns].join(",");
    let text = format!("{} ({places}) {}", rows.before, rows.after);
    let mut statement = connection.prepare_cached(&numbered(&text))?;
    let mut changed = 0;
    for row in rows.values.chunks(rows.columns) {
        bind(&mut statement, row)?;
        changed += statement.raw_execute()? as u64;
    }
    rows.check(changed)
}

fn query(connection: &Connection, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
    let mut statement = connection.prepare_cached(&numbered(sql))?;
    bind(&mut statement, values)?;
    let names = statement.column_names();
    let columns: Arc<[String]> = names.into_iter().map(str::to_owned).collect();
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let values = (0..columns.len()).map(|at| value(row.get_ref(at)?));
        let values: Result<_, StoreError> = values.collect();
        found.push(Row::new(Arc::clone(&columns), values?));
    }
    Ok(found)
}

fn bind(statement: &mut CachedStatement<'_>, values: &[Value]) -> Result<(), StoreError> {
    let wanted = statement.parameter_count();
    if wanted != values.len() {
        let given = values.len();
        let reason = format!("a statement of {wanted} placeholders was given {given} values");
        return Err(StoreError::Refused(DatabaseError::new(reason)));
    }
    for (value, at) in values.iter().zip(1..) {
        statement.raw_bind_parameter(at, value)?;
    }
    Ok(())
}

fn value(value: ValueRef<'_>) -> Result<Value, StoreError> {
    Ok(match value {
        ValueRef::Null => Value::Integer(None),
        ValueRef::Integer(number) => Value::from(number),
        ValueRef::Real(number) => Value::from(number),
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes);
            Value::from(text.map_err(|error| StoreError::Refused(DatabaseError::of(error)))?)
        }
        ValueRef::Blob(bytes) => Value::from(bytes.to_vec()),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Integer(Some(number)) => ValueRef::Integer(*number),
            Self::Real(Some(number)) => ValueRef::Real(*number),
            Self::Bytes(Some(bytes)) => ValueRef::Blob(bytes),
            Self::Boolean(Some(truth)) => ValueRef::Integer(i64::from(*truth)),
            Self::Text(None)
            | Self::Integer(None)
            | Self::Real(None)
            | Self::Bytes(None)
            | Self::Boolean(None) => ValueRef::Null,
        }))
    }
}

/// `$1` to `SQLite` is a name, numbered by where it first stands; `?1` is a number.
fn numbered(sql: &str) -> Cow<'_, str> {
    if !sql.contains('$') {
        return Cow::Borrowed(sql);
    }
    let mut quote = None;
    let text = sql.chars().map(|letter| {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, '$') => return '?',
            _ => {}
        }
        letter
    });
    Cow::Owned(text.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbers_and_texts_stay() {
        assert_eq!(numbered("a = $2 AND b = $1"), "a = ?2 AND b = ?1");
        assert_eq!(
            numbered("a = '$1' AND \"$2\" = $3"),
            "a = '$1' AND \"$2\" = ?3"
        );
        assert_eq!(numbered("a = 'it''s $1' OR $1"), "a = 'it''s $1' OR ?1");
    }

    #[test]
    fn values_stand_where_their_numbers_say() -> Result<(), StoreError> {
        let connection = Connection::open_in_memory()?;
        let values = [
            Value::from("one"),
            Value::from(2_i64),
            Value::from(None::<String>),
        ];
        let rows = query(
            &connection,
            "SELECT $2 AS b, $1 AS a, $3 AS c, $1 AS d",
            &values,
        )?;
        let row = rows.first().expect("a row");
        assert_eq!(row.get::<i64>("b")?, 2);
        assert_eq!(
            [row.get::<String>("a")?, row.get::<String>("d")?],
            ["one", "one"]
        );
        assert_eq!(row.get::<Option<String>>("c")?, None);
        let few = query(&connection, "SELECT $1, $2", &values[..1]).unwrap_err();
        assert!(few.to_string().contains("2 placeholders"), "{few}");
        Ok(())
    }

    /// A statement whose error ends the transaction does not leave the next ones on their own.
    #[test]
    fn after_an_error_that_ended_the_transaction_nothing_is_done() -> Result<(), StoreError> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch("CREATE TABLE t (a INTEGER)")?;
        let step = || {
            vec![Step::Execute {
                sql: "INSERT INTO t VALUES (1)".to_owned(),
                values: Vec::new(),
            }]
        };
        perform(&connection, Some("BEGIN"), step(), Then::Stay)?;
        connection.execute_batch("ROLLBACK")?;
        perform(&connection, None, step(), Then::Commit).unwrap_err();
        let rows = query(&connection, "SELECT a FROM t", &[])?;
        assert!(rows.is_empty());
        Ok(())
    }
}
