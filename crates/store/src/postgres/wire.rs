//! Values and rows as the server's protocol has them.

use std::error::Error;
use std::sync::Arc;

use bytes::BytesMut;
use tokio_postgres::Statement;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::error::DatabaseError;
use crate::session::Row;
use crate::{StoreError, Value};

/// What a placeholder is declared as.
pub(super) const fn type_of(value: &Value) -> Type {
    match value {
        Value::Text(_) => Type::TEXT,
        Value::Integer(_) => Type::INT8,
        Value::Real(_) => Type::FLOAT8,
        Value::Bytes(_) => Type::BYTEA,
        Value::Boolean(_) => Type::BOOL,
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        of: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Text(text) => text.to_sql(of, out),
            Self::Integer(number) => number.to_sql(of, out),
            Self::Real(number) => number.to_sql(of, out),
            Self::Bytes(bytes) => bytes.to_sql(of, out),
            Self::Boolean(truth) => truth.to_sql(of, out),
        }
    }

    /// Statements are prepared with [`type_of`] their values.
    fn accepts(of: &Type) -> bool {
        [
            Type::TEXT,
            Type::INT8,
            Type::FLOAT8,
            Type::BYTEA,
            Type::BOOL,
        ]
        .contains(of)
    }

    to_sql_checked!();
}

/// All rows of an answer.
pub(super) fn rows(
    statement: &Statement,
    rows: &[tokio_postgres::Row],
) -> Result<Vec<Row>, StoreError> {
    let names = statement.columns().iter();
    let columns: Arc<[String]> = names.map(|column| column.name().to_owned()).collect();
    let read = |row| {
        let values = (0..columns.len()).map(|at| value(row, at));
        let values: Result<_, StoreError> = values.collect();
        Ok(Row::new(Arc::clone(&columns), values?))
    };
    rows.iter().map(read).collect()
}

fn value(row: &tokio_postgres::Row, at: usize) -> Result<Value, StoreError> {
    let of = row.columns().get(at).map(tokio_postgres::Column::type_);
    let of = of.unwrap_or(&Type::UNKNOWN);
    Ok(match *of {
        Type::TEXT | Type::VARCHAR | Type::NAME | Type::BPCHAR | Type::UNKNOWN => {
            Value::Text(row.try_get(at)?)
        }
        Type::INT8 => Value::Integer(row.try_get(at)?),
        Type::INT4 => Value::Integer(row.try_get::<_, Option<i32>>(at)?.map(i64::from)),
        Type::INT2 => Value::Integer(row.try_get::<_, Option<i16>>(at)?.map(i64::from)),
        Type::FLOAT8 => Value::Real(row.try_get(at)?),
        Type::FLOAT4 => Value::Real(row.try_get::<_, Option<f32>>(at)?.map(f64::from)),
        Type::BYTEA => Value::Bytes(row.try_get(at)?),
        Type::BOOL => Value::Boolean(row.try_get(at)?),
        Type::VOID => Value::Text(None),
        _ => {
            let column = row
                .columns()
                .get(at)
                .map_or("?", tokio_postgres::Column::name);
            let reason = format!("column `{column}` is of type {of}, which is not read here");
            return Err(StoreError::Refused(DatabaseError::new(reason)));
        }
    })
}
