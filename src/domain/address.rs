//! Whom a request comes from, by address: what shares by address are counted for.
//!
//! A broker sees the peer of a connection. Behind a reverse proxy that is the proxy, for everybody, so only `X-Forwarded-For` tells
//! people apart there; and anybody can send that header, so only what trusted proxies have added to it counts.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// The most hops that are looked at: a chain of proxies is shorter.
const MOST_HOPS: usize = 32;

/// The bits of an IPv6 address that name a customer: whoever has one address of such a network has all of them.
const CUSTOMER_BITS: u32 = 64;

/// Who is counted as one: an IPv4 address, or a /64 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(v4) => Self(v4.into()),
            IpAddr::V6(v6) => Self(Ipv6Addr::from_bits(v6.to_bits() >> CUSTOMER_BITS << CUSTOMER_BITS).into()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/{CUSTOMER_BITS}"),
        }
    }
}

/// The proxies whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads addresses and networks such as `10.0.0.0/8`, separated by commas or spaces.
    ///
    /// # Errors
    /// When one of them is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        words.map(|word| network(word).ok_or_else(|| complaint(word))).collect::<Result<_, _>>().map(Self)
    }

    /// Whose share of the connections one from `peer` is. Nobody's when many people may be behind it: it is a trusted proxy, or no
    /// proxies are configured and it comes from a private network, where a proxy may stand.
    #[must_use]
    pub fn of_connection(&self, peer: IpAddr) -> Option<Address> {
        let peer = peer.to_canonical();
        let may_be_a_proxy = if self.0.is_empty() { is_private(peer) } else { self.trusts(peer) };
        (!may_be_a_proxy).then(|| peer.into())
    }

    /// Whose request it is that came over a connection from `peer`, with these lines of `X-Forwarded-For`: the last hop that is no
    /// trusted proxy. Nobody's when that is not known.
    #[must_use]
    pub fn of_request<'a>(&self, peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'a [u8]>) -> Option<Address> {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return self.of_connection(peer);
        }
        let hops = forwarded.rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        for hop in hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty()).take(MOST_HOPS) {
            // What a trusted proxy has not written as an address says nothing, nor does what stands before it.
            let hop = hop_address(hop)?;
            if !self.trusts(hop) {
                return Some(hop.into());
            }
        }
        None
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip))
    }
}

fn complaint(word: &str) -> String {
    format!("must be addresses and networks such as 10.0.0.0/8 or fd00::/8, separated by commas, not ‘{word}’")
}

/// A network, or a single address; what is IPv4 written as IPv6 is IPv4.
fn network(word: &str) -> Option<IpNet> {
    let network = word.parse().ok().or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from))?;
    let IpNet::V6(v6) = network else { return Some(network) };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    Some(mapped.and_then(|(v4, prefix)| Ipv4Net::new(v4, prefix).ok()).map_or(network, IpNet::from))
}

