//! The program itself: how it starts, refuses to start, and what its commands print.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use dropslip::domain::sqlite_url;
use dropslip::embedded_s3::BOUNDS;

use crate::harness::{answer, from_servers, new_file, unique};
use crate::process::{Serving, run, text};

const EMBEDDED: [(&str, &str); 2] = [("DROPSLIP_LISTEN", "127.0.0.1:0"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0")];

#[test]
fn the_printed_script_works_when_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &EMBEDDED, ")");
    let script = &serving.banner[serving.banner.find("\n(\n").unwrap()..];
    for shell in ["sh", "bash"] {
        let output = Command::new(shell).arg("-c").arg(script).current_dir(folder.path()).output().unwrap();
        let printed = text(&output.stdout);
        assert!(
            printed.contains("<PostResponse>") && printed.contains(r#""size":17"#) && printed.contains(r#""state":"active""#),
            "{shell}: {printed}"
        );
        assert_eq!(text(&output.stderr), "");
    }
    let serving_page = serving.banner.lines().find(|line| line.starts_with("Upload page: ")).unwrap().to_owned();
    let (code, log) = serving.terminate();
    assert_eq!(code, 0);
    let token = fs::read_to_string(folder.path().join("data/development-token")).unwrap();
    assert!(serving_page.ends_with(&format!("/#token={}", token.trim())), "{serving_page}");
    assert!(!log.contains(token.trim()) && !log.contains("x-amz-signature"), "a secret is in the log");
    assert!(log.contains("file sealed") && !log.contains("slip issued"), "each slip is logged for those who debug only: {log}");
}

#[test]
fn token_and_files_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = Serving::start(folder.path(), &EMBEDDED, ")").banner.clone();
    let second = Serving::start(folder.path(), &EMBEDDED, ")").banner.clone();
    let token = |banner: &str| banner.lines().find_map(|line| line.split_once("(this machine only): ")).unwrap().1.to_owned();
    assert_eq!(token(&first), token(&second));
}

