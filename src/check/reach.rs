//! The first questions: database, address, clock, region, credentials, bucket. Where one of them is answered badly enough, no
//! other check is worth its row.

use std::time::Instant;

use reqwest::header::{DATE, HeaderMap, SERVER};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};
use url::Url;

use super::clock::now;
use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, Installation, Probe, Report, Status};
use crate::bucket::{Bucket, BucketOptions};
use crate::database::probe::{Found, look};
use crate::domain::StagingKey;
use crate::domain::web::{innermost, is_this_machine};

/// The form of a date in HTTP (RFC 9110, section 5.6.7).
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// From here on forms visibly live shorter or longer than they say.
const CLOCK_WARNING: Duration = Duration::seconds(60);

/// From here on short-lived forms are dead at birth; S3 refuses every request of a clock that is 15 minutes off.
const CLOCK_ERROR: Duration = Duration::minutes(5);

/// Credentials that end sooner are most likely to be forgotten ones.
const SHORT_LIFE: Duration = Duration::minutes(15);

/// What the store says to every signed request, whatever it asks for.
const SAID_TO_ALL: [&str; 9] = [
    "NoSuchBucket",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "InvalidToken",
    "ExpiredToken",
    "RequestTimeTooSkewed",
    "InvalidRegion",
];

/// The bucket, if it is one that can be looked at more closely.
pub(super) async fn reach(installation: &Installation, report: &mut Report) -> Option<Probe> {
    database(installation, report).await;
    let options = match &installation.bucket {
        Ok(options) => options.clone(),
        Err(why) => {
            report.advise("reachable", Status::Error, why, "correct that setting; nothing else was looked at");
            return None;
        }
    };
    let bucket = match Bucket::unasked(options.clone()).await {
        Ok(bucket) => bucket,
        Err(error) => {
            report.advise(
                "reachable",
                Status::Error,
                error.to_string(),
                "correct DROPSLIP_S3_BUCKET, DROPSLIP_S3_REGION and the endpoints",
            );
            return None;
        }
    };
    // Without the public endpoint, should that lead elsewhere.
    let inner = match Bucket::unasked(BucketOptions { public_endpoint: None, ..options.clone() }).await {
        Ok(inner) => inner,
        Err(error) => {
            report.advise("reachable", Status::Error, error.to_string(), "correct DROPSLIP_S3_ENDPOINT");
            return None;
        }
    };
    let http = match client(&options) {
        Ok(http) => http,
        Err(error) => {
            report.advise("reachable", Status::Error, innermost(&error), "the HTTP client cannot start on this machine");
            return None;
        }
    };
    let headers = address(&http, bucket.own_url(), report).await?;
    region(&headers, &bucket, report);
    credentials(&bucket, installation.longest_slip, report).await?;
    usable(&bucket, &options.name, report).await?;
    Some(Probe::new(bucket, inner, options, http))
}

async fn database(installation: &Installation, report: &mut Report) {
    const CHECK: &str = "database";
    match (look(&installation.database_url).await, &installation.identity) {
        (Ok(Found::NoFile), _) => report.info(CHECK, "it is not there yet; ‘dropslip serve’ makes it"),
        (Ok(Found::Empty | Found::Unbound), _) => report.info(CHECK, "it answers and is empty; ‘dropslip serve’ makes its tables"),
        (Ok(Found::About(about)), Some(identity)) if about != *identity => {
            let advice = "a database is about one bucket: set DROPSLIP_S3_BUCKET as it was, or use another database";
            report.advise(CHECK, Status::Error, format!("it is about {about}, not {identity}"), advice);
        }
        (Ok(Found::About(about)), _) => report.ok(CHECK, format!("it answers and is about {about}")),
        (Err(error), _) => {
            let advice = "start it, or correct DROPSLIP_DATABASE_URL; the other checks do without it";
            report.advise(CHECK, Status::Error, error.to_string(), advice);
        }
    }
}

fn client(options: &BucketOptions) -> reqwest::Result<reqwest::Client> {
    // No redirect is followed: a form would be sent to a place that nobody signed it for.
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("dropslip-check/", env!("CARGO_PKG_VERSION")));
    let builder = if options.endpoint.as_deref().is_some_and(|endpoint| Url::parse(endpoint).is_ok_and(|url| is_this_machine(&url))) {
        builder.no_proxy()
    } else {
        builder
    };
    builder.build()
}

/// Asks without credentials: any answer at all will do, and its headers tell clock and region.
async fn address(http: &reqwest::Client, inside: &str, report: &mut Report) -> Option<HeaderMap> {
    let asked = (now(), Instant::now());
    match http.head(inside).send().await {
        Ok(answer) => {
            let server = answer.headers().get(SERVER).and_then(|server| server.to_str().ok());
            report.ok("reachable", format!("{inside} answers{}", server.map(|server| format!(" ({server})")).unwrap_or_default()));
            // The store looked at its clock about half way.
            clock(answer.headers(), asked.0 + asked.1.elapsed() / 2, report);
            Some(answer.headers().clone())
        }
        Err(error) => {
            let advice =
                "start the store, or correct DROPSLIP_S3_ENDPOINT (for AWS: the way out of this network); nothing else was looked at";
            report.advise("reachable", Status::Error, format!("{inside} does not answer: {}", innermost(&error)), advice);
            None
        }
    }
}

