//! `dropslip check` on real stores: each row as that store is known to be, and nothing left behind.

mod broken;

use std::collections::BTreeMap;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Bed, from_servers, s3_client, unique};
use crate::process::{Serving, run, text};

/// A bucket and the settings that lead to it.
pub struct Site {
    pub folder: TempDir,
    pub bucket: String,
    pub s3: aws_sdk_s3::Client,
    pub settings: Vec<(String, String)>,
}

impl Site {
    pub async fn on(bed: Bed) -> Self {
        let endpoint = from_servers(if bed == Bed::SeaweedFs { "TEST_SEAWEEDFS_URL" } else { "TEST_LOCALSTACK_URL" });
        Self::at(&endpoint, &endpoint).await
    }

    /// Made at `real`, reached through `endpoint`.
    pub async fn at(real: &str, endpoint: &str) -> Self {
        let (key, secret) = (from_servers("AWS_ACCESS_KEY_ID"), from_servers("AWS_SECRET_ACCESS_KEY"));
        let bucket = unique("drop-");
        let s3 = s3_client(real, &key, &secret);
        s3.create_bucket().bucket(&bucket).send().await.unwrap();
        let settings = [
            ("DROPSLIP_S3_BUCKET", bucket.as_str()),
            ("DROPSLIP_S3_ENDPOINT", endpoint),
            ("AWS_ACCESS_KEY_ID", &key),
            ("AWS_SECRET_ACCESS_KEY", &secret),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { folder: tempfile::tempdir().unwrap(), bucket, s3, settings }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        let settings: Vec<(&str, &str)> = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        run(self.folder.path(), &settings, arguments)
    }

    pub fn check(&self) -> Checked {
        Checked::from(&self.run(&["check", "--json"]))
    }

    /// Also what a bucket with versions keeps of what was deleted.
    async fn assert_empty(&self) {
        let versions = self.s3.list_object_versions().bucket(&self.bucket).send().await.unwrap();
        assert!(versions.versions().is_empty() && versions.delete_markers().is_empty(), "{versions:?}");
        let open = self.s3.list_multipart_uploads().bucket(&self.bucket).send().await.unwrap();
        assert!(open.uploads().is_empty(), "{open:?}");
    }
}

/// What `--json` said.
pub struct Checked {
    pub code: i32,
    pub rows: BTreeMap<String, (String, String, String)>,
}

impl Checked {
    pub fn from(output: &Output) -> Self {
        let printed = text(&output.stdout);
        let rows: Vec<Value> = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{printed}{}", text(&output.stderr)));
        let mut by_check = BTreeMap::new();
        for row in &rows {
            assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), ["advice", "check", "found", "status"], "{row}");
            let told = |name: &str| row[name].as_str().unwrap().to_owned();
            let advice = row["advice"].as_str().unwrap_or_default().to_owned();
            let bad = matches!(row["status"].as_str(), Some("warning" | "error"));
            assert!(["ok", "info", "warning", "error"].contains(&told("status").as_str()) && advice.is_empty() != bad, "{row}");
            let before = by_check.insert(told("check"), (told("status"), told("found"), advice));
            assert!(before.is_none(), "two rows of one name: {row}");
        }
        let worst = |status: &str| by_check.values().any(|row| row.0 == status);
        let expected = if worst("error") { 2 } else { i32::from(worst("warning")) };
        assert_eq!(output.status.code(), Some(expected), "{printed}{}", text(&output.stderr));
        Self { code: expected, rows: by_check }
    }

    /// The row of that name: status, what was found, what to do.
    pub fn row(&self, check: &str) -> (&str, &str, &str) {
        let (status, found, advice) = self.rows.get(check).unwrap_or_else(|| panic!("no row {check} in {:?}", self.rows.keys()));
        (status, found, advice)
    }

    pub fn status(&self, check: &str) -> &str {
        self.row(check).0
    }

    /// Every row that is not ok.
    pub fn not_ok(&self) -> Vec<(&str, &str)> {
        self.rows.iter().filter(|(_, row)| row.0 != "ok").map(|(check, row)| (check.as_str(), row.0.as_str())).collect()
    }

    fn assert_alone(&self, checks: &[&str]) {
        assert_eq!(self.rows.keys().map(String::as_str).collect::<Vec<_>>(), checks);
    }
}