/// `make run` starts it so. Cargo hands on what the build script told the compiler, to tests as well.
#[test]
fn what_cargo_run_hands_on_is_no_setting() {
    assert!(std::env::var_os("BUILD_COMMIT").is_some(), "run by cargo, or else this shows nothing");
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dropslip")).arg("config").current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Settings, and what the complaint says.
type Refusal<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn it_refuses_to_start_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::create_dir(path("broken")).unwrap();
    fs::write(path("broken/one.toml"), "name = \"one\"\ntitle = \"One\"\nmax_sise = 1\n").unwrap();
    fs::create_dir(path("empty")).unwrap();
    fs::write(path("bad.toml"), "listen = \"127.0.0.1:0\"\nlisten_on = \"x\"\n").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (broken, empty, bad) = (path("broken"), path("empty"), path("bad.toml"));
    let with_bucket = [
        ("DROPSLIP_S3_BUCKET", "no-such-bucket"),
        ("AWS_ACCESS_KEY_ID", "k"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let store_away = [&with_bucket[..], &[("DROPSLIP_S3_ENDPOINT", "http://127.0.0.1:1")]].concat();
    let localstack = from_servers("TEST_LOCALSTACK_URL");
    let bucket_away = [&with_bucket[..], &[("DROPSLIP_S3_ENDPOINT", localstack.as_str())]].concat();
    let seaweedfs = from_servers("TEST_SEAWEEDFS_URL");
    let wrong_key = [&with_bucket[..], &[("DROPSLIP_S3_ENDPOINT", seaweedfs.as_str())]].concat();
    let no_credentials =
        [("DROPSLIP_S3_BUCKET", "bucket"), ("DROPSLIP_S3_ENDPOINT", localstack.as_str()), ("AWS_EC2_METADATA_DISABLED", "true")];

    let cases: [Refusal<'_>; 12] = [
        (&[("DROPSLIP_LISTEN", "0.0.0.0:0")], &["DROPSLIP_LISTEN", "development token", "DROPSLIP_S3_BUCKET"]),
        (&[("DROPSLIP_LISTEN", "[::]:0")], &["DROPSLIP_LISTEN", "development token"]),
        (&[("DROPSLIP_LISTEN", &taken)], &["DROPSLIP_LISTEN", "cannot listen", &taken]),
        (&[("DROPSLIP_EMBEDDED_S3_LISTEN", &taken)], &["DROPSLIP_EMBEDDED_S3_LISTEN", "cannot listen"]),
        (&[("DROPSLIP_LITSEN", "127.0.0.1:0")], &["DROPSLIP_LITSEN", "no such setting"]),
        (&[("DROPSLIP_CONFIG", &bad)], &["listen_on", "no such setting", "bad.toml"]),
        (&[("DROPSLIP_POLICIES", &broken)], &["one.toml", "line 3", "max_sise"]),
        (&[("DROPSLIP_POLICIES", &empty)], &["DROPSLIP_POLICIES", "nothing could be uploaded"]),
        (&[("DROPSLIP_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")], &["DROPSLIP_DATABASE_URL", "not available"]),
        (&store_away, &["DROPSLIP_S3_BUCKET", "not available", "refused"]),
        (&bucket_away, &["DROPSLIP_S3_BUCKET", "no bucket ‘no-such-bucket’"]),
        (&wrong_key, &["DROPSLIP_S3_BUCKET", "may not use"]),
    ];
    for (settings, said) in cases.into_iter().chain([(&no_credentials[..], &["DROPSLIP_S3_BUCKET", "credentials"][..])]) {
        let mut all = EMBEDDED.to_vec();
        all.retain(|(name, _)| !settings.iter().any(|(other, _)| other == name));
        all.extend(settings);
        let output = run(folder.path(), &all, &["serve"]);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{settings:?}: {complaint}");
        assert!(said.iter().all(|word| complaint.contains(word)), "{settings:?} gives: {complaint}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_postgres_that_refuses_ends_the_start_with_its_reason_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [&EMBEDDED[..], &[("DROPSLIP_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")]].concat();
    for command in [["serve"].as_slice(), &["sweep", "--once"]] {
        let began = Instant::now();
        let output = run(folder.path(), &settings, command);
        let complaint = text(&output.stderr);
        assert!(began.elapsed() < Duration::from_secs(10), "{command:?} took {:?}", began.elapsed());
        assert_eq!((output.status.code(), complaint.matches("Connection refused").count()), (Some(1), 1), "{command:?}: {complaint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_shown_once_and_reach_their_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &EMBEDDED, ")");
    let created = run(folder.path(), &[], &["token", "create", "--user", "42", "--type", "customers", "--tenant", "acme"]);
    let token = text(&created.stdout).trim().to_owned();
    assert_eq!(text(&created.stdout).lines().count(), 1, "stdout holds the token alone");
    assert!(!text(&created.stderr).contains(&token));

    let ask = || {
        answer(
            reqwest::Client::new()
                .post(format!("{}/v2/files/ref.json", serving.url()))
                .bearer_auth(&token)
                .body(new_file("a.txt", "").to_string()),
        )
    };
    let (status, body) = ask().await;
    assert_eq!((status.as_u16(), &body["file"]["createdBy"]), (201, &json!({"id": 42, "type": "customers"})));

    let listed = text(&run(folder.path(), &[], &["token", "list"]).stdout);
    assert!(listed.contains("customers 42") && listed.contains("acme") && !listed.contains(token.rsplit('_').next().unwrap()), "{listed}");
    let database = fs::read(folder.path().join("data/dropslip.db")).unwrap();
    let wal = fs::read(folder.path().join("data/dropslip.db-wal")).unwrap_or_default();
    let secret = token.rsplit('_').next().unwrap().as_bytes();
    assert!(![database, wal].iter().any(|file| file.windows(secret.len()).any(|window| window == secret)), "the secret is in the database");

    assert_eq!(run(folder.path(), &[], &["token", "revoke", "1"]).status.code(), Some(0));
    let deadline = std::time::Instant::now() + dropslip::tokens::TRUSTED * 3;
    while ask().await.0 != 401 {
        assert!(std::time::Instant::now() < deadline, "it is still good");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(run(folder.path(), &[], &["token", "revoke", "1"]).status.code(), Some(1));
    assert_eq!(run(folder.path(), &[], &["token", "create", "--user", "1", "--scopes", "files:all"]).status.code(), Some(2));
}

#[test]
fn operators_work_beside_a_running_broker_and_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut serving = Some(Serving::start(folder.path(), &EMBEDDED, ")"));
    let ask = |arguments: &[&str]| {
        let output = run(folder.path(), &EMBEDDED, arguments);
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, said) = ask(&["serve"]);
    assert!(code == 1 && said.contains("another dropslip serves"), "{said}");
    for beside in [true, false] {
        for name in ["reconcile", "audit"] {
            let clean = "audited 0 files and 0 objects: 0 lost, 0 forged, 0 orphaned\n";
            assert_eq!(ask(&[name]), (0, clean.to_owned()), "{name}, {beside}");
        }
        assert_eq!(ask(&["sweep", "--once"]), (0, "swept: 0 activated, 0 discarded, 0 ended, 0 purged, 0 objects deleted\n".to_owned()));
        assert_eq!(ask(&["sweep", "--dry-run"]).1, "waiting: 0 expired temp files, 0 doomed objects, 0 deleted files to purge\n");
        assert!(ask(&["lifecycle", "print"]).1.contains(r#""Prefix": "temp/""#));
        drop(serving.take());
    }
    std::fs::create_dir_all(folder.path().join("data/bucket/dropslip/files")).unwrap();
    std::fs::write(folder.path().join("data/bucket/dropslip/files/nobodys"), "x").unwrap();
    let (code, said) = ask(&["audit"]);
    assert!(code == 1 && said.contains("orphaned: nobody owns files/nobodys") && said.contains("1 orphaned"), "{said}");
}

#[test]
fn commands_that_read_make_nothing_where_nothing_is() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |command: &[&str], why: &str| {
        let output = run(folder.path(), &[], command);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(1) && output.stdout.is_empty() && said.contains(why), "{command:?}: {said}");
    };
    let reading = [
        &["audit"][..],
        &["audit-log"],
        &["sweep", "--dry-run"],
        &["token", "list"],
        &["token", "revoke", "1"],
        &["events", "list"],
        &["events", "endpoints"],
    ];
    for command in reading {
        refused(command, "there is no database at data/dropslip.db");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{command:?}");
    }
    // A token was made, and no broker ran yet.
    assert!(run(folder.path(), &[], &["token", "create", "--user", "1"]).status.success());
    for command in [&["audit"][..], &["sweep", "--dry-run"]] {
        refused(command, "no broker ran on this database yet");
    }
    for command in [&["audit-log"][..], &["token", "list"]] {
        assert!(run(folder.path(), &[], command).status.success(), "{command:?}");
    }
    assert!(!folder.path().join("data/bucket").exists());
}

#[test]
fn a_database_is_about_one_storage_only() {
    let folder = tempfile::tempdir().unwrap();
    drop(Serving::start(folder.path(), &EMBEDDED, ")"));
    let elsewhere = tempfile::tempdir().unwrap();
    let database = sqlite_url(&folder.path().join("data/dropslip.db"));
    let settings = [&EMBEDDED[..], &[("DROPSLIP_DATABASE_URL", database.as_str())]].concat();
    for command in [&["serve"][..], &["sweep", "--once"], &["audit"]] {
        let refused = run(elsewhere.path(), &settings, command);
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains("this database is about embedded store"), "{command:?}: {}", text(&refused.stderr));
    }
}

#[test]
fn commands_started_at_once_on_a_fresh_folder_do_not_trip_over_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let tokens: Vec<Output> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..8).map(|_| scope.spawn(|| run(folder.path(), &[], &["token", "create", "--user", "1"]))).collect();
        started.into_iter().map(|command| command.join().unwrap()).collect()
    });
    for token in tokens {
        assert_eq!(token.status.code(), Some(0), "{}", text(&token.stderr));
    }
}

