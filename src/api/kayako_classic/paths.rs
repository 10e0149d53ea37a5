//! Where this dialect has what, and every other spelling of it that leads there.

use axum::http::uri::PathAndQuery;
use axum::http::{Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::form_urlencoded;

use crate::metrics::Operation;

/// What stands before everything.
pub(super) const PREFIX: &str = "/api";

/// Where every call can come in, with its path in the query or in the body.
pub(super) const ENTRANCES: [&str; 3] = ["/api", "/api/", "/api/index.php"];

/// The test hook, in its newer and its older name.
pub(super) const HOOKS: [&str; 4] = ["/api/Core/TestAPI", "/api/Core/TestAPI/{number}", "/api/Core/Test", "/api/Core/Test/{number}"];

/// Where nothing else is.
pub(super) const OTHERS: [&str; 6] =
    ["/api/Tickets", "/api/Tickets/", "/api/Tickets/{*rest}", "/api/Core", "/api/Core/", "/api/Core/{*rest}"];

/// Where a call ends up that names nothing of what is here.
const NOWHERE: &str = "index.php";

/// The member that names the path of a call.
pub(super) const CONTROLLER: &str = "e";

/// The first words of paths that are known here.
const CONTROLLERS: [&str; 2] = ["Tickets", "Core"];

/// What stands in a segment as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a request asks for, by its path.
pub(super) fn label(_: &Method, path: &str) -> Option<Operation> {
    let below = |controller: &&str| path.strip_prefix("/api/").and_then(|path| path.strip_prefix(*controller)).is_some_and(ends_here);
    let is_ours = ENTRANCES.contains(&path) || CONTROLLERS.iter().any(below);
    is_ours.then_some(Operation::KayakoClassic)
}

fn ends_here(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

/// Where a call of any spelling leads: `/api/index.php?e=/Tickets/TicketAttachment//1/3&apikey=a` to
/// `/api/Tickets/TicketAttachment/1/3?apikey=a`. `None` for every other URL, and for what is spelled like that already.
pub(super) fn leads_to(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let query = uri.query();
    let (path, query) = if ENTRANCES.contains(&path) {
        let (path, rest) = in_query(query?)?;
        (named(&path)?, rest)
    } else {
        // The whole call as a path: what stands behind the first `&` is its query.
        let (path, behind) = path.split_once('&').map_or((path, None), |(path, behind)| (path, Some(behind)));
        let below = path.strip_prefix("/api/")?;
        let path = match named(below) {
            Some(path) => path,
            // Nothing is there, but what is signed must not stand in a path.
            None if behind.is_some() && !below.starts_with("v1/") => NOWHERE.to_owned(),
            None => return None,
        };
        let both = behind.into_iter().chain(query).filter(|part| !part.is_empty());
        (path, both.collect::<Vec<_>>().join("&"))
    };
    let target = if query.is_empty() { format!("/api/{path}") } else { format!("/api/{path}?{query}") };
    let mut parts = uri.clone().into_parts();
    let target = target.parse::<PathAndQuery>().ok().filter(|target| Some(target) != parts.path_and_query.as_ref())?;
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).ok()
}

/// What a path asks for where it stands in a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// An attachment to be made.
    Attach,
    /// The test hook.
    Test,
    /// Something that other methods ask for: these.
    Other(&'static str),
}

impl Call {
    /// `None` where nothing is.
    pub(super) fn named(path: &str) -> Option<Self> {
        let path = named(path)?;
        let words: Vec<&str> = path.split('/').collect();
        match words[..] {
            ["Tickets", "TicketAttachment"] => Some(Self::Attach),
            ["Core", "Test" | "TestAPI"] | ["Core", "Test" | "TestAPI", _] => Some(Self::Test),
            ["Tickets", "TicketAttachment", "ListAll", _] | ["Tickets", "TicketPost", "ListAll", _, _] => Some(Self::Other("GET,HEAD")),
            ["Tickets", "TicketAttachment", _, _] => Some(Self::Other("GET,HEAD,DELETE")),
            _ => None,
        }
    }
}

/// The path that a query names, and the rest of the query: its first item where that is no member but a path, else its member `e`.
fn in_query(query: &str) -> Option<(String, String)> {
    let (first, rest) = query.split_once(['&', '?']).unwrap_or((query, ""));
    // A program that writes queries gives the path an empty value.
    let bare = first.strip_suffix('=').unwrap_or(first);
    if bare.starts_with('/') || bare.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%2F")) {
        return Some((bare.to_owned(), rest.to_owned()));
    }
    let items: Vec<&str> = query.split('&').collect();
    let place = items.iter().position(|item| member(item).is_some_and(|(name, _)| name == CONTROLLER))?;
    let (_, path) = member(items.get(place)?)?;
    let others = items.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, item)| *item);
    Some((path, others.collect::<Vec<_>>().join("&")))
}

fn member(item: &str) -> Option<(String, String)> {
    form_urlencoded::parse(item.as_bytes()).next().map(|(name, value)| (name.into_owned(), value.into_owned()))
}

