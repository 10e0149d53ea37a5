//! Where webhooks may go: names on the internet, and nothing inside unless the operator says so.
//!
//! An endpoint's name is looked up by somebody else's name server, which may answer with an address of this network. So it is the
//! address that is judged, at each connection, and the one that was judged is the one that is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::AT_ONCE;
use crate::domain::web::is_this_machine;

/// How long an endpoint may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take to answer. Standard Webhooks recommends 15 to 30 seconds.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Reads an endpoint's URL, if it may be one.
pub(super) fn allowed_url(text: &str, allow_private: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "must be a URL such as https://example.com/webhooks".to_owned())?;
    let Some(host) = url.host() else { return Err("must have a host".to_owned()) };
    let here = is_this_machine(&url);
    if url.scheme() != "https" && !(url.scheme() == "http" && here) {
        return Err("must be https; http only to localhost and loopback addresses".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("must be without user, password and fragment".to_owned());
    }
    let address = match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
    };
    if address.is_some_and(|address| !here && !allow_private && !is_public(address)) {
        return Err("must not be a private or special address, unless allow_private is true".to_owned());
    }
    Ok(url)
}

/// An HTTP client for one endpoint. It follows no redirect, uses no proxy, and connects to public addresses only.
pub(super) fn client(url: &Url, allow_private: bool) -> reqwest::Result<reqwest::Client> {
    let any = allow_private || is_this_machine(url);
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .dns_resolver(Arc::new(Resolver { any }))
        .pool_max_idle_per_host(AT_ONCE)
        .user_agent(concat!("dropslip/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The system's resolver, of whose answers only public addresses count.
struct Resolver {
    any: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let any = self.any;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| any || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err("its name has no public address, and allow_private is not set".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the internet. What is not known to be is not.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// IANA's registry of special-purpose addresses (RFC 6890).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || (a, b & 0xc0) == (100, 64) // shared by carriers
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99) // 6to4 relays
        || (a, b & 0xfe) == (198, 18) // benchmarks
        || a >= 240;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Addresses of version 4 in other clothes: NAT64 and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        // Teredo, benchmarks, ORCHID and others; documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Global unicast; all else is mapped, local, multicast or not given out.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_are_told_from_those_of_the_internet() {
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "64:ff9b:1::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "198.20.0.1", "2606:4700:4700::1111", "2002:808:808::", "64:ff9b::808:808"]
        {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn urls_lead_outside_and_are_encrypted() {
        for good in [
            "https://example.com/a?b=c",
            "https://1.1.1.1/",
            "http://localhost:8080/",
            "http://127.0.0.1:1/",
            "http://[::1]:1/",
            "https://localhost/",
        ] {
            assert!(allowed_url(good, false).is_ok(), "{good}");
        }
        for (bad, said) in [
            ("example.com", "must be a URL"),
            ("https://0x7f.1.2.3.4/", "must be a URL"),
            ("file:///etc/passwd", "must have a host"),
            ("http://example.com/", "must be https"),
            ("ftp://example.com/", "must be https"),
            ("http://localhost.example.com/", "must be https"),
            ("http://10.0.0.1/", "must be https"),
            ("https://u:p@example.com/", "must be without user"),
            ("https://example.com/#a", "must be without user"),
            ("https://10.0.0.1/", "must not be a private"),
            ("https://169.254.169.254/latest", "must not be a private"),
            ("https://0x0a.0.0.1/", "must not be a private"),
            ("https://[::ffff:10.0.0.1]/", "must not be a private"),
            ("https://2852039166/", "must not be a private"),
        ] {
            let why = allowed_url(bad, false).unwrap_err();
            assert!(why.starts_with(said), "{bad}: {why}");
        }
        assert!(allowed_url("https://10.0.0.1/", true).is_ok() && allowed_url("http://10.0.0.1/", true).is_err());
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_leads_nowhere() {
        let url: Url = "https://localhost:1/".parse().unwrap();
        let resolved = |any: bool| Resolver { any }.resolve("localhost".parse().unwrap());
        assert!(resolved(true).await.is_ok());
        assert!(resolved(false).await.err().unwrap().to_string().contains("no public address"));
        assert!(client(&url, false).is_ok());
    }
}