#[test]
fn config_prints_what_is_effective_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("d.toml"), "s3_bucket = \"from-file\"\nlisten = \"127.0.0.1:1\"\n").unwrap();
    let settings = [("DROPSLIP_LISTEN", "127.0.0.1:2"), ("DROPSLIP_DATABASE_URL", "postgres://me:hunter2@db/x")];
    let printed = text(&run(folder.path(), &settings, &["config", "--config", "d.toml"]).stdout);
    assert!(printed.contains("listen = \"127.0.0.1:2\" # DROPSLIP_LISTEN"), "{printed}");
    assert!(printed.contains("s3_bucket = \"from-file\" # d.toml") && printed.contains("# default"));
    assert!(printed.contains("postgres://me:***@db/x") && !printed.contains("hunter2"));
    let table: toml::Table = toml::from_str(&printed).unwrap();
    assert!(table.len() >= 8, "what it prints is a configuration file");
}

#[test]
fn policy_explain_says_what_would_be_signed_or_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let explain = |arguments: &[&str]| {
        let output = run(folder.path(), &[], &[&["policy", "explain"], arguments].concat());
        (output.status.code().unwrap(), text(&output.stdout))
    };
    let (code, said) = explain(&["--type", "attachment", "--filename", "../IMG_1.HEIC", "--mime-type", "", "--size", "1234"]);
    assert_eq!(code, 0, "{said}");
    for part in [
        "allowed as image/heic",
        "kept as ‘IMG_1.HEIC’",
        r#"{"Content-Type":"image/heic"}"#,
        r#"["content-length-range",1234,1234]"#,
        r#"{"success_action_status":"201"}"#,
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let (code, said) = explain(&["--type", "image", "--filename", "a.svg", "--mime-type", "image/svg+xml"]);
    assert_eq!(code, 1);
    assert!(said.contains("refused") && said.contains("mimeType: must be one that is taken here"), "{said}");
    assert_eq!(explain(&["--type", "nothing", "--filename", "a"]).0, 1);
}

