//! Addresses as an operator writes them, and what failed behind them.

use std::error::Error;

use url::{Host, Url};

/// Reads the address of a server: http or https, without user, query or fragment.
///
/// # Errors
/// What would do; the value may hold a password, so the complaint does not repeat it.
pub fn web_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let plain =
        url.filter(|url| url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none());
    plain.ok_or_else(|| "must be a URL such as https://files.example.com, without user, query or fragment".to_owned())
}

/// Whether its host is written as this machine itself: then nobody between can read or change what is sent.
#[must_use]
pub fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An address as it may be printed: in its query may be somebody's secret.
#[must_use]
pub fn without_query(url: &Url) -> String {
    let mut shown = url.clone();
    if shown.query().is_some() {
        shown.set_query(Some("***"));
    }
    shown.into()
}

/// The innermost cause of a failure: the outer layers of HTTP clients repeat the URL and say little.
#[must_use]
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| (*error).source()).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_server_is_a_plain_one() {
        for good in ["http://127.0.0.1:8080", "https://files.example.com/", "https://example.com/files"] {
            assert!(web_url(good).is_ok(), "{good}");
        }
        for bad in ["127.0.0.1:8080", "localhost", "ftp://h", "https://user:pass@h", "https://h?x", "https://h#x", ""] {
            assert!(web_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn this_machine_is_what_is_written_so() {
        let this_machine = |text: &str| is_this_machine(&Url::parse(text).unwrap());
        assert!(["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"].into_iter().all(this_machine));
        assert!(!["http://10.0.0.1", "http://localhost.example.com", "http://127.0.0.1.nip.io"].into_iter().any(this_machine));
    }

    #[test]
    fn a_query_is_not_printed() {
        assert_eq!(without_query(&Url::parse("https://h/p?key=1#f").unwrap()), "https://h/p?***#f");
        assert_eq!(without_query(&Url::parse("https://h/p").unwrap()), "https://h/p");
    }

    #[test]
    fn the_innermost_cause_is_told() {
        let inner = std::io::Error::other("the reason");
        let outer = std::io::Error::other(Box::new(std::io::Error::other(inner)) as Box<dyn Error + Send + Sync>);
        assert_eq!(innermost(&outer), "the reason");
    }
}
