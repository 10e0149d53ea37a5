//! Who may call: the file of tokens, and the keys that JWTs are signed with.

use std::path::Path;

use super::clock::now;
use super::{Installation, Report, Status};
use crate::jwt::{KeySource, Options, Verifier};
use crate::secret_file;
use crate::tokens::Entries;

pub(super) async fn look(installation: &Installation, report: &mut Report) {
    if let Some(path) = &installation.tokens_file {
        tokens_file(path, report);
    }
    if let Some(options) = &installation.jwt {
        keys(options, report).await;
    }
}

fn tokens_file(path: &Path, report: &mut Report) {
    const CHECK: &str = "tokens-file";
    match Entries::read(path) {
        Err(why) => {
            let advice = "mend it: a broker that starts now would stop, one that runs keeps what it knows";
            report.advise(CHECK, Status::Error, why, advice);
        }
        Ok(entries) if secret_file::anybody_reads(path) => {
            let found = format!("{}; everybody on this machine can read it", entries.described(now()));
            report.advise(CHECK, Status::Warning, found, "take the right to read away from others (chmod o-r)");
        }
        Ok(entries) => report.ok(CHECK, entries.described(now())),
    }
}

const KEYS: &str = "jwt-keys";

async fn keys(options: &Options, report: &mut Report) {
    let failure = match Verifier::open(options.clone()).await {
        Err(why) => why,
        Ok(verifier) => {
            let Some(why) = verifier.failure().await else {
                match verifier.lack() {
                    Some(why) => {
                        let found = format!("the keys are read: {why}");
                        report.advise(KEYS, Status::Error, found, "until there is one, every JWT is refused");
                    }
                    None => good(&verifier.described(), &options.keys, report),
                }
                return;
            };
            why
        }
    };
    let advice = match &options.keys {
        KeySource::Url(_) => "until the keys come, JWTs are answered with 503; brokers that know them go on with them",
        _ => "mend it: a broker that starts now would stop, one that runs keeps the keys it knows",
    };
    report.advise(KEYS, Status::Error, format!("the keys cannot be read: {failure}"), advice);
}

fn good(found: &str, source: &KeySource, report: &mut Report) {
    match source {
        KeySource::SecretFile(path) if secret_file::anybody_reads(path) => {
            let found = format!("{found}; everybody on this machine can read the secret");
            report.advise(KEYS, Status::Warning, found, "take the right to read away from others (chmod o-r)");
        }
        _ => report.ok(KEYS, found),
    }
}
