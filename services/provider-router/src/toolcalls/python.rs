//! Calls as Python writes them: `[get_weather(city="Paris"), now()]`.

use serde_json::Map;

use super::json::{Reader, Repairs};
use super::marked::{Fault, Item, Look};
use super::shape::Outcome;
use super::words::{Reason, Repair};
use super::{Ending, Format};

/// Whether a list of calls begins here.
pub(super) fn is_list(look: &Look<'_, '_>, at: usize) -> bool {
    first(look, at).is_some()
}

/// Whether a list begins here whose first call is of an offered tool.
pub(super) fn begins(look: &Look<'_, '_>, at: usize) -> bool {
    first(look, at).is_some_and(|name| look.maker.tools.knows(name))
}

fn first<'t>(look: &Look<'_, 't>, at: usize) -> Option<&'t str> {
    let from = look.cursor.blank(at + 1);
    let to = look.cursor.name(from);
    let called = to > from && look.cursor.byte(to) == Some(b'(');
    called.then(|| look.cursor.slice(from, to))
}

/// The calls of the list that begins here.
///
/// # Errors
/// [`Fault`] of the first call that cannot be read: which tools are called, and in what order, must
/// not depend on what the parser understands.
pub(super) fn list(
    look: &Look<'_, '_>,
    at: usize,
    stop: Option<&'static str>,
) -> Result<Item, Fault> {
    let mut reader = Reader::new(look.cursor, at + 1).python().until(stop);
    reader.depth = 1;
    let mut outcomes = Vec::new();
    loop {
        let read = one_of(look, &mut reader, stop);
        match read {
            Ok(Some(outcome)) => outcomes.push(outcome),
            Ok(None) => break,
            Err(reason) => return Err(Fault::of(reason, &reader)),
        }
        match reader.goes_on(b']') {
            Ok(true) => {}
            Ok(false) => break,
            Err(reason) => return Err(Fault::of(reason, &reader)),
        }
    }
    let unclosed = reader.repairs.contains(&Repair::Unclosed);
    if unclosed && look.maker.ending == Ending::CutShort {
        return Err(Fault::of(Reason::CutOff, &reader));
    }
    if let Some(Ok(last)) = outcomes.last_mut() {
        last.repairs.extend(reader.repairs);
    }
    Ok(Item {
        to: reader.at,
        outcomes,
        text: String::new(),
    })
}

/// The next call of a list; `None` at its end.
fn one_of(
    look: &Look<'_, '_>,
    reader: &mut Reader<'_, '_>,
    stop: Option<&'static str>,
) -> Result<Option<Outcome>, Reason> {
    reader.blank()?;
    if look.cursor.byte(reader.at) == Some(b']') {
        reader.goes_on(b']')?;
        return Ok(None);
    }
    match call(look, reader.at, stop) {
        Ok(Some(item)) => {
            reader.at = item.to;
            Ok(item.outcomes.into_iter().next())
        }
        Ok(None) => Err(reader.unexpected()),
        Err(fault) => {
            reader.at = fault.at;
            reader.depth += fault.depth;
            Err(fault.reason.unwrap_or_else(|| reader.unexpected()))
        }
    }
}

/// The call that begins here; a `print` around it is taken off.
///
/// # Errors
/// [`Fault`] where its arguments cannot be read.
pub(super) fn call(
    look: &Look<'_, '_>,
    at: usize,
    stop: Option<&'static str>,
) -> Result<Option<Item>, Fault> {
    let cursor = look.cursor;
    let to = cursor.name(at);
    if to == at || cursor.byte(to) != Some(b'(') {
        return Ok(None);
    }
    let name = cursor.slice(at, to);
    let inner = cursor.name(to + 1);
    let prints = name == "print" && cursor.byte(inner) == Some(b'(');
    if !prints {
        return arguments(look, name, to + 1, stop).map(Some);
    }
    let inner_name = cursor.slice(to + 1, inner);
    let mut item = arguments(look, inner_name, inner + 1, stop)?;
    let end = cursor.blank(item.to);
    if cursor.byte(end) != Some(b')') {
        let reader = Reader::new(cursor, end).until(stop);
        return Err(Fault::of(reader.unexpected(), &reader));
    }
    item.to = end + 1;
    Ok(Some(item))
}

fn arguments(
    look: &Look<'_, '_>,
    name: &str,
    at: usize,
    stop: Option<&'static str>,
) -> Result<Item, Fault> {
    let mut reader = Reader::new(look.cursor, at).python().until(stop);
    reader.depth = 1;
    let mut map = Map::new();
    loop {
        match argument(look, name, &mut reader, &mut map) {
            Ok(true) => {}
            Ok(false) => break,
            Err(reason) => return Err(Fault::of(reason, &reader)),
        }
    }
    let repairs: Repairs = std::mem::take(&mut reader.repairs);
    // Llama writes `name.call(…)` behind its mark.
    let plain = name.strip_suffix(".call");
    let name = plain
        .filter(|_| !look.maker.tools.knows(name))
        .unwrap_or(name);
    let outcome = look.maker.make(name, map, repairs, Format::Pythonic);
    Ok(Item::one(outcome, reader.at))
}

/// Takes one argument; whether another may follow.
fn argument(
    look: &Look<'_, '_>,
    name: &str,
    reader: &mut Reader<'_, '_>,
    map: &mut Map<String, serde_json::Value>,
) -> Result<bool, Reason> {
    let cursor = look.cursor;
    reader.blank()?;
    if cursor.byte(reader.at) == Some(b')') {
        return reader.goes_on(b')');
    }
    if reader.ends() {
        return Err(Reason::CutOff);
    }
    let from = reader.at;
    let to = cursor.name(from);
    let equals = cursor.blank(to);
    if to == from || cursor.byte(equals) != Some(b'=') {
        return Err(match cursor.byte(equals) {
            None => Reason::CutOff,
            Some(_) => Reason::Positional {
                name: name.to_owned(),
            },
        });
    }
    reader.at = equals + 1;
    let key = cursor.slice(from, to);
    if map.contains_key(key) {
        let key = key.to_owned();
        return Err(Reason::DuplicateKey { key });
    }
    let value = reader.value()?;
    map.insert(key.to_owned(), value);
    reader.goes_on(b')')
}
