//! `dropslip check` where something is wrong: it says what, once, and cleans up all the same.

use super::{Checked, Site, VERSIONING, assert_complete};
use crate::faults::proxy::{Break, Proxy};
use crate::harness::{Bed, Db, database, from_servers, s3_client};
use crate::process::text;

#[tokio::test(flavor = "multi_thread")]
async fn what_would_fail_everything_is_said_once() {
    let mut site = Site::on(Bed::SeaweedFs).await;
    let (key, bucket) = (from_servers("AWS_ACCESS_KEY_ID"), site.bucket.clone());
    let before = ["bucket", "clock", "credentials", "database", "reachable", "region"];

    site.set("AWS_SECRET_ACCESS_KEY", "wrong");
    let wrong_secret = site.check();
    wrong_secret.assert_alone(&before);
    let (status, found, advice) = wrong_secret.row("bucket");
    assert!(status == "error" && found.contains("SignatureDoesNotMatch") && advice.contains("credentials"), "{found} {advice}");
    site.set("AWS_ACCESS_KEY_ID", "nobody");
    assert!(site.check().row("bucket").1.contains("InvalidAccessKeyId"));

    site.set("AWS_ACCESS_KEY_ID", &key);
    site.set("AWS_SECRET_ACCESS_KEY", &from_servers("AWS_SECRET_ACCESS_KEY"));
    site.set("DROPSLIP_S3_BUCKET", "no-such-bucket");
    let missing = site.check();
    missing.assert_alone(&before);
    assert_eq!(missing.row("bucket").1, "the bucket refused: there is no bucket ‘no-such-bucket’");

    site.set("DROPSLIP_S3_BUCKET", &bucket);
    site.set("DROPSLIP_S3_ENDPOINT", "http://127.0.0.1:1");
    let away = site.check();
    away.assert_alone(&["database", "reachable"]);
    assert!(away.row("reachable").1.contains("http://127.0.0.1:1/") && away.row("reachable").2.contains("DROPSLIP_S3_ENDPOINT"));

    site.set("DROPSLIP_S3_ENDPOINT", &from_servers("TEST_SEAWEEDFS_URL"));
    site.settings.retain(|(name, _)| !name.starts_with("AWS_") || name.contains("METADATA"));
    let no_credentials = site.check();
    no_credentials.assert_alone(&["clock", "credentials", "database", "reachable", "region"]);
    assert_eq!(no_credentials.status("credentials"), "error");

    site.set("DROPSLIP_S3_BUKET", "misspelled");
    let output = site.run(&["check", "--json"]);
    assert!(output.status.code() == Some(2) && output.stdout.is_empty() && text(&output.stderr).contains("DROPSLIP_S3_BUKET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_region_is_named_with_the_right_one() {
    let mut site = Site::on(Bed::LocalStack).await;
    site.set("DROPSLIP_S3_REGION", "eu-west-1");
    let checked = site.check();
    let (status, found, advice) = checked.row("region");
    assert_eq!((status, advice), ("error", "set DROPSLIP_S3_REGION=us-east-1"), "{found}");
    site.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_a_row_of_its_own() {
    let mut site = Site::on(Bed::SeaweedFs).await;
    site.set("DROPSLIP_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    let away = site.check();
    assert_eq!(away.status("database"), "error");
    assert_complete(&away, 0);

    // Looking at a database makes nothing in it.
    let url = database(Db::Postgres, &site.folder).await;
    site.set("DROPSLIP_DATABASE_URL", &url);
    for _ in 0..2 {
        assert!(site.check().row("database").1.contains("is empty"));
    }
    for (bucket, status) in [(site.bucket.clone(), "ok"), ("another".to_owned(), "error")] {
        let url = database(Db::Postgres, &site.folder).await;
        dropslip::database::Database::open(&url).await.unwrap().bind_storage(&format!("bucket {bucket}")).await.unwrap();
        site.set("DROPSLIP_DATABASE_URL", &url);
        let checked = site.check();
        assert_eq!(checked.status("database"), status, "{}", checked.row("database").1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_endpoint_must_lead_to_the_same_bucket() {
    let mut site = Site::on(Bed::SeaweedFs).await;
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    site.set("DROPSLIP_S3_PUBLIC_ENDPOINT", &format!("http://{}", proxy.address));
    let same = site.check();
    assert_eq!(same.status("public-endpoint"), "ok");

    let elsewhere = s3_client(&from_servers("TEST_LOCALSTACK_URL"), "k", "s");
    elsewhere.create_bucket().bucket(&site.bucket).send().await.unwrap();
    site.set("DROPSLIP_S3_PUBLIC_ENDPOINT", &from_servers("TEST_LOCALSTACK_URL"));
    let other = site.check();
    let (status, found, advice) = other.row("public-endpoint");
    assert!(status == "error" && found.contains("another store or bucket") && advice.contains("DROPSLIP_S3_PUBLIC_ENDPOINT"), "{found}");
    assert_eq!(other.status("form"), "ok", "the others go on");
    let left = elsewhere.list_objects_v2().bucket(&site.bucket).send().await.unwrap();
    assert!(left.contents().is_empty(), "{left:?}");

    site.set("DROPSLIP_S3_PUBLIC_ENDPOINT", "http://127.0.0.1:1");
    let away = site.check();
    assert!(away.row("public-endpoint").1.contains("http://127.0.0.1:1/") && away.status("public-endpoint") == "error");
    assert_eq!((away.status("form"), away.status("confirm")), ("ok", "ok"));
    site.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_end_soon_are_worth_a_warning() {
    for (lives, status) in [(10, "warning"), (30, "info"), (7 * 60, "ok")] {
        let mut site = Site::on(Bed::LocalStack).await;
        site.settings.retain(|(name, _)| !name.starts_with("AWS_"));
        let endpoint = crate::operation::program::container_credentials(time::Duration::minutes(lives)).await;
        site.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint);
        let checked = site.check();
        assert_eq!(checked.status("credentials"), status, "{lives}: {}", checked.row("credentials").1);
        assert_eq!(checked.status("form"), "ok");
        assert!(checked.rows.values().all(|row| !row.1.contains("the-session-token")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_with_versions_keeps_none_of_a_check() {
    let site = Site::on(Bed::LocalStack).await;
    let enabled = aws_sdk_s3::types::VersioningConfiguration::builder().status(aws_sdk_s3::types::BucketVersioningStatus::Enabled).build();
    site.s3.put_bucket_versioning().bucket(&site.bucket).versioning_configuration(enabled).send().await.unwrap();
    let checked = site.check();
    let (status, _, advice) = checked.row(VERSIONING);
    assert!(status == "warning" && advice.contains("NoncurrentVersionExpiration"), "{advice}");
    assert_eq!(checked.status("clean-up"), "ok");
    site.assert_empty().await;
}

/// What the proxy breaks is known to the running test only, which lasts as long as the process.
fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

const FORBIDDEN: Break = Break::Answer(
    "HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\ncontent-length: 54\r\nconnection: close\r\n\r\n\
     <Error><Code>AccessDenied</Code><Message/></Error>    ",
);

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_has_its_own_rows_and_the_others_go_on() {
    let seaweedfs = from_servers("TEST_SEAWEEDFS_URL");
    let proxy = Proxy::to(&seaweedfs).await;
    let site = Site::at(&seaweedfs, &format!("http://{}", proxy.address)).await;
    let bad = |checked: &Checked| -> Vec<String> {
        checked.rows.iter().filter(|(_, row)| row.0 == "error").map(|(check, _)| check.clone()).collect()
    };
    assert_eq!(bad(&site.check()), Vec::<String>::new());

    proxy.breaks("list-type=2", FORBIDDEN);
    let checked = site.check();
    assert_eq!(bad(&checked), ["bucket"]);
    assert!(checked.row("bucket").2.contains("s3:ListBucket"));
    assert_complete(&checked, 0);
    site.assert_empty().await;

    proxy.breaks("x-amz-copy-source:", FORBIDDEN);
    let checked = site.check();
    assert_eq!(bad(&checked), ["confirm", "copy-if-match"]);
    assert_eq!(checked.status("tampered:acl-added"), "warning", "what is let through can harm nobody, but cannot be confirmed either");
    assert_complete(&checked, 0);

    proxy.breaks("?cors", FORBIDDEN);
    assert_eq!(site.check().status("cors-rules"), "info");
    proxy.breaks("?lifecycle", FORBIDDEN);
    assert_eq!(site.check().status("lifecycle"), "info");
    proxy.heals();
    site.assert_empty().await;

    proxy.breaks("DELETE /", FORBIDDEN);
    let checked = site.check();
    assert_eq!(checked.status("delete"), "error");
    let (status, found, _) = checked.row("clean-up");
    assert!(status == "warning" && found.contains("temp/check-"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_post_is_told_which_setting_helps() {
    let seaweedfs = from_servers("TEST_SEAWEEDFS_URL");
    let proxy = Proxy::to(&seaweedfs).await;
    let site = Site::at(&seaweedfs, &format!("http://{}", proxy.address)).await;
    for answer in [
        "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ] {
        proxy.breaks(leaked(format!("POST /{}/ HTTP", site.bucket)), Break::Answer(answer));
        let checked = site.check();
        let (status, found, advice) = checked.row("form");
        assert_eq!((status, advice), ("error", "set DROPSLIP_S3_METHOD=put"), "{found}");
        assert!(!checked.rows.keys().any(|check| check.starts_with("tampered:")), "nothing that would follow from it");
        assert!(["copy-if-match", "put"].iter().all(|check| ["ok", "info"].contains(&checked.status(check))), "{:?}", checked.rows);
    }
    site.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_told_from_the_stores() {
    let seaweedfs = from_servers("TEST_SEAWEEDFS_URL");
    let proxy = Proxy::to(&seaweedfs).await;
    let site = Site::at(&seaweedfs, &format!("http://{}", proxy.address)).await;
    for (seconds, status) in [(-120, "warning"), (120, "warning"), (600, "error"), (-600, "error")] {
        let there = time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
        let date = there.format(&time::format_description::well_known::Rfc2822).unwrap().replace("+0000", "GMT");
        let answer = leaked(format!("HTTP/1.1 403 Forbidden\r\ndate: {date}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
        proxy.breaks(leaked(format!("HEAD /{}/ HTTP", site.bucket)), Break::Answer(answer));
        let checked = site.check();
        assert_eq!(checked.status("clock"), status, "{seconds}: {}", checked.row("clock").1);
        assert!(checked.row("clock").1.contains(if seconds < 0 { "ahead" } else { "behind" }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_a_store_says_reaches_the_terminal_as_it_is() {
    let seaweedfs = from_servers("TEST_SEAWEEDFS_URL");
    let proxy = Proxy::to(&seaweedfs).await;
    let site = Site::at(&seaweedfs, &format!("http://{}", proxy.address)).await;
    // Where an XML parser stands between, it takes no Esc.
    let (all, parsed) = ("\u{1b}[2J\u{202e}\u{9b}31m\r\nroot", "\u{202e}\u{9b}31m\u{200b}root");
    for (request, code) in [(format!("POST /{}/ HTTP", site.bucket), all), ("?lifecycle".to_owned(), parsed), ("PUT /".to_owned(), parsed)]
    {
        let body = format!("<Error><Code>{code}</Code></Error>");
        let answer = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        proxy.breaks(leaked(request.clone()), Break::Answer(leaked(answer)));
        for arguments in [&["check"][..], &["check", "--json"]] {
            let output = site.run(arguments);
            assert!(proxy.hits() > 0 && text(&output.stdout).contains("root"), "{request}: {}", text(&output.stdout));
            let printed = text(&output.stdout) + &text(&output.stderr);
            let hostile: Vec<char> = printed.chars().filter(|c| *c != '\n' && !c.is_ascii_graphic() && !" ‘’…".contains(*c)).collect();
            assert_eq!(hostile, Vec::<char>::new(), "{request}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_interrupted_leaves_nothing() {
    let seaweedfs = from_servers("TEST_SEAWEEDFS_URL");
    let proxy = Proxy::to(&seaweedfs).await;
    let site = Site::at(&seaweedfs, &format!("http://{}", proxy.address)).await;
    // One answer that never comes holds the run in the middle; what it had written by then is there.
    proxy.breaks_times("x-amz-copy-source:", Break::StallAnswer, 1);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dropslip"));
    command.env_clear().current_dir(site.folder.path()).envs(site.settings.iter().map(|(name, value)| (name, value)));
    let child = command.arg("check").stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    proxy.until_hit().await;
    assert!(!site.s3.list_objects_v2().bucket(&site.bucket).send().await.unwrap().contents().is_empty());
    std::process::Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("not everything was looked at") && text(&output.stdout).contains("nothing is left of this check")
    );
    site.assert_empty().await;
}
