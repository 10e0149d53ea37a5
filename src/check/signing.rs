//! Where the installation secret lies, and whether links to files have keys.

use super::{Installation, Report, Secret, Status};
use crate::installation_secret::Source;

pub(super) fn look(installation: &Installation, report: &mut Report) {
    const SECRET: &str = "secret";
    const KEYS: &str = "proxy-keys";
    let Secret { source, is_readable, why_no_keys } = match &installation.secret {
        Ok(secret) => secret,
        Err(why) => return report.advise(SECRET, Status::Error, why.clone(), "correct that setting; dropslip does not start with it"),
    };
    if *source == Source::Database {
        let found = "the installation secret lies in the database: who reads a copy of it can forge upload tokens and links";
        let advice = "set DROPSLIP_SECRETS_FILE or DROPSLIP_SECRETS, the same for all brokers (openssl rand -hex 32)";
        report.advise(SECRET, Status::Warning, found, advice);
    } else if *is_readable {
        let found = format!("the installation secret is that of {source}; everybody on this machine can read it");
        report.advise(SECRET, Status::Warning, found, "take the right to read away from others (chmod o-r)");
    } else {
        report.ok(SECRET, format!("the installation secret is that of {source}"));
    }
    match why_no_keys {
        None => report.ok(KEYS, "links to files have keys"),
        Some(why) => report.info(KEYS, format!("links to files have no keys, each needs a token: {why}")),
    }
}
