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

/// Schemes whose pages have no origin of their own (`null` to a server), or that have no pages.
const WITHOUT_ORIGIN: [&str; 9] = ["about", "blob", "data", "file", "filesystem", "ftp", "javascript", "ws", "wss"];

/// Reads the origin of pages, as browsers write it: scheme and host in small letters, a port unless it is the usual one. Pages of apps and
/// extensions have schemes of their own, such as `capacitor://localhost`; what they are is nobody's matter here, so it is a text like any.
///
/// # Errors
/// What would do. Never `*` and `null`: one stands for all pages, the other for all that hide where they come from.
pub fn origin(text: &str) -> Result<String, String> {
    let refusal = || {
        let text: String = text.chars().take(100).map(|c| if c.is_control() { '?' } else { c }).collect();
        format!("must be origins such as https://app.example.com or capacitor://localhost, without path and never * or null, not ‘{text}’")
    };
    let url = Url::parse(text).map_err(|_| refusal())?;
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    // A star is a letter like any other to a URL, and a wildcard in the rules of a bucket.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let named = !host.is_empty() && (host.bytes().all(plain) || url.host().is_some_and(|host| matches!(host, Host::Ipv6(_))));
    // By the text: an `@` with nothing before it, or `/..`, leave no trace in a URL.
    let written = text.split_once("://").map(|(_, rest)| rest.strip_suffix('/').unwrap_or(rest));
    let nothing_else = written.is_some_and(|rest| !rest.contains(['/', '\\', '?', '#', '@']) && !rest.contains(char::is_control));
    if !named || !nothing_else || WITHOUT_ORIGIN.contains(&url.scheme()) {
        return Err(refusal());
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{}://{host}{port}", url.scheme()))
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
    fn an_origin_is_read_as_browsers_write_it() {
        for (given, read) in [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.com:443/", "https://app.example.com"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("https://localhost", "https://localhost"),
            ("http://tauri.localhost", "http://tauri.localhost"),
            ("http://[::1]:80", "http://[::1]"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https://a_b.example", "https://a_b.example"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("Capacitor://LOCALHOST/", "capacitor://localhost"),
            ("capacitor://localhost:8080", "capacitor://localhost:8080"),
            ("ionic://localhost", "ionic://localhost"),
            ("tauri://localhost", "tauri://localhost"),
            ("app://obsidian.md", "app://obsidian.md"),
            ("app://-", "app://-"),
            ("com.example.app+x://host", "com.example.app+x://host"),
            ("chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb", "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb"),
            ("moz-extension://4f0b6f3c-0c3a-4a2c-9c3c-6f1b3c0f8a11", "moz-extension://4f0b6f3c-0c3a-4a2c-9c3c-6f1b3c0f8a11"),
            ("safari-web-extension://4F0B6F3C-0C3A", "safari-web-extension://4f0b6f3c-0c3a"),
        ] {
            assert_eq!(origin(given).as_deref(), Ok(read));
            assert_eq!(origin(read).as_deref(), Ok(read), "read again it is another");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        let with = |rest: &str| ["https://a.example", "capacitor://localhost"].map(|origin| format!("{origin}{rest}"));
        let more = ["/x", "//", "/?", "?", "?x", "#", "#x", ":x", ":99999", "\\x", "/.."].map(with);
        for bad in more.concat().iter().map(String::as_str).chain([
            "",
            "*",
            "null",
            "https://*",
            "https://*.a.example",
            "capacitor://*",
            "*://localhost",
            "https://",
            "capacitor://",
            "capacitor:///",
            "capacitor://:80",
            "capacitor:localhost",
            "capacitor:/localhost",
            "localhost",
            "app.example.com",
            "//app.example.com",
            "https://user@a.example",
            "https://@a.example",
            "capacitor://user:pass@localhost",
            "capacitor://@localhost",
            "capacitor://lo%63alhost",
            "app://a;script-src",
            "app://a'b",
            "app://a\"b",
            "https://a;b.example",
            "app://bücher",
            "file:///",
            "file://host",
            "data:text/html,x",
            "blob:https://a.example/x",
            "about:blank",
            "javascript://x",
            "ftp://h",
            "ws://h",
            "wss://h",
            "https://a.example\u{0}",
            "https://a.exam\nple",
            "https:a.example",
        ]) {
            let refused = origin(bad).expect_err(bad);
            assert!(refused.starts_with("must be origins such as") && refused.len() < 500 && !refused.chars().any(char::is_control));
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
