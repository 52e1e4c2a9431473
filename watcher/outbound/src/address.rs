//! Which addresses a host may have that no configuration named.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is refused for a host that the configuration does not name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// This machine.
    Loopback,
    /// The local link, where cloud metadata services live (169.254.169.254).
    LinkLocal,
    /// A cloud metadata service at an address of another kind.
    Metadata,
    /// A private network: RFC 1918, unique local IPv6, carrier-grade NAT.
    Private,
    /// No particular host: `0.0.0.0/8`, `::`.
    Unspecified,
    /// A group, not a host.
    Multicast,
    /// Set aside by IANA: documentation, benchmarks, broadcast, transition mechanisms.
    Reserved,
    /// Plain HTTP, where only the configuration may ask for it.
    PlainHttp,
    /// Neither `http` nor `https`.
    Scheme,
    /// A proxy is asked for tunnels only, and there is none for plain http.
    NoTunnel,
    /// A proxy resolves names itself, so that an address that it connects to cannot be checked.
    ThroughProxy,
    /// What is uploaded is not sent on to hosts that only a redirect names.
    Upload,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "it is a loopback address",
            Self::LinkLocal => "it is a link-local address",
            Self::Metadata => "it is the address of a cloud metadata service",
            Self::Private => "it is a private address",
            Self::Unspecified => "it is an unspecified address",
            Self::Multicast => "it is a multicast address",
            Self::Reserved => "it is a reserved address",
            Self::PlainHttp => "plain http is only spoken to configured hosts",
            Self::Scheme => "its scheme is neither http nor https",
            Self::NoTunnel => "a proxy is asked for tunnels to https hosts only",
            Self::ThroughProxy => "through a proxy only configured hosts are reached",
            Self::Upload => "an upload is sent on to configured hosts only",
        })
    }
}

/// What speaks against connecting to `address`; `None` = an ordinary public address.
///
/// With `allow_private`, loopback and private networks pass. Link-local and the metadata services on private
/// addresses never do: nothing that a stranger points us to has business with those.
pub(crate) fn refusal(address: IpAddr, allow_private: bool) -> Option<Refusal> {
    let refusal = match address {
        IpAddr::V4(v4) => v4_refusal(v4),
        IpAddr::V6(v6) => v6_refusal(v6),
    }?;
    match refusal {
        Refusal::Loopback | Refusal::Private if allow_private => None,
        other => Some(other),
    }
}

fn v4_refusal(address: Ipv4Addr) -> Option<Refusal> {
    let [a, b, c, d] = address.octets();
    match (a, b, c) {
        // Alibaba Cloud, amid the carrier-grade NAT.
        (100, 100, 100) if d == 200 => Some(Refusal::Metadata),
        (0, ..) => Some(Refusal::Unspecified),
        (127, ..) => Some(Refusal::Loopback),
        (169, 254, _) => Some(Refusal::LinkLocal),
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Some(Refusal::Private),
        (224..=239, ..) => Some(Refusal::Multicast),
        (240..=255, ..) | (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => {
            Some(Refusal::Reserved)
        }
        _ => None,
    }
}

fn v6_refusal(address: Ipv6Addr) -> Option<Refusal> {
    let s = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        v4_refusal(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Refusal::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Refusal::Loopback),
        // Each of these carries an IPv4 address, and is as good or as bad as that one.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        [0, 0, 0, 0, 0, 0, high, low] => embedded(high, low).or(Some(Refusal::Reserved)),
        // AWS, Google Cloud, Oracle Cloud.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]
        | [0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe] => Some(Refusal::Metadata),
        // A network's own translator: private, and what it leads to may be worse.
        [0x64, 0xff9b, 1, _, _, _, high, low] => match embedded(high, low) {
            Some(never @ (Refusal::LinkLocal | Refusal::Metadata)) => Some(never),
            _ => Some(Refusal::Private),
        },
        [0xfc00..=0xfdff, ..] => Some(Refusal::Private),
        [0xfe80..=0xfeff, ..] => Some(Refusal::LinkLocal),
        [0xff00..=0xffff, ..] => Some(Refusal::Multicast),
        [0x100, 0, 0, 0, ..] | [0x2001, 0, ..] | [0x2001, 0xdb8, ..] => Some(Refusal::Reserved),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Option<Refusal> {
        refusal(address.parse().expect("an address"), false)
    }

    #[test]
    fn addresses_that_lead_inside_are_refused() {
        for (address, why) in [
            ("127.0.0.1", Refusal::Loopback),
            ("127.8.9.1", Refusal::Loopback),
            ("10.1.2.3", Refusal::Private),
            ("172.16.0.1", Refusal::Private),
            ("172.31.255.255", Refusal::Private),
            ("192.168.1.1", Refusal::Private),
            ("100.64.0.1", Refusal::Private),
            ("169.254.169.254", Refusal::LinkLocal),
            ("0.0.0.0", Refusal::Unspecified),
            ("224.0.0.1", Refusal::Multicast),
            ("255.255.255.255", Refusal::Reserved),
            ("198.18.0.1", Refusal::Reserved),
            ("::", Refusal::Unspecified),
            ("::1", Refusal::Loopback),
            ("::ffff:127.0.0.1", Refusal::Loopback),
            ("::ffff:169.254.169.254", Refusal::LinkLocal),
            ("::127.0.0.1", Refusal::Loopback),
            ("64:ff9b::10.0.0.1", Refusal::Private),
            ("2002:7f00:1::", Refusal::Loopback),
            ("2002:a9fe:a9fe::1", Refusal::LinkLocal),
            ("fd00::1", Refusal::Private),
            ("fe80::1", Refusal::LinkLocal),
            ("fec0::1", Refusal::LinkLocal),
            ("ff02::1", Refusal::Multicast),
            ("2001:db8::1", Refusal::Reserved),
            ("2001::1", Refusal::Reserved),
        ] {
            assert_eq!(of(address), Some(why), "{address}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "169.253.1.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert_eq!(of(address), None, "{address}");
        }
    }

    #[test]
    fn allowing_private_networks_never_allows_the_metadata_service() {
        let allowed = |a: &str| refusal(a.parse().expect("an address"), true);
        assert_eq!(allowed("10.0.0.1"), None);
        assert_eq!(allowed("::1"), None);
        assert_eq!(allowed("169.254.169.254"), Some(Refusal::LinkLocal));
        assert_eq!(allowed("::ffff:169.254.169.254"), Some(Refusal::LinkLocal));
        assert_eq!(allowed("64:ff9b:1::169.254.169.254"), Some(Refusal::LinkLocal));
        for metadata in [
            "100.100.100.200",
            "::ffff:100.100.100.200",
            "64:ff9b::100.100.100.200",
            "64:ff9b:1::100.100.100.200",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
        ] {
            assert_eq!(allowed(metadata), Some(Refusal::Metadata), "{metadata}");
        }
        for neighbour in ["100.100.100.201", "fd00:ec2::253", "64:ff9b:1::10.0.0.1"] {
            assert_eq!(allowed(neighbour), None, "{neighbour}");
        }
    }
}
