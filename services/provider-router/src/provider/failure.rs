//! Why a provider did not answer, in classes that callers act on.

use std::time::Duration;

use nexus_contracts::chat::Usage;
use serde_json::Value;

use crate::assembler::{WireError, excerpt, reported};

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// No provider of this name is configured.
    UnknownProvider,
    /// The variable with the key is not set.
    MissingKey,
    /// The provider refuses the key.
    Unauthorized,
    /// The provider does not have the model, or the address is wrong.
    UnknownModel,
    /// The provider refuses the request as it is.
    BadRequest,
    /// Too many requests; later ones may pass.
    RateLimited,
    /// The account's budget is used up; waiting does not help.
    QuotaExceeded,
    /// The provider failed on its side.
    Unavailable,
    /// No connection.
    Unreachable,
    /// It was silent for too long.
    TimedOut,
    /// The answer broke off.
    Interrupted,
    /// The answer cannot be read.
    Garbled,
    /// The command's deadline passed.
    DeadlineExceeded,
    /// A person no longer wants the answer.
    Cancelled,
    /// Nobody who was meant can do what is asked.
    Unsupported,
    /// It may not leave, and nobody who was meant is here.
    PrivacyRefused,
}

impl FailureClass {
    /// The stable word in `inference.failed`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownProvider => "unknown_provider",
            Self::MissingKey => "missing_key",
            Self::Unauthorized => "unauthorized",
            Self::UnknownModel => "unknown_model",
            Self::BadRequest => "bad_request",
            Self::RateLimited | Self::QuotaExceeded => "rate_limited",
            Self::Unreachable => "provider_unreachable",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Cancelled => "cancelled",
            Self::Unsupported => "unsupported",
            Self::PrivacyRefused => "privacy_refused",
            Self::Unavailable | Self::TimedOut | Self::Interrupted | Self::Garbled => {
                "provider_failed"
            }
        }
    }

    /// Whether the same request may pass later.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Unavailable
                | Self::Unreachable
                | Self::TimedOut
                | Self::Interrupted
        )
    }
}

/// A failure: its class, and what happened and what to do in words without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ProviderFailure {
    /// What kind.
    pub class: FailureClass,
    /// What happened and what to do.
    pub detail: String,
    /// How long the provider asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether only the key was refused or used up, and another one is at hand.
    pub another_key: bool,
    /// What is to be paid although it failed; zeros when nothing is known of it.
    pub used: Usage,
}

impl ProviderFailure {
    /// A failure of this class.
    #[must_use]
    pub fn new(class: FailureClass, detail: impl Into<String>) -> Self {
        Self {
            class,
            detail: detail.into(),
            retry_after: None,
            another_key: false,
            used: Usage::default(),
        }
    }

    /// What an HTTP answer other than success means. `who` is the provider's name.
    #[must_use]
    pub fn of_status(who: &str, status: u16, body: &str) -> Self {
        let error = error_in(body);
        let (code, said) = match error.as_ref().map(reported) {
            Some(WireError::Reported { code, message }) => (code, message),
            _ if body.trim().is_empty() => (String::new(), "nothing".to_owned()),
            _ => (String::new(), body.trim().to_owned()),
        };
        let class = match error.as_ref().and_then(class_in_details) {
            Some(class) => class,
            None => class_of(status, &code),
        };
        let todo = match class {
            FailureClass::Unauthorized => "; check the key that its `api_key_env` names",
            FailureClass::UnknownModel => "; check `model` and `base_url`",
            FailureClass::RateLimited => "; ask again later",
            FailureClass::QuotaExceeded => "; check the account's plan and budget",
            _ => "",
        };
        Self {
            retry_after: error.as_ref().and_then(wait_in_details),
            ..Self::new(class, format!("{who} answered {status}: {said}{todo}"))
        }
    }

    /// What an answer that cannot be put together means.
    #[must_use]
    pub fn of_wire(who: &str, error: &WireError) -> Self {
        let class = match error {
            WireError::Reported { code, .. } => class_of_code(code),
            WireError::Unfinished => FailureClass::Interrupted,
            WireError::Sse(_)
            | WireError::NotJson(_)
            | WireError::TooLong
            | WireError::NoVectors(_)
            | WireError::NamelessCall => FailureClass::Garbled,
        };
        Self::new(class, format!("{who}: {error}"))
    }

    /// The same failure fit for a person: without the secrets (upstream errors like to quote the
    /// key they got), and of a readable length.
    #[must_use]
    pub fn fit_to_show(mut self, secrets: &[&str]) -> Self {
        /// Anything shorter is no key, and replacing it would only garble the words.
        const SHORTEST_SECRET: usize = 8;
        for secret in secrets
            .iter()
            .filter(|secret| secret.len() >= SHORTEST_SECRET)
        {
            if self.detail.contains(secret) {
                self.detail = self.detail.replace(secret, "[redacted]");
            }
        }
        // Cut only now: a key cut in half would not have been found.
        self.detail = excerpt(&self.detail);
        self
    }
}

/// The error object of a body: `{"error": …}`, such a one in a list, or the body itself.
fn error_in(body: &str) -> Option<Value> {
    let json: Value = serde_json::from_str(body).ok()?;
    let json = match json {
        Value::Array(list) => list.into_iter().next()?,
        json => json,
    };
    match json {
        Value::Object(mut object) => Some(object.remove("error").unwrap_or_else(|| object.into())),
        _ => None,
    }
}

