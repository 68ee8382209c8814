//! Names of things, and who sees them.

use std::fmt;
use std::str::FromStr;

use nexus_contracts::settings::Privacy;
use nexus_contracts::{OrgId, Timestamp, UserId, derive_id};
use nexus_store::{Row, StoreError, Value};
use uuid::Uuid;

/// A document: derived from organisation, owner, collection and source, so that a new version of it
/// has the same id. Which version a citation is from is said by its `sha256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(pub Uuid);

impl DocumentId {
    /// The id of what comes from this source.
    #[must_use]
    pub fn of(org: OrgId, owner: Option<UserId>, collection: &str, source: &str) -> Self {
        let owner = owner.map(|user| user.to_string()).unwrap_or_default();
        Self(derive_id([
            b"document".as_slice(),
            org.0.as_bytes(),
            owner.as_bytes(),
            collection.as_bytes(),
            source.as_bytes(),
        ]))
    }

    /// The id of what comes from this source and is kept apart by privacy; see
    /// [`Ingest::apart`](crate::Ingest::apart).
    #[must_use]
    pub fn apart(
        org: OrgId,
        owner: Option<UserId>,
        privacy: Privacy,
        (collection, source): (&str, &str),
    ) -> Self {
        let together = Self::of(org, owner, collection, source);
        Self(derive_id([
            b"document apart".as_slice(),
            together.0.as_bytes(),
            privacy.as_str().as_bytes(),
        ]))
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DocumentId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// Who looks. They see what is shared in the organisation and what is their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The organisation.
    pub org: OrgId,
    /// The person; none sees only what is shared.
    pub user: Option<UserId>,
}

impl Viewer {
    /// As `$1` and `$2` of a statement. A null owner equals nothing, so nobody sees only what is
    /// shared.
    pub(crate) fn values(self) -> Vec<Value> {
        vec![Value::from(self.org.to_string()), user(self.user)]
    }
}

pub(crate) fn user(user: Option<UserId>) -> Value {
    Value::from(user.map(|user| user.to_string()))
}

/// A part of a list, newest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page {
    /// Time and id of the last row of the page before; none for the first page.
    pub behind: Option<(Timestamp, Uuid)>,
    /// How many rows; none for the most there may be.
    pub limit: Option<usize>,
}

impl Page {
    /// Time, id and count for a statement.
    pub(crate) fn values(self, most: usize) -> [Value; 3] {
        let (at, id) = match self.behind {
            Some((at, id)) => (at.as_millis(), id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let limit = self.limit.unwrap_or(most).min(most);
        [Value::from(at), Value::from(id), number(limit)]
    }
}

/// Documents and memories are kept alike, and never found together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Document,
    Memory,
}

impl Kind {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Memory => "memory",
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "memory" => Self::Memory,
            _ => Self::Document,
        }
    }
}

/// As it is stored and compared, here and elsewhere: larger is stricter.
pub(crate) const fn rank(privacy: Privacy) -> i64 {
    match privacy {
        Privacy::Open => 0,
        Privacy::Sensitive => 1,
        Privacy::LocalOnly => 2,
    }
}

/// Where something may go, as its row says; what is not known here is as strict as there is.
pub(crate) fn privacy(row: &Row) -> Result<Privacy, StoreError> {
    Ok(match row.get::<i64>("privacy")? {
        0 => Privacy::Open,
        1 => Privacy::Sensitive,
        _ => Privacy::LocalOnly,
    })
}

/// As both databases hold a count; none of ours comes near the end of it.
pub(crate) fn number(count: usize) -> Value {
    Value::from(i64::try_from(count).unwrap_or(i64::MAX))
}

/// A count as it was read.
pub(crate) fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}