#[test]
fn the_help_of_upload_offers_no_settings_file_for_it_reads_none() {
    let folder = tempfile::tempdir().unwrap();
    let help = |command: &str| text(&run(folder.path(), &[], &[command, "--help"]).stdout);
    assert!(help("serve").contains("--config"));
    assert!(!help("upload").contains("--config") && help("upload").contains("--resume[=<ID>]"), "{}", help("upload"));
}

#[test]
fn help_names_every_command_and_setting() {
    let folder = tempfile::tempdir().unwrap();
    let help = text(&run(folder.path(), &[], &["--help"]).stdout);
    for command in [
        "serve",
        "config",
        "token",
        "policy",
        "sweep",
        "health",
        "reconcile",
        "audit-log",
        "events",
        "backup",
        "lifecycle",
        "check",
        "cors",
        "upload",
    ] {
        assert!(help.contains(&format!("\n  {command}")), "{command}");
    }
    for setting in dropslip::config::SETTINGS {
        assert!(help.contains(&setting.env_name()), "{}", setting.env_name());
    }
}

/// What the container endpoint of ECS and EKS answers; the role's credentials end `lives` from now.
pub async fn container_credentials(lives: time::Duration) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (key, secret) = (from_servers("AWS_ACCESS_KEY_ID"), from_servers("AWS_SECRET_ACCESS_KEY"));
    let answer = move || async move {
        let expiration = (time::OffsetDateTime::now_utc() + lives).replace_nanosecond(0).unwrap();
        let expiration = expiration.format(&time::format_description::well_known::Rfc3339).unwrap();
        axum::Json(json!({"AccessKeyId": key, "SecretAccessKey": secret, "Token": "the-session-token", "Expiration": expiration}))
    };
    let router = axum::Router::new().route("/credentials", axum::routing::get(answer));
    tokio::spawn(dropslip::listener::serve(listener, router, BOUNDS, tokio_util::sync::CancellationToken::new()));
    format!("http://{address}/credentials")
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_credentials_are_in_the_form_and_bound_its_life() {
    let folder = tempfile::tempdir().unwrap();
    let localstack = from_servers("TEST_LOCALSTACK_URL");
    let bucket = unique("drop-");
    let s3 = crate::harness::s3_client(&localstack, "k", "s");
    s3.create_bucket().bucket(&bucket).send().await.unwrap();
    let endpoint = container_credentials(time::Duration::minutes(10)).await;
    let settings = [
        ("DROPSLIP_LISTEN", "127.0.0.1:0"),
        ("DROPSLIP_S3_BUCKET", &bucket),
        ("DROPSLIP_S3_ENDPOINT", &localstack),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint),
    ];
    let serving = Serving::start(folder.path(), &settings, "forms go to");
    assert!(!serving.banner.contains("oken"), "no development token with a real bucket");
    let token = text(&run(folder.path(), &settings, &["token", "create", "--user", "1"]).stdout);
    let ask = reqwest::Client::new().post(format!("{}/v2/files/ref.json", serving.url())).bearer_auth(token.trim());
    let (status, body) = answer(ask.body(new_file("a.txt", "text/plain").to_string())).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(body["params"]["x-amz-security-token"], "the-session-token");
    let policy = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body["params"]["policy"].as_str().unwrap()).unwrap();
    let policy: Value = serde_json::from_slice(&policy).unwrap();
    assert!(policy["conditions"].as_array().unwrap().contains(&json!({"x-amz-security-token": "the-session-token"})));
    let expires_at =
        time::OffsetDateTime::parse(body["expiresAt"].as_str().unwrap(), &time::format_description::well_known::Rfc3339).unwrap();
    let left = expires_at - time::OffsetDateTime::now_utc();
    assert!(
        left < time::Duration::minutes(10) && left > time::Duration::minutes(9),
        "attachments live for an hour, but these credentials do not: {left}"
    );
}