/// Google says in `details` (`google.rpc`) what its statuses do not: a wrong key is a 400, and a
/// day's budget that is used up is a 429 like any other.
fn class_in_details(error: &Value) -> Option<FailureClass> {
    let details = error.get("details")?.as_array()?;
    let has = |name: &str, word: &str| {
        let told = |value: &Value| value.as_str().is_some_and(|told| told.contains(word));
        details.iter().any(|detail| {
            let violations = detail.get("violations").and_then(Value::as_array);
            let each = violations.into_iter().flatten().chain([detail]);
            each.filter_map(|one| one.get(name)).any(told)
        })
    };
    if has("reason", "API_KEY_INVALID") {
        Some(FailureClass::Unauthorized)
    } else if has("quotaId", "PerDay") {
        Some(FailureClass::QuotaExceeded)
    } else {
        None
    }
}

/// `google.rpc.RetryInfo`: `"34.07s"`, where others send a header.
fn wait_in_details(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay"))?;
    let seconds = delay.as_str()?.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn class_of(status: u16, code: &str) -> FailureClass {
    match status {
        401 | 403 => FailureClass::Unauthorized,
        402 => FailureClass::QuotaExceeded,
        404 => FailureClass::UnknownModel,
        429 if code == "insufficient_quota" => FailureClass::QuotaExceeded,
        429 => FailureClass::RateLimited,
        408 | 425 | 500..=599 => FailureClass::Unavailable,
        // A redirect is not followed: the key must not travel to wherever it points.
        300..=399 => FailureClass::UnknownModel,
        _ => FailureClass::BadRequest,
    }
}

/// The same for an error inside a stream, where there is only a word or a number.
fn class_of_code(code: &str) -> FailureClass {
    if let Ok(status) = code.parse::<u16>() {
        return class_of(status, "");
    }
    match code {
        "insufficient_quota" => FailureClass::QuotaExceeded,
        "RESOURCE_EXHAUSTED" => FailureClass::RateLimited,
        "invalid_api_key" | "authentication_error" | "permission_error" => {
            FailureClass::Unauthorized
        }
        "billing_error" => FailureClass::QuotaExceeded,
        "model_not_found" | "not_found_error" => FailureClass::UnknownModel,
        "invalid_request_error" | "request_too_large" | "context_length_exceeded" => {
            FailureClass::BadRequest
        }
        _ if code.contains("rate_limit") => FailureClass::RateLimited,
        _ => FailureClass::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::{FailureClass, ProviderFailure};
    use crate::assembler::WireError;

    #[test]
    fn the_wait_may_stand_in_the_body() {
        let body = r#"{"error":{"code":429,"message":"m","details":[{"@type":
            "type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}"#;
        let failure = ProviderFailure::of_status("p", 429, body);
        assert_eq!(failure.class, FailureClass::RateLimited);
        let asked = std::time::Duration::from_millis(34_500);
        assert_eq!(failure.retry_after, Some(asked));
    }

    #[test]
    fn statuses_fall_into_classes() {
        for (status, body, class) in [
            (
                400,
                r#"{"error":{"message":"no"}}"#,
                FailureClass::BadRequest,
            ),
            (401, "", FailureClass::Unauthorized),
            (403, "<html>", FailureClass::Unauthorized),
            (
                404,
                r#"{"error":"model `x` not found"}"#,
                FailureClass::UnknownModel,
            ),
            (429, "slow down", FailureClass::RateLimited),
            (
                429,
                r#"{"error":{"code":"insufficient_quota"}}"#,
                FailureClass::QuotaExceeded,
            ),
            (500, "", FailureClass::Unavailable),
            (529, "", FailureClass::Unavailable),
            (301, "", FailureClass::UnknownModel),
        ] {
            let failure = ProviderFailure::of_status("openai", status, body);
            assert_eq!(failure.class, class, "{status} {body}");
            assert!(
                failure
                    .detail
                    .starts_with(&format!("openai answered {status}: "))
            );
        }
    }

    #[test]
    fn words_of_the_provider_are_kept_and_secrets_are_not() {
        let body = r#"{"error":{"message":"Incorrect API key provided: sk-canary-1234"}}"#;
        let failure =
            ProviderFailure::of_status("openai", 401, body).fit_to_show(&["sk-canary-1234", "a"]);
        assert_eq!(
            failure.detail,
            "openai answered 401: Incorrect API key provided: [redacted]; \
             check the key that its `api_key_env` names"
        );
        let long = format!("{}sk-canary-1234", "x".repeat(380));
        let shown = ProviderFailure::of_status("p", 400, &long).fit_to_show(&["sk-canary-1234"]);
        assert!(!shown.detail.contains("sk-"), "{shown}");
        assert!(shown.detail.len() < 420, "{shown}");
    }

    #[test]
    fn errors_inside_a_stream_fall_into_classes() {
        for (code, class) in [
            ("429", FailureClass::RateLimited),
            ("rate_limit_exceeded", FailureClass::RateLimited),
            ("server_error", FailureClass::Unavailable),
            ("", FailureClass::Unavailable),
            ("context_length_exceeded", FailureClass::BadRequest),
        ] {
            let error = WireError::Reported {
                code: code.to_owned(),
                message: "m".to_owned(),
            };
            assert_eq!(ProviderFailure::of_wire("p", &error).class, class, "{code}");
        }
    }
}
