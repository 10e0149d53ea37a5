//! Whether links to files can have keys.

use super::{Installation, Report, Status};

pub(super) fn look(installation: &Installation, report: &mut Report) {
    const CHECK: &str = "proxy-keys";
    match &installation.proxy_keys {
        Ok(Some(source)) => report.ok(CHECK, format!("links to files have keys, made with the secrets of {source}")),
        Ok(None) => report.info(CHECK, "no secret is set: every downloadURL needs a token (DROPSLIP_PROXY_KEYS)"),
        Err(why) => report.advise(CHECK, Status::Error, why.clone(), "correct that setting; dropslip does not start with it"),
    }
}
