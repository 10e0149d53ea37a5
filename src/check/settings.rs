//! What the bucket does by itself: expiry rules and versions.

use super::{Installation, Probe, Report, Status};
use crate::bucket::lifecycle::RULE_ID;
use crate::bucket::probe::{Expiry, Versioning};
use crate::domain::{SealedKey, StagingKey};

pub(super) async fn look(installation: &Installation, probe: &Probe, report: &mut Report) {
    let rules = lifecycle(installation, probe, report).await;
    versioning(probe, &rules, report).await;
}

async fn lifecycle(installation: &Installation, probe: &Probe, report: &mut Report) -> Vec<Expiry> {
    const CHECK: &str = "lifecycle";
    let rules = match probe.bucket.expiry_rules().await {
        Ok(rules) => rules,
        Err(refusal) => {
            let found = if refusal.is_unknown_request() {
                "the store has no expiry rules: what nobody confirms is taken away by the sweeper alone".to_owned()
            } else if refusal.is_missing_right() {
                format!("the rules cannot be read (s3:GetLifecycleConfiguration): {refusal}")
            } else {
                format!("the rules cannot be read: {refusal}")
            };
            report.info(CHECK, found);
            return Vec::new();
        }
    };
    let (status, found, advice) = judged(&rules, installation.expiry_days);
    if status == Status::Ok {
        report.ok(CHECK, found);
    } else {
        report.advise(CHECK, status, found, advice);
    }
    rules
}

/// The worst that these rules do.
fn judged(rules: &[Expiry], days: i32) -> (Status, String, &'static str) {
    let reaches = |rule: &Expiry, prefix: &str| prefix.starts_with(&rule.prefix) || rule.prefix.starts_with(prefix);
    let expiring = || rules.iter().filter_map(|rule| rule.days.map(|after| (rule, after)));
    // Where sealed files are nothing may ever expire.
    if let Some((rule, after)) = expiring().find(|(rule, _)| reaches(rule, SealedKey::PREFIX)) {
        let found = format!("rule ‘{}’ deletes files under {} after {after} days", rule.id, SealedKey::PREFIX);
        return (Status::Error, found, "limit that rule to other keys: it loses confirmed files");
    }
    let staging = || expiring().filter(|(rule, _)| reaches(rule, StagingKey::PREFIX));
    if let Some((rule, after)) = staging().find(|(_, after)| *after < days) {
        let found = format!("rule ‘{}’ deletes uploads after {after} days, but forms and their grace need {days}", rule.id);
        let advice = if rule.id == RULE_ID { "run ‘dropslip lifecycle apply’ again" } else { "raise its days, or take it away" };
        return (Status::Warning, found, advice);
    }
    if let Some((_, after)) = staging().find(|(rule, _)| StagingKey::PREFIX.starts_with(&rule.prefix) && !rule.is_partial) {
        return (Status::Ok, format!("what is never confirmed expires after {after} days"), "");
    }
    let found = format!("no rule takes away what lies under {} when no broker runs", StagingKey::PREFIX);
    (Status::Warning, found, "run ‘dropslip lifecycle apply’")
}

async fn versioning(probe: &Probe, rules: &[Expiry], report: &mut Report) {
    const CHECK: &str = "versioning";
    let kept = match probe.bucket.versioning().await {
        Ok(Versioning::Off) => return report.ok(CHECK, "off: what is deleted is gone"),
        Ok(Versioning::Enabled) => "on",
        Ok(Versioning::Suspended) => "suspended",
        Err(refusal) if refusal.is_unknown_request() => return report.info(CHECK, "the store has no versions"),
        Err(refusal) => return report.info(CHECK, format!("cannot be read (s3:GetBucketVersioning): {refusal}")),
    };
    if rules.iter().any(|rule| rule.takes_old_versions && StagingKey::PREFIX.starts_with(&rule.prefix) && !rule.is_partial) {
        report.ok(CHECK, format!("{kept}, and a rule takes old versions of uploads away"));
    } else {
        let advice = format!("add a lifecycle rule with NoncurrentVersionExpiration for {}", StagingKey::PREFIX);
        report.advise(CHECK, Status::Warning, format!("{kept}: every upload that is deleted stays as an old version"), advice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: &str, days: Option<i32>, is_partial: bool) -> Expiry {
        Expiry { id: "a".to_owned(), prefix: prefix.to_owned(), is_partial, days, takes_old_versions: false }
    }

    #[test]
    fn rules_are_judged_by_the_worst_that_they_do() {
        let cases = [
            (vec![], Status::Warning),
            (vec![rule("temp/", Some(3), false)], Status::Ok),
            (vec![rule("temp/", Some(2), false)], Status::Warning),
            (vec![rule("temp/", Some(0), true)], Status::Warning),
            (vec![rule("temp/", Some(9), true)], Status::Warning),
            (vec![rule("temp/", None, false)], Status::Warning),
            (vec![rule("temp/old/", Some(9), false)], Status::Warning),
            (vec![rule("te", Some(9), false), rule("logs/", Some(1), false)], Status::Ok),
            (vec![rule("temp/", Some(9), false), rule("", Some(9), false)], Status::Error),
            (vec![rule("temp/", Some(9), false), rule("files/2", Some(900), true)], Status::Error),
            (vec![rule("temp/", Some(9), false), rule("files/", None, false)], Status::Ok),
        ];
        for (rules, status) in cases {
            let judged = judged(&rules, 3);
            assert_eq!(judged.0, status, "{rules:?}: {}", judged.1);
        }
    }
}
