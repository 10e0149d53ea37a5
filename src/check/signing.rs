//! Where the installation secret lies, whether links to files have keys, whether a log-in begins a session, and whether calls can be signed.

use super::{Installation, Report, Secret, Status};
use crate::installation_secret::{Purpose, Source};

pub(super) fn look(installation: &Installation, report: &mut Report) {
    const SECRET: &str = "secret";
    const KEYS: &str = "proxy-keys";
    let secret = match &installation.secret {
        Ok(secret) => secret,
        Err(why) => return report.advise(SECRET, Status::Error, why.clone(), "correct that setting; dropslip does not start with it"),
    };
    let Secret { source, is_readable, why_no_keys, .. } = secret;
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
    sessions(secret, report);
    signed_calls(secret, report);
}

fn sessions(Secret { source, log_in, .. }: &Secret, report: &mut Report) {
    const SESSIONS: &str = "sessions";
    if log_in.is_empty() {
        return;
    }
    let dialects = log_in.join(", ");
    if source.may_sign(Purpose::Sessions) {
        report.ok(SESSIONS, format!("a log-in begins a session ({dialects})"));
    } else {
        let found = format!("a log-in begins no session ({dialects}): who reads the database could forge one");
        report.advise(
            SESSIONS,
            Status::Warning,
            found,
            "set DROPSLIP_SECRETS_FILE or DROPSLIP_SECRETS, or tell clients to send their token each time",
        );
    }
}

fn signed_calls(Secret { source, signed_calls, .. }: &Secret, report: &mut Report) {
    const SIGNED_CALLS: &str = "signed-calls";
    if signed_calls.is_empty() {
        return;
    }
    let dialects = signed_calls.join(", ");
    if source.may_sign(Purpose::SignedCalls) {
        report.ok(SIGNED_CALLS, format!("pairs of ‘dropslip token classic’ are good ({dialects})"));
    } else {
        let found = format!("no signed call is good ({dialects}): who reads the database could make pairs of keys");
        report.advise(SIGNED_CALLS, Status::Warning, found, "set DROPSLIP_SECRETS_FILE or DROPSLIP_SECRETS, the same for all brokers");
    }
}
