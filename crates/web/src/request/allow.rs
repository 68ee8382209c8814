//! One host on an operator's list.

use std::fmt;

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::guard::Target;

/// One host that may be asked, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct AllowedHost {
    host: String,
    /// Its subdomains instead of the host itself.
    below: Below,
    port: Option<u16>,
    path: String,
    methods: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Below {
    No,
    Yes,
}

/// As it stands in a configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// `api.example.org`, `*.example.org` or an address.
    host: String,
    /// A port; without one, 80 for http and 443 for https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// The beginning of the path, in whole segments: `/v1` allows `/v1` and `/v1/users`, not `/v12`.
    #[serde(default)]
    path: String,
    /// Methods; `GET` and `HEAD` without any.
    #[serde(default)]
    methods: Vec<String>,
}

/// Why a host cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AllowError(String);

impl AllowedHost {
    /// `host` as `api.example.org`, `*.example.org` or an address.
    ///
    /// # Errors
    ///
    /// When that is none, the path does not begin with `/`, or a method is not known.
    pub fn new(
        host: &str,
        port: Option<u16>,
        path: &str,
        methods: &[&str],
    ) -> Result<Self, AllowError> {
        let (below, name) = match host.strip_prefix("*.") {
            Some(rest) => (Below::Yes, rest),
            None => (Below::No, host),
        };
        let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        let name = match (address, below) {
            (Ok(address), Below::No) => Some(address.to_string()),
            (Ok(_), Below::Yes) => None,
            (Err(_), _) => crate::guard::host_name(name),
        };
        let name = name.ok_or_else(|| {
            let host = crate::text::shown(host);
            AllowError(format!(
                "`{host}` is no host: write `api.example.org` or `*.example.org`"
            ))
        })?;
        if !path.is_empty() && !path.starts_with('/') {
            return Err(AllowError(format!(
                "the path of `{name}` must begin with `/`"
            )));
        }
        let mut known = Vec::new();
        for method in methods {
            let method = method.to_ascii_uppercase();
            if !["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
                .contains(&method.as_str())
            {
                return Err(AllowError(format!(
                    "`{name}` has a method that is not known"
                )));
            }
            known.push(method);
        }
        if known.is_empty() {
            known = vec!["GET".to_owned(), "HEAD".to_owned()];
        }
        Ok(Self {
            host: name,
            below,
            port,
            path: path.trim_end_matches('/').to_owned(),
            methods: known,
        })
    }

    /// Whether a target is at this host and port.
    pub(super) fn is_host(&self, target: &Target) -> bool {
        let name = match self.below {
            Below::No => target.host() == self.host,
            Below::Yes => target
                .host()
                .strip_suffix(self.host.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        };
        let port = match self.port {
            Some(port) => target.port() == port,
            None => target.url().port().is_none(),
        };
        name && port
    }

    /// Whether this allows a request.
    pub(super) fn allows(&self, target: &Target, method: &Method) -> bool {
        self.is_host(target)
            && self
                .methods
                .iter()
                .any(|allowed| allowed == method.as_str())
            && self.is_below(target.url().path())
    }

    fn is_below(&self, path: &str) -> bool {
        if self.path.is_empty() {
            return true;
        }
        // `.` and `..` are gone already, however they were written. A server may still take an
        // encoded slash, or one leaning the other way, for a slash and go up from there.
        let lower = path.to_ascii_lowercase();
        if ["%2f", "%5c", "%25", "%00", "\\", ";"]
            .iter()
            .any(|odd| lower.contains(odd))
        {
            return false;
        }
        path.strip_prefix(self.path.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl AllowedHost {
    /// The host as it is listed: `api.example.org` or `*.example.org`.
    #[must_use]
    pub fn host(&self) -> String {
        match self.below {
            Below::No => self.host.clone(),
            Below::Yes => format!("*.{}", self.host.trim_start_matches('.')),
        }
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() {
            "/"
        } else {
            &self.path
        };
        write!(f, "{} below `{path}`", self.methods.join(", "))
    }
}

impl TryFrom<Written> for AllowedHost {
    type Error = AllowError;

    fn try_from(written: Written) -> Result<Self, AllowError> {
        let methods: Vec<&str> = written.methods.iter().map(String::as_str).collect();
        Self::new(&written.host, written.port, &written.path, &methods)
    }
}

impl From<AllowedHost> for Written {
    fn from(host: AllowedHost) -> Self {
        let star = if host.below == Below::Yes { "*." } else { "" };
        Self {
            host: format!("{star}{}", host.host),
            port: host.port,
            path: host.path,
            methods: host.methods,
        }
    }
}
