//! YAML that knows the line of every key.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};

use super::error::{ConfigError, Origin, from_serde};

/// A parsed file: its values, and where each key stands.
#[derive(Clone, Debug, Default)]
pub struct Document {
    file: String,
    value: Value,
    lines: BTreeMap<String, u64>,
}

/// Reads a YAML text as `T`. Errors name the line, and for an unknown key the nearest known one.
///
/// # Errors
/// [`ConfigError::Syntax`], [`ConfigError::UnknownKey`], [`ConfigError::Invalid`].
pub fn parse<T: DeserializeOwned>(text: &str, file: &str) -> Result<T, ConfigError> {
    let document = Document::parse(text, file)?;
    read(document.value.clone(), "", |path| document.origin(path))
}

/// Reads a value as `T`; `origin` says where a path is written.
pub(super) fn read<T: DeserializeOwned>(
    value: Value,
    prefix: &str,
    origin: impl Fn(&str) -> Origin,
) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = join(prefix, if path == "." { "" } else { &path });
        from_serde(&path, &error.inner().to_string(), origin(&path))
    })
}

/// `a.b`, or the one that is not empty.
pub(super) fn join(prefix: &str, path: &str) -> String {
    match (prefix, path) {
        ("", path) => path.to_owned(),
        (prefix, "") => prefix.to_owned(),
        (prefix, path) => format!("{prefix}.{path}"),
    }
}

impl Document {
    /// Parses a text; an empty one is an empty section.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`].
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        // YAML 1.2: `y`, `on` and `no` are texts, as everyone expects of a country code.
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        let node: Option<Spanned<Node>> = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| syntax(&error, file))?;
        let mut lines = BTreeMap::new();
        let value = match node {
            Some(node) => node.value.into_value("", &mut lines),
            None => Value::Null,
        };
        let value = if value.is_null() {
            Value::Object(Map::new())
        } else {
            value
        };
        Ok(Self {
            file: file.to_owned(),
            value,
            lines,
        })
    }

    /// What it says.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// The line of a key path such as `providers.openai.url` or `list[0].name`, or of the nearest
    /// key above it.
    #[must_use]
    pub fn line(&self, path: &str) -> Option<u64> {
        above(path).find_map(|path| self.lines.get(path).copied())
    }

    /// Whether this very path is written here.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.lines.contains_key(path)
    }

    /// As [`Document::line`], with the file's name.
    #[must_use]
    pub fn origin(&self, path: &str) -> Origin {
        Origin::File {
            file: self.file.clone(),
            line: self.line(path).unwrap_or(1),
        }
    }

    /// A value that reads well and still cannot be used.
    #[must_use]
    pub fn invalid(&self, path: &str, reason: impl Into<String>) -> ConfigError {
        let (origin, key) = (self.origin(path), path.to_owned());
        ConfigError::Invalid {
            origin,
            key,
            reason: reason.into(),
        }
    }
}

/// The path itself, then everything above it.
pub(super) fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| {
        path.rfind(['.', '['])
            .and_then(|at| path.get(..at))
            .filter(|path| !path.is_empty())
    })
}

fn syntax(error: &serde_saphyr::Error, file: &str) -> ConfigError {
    let location = error.location();
    let (line, column) = location
        .as_ref()
        .map_or((1, 1), |at| (at.line(), at.column()));
    // The library repeats the position and quotes the text; one line of reason is enough.
    let text = error.without_snippet().to_string();
    let reason = text.lines().next().unwrap_or_default();
    let reason = reason
        .split(" at line ")
        .next()
        .unwrap_or(reason)
        .to_owned();
    ConfigError::Syntax {
        file: file.to_owned(),
        line,
        column,
        reason,
    }
}

/// A YAML value whose keys know where they stand.
enum Node {
    Plain(Value),
    List(Vec<Spanned<Self>>),
    Section(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl Node {
    fn into_value(self, path: &str, lines: &mut BTreeMap<String, u64>) -> Value {
        let line = |at: &Location| at.line();
        match self {
            Self::Plain(value) => value,
            Self::List(items) => {
                let item = |(index, item): (usize, Spanned<Self>)| {
                    let path = format!("{path}[{index}]");
                    lines.insert(path.clone(), line(&item.referenced));
                    item.value.into_value(&path, lines)
                };
                Value::Array(items.into_iter().enumerate().map(item).collect())
            }
            Self::Section(entries) => {
                let entry = |(key, value): (Spanned<String>, Spanned<Self>)| {
                    let path = join(path, &key.value);
                    lines.insert(path.clone(), line(&key.referenced));
                    (key.value, value.value.into_value(&path, lines))
                };
                Value::Object(entries.into_iter().map(entry).collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        Node::deserialize(from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut section = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            section.push(entry);
        }
        Ok(Node::Section(section))
    }
}
