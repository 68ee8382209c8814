//! A value of the interpreter as JSON. What JSON cannot say is an object with `$type`; the harness of
//! CPython follows the same rules.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use monty_types::MontyObject;
use serde_json::{Map, Value, json};

/// Deeper values are cut off.
const DEPTH: u32 = 64;
/// Digits of a huge integer that are written out: as many as CPython converts.
const DIGITS: u64 = 4300;

/// The value, or `None` when it has more than `room` bytes as JSON, roughly counted.
pub(crate) fn encode(value: &MontyObject, room: u64) -> Option<Value> {
    Encoder { room }.encode(value, 0)
}

struct Encoder {
    room: u64,
}

impl Encoder {
    fn charge(&mut self, count: usize) -> Option<()> {
        self.room = self.room.checked_sub(count as u64)?;
        Some(())
    }

    fn encode(&mut self, value: &MontyObject, depth: u32) -> Option<Value> {
        self.charge(2)?;
        if depth > DEPTH {
            return Some(json!({ "$type": "deep" }));
        }
        Some(match value {
            MontyObject::None => Value::Null,
            MontyObject::Bool(b) => (*b).into(),
            MontyObject::Int(n) => (*n).into(),
            // About 3.32 bits a digit; converting costs the square of the digits, so first the size.
            MontyObject::BigInt(n) if n.bits() > DIGITS * 10 / 3 => {
                json!({ "$type": "int", "$bits": n.bits() })
            }
            MontyObject::BigInt(n) => self.described("int", &n.to_string())?,
            MontyObject::Float(f) if f.is_finite() => (*f).into(),
            MontyObject::Float(f) => self.described("float", &f.to_string().to_lowercase())?,
            MontyObject::String(s) => {
                self.charge(s.len())?;
                s.as_str().into()
            }
            MontyObject::Bytes(bytes) => {
                self.charge(bytes.len() * 4 / 3)?;
                json!({ "$type": "bytes", "$base64": STANDARD.encode(bytes) })
            }
            MontyObject::List(items)
            | MontyObject::Tuple(items)
            | MontyObject::NamedTuple { values: items, .. } => self.items(items, depth)?,
            MontyObject::Set(items) | MontyObject::FrozenSet(items) => {
                json!({ "$type": "set", "$items": self.items(items, depth)? })
            }
            MontyObject::Dict(_) => self.dict(value, depth)?,
            MontyObject::Cycle(..) => json!({ "$type": "cycle" }),
            other => {
                let mut text = other.to_string();
                text.truncate(text.floor_char_boundary(500));
                self.described(other.type_name(), &text)?
            }
        })
    }

    fn described(&mut self, kind: &str, text: &str) -> Option<Value> {
        self.charge(text.len() + kind.len())?;
        Some(json!({ "$type": kind, "$repr": text }))
    }

    fn items(&mut self, items: &[MontyObject], depth: u32) -> Option<Value> {
        items
            .iter()
            .map(|item| self.encode(item, depth + 1))
            .collect::<Option<Vec<_>>>()
            .map(Value::Array)
    }

    fn dict(&mut self, value: &MontyObject, depth: u32) -> Option<Value> {
        let MontyObject::Dict(pairs) = value else {
            return Some(Value::Null);
        };
        let plain = pairs
            .iter()
            .all(|(k, _)| matches!(k, MontyObject::String(s) if !s.starts_with('$')));
        if plain {
            let mut object = Map::new();
            for (key, value) in pairs {
                if let MontyObject::String(key) = key {
                    self.charge(key.len() + 2)?;
                    object.insert(key.clone(), self.encode(value, depth + 1)?);
                }
            }
            return Some(Value::Object(object));
        }
        let mut items = Vec::new();
        for (key, value) in pairs {
            items.push(json!([
                self.encode(key, depth + 1)?,
                self.encode(value, depth + 1)?
            ]));
        }
        Some(json!({ "$type": "dict", "$items": items }))
    }
}
