//! The fields of an object, read one by one: what is wrong with one is said with its name.

use serde_json::{Map, Value};

use super::{Invalid, MAX_NAME_BYTES, without_nul};

/// An object whose fields are all known by name.
#[derive(Debug)]
pub(super) struct Fields {
    /// Where it stands: empty for the body itself, else its name and a dot.
    at: String,
    left: Map<String, Value>,
}

impl Fields {
    /// The fields of a body.
    pub(super) fn of(object: Map<String, Value>, known: &[&str]) -> Result<Self, Invalid> {
        Self::inside(String::new(), object, known)
    }

    fn inside(at: String, left: Map<String, Value>, known: &[&str]) -> Result<Self, Invalid> {
        let Some(unknown) = left.keys().find(|name| !known.contains(&name.as_str())) else {
            return Ok(Self { at, left });
        };
        let hint = nearest(unknown, known.iter().copied())
            .map_or_else(String::new, |name| format!(" (did you mean `{at}{name}`?)"));
        let detail = format!(
            "unknown field `{at}{}`{hint}; known are {}",
            shown(unknown),
            known.join(", ")
        );
        Err(Invalid::unacceptable("unknown_field", detail))
    }

    /// The name of a field, as a client finds it.
    pub(super) fn path(&self, field: &str) -> String {
        format!("{}{field}", self.at)
    }

    /// The value of a field; `null` is nothing.
    pub(super) fn value(&mut self, field: &str) -> Option<Value> {
        self.left.remove(field).filter(|value| !value.is_null())
    }

    pub(super) fn missing(&self, field: &str) -> Invalid {
        let detail = format!("field `{}` is missing", self.path(field));
        Invalid::unacceptable("missing_field", detail)
    }

    pub(super) fn wrong_type(&self, field: &str, wanted: &str, found: &Value) -> Invalid {
        let detail = format!(
            "field `{}` must be {wanted}, not {}",
            self.path(field),
            kind_of(found)
        );
        Invalid::unacceptable("wrong_type", detail)
    }

    pub(super) fn string(&mut self, field: &str) -> Result<Option<String>, Invalid> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong_type(field, "a string", &other)),
        }
    }

    /// A text that says something, of at most `most` bytes.
    pub(super) fn text(&mut self, field: &str, most: usize) -> Result<Option<String>, Invalid> {
        let Some(text) = self.string(field)? else {
            return Ok(None);
        };
        let name = self.path(field);
        if text.len() > most {
            return Err(Invalid::too_long(format!(
                "field `{name}` has {} bytes; at most {most} are taken",
                text.len()
            )));
        }
        if text.trim().is_empty() {
            let detail = format!("field `{name}` says nothing");
            return Err(Invalid::unacceptable("empty_text", detail));
        }
        without_nul(&name, &text)?;
        Ok(Some(text))
    }

    /// A name, such as that of a provider.
    pub(super) fn name(&mut self, field: &str) -> Result<Option<String>, Invalid> {
        let name = self.string(field)?;
        name.map(|name| checked_name(&self.path(field), name))
            .transpose()
    }

    pub(super) fn names(
        &mut self,
        field: &str,
        most: usize,
    ) -> Result<Option<Vec<String>>, Invalid> {
        let list = match self.value(field) {
            None => return Ok(None),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(self.wrong_type(field, "a list of names", &other)),
        };
        let path = self.path(field);
        if list.len() > most {
            let detail = format!("field `{path}` lists {} names; at most {most}", list.len());
            return Err(Invalid::unacceptable("too_many_names", detail));
        }
        let names = list.into_iter().map(|item| match item {
            Value::String(name) => checked_name(&path, name),
            other => Err(self.wrong_type(field, "a list of names", &other)),
        });
        names.collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn boolean(&mut self, field: &str) -> Result<Option<bool>, Invalid> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::Bool(is)) => Ok(Some(is)),
            Some(other) => Err(self.wrong_type(field, "true or false", &other)),
        }
    }

    /// A whole number between two, both included.
    pub(super) fn whole<T: TryFrom<u64>>(
        &mut self,
        field: &str,
        (least, most): (u64, u64),
    ) -> Result<Option<T>, Invalid> {
        let Some(value) = self.value(field) else {
            return Ok(None);
        };
        whole(&self.path(field), &value, (least, most)).map(Some)
    }

    /// A number between two, both included.
    pub(super) fn number(
        &mut self,
        field: &str,
        (least, most): (f64, f64),
    ) -> Result<Option<f64>, Invalid> {
        let Some(value) = self.value(field) else {
            return Ok(None);
        };
        let Some(number) = value.as_f64() else {
            return Err(self.wrong_type(field, "a number", &value));
        };
        if !(least..=most).contains(&number) {
            let name = self.path(field);
            let detail = format!("field `{name}` must be from {least} to {most}, not {number}");
            return Err(Invalid::unacceptable("out_of_range", detail));
        }
        Ok(Some(number))
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(
        &mut self,
        field: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Invalid> {
        let Some(value) = self.value(field) else {
            return Ok(None);
        };
        word(&self.path(field), &value, words).map(Some)
    }

    /// An object inside this one, whose fields have names that are known.
    pub(super) fn object(&mut self, field: &str, known: &[&str]) -> Result<Option<Self>, Invalid> {
        let Some(object) = self.map(field)? else {
            return Ok(None);
        };
        Self::inside(format!("{}.", self.path(field)), object, known).map(Some)
    }

    /// An object inside this one, whose fields have any names.
    pub(super) fn map(&mut self, field: &str) -> Result<Option<Map<String, Value>>, Invalid> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(other) => Err(self.wrong_type(field, "an object", &other)),
        }
    }

    /// An id.
    pub(super) fn id<T: std::str::FromStr>(
        &mut self,
        field: &str,
        code: &'static str,
    ) -> Result<Option<T>, Invalid> {
        let Some(text) = self.string(field)? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_not_an_id| {
            let name = self.path(field);
            let detail = format!("field `{name}` is not a UUID: `{}`", shown(&text));
            Invalid::unacceptable(code, detail)
        })
    }
}

