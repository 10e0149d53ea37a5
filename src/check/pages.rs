//! CORS: whether pages of the configured origins may send forms and parts, and pages of others may not.

use reqwest::Method;
use reqwest::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN,
};

use super::{Installation, Probe, Report, Status};
use crate::domain::web::innermost;

/// An origin that nobody configures: the name can never be registered (RFC 2606).
const STRANGER: &str = "https://dropslip-check.invalid";

const APPLY: &str = "run ‘dropslip cors apply’, or add the rule of ‘dropslip cors print’";

const NO_ORIGIN: &str = "no origin is configured (DROPSLIP_CORS_ORIGINS, DROPSLIP_PUBLIC_URL): pages of other origins cannot upload";

/// Headers that monitoring and libraries add to what a page sends; and one that nobody has, for a rule that names the others.
const ADDED: &str = "traceparent,x-requested-with,x-dropslip-check";

/// What a browser was answered.
enum Said {
    /// The page may.
    Yes { everybody: bool },
    /// It may not.
    No(String),
}

pub(super) async fn look(installation: &Installation, probe: &Probe, report: &mut Report) {
    rules(installation, probe, report).await;
    let url = probe.bucket.form_url();
    for origin in &installation.origins {
        let check = format!("cors-preflight:{origin}");
        let form = preflight(probe, url, origin, "POST", "content-type").await;
        let part = preflight(probe, url, origin, "PUT", "content-type,if-none-match,x-amz-checksum-sha256").await;
        match (form, part) {
            (Ok(Said::Yes { .. }), Ok(Said::Yes { .. })) => {
                match preflight(probe, url, origin, "POST", &format!("content-type,{ADDED}")).await {
                    Ok(Said::Yes { .. }) => report.ok(&check, "pages there may send forms, signed PUTs and parts, with any headers"),
                    Ok(Said::No(why)) | Err(why) => {
                        let found = format!(
                            "pages there may send forms, signed PUTs and parts, but not if monitoring or a library adds headers of its own: {why}"
                        );
                        let advice = if installation.embedded { "this is a defect of dropslip" } else { APPLY };
                        report.advise(&check, Status::Warning, found, advice);
                    }
                }
            }
            (Ok(Said::Yes { .. }), Ok(Said::No(why))) => {
                let advice = if installation.embedded { "this is a defect of dropslip" } else { APPLY };
                report.advise(
                    &check,
                    Status::Warning,
                    format!("pages there may send forms, but no signed PUTs and no parts: {why}"),
                    advice,
                );
            }
            (Ok(Said::No(why)), _) => {
                let advice = if installation.embedded { "start ‘dropslip serve’ again: it knows other origins" } else { APPLY };
                report.advise(&check, Status::Error, format!("pages there may not send forms: {why}"), advice);
            }
            (Err(why), _) | (_, Err(why)) => {
                report.advise(&check, Status::Error, format!("no answer to a preflight at {url}: {why}"), "see the row ‘public-endpoint’");
            }
        }
    }
    stranger(installation, probe, report).await;
}

async fn stranger(installation: &Installation, probe: &Probe, report: &mut Report) {
    const CHECK: &str = "cors-stranger";
    match preflight(probe, probe.bucket.form_url(), STRANGER, "POST", "content-type").await {
        Ok(Said::No(_)) => report.ok(CHECK, "pages of other origins may not"),
        Ok(Said::Yes { everybody: true }) => {
            report.info(CHECK, "the store lets pages of every origin in (*). They need a slip all the same, and send no cookies");
        }
        Ok(Said::Yes { everybody: false }) => {
            let found = "the store lets pages of every origin in, each by its name. They need a slip all the same";
            // Without an origin there is no rule to write.
            if installation.origins.is_empty() {
                report.info(CHECK, found);
            } else {
                let advice = "run ‘dropslip cors apply’: a store with rules keeps to them; or name the origins in the proxy before it";
                report.advise(CHECK, Status::Warning, found, advice);
            }
        }
        Err(why) => report.info(CHECK, format!("no answer to a preflight: {why}")),
    }
}

