//! What an operator opens beyond the public web.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address::{AddressKind, classify};
use crate::error::Error;

/// The ports of the web that are reached anywhere.
const WEB_PORTS: [u16; 4] = [80, 443, 8080, 8443];

/// What may be reached: the public web, and what is opened beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reach {
    /// Hosts and networks opened by the operator.
    pub allow: Vec<Opening>,
    /// Ports reached anywhere, beside 80, 443, 8080 and 8443.
    pub ports: Vec<u16>,
}

/// One host or network that is opened, at one port or at the ports of the web.
///
/// Written as `wiki.corp.example`, `*.corp.example`, `10.1.0.0/16`, `127.0.0.1:8080` or
/// `[fd00::1]:8080`. A host opens what its name resolves to, whatever that is, but for addresses
/// at which there is never a server or a machine's own credentials
/// ([`AddressKind::is_never_a_server`]). A network opens its addresses for every name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    place: Place,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Host(String),
    /// The suffix, with its dot; not the name itself.
    Subdomains(String),
    Network(IpNet),
}

/// Why an [`Opening`] cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` opens nothing: write a host (`wiki.corp.example`, `*.corp.example`), an address or a \
     network (`10.1.0.0/16`), with `:port` behind it where only one port is meant"
)]
pub struct ReachError(String);

impl Reach {
    /// Whether a name may have addresses that are not public at this port.
    pub(crate) fn names(&self, host: &str, port: u16) -> bool {
        self.allow
            .iter()
            .any(|opening| opening.is_host(host) && self.fits(opening, port))
    }

    /// Whether a port is reached anywhere.
    pub(crate) fn is_web_port(&self, port: u16) -> bool {
        WEB_PORTS.contains(&port) || self.ports.contains(&port)
    }

    /// Whether some opening names this very port.
    pub(crate) fn opens_port(&self, port: u16) -> bool {
        self.allow.iter().any(|opening| opening.port == Some(port))
    }

    fn fits(&self, opening: &Opening, port: u16) -> bool {
        opening
            .port
            .map_or_else(|| self.is_web_port(port), |only| only == port)
    }

    /// Checks one address of a host at a port. `host` is the name as [`super::Target::host`] gives it.
    ///
    /// # Errors
    ///
    /// [`Error::BlockedAddress`] with the kind of the address; [`Error::BlockedPort`] where the
    /// address is public and the port is not one of the web.
    pub fn check_address(&self, host: &str, port: u16, address: IpAddr) -> Result<(), Error> {
        let kind = classify(address);
        if self.opens(kind, port, address) || (!kind.is_never_a_server() && self.names(host, port))
        {
            return Ok(());
        }
        if !kind.is_public() {
            return Err(Error::BlockedAddress {
                host: host.to_owned(),
                address,
                kind,
            });
        }
        if self.is_web_port(port) {
            Ok(())
        } else {
            Err(Error::BlockedPort { port })
        }
    }

    fn opens(&self, kind: AddressKind, port: u16, address: IpAddr) -> bool {
        // Whoever opens a translator's prefix, as networks without IPv4 must, opens the public
        // addresses behind it and no others.
        if let AddressKind::Nat64(inner) = kind
            && !classify(IpAddr::V4(inner)).is_public()
        {
            return false;
        }
        self.allow.iter().any(|opening| {
            matches!(&opening.place, Place::Network(network) if network.contains(&address))
                && self.fits(opening, port)
        })
    }
}

impl Opening {
    /// One address, at one port.
    #[must_use]
    pub fn address(address: IpAddr, port: u16) -> Self {
        Self {
            place: Place::Network(IpNet::from(address)),
            port: Some(port),
        }
    }

    fn is_host(&self, host: &str) -> bool {
        match &self.place {
            Place::Host(name) => name == host,
            Place::Subdomains(suffix) => host
                .strip_suffix(suffix.as_str())
                .is_some_and(|rest| !rest.is_empty()),
            Place::Network(_) => false,
        }
    }
}

impl FromStr for Opening {
    type Err = ReachError;

    fn from_str(text: &str) -> Result<Self, ReachError> {
        let wrong = || ReachError(crate::text::shown(text));
        let text = text.trim();
        if let Ok(network) = text.parse::<IpNet>() {
            let place = Place::Network(network.trunc());
            return Ok(Self { place, port: None });
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            let place = Place::Network(IpNet::from(address));
            return Ok(Self { place, port: None });
        }
        let (place, port) = match text.rsplit_once(':') {
            Some((place, port)) => {
                let port = port.parse::<u16>().ok().filter(|port| *port > 0);
                (place, Some(port.ok_or_else(wrong)?))
            }
            None => (text, None),
        };
        let bare = place.strip_prefix('[').and_then(|p| p.strip_suffix(']'));
        let place = if let Ok(address) = bare.unwrap_or(place).parse::<IpAddr>() {
            Place::Network(IpNet::from(address))
        } else if let Ok(network) = bare.unwrap_or(place).parse::<IpNet>() {
            Place::Network(network.trunc())
        } else if let Some(rest) = place.strip_prefix("*.") {
            Place::Subdomains(format!(".{}", host_name(rest).ok_or_else(wrong)?))
        } else {
            Place::Host(host_name(place).ok_or_else(wrong)?)
        };
        Ok(Self { place, port })
    }
}

/// A host as it stands in a URL, or nothing when it is no name.
pub(crate) fn host_name(text: &str) -> Option<String> {
    match url::Host::parse(text).ok()? {
        url::Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
        }
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, self.port) {
            (Place::Host(name), _) => f.write_str(name)?,
            (Place::Subdomains(suffix), _) => write!(f, "*{suffix}")?,
            (Place::Network(network @ IpNet::V6(_)), Some(_)) => write!(f, "[{network}]")?,
            (Place::Network(network), _) => write!(f, "{network}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for Opening {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Opening {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