/// A path as it is looked up: no escapes, and one slash between words. `None` for what is no path of a controller that is known here.
pub(super) fn named(path: &str) -> Option<String> {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut words = decoded.split('/').filter(|word| !word.is_empty()).skip_while(|word| *word == "index.php").peekable();
    if !words.peek().is_some_and(|first| CONTROLLERS.contains(first)) {
        return None;
    }
    let words: Vec<String> = words.map(|word| utf8_percent_encode(word, PLAIN).to_string()).collect();
    Some(words.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led(from: &str) -> Option<String> {
        leads_to(&from.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn every_spelling_of_a_call_leads_to_the_same_path() {
        let to = Some("/api/Tickets/TicketAttachment/1/3?apikey=a&salt=-7&signature=x+/y=".to_owned());
        let rest = "apikey=a&salt=-7&signature=x+/y=";
        for from in [
            format!("/api/index.php?e=/Tickets/TicketAttachment/1/3&{rest}"),
            format!("/api/index.php?e=%2FTickets%2FTicketAttachment%2F1%2F3&{rest}"),
            format!("/api/index.php?{rest}&e=/Tickets/TicketAttachment/1/3"),
            "/api/index.php?apikey=a&e=Tickets/TicketAttachment/1/3/&salt=-7&signature=x+/y=".to_owned(),
            format!("/api/index.php?/Tickets/TicketAttachment/1/3&{rest}"),
            format!("/api/index.php?/Tickets/TicketAttachment/1/3?{rest}"),
            format!("/api/index.php?/Tickets/TicketAttachment//1/3/&{rest}"),
            format!("/api/index.php?%2fTickets%2FTicketAttachment%2F1%2F3=&{rest}"),
            format!("/api/index.php?/%54ickets/Ticket%41ttachment/%31/3&{rest}"),
            format!("/api/?/Tickets/TicketAttachment/1/3&{rest}"),
            format!("/api?e=/Tickets/TicketAttachment/1/3&{rest}"),
            format!("/api/Tickets/TicketAttachment/1/3&{rest}"),
            format!("/api/Tickets/TicketAttachment//1/3/?{rest}"),
            format!("/api/%54ickets/TicketAttachment/1/3?{rest}"),
            format!("/api/index.php/Tickets/TicketAttachment/1/3?{rest}"),
        ] {
            assert_eq!(led(&from), to, "{from}");
        }
        assert_eq!(led("/api/Tickets/TicketAttachment/1/3?apikey=a"), None);
        assert_eq!(led("/api/index.php?/Core/TestAPI"), Some("/api/Core/TestAPI".to_owned()));
    }

    #[test]
    fn what_is_no_call_stays_what_it_is() {
        for other in [
            "/api/index.php",
            "/api/index.php?apikey=a",
            "/api/index.php?e=",
            "/api/index.php?/v1/files&limit=3",
            "/api/index.php?e=/Base/User/1",
            "/api/v1/files&a=b",
            "/api/apps/1?e=/Tickets/TicketAttachment/1",
            "/v2/files.json?e=/Tickets/TicketAttachment/1",
            "/Tickets/TicketAttachment/1/3",
        ] {
            assert_eq!(led(other), None, "{other}");
        }
    }

    #[test]
    fn a_path_of_nobody_holds_no_credentials() {
        assert_eq!(led("/api/Base/User&apikey=a&signature=b/c"), Some("/api/index.php?apikey=a&signature=b/c".to_owned()));
        let call = leads_to(&"/api/Tickets/a b&signature=c".replace(' ', "%20").parse().unwrap()).unwrap();
        assert_eq!((call.path(), call.query()), ("/api/Tickets/a%20b", Some("signature=c")));
    }

    #[test]
    fn a_path_in_a_body_asks_for_what_it_does_elsewhere() {
        for (path, call) in [
            ("/Tickets/TicketAttachment/", Some(Call::Attach)),
            ("Core/TestAPI/7", Some(Call::Test)),
            ("/Tickets/TicketAttachment//1/3", Some(Call::Other("GET,HEAD,DELETE"))),
            ("/Tickets/TicketAttachment/ListAll/1", Some(Call::Other("GET,HEAD"))),
            ("/Tickets/TicketPost/ListAll/1/2", Some(Call::Other("GET,HEAD"))),
            ("/Tickets/TicketPost/ListAll/1", None),
            ("/Tickets/TicketAttachment/ListAll", None),
            ("/Tickets/Ticket", None),
            ("/Base/User", None),
            ("", None),
        ] {
            assert_eq!(Call::named(path), call, "{path}");
        }
    }

    #[test]
    fn requests_of_the_controllers_and_the_entrances_are_ours() {
        assert!(
            ["/api", "/api/", "/api/index.php", "/api/Tickets/x", "/api/Core/Test"]
                .iter()
                .all(|path| label(&Method::GET, path) == Some(Operation::KayakoClassic))
        );
        assert!(["/api/v1", "/api/TicketsX", "/apix", "/api/files", "/"].iter().all(|path| label(&Method::GET, path).is_none()));
    }
}