/// Every row of a run that gets through, beside those of origins.
const ROWS: [&str; 46] = [
    "bucket",
    "clean-up",
    "clock",
    "confirm",
    "copy-if-match",
    "cors-rules",
    "cors-stranger",
    "credentials",
    "database",
    "delete",
    "form",
    "form-with-checksum",
    "lifecycle",
    "multipart",
    "private",
    "proxy-keys",
    "public-endpoint",
    "put",
    "reachable",
    "region",
    "secret",
    "tampered-put:another-key",
    "tampered-put:another-type",
    "tampered-put:condition-removed",
    "tampered-put:expired",
    "tampered-put:one-byte-more",
    "tampered-put:signature-made-up",
    "tampered:a-sealed-key",
    "tampered:acl-added",
    "tampered:another-bucket-field",
    "tampered:another-key",
    "tampered:another-secret",
    "tampered:another-type",
    "tampered:expired",
    "tampered:headers-added",
    "tampered:key-from-file-name",
    "tampered:metadata-added",
    "tampered:no-bytes",
    "tampered:one-byte-more",
    "tampered:other-bytes",
    "tampered:policy-lives-longer",
    "tampered:policy-removed",
    "tampered:redirect-added",
    "tampered:session-token-added",
    "tampered:signature-made-up",
    "tampered:signature-removed",
];
const VERSIONING: &str = "versioning";

/// All those rows are there, and so many more.
fn assert_complete(checked: &Checked, more: usize) {
    for row in ROWS.into_iter().chain([VERSIONING]) {
        assert!(checked.rows.contains_key(row), "no row {row}");
    }
    assert_eq!(checked.rows.len(), ROWS.len() + 1 + more, "{:?}", checked.rows.keys());
}

