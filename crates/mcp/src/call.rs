//! One call of a tool, and every way it can end without a result.

use std::sync::Arc;
use std::time::Duration;

use crate::definition::Pin;
use crate::text;

/// What a caller may say of a call.
#[derive(Clone, Default)]
pub struct Meta {
    /// The pin of the definition the model was shown: the call fails if it is another by now.
    pub pin: Option<Pin>,
    /// Shorter than the server's `call_timeout`.
    pub timeout: Option<Duration>,
    /// Told of the server's progress.
    pub progress: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
}

impl std::fmt::Debug for Meta {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Meta")
            .field("pin", &self.pin)
            .field("timeout", &self.timeout)
            .field("progress", &self.progress.is_some())
            .finish()
    }
}

/// How far a server says it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Grows; in the server's own unit.
    pub done: f64,
    /// Of how many.
    pub total: Option<f64>,
    /// The server's words, cleaned, at most 500 bytes.
    pub message: Option<String>,
}

/// Why a call has no result. The words are fit for a model to act on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No such tool.
    #[error("there is no tool `{name}`{}", near_words(near))]
    UnknownTool {
        /// As called.
        name: String,
        /// Names like it.
        near: Vec<String>,
    },
    /// The tool waits for approval.
    #[error(
        "the tool `{name}` may not be used until a person approves it: {why}; do without it, or \
         tell the user"
    )]
    NotApproved {
        /// As called.
        name: String,
        /// New, or changed.
        why: &'static str,
    },
    /// The definition is not the one the caller was shown.
    #[error(
        "the tool `{name}` was changed and approved anew since it was shown; read its description again"
    )]
    Moved {
        /// As called.
        name: String,
    },
    /// The arguments do not fit the schema.
    #[error("the arguments of `{name}` do not fit: {}; correct them and call again", problems.join("; "))]
    Arguments {
        /// As called.
        name: String,
        /// Where and what, at most eight.
        problems: Vec<String>,
    },
    /// The server's schema is of no use.
    #[error(
        "the tool `{name}` cannot be called: its schema is not usable ({reason}); do without it"
    )]
    Schema {
        /// As called.
        name: String,
        /// For the operator.
        reason: String,
    },
    /// The server is not running now.
    #[error(
        "the server `{server}` of this tool is not ready ({state}); try later or do without it"
    )]
    NotReady {
        /// The server.
        server: String,
        /// Its health.
        state: String,
    },
    /// No answer in time; the server was told to stop.
    #[error("the server `{server}` gave no answer in {} ms; it may have acted all the same", waited.as_millis())]
    Timeout {
        /// The server.
        server: String,
        /// How long was waited.
        waited: Duration,
        /// Whether the call was sent at all.
        sent: bool,
    },
    /// The connection ended during the call.
    #[error(
        "the connection to the server `{server}` broke during the call; it may have acted all the same"
    )]
    Lost {
        /// The server.
        server: String,
    },
    /// The server refused in the protocol's terms.
    #[error("the server `{server}` refused (code {code}); its words: \"{words}\"")]
    Refused {
        /// The server.
        server: String,
        /// JSON-RPC error code.
        code: i32,
        /// The server's words, cleaned.
        words: String,
    },
    /// The tool says that it failed.
    #[error("the tool failed; words of the server `{server}`, not of this system: \"{words}\"")]
    Failed {
        /// The server.
        server: String,
        /// The server's words, cleaned.
        words: String,
    },
    /// The answer is none of a tool.
    #[error("the server `{server}` answered with something that is no result: {what}")]
    Protocol {
        /// The server.
        server: String,
        /// What it was.
        what: String,
    },
}

/// Longest words of a server in an error, in bytes.
pub(crate) const LONGEST_WORDS: usize = 2000;

impl CallError {
    /// Whether the server may have acted: the call must not simply be sent again.
    #[must_use]
    pub const fn may_have_acted(&self) -> bool {
        matches!(
            self,
            Self::Timeout { sent: true, .. }
                | Self::Lost { .. }
                | Self::Failed { .. }
                | Self::Refused { .. }
                | Self::Protocol { .. }
        )
    }

    pub(crate) fn failed(server: &str, words: &str) -> Self {
        let words = text::clean(words, LONGEST_WORDS);
        Self::Failed {
            server: server.to_owned(),
            words: if words.is_empty() {
                "(no words)".to_owned()
            } else {
                words
            },
        }
    }
}

fn near_words(near: &[String]) -> String {
    if near.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", near.join(" or "))
    }
}

/// The names most like `name`, best first, at most three.
pub(crate) fn near<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let name = text::cut(name, 128);
    let mut scored: Vec<(f64, &String)> = names
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored
        .into_iter()
        .take(3)
        .map(|(_, name)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_tool_is_answered_with_the_likely_ones() {
        let names = [
            "files__read".to_owned(),
            "files__write".to_owned(),
            "web__get".to_owned(),
        ];
        let near = near("files_read", names.iter());
        assert_eq!(near.first().map(String::as_str), Some("files__read"));
        let error = CallError::UnknownTool {
            name: "files_read".into(),
            near,
        };
        assert!(
            error.to_string().contains("did you mean files__read"),
            "{error}"
        );
    }

    #[test]
    fn a_servers_words_are_marked_as_its_own_and_cleaned() {
        let error = CallError::failed("web", "\u{1b}[31mno\u{202e} such page");
        assert_eq!(
            error.to_string(),
            "the tool failed; words of the server `web`, not of this system: \"no such page\""
        );
        assert!(error.may_have_acted());
    }
}
