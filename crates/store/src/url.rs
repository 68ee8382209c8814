//! Where a store lives.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::StoreError;

/// The address of the database: `sqlite:<folder>`, `sqlite::memory:` or `postgres://…`.
///
/// Shown without the password.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// One `SQLite` file per service in this folder.
    Folder(PathBuf),
    /// One `SQLite` database per service, in memory: gone with the process.
    Memory,
    /// One schema per service in this `PostgreSQL` database.
    Postgres(String),
}

impl FromStr for StoreUrl {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let bad = |reason| StoreError::Url {
            url: without_password(text),
            reason,
        };
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let folder = text
            .strip_prefix("sqlite:")
            .ok_or_else(|| bad("an unknown scheme"))?;
        match folder.strip_prefix("//").unwrap_or(folder) {
            ":memory:" => Ok(Self::Memory),
            "" => Err(bad("no folder")),
            folder if folder.contains('?') => Err(bad("options after the folder")),
            folder => Ok(Self::Folder(PathBuf::from(folder))),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "sqlite:{}", folder.display()),
            Self::Memory => f.write_str("sqlite::memory:"),
            Self::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `scheme://user:secret@host/…` with the secret starred, and without options, where a password
/// may stand too.
fn without_password(url: &str) -> String {
    let url = url.split('?').next().unwrap_or(url);
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    // The last @ ends the credentials: a password may contain one, a host may not.
    let Some((credentials, host)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    let user = credentials.split(':').next().unwrap_or_default();
    match credentials.contains(':') {
        true => format!("{scheme}://{user}:***@{host}"),
        false => format!("{scheme}://{user}@{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_forms() {
        assert_eq!(
            "sqlite::memory:".parse::<StoreUrl>().unwrap(),
            StoreUrl::Memory
        );
        for text in ["sqlite:data/db", "sqlite://data/db"] {
            let expected = StoreUrl::Folder(PathBuf::from("data/db"));
            assert_eq!(text.parse::<StoreUrl>().unwrap(), expected);
        }
        let postgres = "postgres://u@h/db".parse::<StoreUrl>().unwrap();
        assert_eq!(postgres, StoreUrl::Postgres("postgres://u@h/db".to_owned()));
    }

    #[test]
    fn refuses_what_it_does_not_know_and_says_the_forms() {
        for text in ["", "mysql://h/db", "sqlite:", "sqlite:x?mode=ro"] {
            let error = text.parse::<StoreUrl>().unwrap_err().to_string();
            assert!(error.contains("sqlite:<folder>"), "{error}");
        }
    }

    #[test]
    fn never_shows_a_password() {
        for text in [
            "postgres://nexus:p@ss:w@host:5432/db",
            "postgres://nexus:p@ss:w@host/db?password=p@ss",
            "mysql://nexus:p@ss:w@host/db",
        ] {
            let shown = match text.parse::<StoreUrl>() {
                Ok(url) => format!("{url} {url:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("p@") && !shown.contains(":w"), "{shown}");
            assert!(shown.contains("nexus") && shown.contains("host"), "{shown}");
        }
    }
}
