//! The classifier against a table of the registries, which is evaluated by other means.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use nexus_web::guard::classify;
use proptest::prelude::*;

/// IANA IPv4 and IPv6 Special-Purpose Address Registries, the multicast blocks, and the addresses
/// of clouds that lie among public ones. Whatever is in none of them and, in IPv6, within
/// `2000::/3` is public.
const SPECIAL: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
];

fn expected(table: &[IpNet], address: IpAddr) -> bool {
    let unicast: IpNet = "2000::/3".parse().unwrap();
    let given_out = address.is_ipv4() || unicast.contains(&address);
    given_out && !table.iter().any(|block| block.contains(&address))
}

fn table() -> Vec<IpNet> {
    SPECIAL.iter().map(|block| block.parse().unwrap()).collect()
}

fn step(address: IpAddr, by: i128) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let number = u32::from(v4).wrapping_add(by as u32);
            IpAddr::V4(Ipv4Addr::from(number))
        }
        IpAddr::V6(v6) => {
            let number = u128::from(v6).wrapping_add(by as u128);
            IpAddr::V6(Ipv6Addr::from(number))
        }
    }
}

#[test]
fn both_sides_of_every_border_are_told_apart() {
    let table = table();
    let more = [
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "::/128",
        "::1/128",
        "::/96",
        "::ffff:0:0/96",
        "100::/64",
        "100:0:0:1::/64",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "2000::/3",
        "2001::/32",
        "2001:1::/32",
        "2001:20::/28",
        "2001:30::/28",
    ];
    let more = more.iter().map(|block| block.parse().unwrap());
    for block in table.iter().copied().chain(more) {
        for edge in [block.network(), block.broadcast()] {
            for by in [-1, 0, 1] {
                let address = step(edge, by);
                assert_eq!(
                    classify(address).is_public(),
                    expected(&table, address),
                    "{address}"
                );
            }
        }
    }
}

#[test]
fn what_stands_in_another_address_is_named() {
    for (text, inner) in [
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("::10.0.0.1", "10.0.0.1"),
        ("::ffff:0:10.0.0.1", "10.0.0.1"),
        ("64:ff9b::169.254.169.254", "169.254.169.254"),
        ("64:ff9b:1::192.168.0.1", "192.168.0.1"),
        ("2002:7f00:1::", "127.0.0.1"),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", "10.0.0.1"),
    ] {
        let kind = classify(text.parse().unwrap());
        assert!(
            !kind.is_public() && kind.to_string().contains(inner),
            "{text}: {kind}"
        );
    }
    for text in [
        "169.254.169.254",
        "fd00:ec2::254",
        "168.63.129.16",
        "100.100.100.200",
    ] {
        assert!(
            classify(text.parse().unwrap())
                .to_string()
                .contains("metadata"),
            "{text}"
        );
    }
}

/// An address near the registries' blocks more often than chance would have it.
fn any_address() -> impl Strategy<Value = IpAddr> {
    let near = (proptest::sample::select(SPECIAL), any::<u128>(), 0_u32..=40).prop_map(
        |(block, noise, wide)| {
            let block: IpNet = block.parse().unwrap();
            let span = noise & ((1_u128 << wide) - 1);
            step(block.network(), span as i128 - (1_i128 << wide >> 1))
        },
    );
    prop_oneof![
        any::<u32>().prop_map(|number| IpAddr::V4(Ipv4Addr::from(number))),
        any::<u128>().prop_map(|number| IpAddr::V6(Ipv6Addr::from(number))),
        // Within global unicast, where the exceptions are.
        any::<u128>().prop_map(|number| IpAddr::V6(Ipv6Addr::from((number >> 3) | (1 << 125)))),
        (0x2001_0000_u32..0x2002_ffff, any::<u128>()).prop_map(|(high, low)| {
            IpAddr::V6(Ipv6Addr::from((u128::from(high) << 96) | (low >> 32)))
        }),
        near,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50_000))]

    #[test]
    fn the_classifier_agrees_with_the_table(address in any_address()) {
        thread_local! { static TABLE: Vec<IpNet> = table(); }
        let expected = TABLE.with(|table| expected(table, address));
        prop_assert_eq!(classify(address).is_public(), expected, "{}", address);
    }
}
