//! What an address is for.
//!
//! The blocks are those of the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and
//! what followed it), of IPv6 multicast and of addresses that IANA has not given out. A block that
//! the registry calls globally reachable but that serves no web page (anycast of protocols, AS112,
//! AMT) is not public here either: nobody loses a page by it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for. Only [`AddressKind::Public`] is reached without an operator's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// Global unicast: anybody's.
    Public,
    /// `0.0.0.0` or `::`: on most systems this host itself.
    Unspecified,
    /// `0.0.0.0/8`: this network (RFC 791).
    ThisNetwork,
    /// `127.0.0.0/8` or `::1`.
    Loopback,
    /// RFC 1918.
    Private,
    /// `100.64.0.0/10`: between a carrier and its customers (RFC 6598).
    CarrierNat,
    /// `169.254.0.0/16` or `fe80::/10`.
    LinkLocal,
    /// Where clouds keep the credentials of their machines.
    Metadata,
    /// IETF protocol assignments: `192.0.0.0/24`, `2001::/23` and what lies in them.
    Protocol,
    /// Addresses for documentation.
    Documentation,
    /// `198.18.0.0/15` or `2001:2::/48`: for measurements (RFC 2544, RFC 5180).
    Benchmarking,
    /// Anycast of a service that is no web server: 6to4 relays, AMT, AS112.
    Anycast,
    /// Multicast.
    Multicast,
    /// `240.0.0.0/4`: kept for later.
    Reserved,
    /// `255.255.255.255`.
    Broadcast,
    /// `fc00::/7`: unique local (RFC 4193).
    UniqueLocal,
    /// `fec0::/10`: site local, given up by RFC 3879.
    SiteLocal,
    /// `::ffff:0:0/96`: an IPv4 address in other clothes.
    Mapped(Ipv4Addr),
    /// `::/96`: the same, given up by RFC 4291.
    Compatible(Ipv4Addr),
    /// `::ffff:0:0:0/96`: the same, of RFC 2765.
    Translated(Ipv4Addr),
    /// `64:ff9b::/96` or `64:ff9b:1::/48`: an IPv4 address behind a translator (RFC 6052, RFC 8215).
    Nat64(Ipv4Addr),
    /// `2002::/16`: an IPv4 address behind a relay (RFC 3056).
    SixToFour(Ipv4Addr),
    /// `2001::/32`: an IPv4 address behind a tunnel (RFC 4380).
    Teredo(Ipv4Addr),
    /// Outside `2000::/3`, and nothing of the above: not given out.
    Unassigned,
}

impl AddressKind {
    /// Whether anybody may be reached there.
    #[must_use]
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Public)
    }

    /// Whether even a name the operator trusts does not open it: only the network itself, named, does.
    #[must_use]
    pub const fn is_never_a_server(self) -> bool {
        matches!(
            self,
            Self::Unspecified
                | Self::ThisNetwork
                | Self::Metadata
                | Self::LinkLocal
                | Self::Multicast
                | Self::Broadcast
                | Self::Reserved
                // In other clothes it may be any of these.
                | Self::Mapped(_)
                | Self::Compatible(_)
                | Self::Translated(_)
                | Self::Nat64(_)
                | Self::SixToFour(_)
                | Self::Teredo(_)
        )
    }
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Public => "a public address",
            Self::Unspecified => "the unspecified address",
            Self::ThisNetwork => "an address of this network",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::CarrierNat => "an address of a carrier's network",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "an address of a cloud's metadata service",
            Self::Protocol => "an address kept for protocols",
            Self::Documentation => "an address kept for documentation",
            Self::Benchmarking => "an address kept for measurements",
            Self::Anycast => "an anycast address of a service of the net itself",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
            Self::Broadcast => "the broadcast address",
            Self::UniqueLocal => "a unique local address",
            Self::SiteLocal => "a site-local address",
            Self::Unassigned => "an address that is not assigned",
            Self::Mapped(inner) => return write!(f, "the IPv4 address {inner} mapped into IPv6"),
            Self::Compatible(inner) => return write!(f, "the IPv4 address {inner} within IPv6"),
            Self::Translated(inner) | Self::Nat64(inner) => {
                return write!(f, "the IPv4 address {inner} behind a translator");
            }
            Self::SixToFour(inner) => {
                return write!(f, "the IPv4 address {inner} behind a 6to4 relay");
            }
            Self::Teredo(inner) => return write!(f, "the IPv4 address {inner} behind a tunnel"),
        };
        f.write_str(words)
    }
}