const EMBEDDED: [(&str, &str); 2] = [("DROPSLIP_LISTEN", "127.0.0.1:0"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0")];

#[test]
fn the_embedded_store_is_checked_before_serve_ever_ran_and_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = EMBEDDED.to_vec();
    settings.push(("DROPSLIP_CORS_ORIGINS", "https://app.example.com"));
    let check = || Checked::from(&run(folder.path(), &settings, &["check", "--json"]));
    let known = [("lifecycle", "info"), ("region", "info"), (VERSIONING, "info")];
    let fresh = check();
    // An origin, and the sessions of a dialect that is on without a bucket.
    assert_complete(&fresh, 3);
    assert_eq!(fresh.status("sessions"), "ok");
    let mut expected = known.to_vec();
    expected.insert(0, ("database", "info"));
    assert_eq!(fresh.not_ok(), expected);

    let serving = Serving::start(folder.path(), &settings, ")");
    assert_eq!(check().not_ok(), known, "beside a running serve");
    drop(serving);
    assert_eq!(check().not_ok(), known, "after it");
    let audit = text(&run(folder.path(), &settings, &["audit"]).stdout);
    assert_eq!(audit, "audited 0 files and 0 objects: 0 lost, 0 forged, 0 orphaned\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_lets_fields_through_that_come_to_nothing() {
    let mut site = Site::on(Bed::SeaweedFs).await;
    let checked = site.check();
    assert_complete(&checked, 0);
    let known = [
        ("cors-rules", "info"),
        ("cors-stranger", "info"),
        ("database", "info"),
        ("lifecycle", "warning"),
        ("region", "info"),
        ("secret", "warning"),
        ("tampered:acl-added", "info"),
        ("tampered:another-bucket-field", "info"),
        ("tampered:headers-added", "info"),
        ("tampered:redirect-added", "info"),
        ("tampered:session-token-added", "info"),
    ];
    assert_eq!(checked.not_ok(), known);
    assert!(checked.row("tampered:headers-added").1.contains("to no effect: the sealed file is what was granted"));
    site.assert_empty().await;

    let (_, found, advice) = checked.row("secret");
    assert!(found.contains("lies in the database") && advice.contains("DROPSLIP_SECRETS_FILE"), "{found} {advice}");
    site.set("DROPSLIP_SECRETS", &"0123456789abcdef".repeat(4));
    site.set("DROPSLIP_CORS_ORIGINS", "https://app.example.com");
    for apply in ["lifecycle", "cors"] {
        assert_eq!(site.run(&[apply, "apply"]).status.code(), Some(0));
    }
    let mended = site.check();
    let left = known.into_iter().filter(|(check, _)| !["cors-rules", "cors-stranger", "database", "lifecycle", "secret"].contains(check));
    assert_eq!((mended.code, mended.not_ok()), (0, left.collect()), "after what was advised");
}

#[tokio::test(flavor = "multi_thread")]
async fn localstack_is_told_from_a_store_that_checks_signatures() {
    let mut site = Site::on(Bed::LocalStack).await;
    site.set("DROPSLIP_CORS_ORIGINS", "https://app.example.com");
    let checked = site.check();
    assert_complete(&checked, 1);
    let known = [
        ("cors-preflight:https://app.example.com", "error"),
        ("cors-rules", "warning"),
        ("database", "info"),
        ("lifecycle", "warning"),
        ("private", "error"),
        ("secret", "warning"),
        ("tampered-put:another-key", "error"),
        ("tampered-put:another-type", "warning"),
        ("tampered-put:condition-removed", "info"),
        ("tampered-put:expired", "error"),
        ("tampered-put:one-byte-more", "warning"),
        ("tampered-put:signature-made-up", "error"),
        ("tampered:acl-added", "info"),
        ("tampered:another-bucket-field", "info"),
        ("tampered:another-secret", "error"),
        ("tampered:headers-added", "info"),
        ("tampered:metadata-added", "info"),
        ("tampered:policy-lives-longer", "error"),
        ("tampered:policy-removed", "error"),
        ("tampered:redirect-added", "info"),
        ("tampered:session-token-added", "info"),
        ("tampered:signature-made-up", "error"),
    ];
    assert_eq!(checked.not_ok(), known);
    let (_, found, advice) = checked.row("tampered:signature-made-up");
    assert!(found.contains("let through (201)") && advice.contains("for tests only"), "{found} {advice}");
    for refused in ["another-type", "one-byte-more"] {
        assert!(checked.row(&format!("tampered-put:{refused}")).1.contains("dropslip refuses it at PATCH"), "{refused}");
    }
    site.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_fits_a_terminal_and_names_every_row() {
    let mut site = Site::on(Bed::LocalStack).await;
    site.set("DROPSLIP_CORS_ORIGINS", "https://a-very-long-name-of-a-page-that-uploads.staging.customers.example.com");
    let output = site.run(&["check"]);
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    for row in ROWS.into_iter().chain([VERSIONING, "cors-preflight:https://a-very-long-name"]) {
        assert!(
            table.lines().any(|line| line.split_whitespace().nth(1).is_some_and(|word| word.starts_with(row))),
            "{row} is not in {table}"
        );
    }
    assert!(table.contains("error    private ") && table.contains(" -> run ‘dropslip lifecycle apply’"), "{table}");
    assert!(table.lines().last().unwrap().ends_with("9 errors"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_call_is_looked_at_too() {
    const ROWS: [&str; 2] = ["tokens-file", "jwt-keys"];
    let mut site = Site::on(Bed::SeaweedFs).await;
    let (tokens, secret) = (site.folder.path().join("tokens.toml"), site.folder.path().join("secret"));
    let write = |path: &std::path::Path, content: &str, mode: u32| {
        std::fs::write(path, content).unwrap();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    let entry = format!("[[token]]\nname = \"a\"\nsha256 = \"{}\"\nuser = 1\nexpires_at = 2020-01-01T00:00:00Z\n", "ab".repeat(32));
    assert!(ROWS.iter().all(|row| !site.check().rows.contains_key(*row)), "there is nothing to look at");
    site.set("DROPSLIP_TOKENS_FILE", tokens.to_str().unwrap());
    site.set("DROPSLIP_JWT_SECRET_FILE", secret.to_str().unwrap());
    site.set("DROPSLIP_JWT_ISSUER", "i");
    site.set("DROPSLIP_JWT_AUDIENCE", "a");
    write(&tokens, &entry, 0o600);
    write(&secret, &"hunter2 ".repeat(4), 0o600);
    let good = site.check();
    assert_eq!(ROWS.map(|row| good.row(row).1), ["1 tokens, 1 of them expired", "HS256"]);
    assert_eq!(ROWS.map(|row| good.status(row)), ["ok", "ok"]);
    write(&tokens, &entry, 0o644);
    write(&secret, &"hunter2 ".repeat(4), 0o644);
    let open = site.check();
    assert_eq!(ROWS.map(|row| open.status(row)), ["warning", "warning"]);
    write(&tokens, &entry.replace("user", "usher"), 0o600);
    write(&secret, "hunter2", 0o600);
    let broken = site.check();
    assert_eq!(ROWS.map(|row| broken.status(row)), ["error", "error"]);
    assert!(broken.row("tokens-file").1.starts_with("line ") && broken.row("jwt-keys").1.contains("32 bytes"), "{:?}", broken.rows);
    assert!(!format!("{:?}", broken.rows).contains("hunter2"));
    site.settings.retain(|(name, _)| name != "DROPSLIP_JWT_SECRET_FILE");
    site.set("DROPSLIP_JWT_JWKS", "http://127.0.0.1:1/keys");
    let away = site.check();
    let (status, found, advice) = away.row("jwt-keys");
    assert!(status == "error" && found.contains("refused") && advice.contains("503"), "{found} {advice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_that_begins_no_session_is_warned_of() {
    let mut site = Site::on(Bed::SeaweedFs).await;
    assert!(!site.check().rows.contains_key("sessions"), "no dialect with a log-in is on");
    site.set("DROPSLIP_DIALECTS", "desk,kayako");
    let open = site.check();
    let (status, found, advice) = open.row("sessions");
    assert!(status == "warning" && found.contains("kayako") && advice.contains("DROPSLIP_SECRETS_FILE"), "{found} {advice}");
    site.set("DROPSLIP_SECRETS", &"0123456789abcdef".repeat(4));
    assert_eq!(site.check().status("sessions"), "ok", "after what was advised");
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_calls_of_which_none_is_good_are_warned_of() {
    let mut site = Site::on(Bed::SeaweedFs).await;
    assert!(!site.check().rows.contains_key("signed-calls"), "no dialect with signed calls is on");
    site.set("DROPSLIP_DIALECTS", "desk,kayako-classic");
    let open = site.check();
    let (status, found, advice) = open.row("signed-calls");
    assert!(status == "warning" && found.contains("kayako-classic") && advice.contains("DROPSLIP_SECRETS_FILE"), "{found} {advice}");
    site.set("DROPSLIP_SECRETS", &"0123456789abcdef".repeat(4));
    assert_eq!(site.check().status("signed-calls"), "ok", "after what was advised");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_installation_secret_is_looked_at_and_not_shown() {
    const SECRET: &str = "hunter2hunter2hunter2hunter2hunter2";
    let mut site = Site::on(Bed::SeaweedFs).await;
    let path = site.folder.path().join("secrets");
    let write = |content: &str, mode: u32| {
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    site.set("DROPSLIP_SECRETS_FILE", path.to_str().unwrap());
    write(SECRET, 0o600);
    let good = site.check();
    assert_eq!((good.status("secret"), good.status("proxy-keys")), ("ok", "ok"));
    assert!(good.row("secret").1.contains("DROPSLIP_SECRETS_FILE"), "{:?}", good.row("secret"));
    write(SECRET, 0o644);
    let open = site.check();
    assert!(open.status("secret") == "warning" && open.row("secret").2.contains("chmod o-r"), "{:?}", open.row("secret"));
    write("hunter2", 0o600);
    let broken = site.check();
    assert!(broken.status("secret") == "error" && broken.row("secret").1.contains("32 or more"), "{:?}", broken.row("secret"));
    write("", 0o600);
    let emptied = site.check();
    assert_eq!((emptied.status("secret"), emptied.status("proxy-keys")), ("warning", "info"));
    assert!(emptied.row("secret").1.contains("in the database") && emptied.row("proxy-keys").1.contains("is empty"));
    write(SECRET, 0o600);
    site.set("DROPSLIP_LINKS", "token");
    let by_token = site.check();
    assert_eq!((by_token.status("secret"), by_token.status("proxy-keys")), ("ok", "info"));
    for checked in [good, open, broken, emptied, by_token] {
        assert!(!format!("{:?}", checked.rows).contains("hunter2"));
    }
}
