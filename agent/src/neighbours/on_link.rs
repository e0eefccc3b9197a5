//! Which addresses are in a network of one of this machine's interfaces, by the kernel's routing tables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route {
    network: u128,
    /// Leading bits that count, of 128.
    prefix: u32,
    direct: bool,
}

/// Routes of this network namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct OnLink(Vec<Route>);

impl OnLink {
    /// Reads the routing tables; what cannot be read is not there.
    pub(super) fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self::parse(&read("/proc/net/route"), &read("/proc/net/ipv6_route"))
    }

    fn parse(ipv4: &str, ipv6: &str) -> Self {
        let ipv4 = ipv4.lines().filter_map(parse_ipv4);
        Self(ipv4.chain(ipv6.lines().filter_map(parse_ipv6)).collect())
    }

    /// Whether packets to `address` go out without a router: the longest matching route has no gateway.
    pub(super) fn reaches(&self, address: IpAddr) -> bool {
        let address = number(address);
        let matching = self.0.iter().filter(|route| {
            let unused = 128 - route.prefix;
            unused >= 128 || (address ^ route.network) >> unused == 0
        });
        matching
            .max_by_key(|route| route.prefix)
            .is_some_and(|route| route.direct)
    }
}

/// IPv4 addresses as the IPv6 addresses they are mapped to.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// `eth0 0000000A 00000000 0001 0 0 0 00FFFFFF 0 0 0`: interface, destination, gateway, flags, …, mask, in the
/// machine's byte order.
fn parse_ipv4(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let field = |place: usize| u32::from_str_radix(fields.get(place)?, 16).ok();
    let address = |place| Some(Ipv4Addr::from(field(place)?.to_ne_bytes()));
    let mask = address(7)?.to_bits();
    Some(Route {
        network: number(IpAddr::V4(address(1)?)),
        prefix: 96 + mask.leading_ones(),
        direct: address(2)?.is_unspecified(),
    })
}

/// Destination, prefix length, source, its length, next hop, metric, reference count, use, flags, interface.
fn parse_ipv6(line: &str) -> Option<Route> {
    const REJECT: u32 = 0x0200;
    let fields: Vec<&str> = line.split_whitespace().collect();
    let address = |place: usize| {
        u128::from_str_radix(fields.get(place)?, 16)
            .ok()
            .map(Ipv6Addr::from_bits)
    };
    let flags = u32::from_str_radix(fields.get(8)?, 16).ok()?;
    let prefix = u32::from_str_radix(fields.get(1)?, 16)
        .ok()
        .filter(|prefix| *prefix <= 128)?;
    Some(Route {
        network: address(0)?.to_bits(),
        prefix,
        direct: address(4)?.is_unspecified() && flags & REJECT == 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn as_the_kernel_prints_them() {
        let ipv4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            eth1\t0700010A\t0100000A\t0007\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n";
        let ipv6 = "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 \
            00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n\
            00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
            00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";
        let routes = OnLink::parse(ipv4, ipv6);
        for (address, direct) in [
            ("10.0.0.9", true),
            ("10.1.0.7", false),
            ("8.8.8.8", false),
            ("fd00::9", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(routes.reaches(address.parse().unwrap()), direct, "{address}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(ipv4: String, ipv6: String, address: u128) {
            OnLink::parse(&ipv4, &ipv6).reaches(IpAddr::V6(Ipv6Addr::from_bits(address)));
        }

        #[test]
        fn any_fields_are_read(fields in prop::collection::vec("[0-9a-f]{0,40}", 0..12)) {
            let line = fields.join(" ");
            OnLink::parse(&line, &line).reaches(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
    }
}