async fn rules(installation: &Installation, probe: &Probe, report: &mut Report) {
    const CHECK: &str = "cors-rules";
    let origins = &installation.origins;
    if installation.embedded {
        return match origins.as_slice() {
            [] => report.info(CHECK, NO_ORIGIN),
            _ => report.ok(CHECK, "the embedded store lets the configured origins in by itself"),
        };
    }
    let rules = match probe.bucket.cors_rules().await {
        Ok(rules) => rules,
        Err(refusal) if refusal.is_unknown_request() => {
            return report.info(CHECK, "the store keeps no rules for a bucket: they are a matter of its own configuration");
        }
        Err(refusal) => return report.info(CHECK, format!("cannot be read (s3:GetBucketCORS): {refusal}")),
    };
    if let Some(rule) = rules.iter().find(|rule| rule.is_for_everybody()) {
        let found = format!("rule ‘{}’ lets pages of every origin in", rule.id.as_deref().unwrap_or("without a name"));
        return report.advise(CHECK, Status::Warning, found, "name the origins in it; dropslip needs no wildcard");
    }
    let named: Vec<&str> =
        origins.iter().filter(|origin| !rules.iter().any(|rule| rule.takes_any_header(origin))).map(String::as_str).collect();
    let unserved: Vec<&str> = origins.iter().filter(|origin| !rules.iter().any(|rule| rule.serves(origin))).map(String::as_str).collect();
    if origins.is_empty() {
        report.info(CHECK, NO_ORIGIN);
    } else if !unserved.is_empty() {
        report.advise(CHECK, Status::Warning, format!("no rule allows all that {} needs", unserved.join(", ")), APPLY);
    } else if !named.is_empty() {
        let found = format!(
            "pages fail where monitoring adds headers such as traceparent: the rule names those that are allowed, as older versions wrote it, for {}",
            named.join(", ")
        );
        report.advise(CHECK, Status::Warning, found, "run ‘dropslip cors apply’ again, or put * into its AllowedHeaders");
    } else {
        report.ok(CHECK, "every configured origin has its rule, and none is for everybody");
    }
}

/// What a browser asks before it lets a page send.
async fn preflight(probe: &Probe, url: &str, origin: &str, method: &str, headers: &str) -> Result<Said, String> {
    let request = probe.http.request(Method::OPTIONS, url).header(ORIGIN, origin).header(ACCESS_CONTROL_REQUEST_METHOD, method);
    let answer = request.header(ACCESS_CONTROL_REQUEST_HEADERS, headers).send().await.map_err(|error| innermost(&error))?;
    let answered = |name: HeaderName| {
        let values = answer.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(",")
    };
    let status = answer.status();
    let allowed_origin = answered(ACCESS_CONTROL_ALLOW_ORIGIN);
    if !status.is_success() {
        return Ok(Said::No(format!("the preflight is answered {}", status.as_u16())));
    }
    if allowed_origin != origin && allowed_origin != "*" {
        return Ok(Said::No("this origin is not allowed".to_owned()));
    }
    let has = |list: &str, wanted: &str| list.split(',').map(str::trim).any(|item| item == "*" || item.eq_ignore_ascii_case(wanted));
    // A browser lets every page POST, whatever the list says (Fetch standard, "CORS-safelisted method").
    if method != "POST" && !has(&answered(ACCESS_CONTROL_ALLOW_METHODS), method) {
        return Ok(Said::No(format!("{method} is not allowed")));
    }
    let allowed_headers = answered(ACCESS_CONTROL_ALLOW_HEADERS);
    match headers.split(',').find(|header| !has(&allowed_headers, header)) {
        Some(header) => Ok(Said::No(format!("the header {header} is not allowed"))),
        None => Ok(Said::Yes { everybody: allowed_origin == "*" }),
    }
}
