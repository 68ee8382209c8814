//! What an error of the client library means for whoever called.

use ::redis::{ErrorKind, RedisError};

use crate::BusError;

/// Why a call failed, by what is to be done.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection is of no more use; whether the call took effect is not known.
    Broken(String),
    /// The server answers but cannot serve now: loading, failing over, too few replicas.
    Busy(String),
    /// The group or its stream is gone.
    NoGroup(String),
    /// Anything a caller is told as it is.
    Plain(BusError),
}

impl Fault {
    pub(super) fn of(error: RedisError) -> Self {
        let text = error.to_string();
        match error.kind() {
            ErrorKind::Io | ErrorKind::Parse | ErrorKind::ClusterConnectionNotFound => {
                return Self::Broken(text);
            }
            ErrorKind::AuthenticationFailed => {
                return Self::Plain(BusError::Config(format!("redis refused the login: {text}")));
            }
            ErrorKind::InvalidClientConfig => return Self::Plain(BusError::Config(text)),
            _ => {}
        }
        // A refused transaction says EXECABORT and, one level down, why.
        let codes: Vec<String> = error.into_server_errors().map_or_else(Vec::new, |errors| {
            errors
                .iter()
                .map(|(_, error)| error.code().to_owned())
                .collect()
        });
        let code = codes
            .iter()
            .find(|code| *code != "EXECABORT")
            .map_or("", String::as_str);
        Self::by_code(code, text)
    }

    /// By the first word of the server's error.
    pub(super) fn by_code(code: &str, text: String) -> Self {
        match code {
            "OOM" | "MISCONF" => Self::Plain(BusError::Full { reason: text }),
            "NOGROUP" | "UNBLOCKED" => Self::NoGroup(text),
            // A server that became a replica: the next connection may lead to the new master.
            "READONLY" | "MASTERDOWN" => Self::Broken(text),
            "LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "NOREPLICAS" => Self::Busy(text),
            "NOAUTH" | "WRONGPASS" | "NOPERM" => Self::Plain(BusError::Config(format!(
                "redis refused the login or a command: {text}"
            ))),
            _ => Self::Plain(BusError::Protocol(text)),
        }
    }

    /// For the caller; `address` has no credentials.
    pub(super) fn into_error(self, address: &str) -> BusError {
        match self {
            // A group that went away again while it was made: worth another call.
            Self::Broken(reason) | Self::Busy(reason) | Self::NoGroup(reason) => {
                BusError::Unreachable {
                    address: address.to_owned(),
                    reason,
                }
            }
            Self::Plain(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;
    use crate::BusError;

    #[test]
    fn memory_full_can_be_asked_again_and_a_wrong_type_cannot() {
        let error = |code: &str| Fault::by_code(code, code.to_owned()).into_error("host:1");
        assert!(matches!(error("OOM"), BusError::Full { .. }));
        assert!(matches!(error("WRONGTYPE"), BusError::Protocol(_)));
        assert!(error("LOADING").is_transient() && error("READONLY").is_transient());
        assert!(!error("WRONGPASS").is_transient());
    }
}
