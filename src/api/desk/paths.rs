//! Where Desk has what: its prefixes, its files, and what a request asks for.

use axum::http::Method;

use crate::api::http::FilePaths;
use crate::metrics::Operation;

/// What stands before [`VERSION`] under the longer prefix.
pub(super) const OTHER_ROOT: &str = "/desk/api";

/// The shorter prefix, and the end of both.
pub(super) const VERSION: &str = "/v2";

/// Every prefix.
pub(super) const PREFIXES: [&str; 2] = [VERSION, "/desk/api/v2"];

/// Where others may link to files.
pub(super) const FILES: FilePaths =
    FilePaths { record: |id| format!("{VERSION}/files/{id}.json"), download: |id| format!("{VERSION}/files/{id}/download") };

/// What a request asks for, by method and path and not by route.
pub(super) fn label(method: &Method, path: &str) -> Option<Operation> {
    let below = path.strip_prefix(OTHER_ROOT).unwrap_or(path).strip_prefix(VERSION)?.strip_prefix('/')?;
    let mut segments = below.split('/');
    Some(match (segments.next().unwrap_or_default(), segments.next(), segments.next()) {
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_under_every_prefix() {
        for (method, path, expected) in [
            (Method::POST, "/v2/files/ref.json", Some(Operation::Slip)),
            (Method::POST, "/desk/api/v2/files/ref.json", Some(Operation::Slip)),
            (Method::POST, "/v2/files/17/ref.json", Some(Operation::Reissue)),
            (Method::PATCH, "/desk/api/v2/files/17.json", Some(Operation::Confirm)),
            (Method::PUT, "/v2/files/17.json", Some(Operation::Confirm)),
            (Method::GET, "/v2/files/17.json", Some(Operation::Read)),
            (Method::HEAD, "/v2/files/17.json", Some(Operation::Read)),
            (Method::DELETE, "/v2/files/17.json", Some(Operation::Delete)),
            (Method::POST, "/v2/files/delete.json", Some(Operation::Delete)),
            (Method::DELETE, "/v2/files.json", Some(Operation::Delete)),
            (Method::POST, "/v2/files/17/restore.json", Some(Operation::Restore)),
            (Method::GET, "/v2/tickets/1/files.zip", Some(Operation::Ticket)),
            (Method::GET, "/v2/files.json", Some(Operation::List)),
            (Method::POST, "/v2/files/17/parts.json", Some(Operation::Parts)),
            (Method::GET, "/v2/files/17/download", Some(Operation::Download)),
            (Method::GET, "/v2/tickets/1/files.json", Some(Operation::Ticket)),
            (Method::GET, "/readyz", None),
            (Method::GET, "/v2/files/17/parts.json/x", Some(Operation::Parts)),
            (Method::GET, "/v2x/files.json", None),
            (Method::GET, "", None),
            (Method::GET, "/v2/nothing", Some(Operation::Other)),
        ] {
            assert_eq!(label(&method, path), expected, "{method} {path}");
        }
    }
}