/// Azure's endpoint for its machines lies among public addresses.
const AZURE_WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// AWS, Google and Scaleway, over IPv6.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

/// Says what an address is for.
#[must_use]
pub fn classify(address: IpAddr) -> AddressKind {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressKind {
    if address == AZURE_WIRE_SERVER {
        return AddressKind::Metadata;
    }
    match address.octets() {
        [0, 0, 0, 0] => AddressKind::Unspecified,
        [0, ..] => AddressKind::ThisNetwork,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressKind::Private,
        // Alibaba's and Oracle's.
        [100, 100, 100, 200] | [192, 0, 0, 192] => AddressKind::Metadata,
        [100, 64..=127, ..] => AddressKind::CarrierNat,
        [127, ..] => AddressKind::Loopback,
        // Nearly everybody's, and that of AWS for containers.
        [169, 254, 169, 254] | [169, 254, 170, 2] => AddressKind::Metadata,
        [169, 254, ..] => AddressKind::LinkLocal,
        [192, 0, 0, _] => AddressKind::Protocol,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressKind::Documentation,
        [192, 31, 196, _] | [192, 52, 193, _] | [192, 88, 99, _] | [192, 175, 48, _] => {
            AddressKind::Anycast
        }
        [198, 18..=19, ..] => AddressKind::Benchmarking,
        [224..=239, ..] => AddressKind::Multicast,
        [255, 255, 255, 255] => AddressKind::Broadcast,
        [240..=255, ..] => AddressKind::Reserved,
        _ => AddressKind::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressKind {
    if METADATA_V6.contains(&address) {
        return AddressKind::Metadata;
    }
    let [a, b, c, d, e, f, g, h] = address.segments();
    let last = || embedded(g, h);
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0) if g == 0 && h == 0 => AddressKind::Unspecified,
        (0, 0, 0, 0, 0, 0) if g == 0 && h == 1 => AddressKind::Loopback,
        (0, 0, 0, 0, 0, 0) => AddressKind::Compatible(last()),
        (0, 0, 0, 0, 0, 0xffff) => AddressKind::Mapped(last()),
        (0, 0, 0, 0, 0xffff, 0) => AddressKind::Translated(last()),
        (0x64, 0xff9b, 0, 0, 0, 0) | (0x64, 0xff9b, 1, ..) => AddressKind::Nat64(last()),
        (0x2001, 0, ..) => AddressKind::Teredo(embedded(!g, !h)),
        (0x2001, 2, 0, ..) => AddressKind::Benchmarking,
        (0x2001, 0xdb8, ..) | (0x3fff, 0..=0xfff, ..) => AddressKind::Documentation,
        (0x2001, 0..=0x1ff, ..) => AddressKind::Protocol,
        (0x2002, ..) => AddressKind::SixToFour(embedded(b, c)),
        (0x2620, 0x4f, 0x8000, ..) => AddressKind::Anycast,
        (0x2000..=0x3fff, ..) => AddressKind::Public,
        (0xfc00..=0xfdff, ..) => AddressKind::UniqueLocal,
        (0xfe80..=0xfebf, ..) => AddressKind::LinkLocal,
        (0xfec0..=0xfeff, ..) => AddressKind::SiteLocal,
        (0xff00..=0xffff, ..) => AddressKind::Multicast,
        _ => AddressKind::Unassigned,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}