/// A hop as proxies write it: an address, in brackets or not, with a port or without.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let bare = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, port) = rest.split_once(']')?;
            return is_port_or_nothing(port).then(|| inside.parse::<Ipv6Addr>().ok()).flatten().map(|v6| IpAddr::from(v6).to_canonical());
        }
        None => text,
    };
    if let Some((v4, port)) = bare.split_once(':')
        && let Ok(v4) = v4.parse::<Ipv4Addr>()
    {
        return port.parse::<u16>().is_ok().then_some(v4.into());
    }
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn is_port_or_nothing(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Whether an address is of this machine or a network that is not the internet.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let is_shared = v4.to_bits() >> 22 == Ipv4Addr::new(100, 64, 0, 0).to_bits() >> 22;
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || is_shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(text: &str) -> TrustedProxies {
        TrustedProxies::parse(text).unwrap()
    }

    /// Whose request it is, as text; a dash for nobody's.
    fn whose(proxies: &TrustedProxies, peer: &str, lines: &[&str]) -> String {
        let address = proxies.of_request(peer.parse().unwrap(), lines.iter().map(|line| line.as_bytes()));
        address.map_or("-".to_owned(), |address| address.to_string())
    }

    #[test]
    fn a_request_is_of_the_last_hop_that_is_no_trusted_proxy() {
        let trusted = proxies("10.0.0.0/8, 192.0.2.7 fd00::/8");
        let many_proxies = vec!["10.0.0.1"; MOST_HOPS].join(",");
        let too_long = format!("203.0.113.9,{many_proxies}");
        for (peer, lines, expected) in [
            // Through a proxy.
            ("10.1.2.3", &["203.0.113.9"][..], "203.0.113.9"),
            ("::ffff:10.1.2.3", &["203.0.113.9"], "203.0.113.9"),
            ("fd00::1", &["203.0.113.9"], "203.0.113.9"),
            ("10.1.2.3", &["203.0.113.9, 10.9.9.9,192.0.2.7"], "203.0.113.9"),
            // Of what a client claims nothing counts: proxies write behind it.
            ("10.1.2.3", &["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            ("10.1.2.3", &["198.51.100.1", "203.0.113.9, 10.9.9.9", "192.0.2.7"], "203.0.113.9"),
            ("10.1.2.3", &["garbage, 203.0.113.9"], "203.0.113.9"),
            // A private address is one like others to whoever has configured their proxies.
            ("10.1.2.3", &["192.168.1.5"], "192.168.1.5"),
            ("192.168.1.5", &["203.0.113.9"], "192.168.1.5"),
            ("127.0.0.1", &["203.0.113.9"], "127.0.0.1"),
            // From a stranger the header is nothing.
            ("198.51.100.1", &["203.0.113.9"], "198.51.100.1"),
            ("198.51.100.1", &["203.0.113.9, 10.1.2.3"], "198.51.100.1"),
            // As proxies write addresses.
            ("10.1.2.3", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.1.2.3", &["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
            ("10.1.2.3", &["[2001:db8:1:2:3:4:5:6]"], "2001:db8:1:2::/64"),
            ("10.1.2.3", &["[2001:db8:1:2:3:4:5:6]:443 "], "2001:db8:1:2::/64"),
            ("10.1.2.3", &["::ffff:203.0.113.9"], "203.0.113.9"),
            ("10.1.2.3", &["[::ffff:203.0.113.9]:1"], "203.0.113.9"),
            ("10.1.2.3", &["203.0.113.9, ,", ""], "203.0.113.9"),
            // Who it is, no trusted proxy has said.
            ("10.1.2.3", &[], "-"),
            ("10.1.2.3", &[""], "-"),
            ("10.1.2.3", &["10.9.9.9"], "-"),
            ("10.1.2.3", &["203.0.113.9, unknown"], "-"),
            ("10.1.2.3", &["203.0.113.9, unix:, 10.9.9.9"], "-"),
            ("10.1.2.3", &["203.0.113.9:port"], "-"),
            ("10.1.2.3", &["203.0.113.9:1:2"], "-"),
            ("10.1.2.3", &["[2001:db8::1"], "-"),
            ("10.1.2.3", &["[2001:db8::1]x"], "-"),
            ("10.1.2.3", &["[203.0.113.9]"], "-"),
            ("10.1.2.3", &["203.0.113.9 198.51.100.1"], "-"),
            ("10.1.2.3", &["203.0.113.009"], "-"),
            ("10.1.2.3", &["ü"], "-"),
            ("10.1.2.3", &[&many_proxies], "-"),
            ("10.1.2.3", &[&too_long], "-"),
        ] {
            assert_eq!(whose(&trusted, peer, lines), expected, "{peer} {lines:?}");
        }
        let not_text = trusted.of_request("10.1.2.3".parse().unwrap(), [&b"\xff"[..]].into_iter());
        assert_eq!(not_text, None);
    }

    #[test]
    fn without_trusted_proxies_private_peers_are_nobody_and_the_header_is_nothing() {
        let none = TrustedProxies::default();
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "::",
            "::1",
            "fd12::1",
            "fc00::1",
            "fe80::1",
            "::ffff:10.1.2.3",
        ] {
            assert_eq!(whose(&none, private, &["203.0.113.9"]), "-", "{private}");
            assert_eq!(none.of_connection(private.parse().unwrap()), None, "{private}");
        }
        for (public, counted) in [
            ("203.0.113.9", "203.0.113.9"),
            ("172.32.0.1", "172.32.0.1"),
            ("100.63.255.255", "100.63.255.255"),
            ("100.128.0.0", "100.128.0.0"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(whose(&none, public, &["198.51.100.1"]), counted);
            assert_eq!(none.of_connection(public.parse().unwrap()).unwrap().to_string(), counted);
        }
    }

    #[test]
    fn a_trusted_proxy_has_no_share_of_the_connections_and_all_others_have() {
        let trusted = proxies("10.0.0.0/8,::ffff:192.0.2.0/120");
        for (peer, has_share) in
            [("10.1.2.3", false), ("192.0.2.9", false), ("::ffff:192.0.2.9", false), ("192.168.1.1", true), ("127.0.0.1", true)]
        {
            assert_eq!(trusted.of_connection(peer.parse().unwrap()).is_some(), has_share, "{peer}");
        }
    }

    #[test]
    fn addresses_and_networks_are_read_and_nothing_else() {
        assert_eq!(proxies(""), TrustedProxies::default());
        assert_eq!(proxies("10.0.0.1"), proxies("10.0.0.1/32"));
        assert_eq!(proxies("::ffff:10.0.0.1"), proxies("10.0.0.1/32"));
        assert!(proxies("0.0.0.0/0,::/0").trusts("2001:db8::1".parse().unwrap()));
        for bad in ["10.0.0.0/33", "10.0.0.256", "proxy", "10.0.0.0/8;10.1.0.0/16", "fd00::/129", "10.0.0.1:80", "*"] {
            assert!(TrustedProxies::parse(bad).unwrap_err().contains("such as 10.0.0.0/8"), "{bad}");
        }
    }
}
