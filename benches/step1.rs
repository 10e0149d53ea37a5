//! What the pure parts of step 1 cost in processor time, next to the one HMAC that nothing can save.
//!
//! | benchmark | what it does |
//! |---|---|
//! | `floor` | one HMAC-SHA256 with a prepared key over as many bytes as the signed policy has |
//! | `parse` | the JSON of a request becomes a [`NewFile`] |
//! | `judge` | that is judged by the shipped rule for attachments |
//! | `presign` | a whole form, with the signing key of the day at hand: what nearly every slip costs |
//! | `presign, new day` | the same after a change of day: the signing key is derived anew |
//! | `render` | file and form become the JSON of the answer |
//! | `measure` | what is counted and timed of each slip |
//! | `measure, a batch` | what is counted and timed of each batch of slips, in addition |
//!
//! Only the ratios to `floor` of the same run mean something on another machine; BENCHMARKS.md has them.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{BatchSize, Criterion};
use dropslip::api::bench::{parse, render};
use dropslip::broker::Slip;
use dropslip::domain::{Actor, ActorKind, Attempts, File, FileId, FileType, NewFile, State, Tenant};
use dropslip::metrics::{self, Operation, Statement, Step};
use dropslip::policy_file;
use dropslip::post_policy::{Credentials, PresignedPost, Signer, UploadTerms};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const URL: &str = "https://example-uploads.s3.eu-central-1.amazonaws.com/";
const TODAY: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);
const TOMORROW: OffsetDateTime = datetime!(2026-01-03 03:04:05 UTC);

/// A slip for a photo of 2.5 MB, as the shipped rule for attachments grants it to a client that declares size and checksum.
const TERMS: UploadTerms<'_> = UploadTerms {
    bucket: "example-uploads",
    key: "temp/019b7cc3a508-00112233445566778899aabbccddeeff",
    content_type: "image/jpeg",
    min_size: 2_500_000,
    max_size: 2_500_000,
    checksum_sha256: Some("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
    lifetime: Duration::HOUR,
};

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: None,
        expires_at: None,
    }
}

fn presigned(signer: &Signer, credentials: &Credentials, now: OffsetDateTime) -> PresignedPost {
    signer.presign(URL.to_owned(), black_box(&TERMS), credentials, now).unwrap()
}

/// The base64 text that is signed.
fn policy_of(post: &PresignedPost) -> &str {
    post.fields.iter().find(|(name, _)| *name == "policy").map(|(_, value)| value.as_str()).unwrap()
}

fn signing(criterion: &mut Criterion) {
    let (signer, credentials) = (Signer::new("eu-central-1".to_owned()), credentials());
    let post = presigned(&signer, &credentials, TODAY);
    let policy = policy_of(&post).as_bytes();
    println!("the signed policy has {} bytes", policy.len());

    let key = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    criterion.bench_function("floor", |bencher| {
        bencher.iter(|| {
            let mut mac = key.clone();
            mac.update(black_box(policy));
            mac.finalize().into_bytes()
        });
    });
    criterion.bench_function("presign", |bencher| bencher.iter(|| presigned(&signer, &credentials, TODAY)));

    // Two days in turn: the signer keeps the key of the latest only.
    let mut days = [TODAY, TOMORROW].into_iter().cycle();
    criterion.bench_function("presign, new day", |bencher| {
        bencher.iter(|| presigned(&signer, &credentials, days.next().unwrap_or(TODAY)));
    });
}

/// What a client sends: a photo of 2.5 MB with its checksum.
const REQUEST: &[u8] =
    br#"{"type":"attachment","filename":"IMG_0001.JPG","mimeType":"image/jpeg","disposition":"attachment","size":2500000,
    "checksumSHA256":"LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="}"#;

fn judging(criterion: &mut Criterion, rule: &FileType) -> NewFile {
    criterion.bench_function("parse", |bencher| bencher.iter(|| parse(black_box(REQUEST)).unwrap()));
    let new = parse(REQUEST).unwrap();
    criterion.bench_function("judge", |bencher| bencher.iter(|| rule.judge(black_box(&new)).unwrap()));
    new
}

/// The record that an answer is about.
fn file(new: NewFile, rule: &FileType) -> File {
    let grant = rule.judge(&new).unwrap().grant;
    let actor = Actor { id: 1, kind: ActorKind::Users };
    File {
        id: FileId(1_234_567),
        tenant: Tenant::DEFAULT.parse().unwrap(),
        state: State::Temp(Attempts::default()),
        type_name: new.type_name,
        name: new.name,
        disposition: new.disposition,
        declared_type: new.declared_type,
        grant,
        checksum_sha256: new.checksum_sha256,
        staging_key: TERMS.key.parse().unwrap(),
        multipart: None,
        created_at: TODAY,
        updated_at: TODAY,
        expires_at: TODAY + TERMS.lifetime,
        keep_until: None,
        created_by: actor,
        updated_by: actor,
    }
}

fn rendering(criterion: &mut Criterion, file: &File) {
    let post = presigned(&Signer::new("eu-central-1".to_owned()), &credentials(), TODAY);
    criterion.bench_function("render", |bencher| {
        bencher.iter_batched(|| Slip::Form(post.clone()), |slip| render(black_box(file), slip).unwrap(), BatchSize::SmallInput);
    });
}

/// What metrics add to a slip.
fn measuring(criterion: &mut Criterion) {
    metrics::file_types(["artifact", "attachment", "image"].into_iter());
    criterion.bench_function("measure", |bencher| {
        bencher.iter(|| {
            let asked = Instant::now();
            metrics::queued(black_box(std::time::Duration::from_micros(77)));
            metrics::file(Step::Issued, black_box("attachment"));
            metrics::request(Operation::Slip, black_box(201), asked.elapsed());
        });
    });
    criterion.bench_function("measure, a batch", |bencher| {
        bencher.iter(|| {
            metrics::batch(black_box(17));
            drop(metrics::connecting());
            drop(metrics::statement(Statement::Slips));
        });
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let rule = policy_file::parse(include_str!("../policies/attachment.toml")).unwrap();
    signing(&mut criterion);
    let new = judging(&mut criterion, &rule);
    rendering(&mut criterion, &file(new, &rule));
    measuring(&mut criterion);
    criterion.final_summary();
}