fn clock(headers: &HeaderMap, here: OffsetDateTime, report: &mut Report) {
    const CHECK: &str = "clock";
    let told = headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(|date| PrimitiveDateTime::parse(date, HTTP_DATE).ok());
    let Some(there) = told.map(PrimitiveDateTime::assume_utc) else {
        return report.info(CHECK, "the store does not tell its time");
    };
    // Half a second, because the header has whole ones.
    let ahead = here - there - Duration::milliseconds(500);
    let found = match ahead.whole_seconds() {
        0 => "the same as the store's, to the second".to_owned(),
        seconds => format!("{} s {} the store's", seconds.unsigned_abs(), if seconds < 0 { "behind" } else { "ahead of" }),
    };
    let advice = "set both clocks by NTP: forms live shorter or longer than they say, and S3 refuses all requests beyond 15 minutes";
    match ahead.abs() {
        off if off > CLOCK_ERROR => report.advise(CHECK, Status::Error, found, advice),
        off if off > CLOCK_WARNING => report.advise(CHECK, Status::Warning, found, advice),
        _ => report.ok(CHECK, found),
    }
}

fn region(headers: &HeaderMap, bucket: &Bucket, report: &mut Report) {
    const CHECK: &str = "region";
    let ours = bucket.region();
    match headers.get("x-amz-bucket-region").and_then(|region| region.to_str().ok()) {
        Some(theirs) if theirs == ours => report.ok(CHECK, format!("the bucket is in {ours}")),
        Some(theirs) => {
            let found = format!("the bucket is in {theirs}, but everything is signed for {ours}");
            report.advise(CHECK, Status::Error, found, format!("set DROPSLIP_S3_REGION={theirs}"));
        }
        None => report.info(CHECK, format!("the store does not tell; everything is signed for {ours}")),
    }
}

async fn credentials(bucket: &Bucket, longest_slip: Duration, report: &mut Report) -> Option<()> {
    const CHECK: &str = "credentials";
    let credentials = match bucket.signing_credentials(now()).await {
        Ok(credentials) => credentials,
        Err(error) => {
            let advice = "give the AWS chain some: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role of this machine; nothing \
                          else was looked at";
            report.advise(CHECK, Status::Error, error.to_string(), advice);
            return None;
        }
    };
    let key = &credentials.access_key_id;
    let Some(end) = credentials.expires_at else {
        let kind = if credentials.session_token.is_some() { "temporary, their end is not told" } else { "permanent" };
        report.ok(CHECK, format!("{key}: {kind}"));
        return Some(());
    };
    let left = end - now();
    let found = format!("{key}: they end in {}", words(left));
    if left < SHORT_LIFE {
        let advice = "no form lives longer than they do: give them a longer life, unless their source is about to replace them";
        report.advise(CHECK, Status::Warning, found, advice);
    } else if left < longest_slip {
        report.info(CHECK, format!("{found}, so forms that should live for {} end with them", words(longest_slip)));
    } else {
        report.ok(CHECK, found);
    }
    Some(())
}

fn words(time: Duration) -> String {
    match time.whole_minutes() {
        minutes if minutes >= 120 => format!("{} h", minutes / 60),
        minutes if minutes >= 2 => format!("{minutes} min"),
        _ => format!("{} s", time.whole_seconds()),
    }
}

/// Whether the credentials are good for this bucket at all; a listing is also what dropslip needs to tell 404 from 403.
async fn usable(bucket: &Bucket, name: &str, report: &mut Report) -> Option<()> {
    const CHECK: &str = "bucket";
    let refusal = match bucket.try_listing(StagingKey::PREFIX).await {
        Ok(()) => {
            report.ok(CHECK, format!("‘{name}’ is there and can be listed"));
            return Some(());
        }
        Err(refusal) => refusal,
    };
    let code = refusal.code.as_str();
    let hopeless = refusal.status.is_none() || refusal.status == Some(404) || SAID_TO_ALL.contains(&code);
    let advice = match code {
        _ if refusal.status == Some(404) => "make the bucket, or correct DROPSLIP_S3_BUCKET",
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "ExpiredToken" => {
            "correct the credentials: dropslip uses the first that the AWS chain finds"
        }
        "AuthorizationHeaderMalformed" | "PermanentRedirect" | "InvalidRegion" => "correct DROPSLIP_S3_REGION",
        "RequestTimeTooSkewed" => "set this machine's clock by NTP",
        "AccessDenied" => {
            "allow s3:ListBucket on the bucket: without it a missing object cannot be told from a forbidden one. Some stores also say so to a wrong secret"
        }
        _ => "look into the store's log",
    };
    let advice = if hopeless { format!("{advice}; nothing else was looked at") } else { advice.to_owned() };
    report.advise(CHECK, Status::Error, refusal.to_string(), advice);
    (!hopeless).then_some(())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn told(date: &str, here: OffsetDateTime) -> (Status, String) {
        let mut report = Report::default();
        let headers = HeaderMap::from_iter([(DATE, date.parse().unwrap())]);
        clock(&headers, here, &mut report);
        let finding = &report.findings()[0];
        (finding.status, finding.found.clone())
    }

    #[test]
    fn a_clock_is_judged_in_both_directions() {
        let date = "Fri, 02 Jan 2026 03:04:05 GMT";
        let there = datetime!(2026-01-02 03:04:05.5 UTC);
        assert_eq!(told(date, there), (Status::Ok, "the same as the store's, to the second".to_owned()));
        for (seconds, status) in
            [(60, Status::Ok), (61, Status::Warning), (300, Status::Warning), (301, Status::Error), (90_000, Status::Error)]
        {
            assert_eq!(told(date, there + Duration::seconds(seconds)), (status, format!("{seconds} s ahead of the store's")));
            assert_eq!(told(date, there - Duration::seconds(seconds)), (status, format!("{seconds} s behind the store's")));
        }
        assert_eq!(told("yesterday", there).0, Status::Info);
    }
}
