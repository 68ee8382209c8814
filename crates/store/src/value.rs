//! What a statement is bound to, and what a column is read as.

use std::fmt;

/// A value of a statement or of a row. An absent one has a type too: `PostgreSQL` asks for it.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `TEXT`.
    Text(Option<String>),
    /// `BIGINT`.
    Integer(Option<i64>),
    /// `DOUBLE PRECISION`.
    Real(Option<f64>),
    /// `BLOB` or `BYTEA`.
    Bytes(Option<Vec<u8>>),
    /// `BOOLEAN`; an integer in `SQLite`.
    Boolean(Option<bool>),
}

impl Value {
    /// What it is, for messages.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Text(None)
            | Self::Integer(None)
            | Self::Real(None)
            | Self::Bytes(None)
            | Self::Boolean(None) => "null",
            Self::Text(_) => "text",
            Self::Integer(_) => "an integer",
            Self::Real(_) => "a real number",
            Self::Bytes(_) => "bytes",
            Self::Boolean(_) => "a boolean",
        }
    }

    const fn is_null(&self) -> bool {
        matches!(
            self,
            Self::Text(None)
                | Self::Integer(None)
                | Self::Real(None)
                | Self::Bytes(None)
                | Self::Boolean(None)
        )
    }
}

/// Content is private: only kind and size are shown.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(Some(number)) => write!(f, "{number}"),
            Self::Text(Some(text)) => write!(f, "text of {} bytes", text.len()),
            Self::Bytes(Some(bytes)) => write!(f, "{} bytes", bytes.len()),
            other => f.write_str(other.kind()),
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(Some(value.into()))
            }
        }

        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Self::$variant(value.map(Into::into))
            }
        }
    )*};
}

from!(String => Text, &str => Text, &String => Text, i64 => Integer, f64 => Real, Vec<u8> => Bytes, bool => Boolean);

/// What a column can be read as. `Option` reads a null.
pub trait FromValue: Sized {
    /// Reads a value.
    ///
    /// # Errors
    /// What was found and what was wanted.
    fn from_value(value: &Value) -> Result<Self, String>;
}

fn mismatch<T>(value: &Value, wanted: &str) -> Result<T, String> {
    Err(format!("it holds {}, not {wanted}", value.kind()))
}

impl FromValue for String {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Text(Some(text)) => Ok(text.clone()),
            other => mismatch(other, "text"),
        }
    }
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Integer(Some(number)) => Ok(*number),
            other => mismatch(other, "an integer"),
        }
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Real(Some(number)) => Ok(*number),
            other => mismatch(other, "a real number"),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Bytes(Some(bytes)) => Ok(bytes.clone()),
            other => mismatch(other, "bytes"),
        }
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Boolean(Some(truth)) => Ok(*truth),
            Value::Integer(Some(number)) => Ok(*number != 0),
            other => mismatch(other, "a boolean"),
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Result<Self, String> {
        if value.is_null() {
            return Ok(None);
        }
        T::from_value(value).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_what_it_is_and_as_nothing_else() {
        assert_eq!(String::from_value(&Value::from("a")), Ok("a".to_owned()));
        assert_eq!(i64::from_value(&Value::from(7_i64)), Ok(7));
        assert_eq!(bool::from_value(&Value::from(1_i64)), Ok(true));
        let none = Value::from(None::<i64>);
        assert_eq!(Option::<String>::from_value(&none), Ok(None));
        let error = String::from_value(&none).unwrap_err();
        assert_eq!(error, "it holds null, not text");
        let error = Option::<i64>::from_value(&Value::from("secret")).unwrap_err();
        assert_eq!(error, "it holds text, not an integer");
    }

    #[test]
    fn content_is_not_shown() {
        let shown = format!("{:?}", [Value::from("secret"), Value::from(vec![1_u8])]);
        assert_eq!(shown, "[text of 6 bytes, 1 bytes]");
    }
}
