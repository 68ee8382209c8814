//! What was repaired and what was refused, in types and in words.

use serde::Serialize;

use super::{MAX_CALL_BYTES, MAX_CALLS, MAX_DEPTH};

/// Something that was not as it should be, and that could only have been meant in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// `[1, 2,]`.
    #[error("a comma before a closing bracket was dropped")]
    TrailingComma,
    /// `{'a': 1}`.
    #[error("single quotes were read as double quotes")]
    SingleQuotes,
    /// `{“a”: 1}`.
    #[error("typographic quotes were read as double quotes")]
    SmartQuotes,
    /// A line break or tab inside a string.
    #[error("a line break or tab inside a string was escaped")]
    RawNewline,
    /// `\'` in a string that is not in single quotes.
    #[error("a needless backslash before an apostrophe was dropped")]
    Escape,
    /// `True`, `False`, `None`.
    #[error("Python's True, False or None was read as JSON's true, false or null")]
    PythonWord,
    /// `// …`, `/* … */`, `# …`.
    #[error("a comment was dropped")]
    Comment,
    /// Nothing but closing brackets or tags was missing.
    #[error("missing closing brackets or tags were added")]
    Unclosed,
    /// A closing bracket too many behind a whole call.
    #[error("surplus closing brackets were dropped")]
    ExtraBracket,
    /// The call is whole, the mark or fence around it is not closed.
    #[error("the missing end mark of a whole call was added")]
    MissingEnd,
    /// A call that says no arguments, where a mark says that it is one.
    #[error("no arguments were given and an empty object was taken")]
    NoArguments,
    /// `functions.get_weather`.
    #[error("a namespace before the name of the tool was dropped")]
    NamePrefix,
}

/// Why something that looks like a call was not made one. The words are for the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "code")]
pub enum Reason {
    /// No such tool was offered.
    #[error("there is no tool `{name}`{}", hint(nearest.as_deref()))]
    UnknownTool {
        /// As the model wrote it, cut to [`super::MAX_NAME_BYTES`].
        name: String,
        /// The offered one that it may have meant.
        nearest: Option<String>,
    },
    /// Marked as a call, but it does not say of what.
    #[error("the call names no tool; write {{\"name\": …, \"arguments\": {{…}}}}")]
    NoName,
    /// The arguments are a list, a number or a text that is no JSON object.
    #[error("the arguments of `{name}` must be a JSON object")]
    ArgumentsNotObject {
        /// The tool.
        name: String,
    },
    /// Something beside name and arguments.
    #[error("`{key}` stands beside the arguments of the call; put arguments into \"arguments\"")]
    StrayKey {
        /// The first such key.
        key: String,
    },
    /// It ends in the middle, or may do so.
    #[error("the call is cut off; write it again as a whole")]
    CutOff,
    /// Not JSON, even with every repair.
    #[error("the call is not valid JSON: {problem}, at byte {at} of the answer")]
    Malformed {
        /// What is wrong.
        problem: Problem,
        /// Where, in bytes from the start; inside `arguments` given as text, where that begins.
        at: usize,
    },
    /// The same key twice in one object, or the same parameter twice.
    #[error("`{key}` is given twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// It can be read in more than one way.
    #[error("the call is ambiguous: {what}")]
    Ambiguous {
        /// In what.
        #[from]
        what: Ambiguity,
    },
    /// `get_weather("Paris")`.
    #[error("the arguments of `{name}` need names, as in {name}(key=value)")]
    Positional {
        /// The tool.
        name: String,
    },
    /// A parameter given as text whose schema says that it is none.
    #[error("`{key}` of `{name}` must be {wanted}")]
    Mistyped {
        /// The tool.
        name: String,
        /// The parameter.
        key: String,
        /// The types its schema allows.
        wanted: String,
    },
    /// Deeper than [`MAX_DEPTH`].
    #[error("the call is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Longer than [`MAX_CALL_BYTES`].
    #[error("the call is longer than {MAX_CALL_BYTES} bytes")]
    TooLong,
    /// More than [`MAX_CALLS`].
    #[error("the answer has more than {MAX_CALLS} calls; the others were left out")]
    TooMany,
}

/// Why nobody can say what was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Ambiguity {
    /// A quote in a string that may or may not end it.
    #[error("a quote inside a string is not escaped")]
    UnescapedQuote,
    /// Two keys that name the tool.
    #[error("it names the tool twice")]
    TwoNames,
    /// `arguments` beside `parameters`.
    #[error("it gives the arguments twice")]
    TwoArguments,
    /// Calls and other things in one list or fence.
    #[error("calls stand among other things; write nothing else into that list or fence")]
    Mixed,
    /// In inline code or quotes, or in the middle of a sentence.
    #[error("it is quoted; if it is meant as a call, write it on a line of its own without quotes")]
    Quoted,
}

/// What no repair helps against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Something stands where something else must.
    #[error("an unexpected character")]
    Unexpected,
    /// `\d`, `\x41`, half a surrogate pair.
    #[error("an unknown escape in a string")]
    Escape,
    /// NUL and its like.
    #[error("a control character in a string")]
    Control,
    /// `007`, `1e999`, whole numbers of more than 64 bits: they would come out as others.
    #[error("a number that cannot be kept exactly; write it as a string")]
    Number,
}

fn hint(nearest: Option<&str>) -> String {
    nearest
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}
