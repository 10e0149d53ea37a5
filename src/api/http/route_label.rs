//! What a request asks for, as metrics tell it apart: by method and path, not by route, so that it costs nothing but a look.

use axum::http::Method;

use crate::metrics::Operation;

/// The operation of a request; what is no part of a dialect is [`Operation::Other`].
pub(in crate::api) fn operation(method: &Method, path: &str) -> Operation {
    let Some(below) = path.strip_prefix("/desk/api").unwrap_or(path).strip_prefix("/v2/") else {
        let companion = ["/u/", "/companion/", "/s3/"].iter().any(|prefix| path.starts_with(prefix));
        return if companion { Operation::Companion } else { Operation::Other };
    };
    let mut segments = below.split('/');
    match (segments.next().unwrap_or_default(), segments.next(), segments.next()) {
        ("files", Some("ref.json"), None) => Operation::Slip,
        ("files", Some("delete.json"), None) => Operation::Delete,
        ("files", Some(_), Some("restore.json")) => Operation::Restore,
        ("files", Some(_), Some("ref.json")) => Operation::Reissue,
        ("files", Some(_), Some("parts.json")) => Operation::Parts,
        ("files", Some(_), Some("download")) => Operation::Download,
        ("files", Some(_), None) if matches!(*method, Method::GET | Method::HEAD) => Operation::Read,
        ("files", Some(_), None) | ("files.json", None, None) if method == Method::DELETE => Operation::Delete,
        ("files", Some(_), None) => Operation::Confirm,
        ("files.json", None, None) => Operation::List,
        ("tickets", ..) => Operation::Ticket,
        _ => Operation::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_under_every_prefix() {
        for (method, path, expected) in [
            (Method::POST, "/v2/files/ref.json", Operation::Slip),
            (Method::POST, "/desk/api/v2/files/ref.json", Operation::Slip),
            (Method::POST, "/v2/files/17/ref.json", Operation::Reissue),
            (Method::PATCH, "/desk/api/v2/files/17.json", Operation::Confirm),
            (Method::PUT, "/v2/files/17.json", Operation::Confirm),
            (Method::GET, "/v2/files/17.json", Operation::Read),
            (Method::HEAD, "/v2/files/17.json", Operation::Read),
            (Method::DELETE, "/v2/files/17.json", Operation::Delete),
            (Method::POST, "/v2/files/delete.json", Operation::Delete),
            (Method::DELETE, "/v2/files.json", Operation::Delete),
            (Method::POST, "/v2/files/17/restore.json", Operation::Restore),
            (Method::GET, "/v2/tickets/1/files.zip", Operation::Ticket),
            (Method::GET, "/v2/files.json", Operation::List),
            (Method::POST, "/v2/files/17/parts.json", Operation::Parts),
            (Method::GET, "/v2/files/17/download", Operation::Download),
            (Method::GET, "/v2/tickets/1/files.json", Operation::Ticket),
            (Method::GET, "/u/du2.x/s3/params", Operation::Companion),
            (Method::GET, "/readyz", Operation::Other),
            (Method::GET, "/v2/files/17/parts.json/x", Operation::Parts),
            (Method::GET, "/v2x/files.json", Operation::Other),
            (Method::GET, "", Operation::Other),
        ] {
            assert_eq!(operation(&method, path), expected, "{method} {path}");
        }
    }
}
