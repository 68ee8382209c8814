//! Identifiers. A new one is `UUIDv7` (sortable); one that must come out the same twice is derived.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::ContractError;

/// Derives an id from parts: the first 128 bits of SHA-256 over the length-prefixed parts, marked
/// as `UUIDv8` (RFC 9562 §5.8). The same parts always give the same id.
#[must_use]
pub fn derive_id<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Uuid {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let mut bytes = [0_u8; 16];
    for (to, from) in bytes.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Always written as text, in MessagePack too, so that any reader can show it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        #[schemars(transparent)]
        pub struct $name(pub Uuid);

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let mut text = Uuid::encode_buffer();
                to.serialize_str(self.0.hyphenated().encode_lower(&mut text))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// An organisation: the tenant every row and every message belongs to.
    OrgId
);
uuid_id!(
    /// A person or program inside an organisation.
    UserId
);
uuid_id!(
    /// A conversation: what is said in order between people and an agent.
    ConversationId
);
uuid_id!(
    /// One run of the agent loop: everything done to answer one message.
    RunId
);

impl RunId {
    /// The run a message starts: derived from organisation, channel and message id, so that the
    /// same message delivered twice names the same run.
    #[must_use]
    pub fn of(org: OrgId, channel: &str, message: &MessageId) -> Self {
        Self(derive_id([
            b"run".as_slice(),
            org.0.as_bytes(),
            channel.as_bytes(),
            message.as_str().as_bytes(),
        ]))
    }

    /// The name of the live stream on which this run reports while it goes on.
    #[must_use]
    pub fn live_topic(self) -> String {
        format!("run:{self}")
    }
}

impl ConversationId {
    /// The conversation a message opens when it names none.
    #[must_use]
    pub fn opened_by(run: RunId) -> Self {
        Self(derive_id([b"conversation".as_slice(), run.0.as_bytes()]))
    }
}

/// Longest id a client may choose, in bytes.
pub const MAX_ID_BYTES: usize = 128;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Accepts 1 to 128 bytes of visible ASCII.
            ///
            /// # Errors
            /// [`ContractError::BadId`] for anything else.
            pub fn new(text: impl Into<String>) -> Result<Self, ContractError> {
                let text = text.into();
                let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
                if text.is_empty() || text.len() > MAX_ID_BYTES || !visible {
                    return Err(ContractError::BadId { what: $what });
                }
                Ok(Self(text))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id.to_string())
            }
        }

        impl From<RunId> for $name {
            fn from(id: RunId) -> Self {
                Self(id.0.to_string())
            }
        }

        impl FromStr for $name {
            type Err = ContractError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(from)?).map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// The id of one message. Unique inside (organisation, channel); a consumer that has seen it
    /// repeats its outcome instead of acting again.
    MessageId,
    "message id"
);
text_id!(
    /// Groups what belongs together across channels. Never a key by itself: look-ups are by
    /// (organisation, correlation id).
    CorrelationId,
    "correlation id"
);

impl MessageId {
    /// The id of what this message, a command, results in.
    #[must_use]
    pub fn result(&self, kind: &str) -> Self {
        Self::from(derive_id([
            b"result".as_slice(),
            self.0.as_bytes(),
            kind.as_bytes(),
        ]))
    }
}
