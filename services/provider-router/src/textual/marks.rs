//! The marks around what is not prose.

use serde::Serialize;

/// One mark, one JSON text in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A tool that the model asks for.
    Call,
    /// What a tool gave back.
    Response,
}

/// What begins every mark of this format.
const STEM: &str = "tool";

/// Begins a result. A model that writes it makes one up.
pub(super) const RESPONSE: &str = "<tool_response>";

impl Mark {
    /// Around this JSON, on lines of its own.
    pub(super) fn around(self, json: &str) -> String {
        let name = match self {
            Self::Call => "tool_call",
            Self::Response => "tool_response",
        };
        format!("<{name}>\n{json}\n</{name}>")
    }
}

/// JSON in which no mark stands. Keys are written in the order of the fields.
pub(super) fn json(value: &impl Serialize) -> String {
    // Nothing that is written here has keys that are not text.
    unmarked(&serde_json::to_string(value).unwrap_or_default())
}

/// The same JSON without marks: in JSON `<` stands in strings only, where `\u003c` means the same.
pub(super) fn unmarked(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, behind)) = rest.split_once('<') {
        out.push_str(before);
        let name = behind.strip_prefix('/').unwrap_or(behind);
        let begins_mark = name
            .get(..STEM.len())
            .is_some_and(|stem| stem.eq_ignore_ascii_case(STEM));
        out.push_str(if begins_mark { "\\u003c" } else { "<" });
        rest = behind;
    }
    out.push_str(rest);
    out
}