/// A whole number between two, both included.
pub(super) fn whole<T: TryFrom<u64>>(
    name: &str,
    value: &Value,
    (least, most): (u64, u64),
) -> Result<T, Invalid> {
    let Value::Number(number) = value else {
        let detail = format!(
            "field `{name}` must be a whole number, not {}",
            kind_of(value)
        );
        return Err(Invalid::unacceptable("wrong_type", detail));
    };
    let fits = number
        .as_u64()
        .filter(|number| (least..=most).contains(number));
    fits.and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| {
            let detail = format!(
                "field `{name}` must be a whole number from {least} to {most}, not {number}"
            );
            Invalid::unacceptable("out_of_range", detail)
        })
}

/// One of some words.
pub(super) fn word<T: Copy>(name: &str, value: &Value, words: &[(&str, T)]) -> Result<T, Invalid> {
    let list = || {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        names.join(", ")
    };
    let Value::String(said) = value else {
        let detail = format!(
            "field `{name}` must be one of {}, not {}",
            list(),
            kind_of(value)
        );
        return Err(Invalid::unacceptable("wrong_type", detail));
    };
    let found = words.iter().find(|(word, _)| word == said);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let hint = nearest(said, words.iter().map(|(word, _)| *word))
            .map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
        let detail = format!(
            "field `{name}` must be one of {}, not `{}`{hint}",
            list(),
            shown(said)
        );
        Invalid::unacceptable("unknown_word", detail)
    })
}

/// A name of sensible length.
pub(super) fn checked_name(field: &str, name: String) -> Result<String, Invalid> {
    if name.len() > MAX_NAME_BYTES {
        return Err(Invalid::too_long(format!(
            "field `{field}` holds a name of {} bytes; at most {MAX_NAME_BYTES} are taken",
            name.len()
        )));
    }
    if name.trim().is_empty() {
        let detail = format!("field `{field}` holds an empty name; leave it out for the default");
        return Err(Invalid::unacceptable("empty_name", detail));
    }
    without_nul(field, &name)?;
    Ok(name)
}

/// The name most like this one, where one is like it at all.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let start: String = name.chars().take(64).collect();
    known
        .into_iter()
        .map(|other| (strsim::jaro_winkler(&start, other), other))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, other)| other)
}

/// What a value is, in words.
pub(super) const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What a client wrote, short and harmless enough to be shown back.
pub(super) fn shown(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(80)
        .collect()
}
