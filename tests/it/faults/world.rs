//! The real program on a bucket and a database of its own, what its client was told, and the audit of it all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dropslip::broker::{Broker, Swept};
use dropslip::config::Config;
use dropslip::database::{Database, Waiting};
use dropslip::domain::{Actor, ActorKind, Caller, FileId, FileState, Scopes, TypeLimit};
use dropslip::tokens::Tokens;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::harness::{Db, Slip, database, execute, from_servers, s3_client, slip, unique};

/// Longer than every form, grace and lease.
pub const LONG: time::Duration = time::Duration::days(2);

/// How long a deleted file stays: shorter than what a sweep in the end looks ahead.
pub const RETENTION: time::Duration = time::Duration::days(1);

/// `kept` is activated when nobody confirms it, `brief` dies after a second, `lost` and `brief-lost` are discarded.
const POLICIES: [(&str, &str, &str); 4] =
    [("kept", "1h", "activate"), ("lost", "1h", "discard"), ("brief", "1s", "activate"), ("brief-lost", "1s", "discard")];

/// How the program reaches its neighbours; `None` is directly.
#[derive(Debug, Clone, Copy, Default)]
pub struct Through {
    pub s3: Option<SocketAddr>,
    pub database: Option<SocketAddr>,
}

pub struct World {
    pub folder: TempDir,
    pub bucket: String,
    pub s3: aws_sdk_s3::Client,
    /// Past every proxy.
    pub database: Database,
    pub database_url: String,
    settings: Vec<(String, String)>,
    http: reqwest::Client,
    token: String,
    told: Vec<Told>,
}

/// A file that the client knows of, and what must have become of it in the end.
struct Told {
    id: i64,
    bytes: Option<Vec<u8>>,
}

/// What the program said to a request, and when.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
    pub retry_after: Option<String>,
    pub took: Duration,
}

impl World {
    pub async fn new(db: Db) -> Self {
        Self::through(db, Through::default()).await
    }

    pub async fn through(db: Db, through: Through) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = database(db, &folder).await;
        Self::with(folder, &url, through).await
    }

    /// A world whose database is at `url`.
    pub async fn at(url: &str) -> Self {
        Self::with(tempfile::tempdir().unwrap(), url, Through::default()).await
    }

    async fn with(folder: TempDir, url: &str, through: Through) -> Self {
        let policies = folder.path().join("policies");
        std::fs::create_dir(&policies).unwrap();
        for (name, lifetime, unconfirmed) in POLICIES {
            let text = format!(
                "name = \"{name}\"\ntitle = \"A test\"\nmin_size = 1\nmax_size = \"1 MiB\"\ndispositions = [\"attachment\"]\n\
                 slip_lifetime = \"{lifetime}\"\nsniff = \"relabel\"\nunconfirmed = \"{unconfirmed}\"\n\
                 content_types = [{{ type = \"text/plain\", extensions = [\"txt\"] }}]\n"
            );
            std::fs::write(policies.join(format!("{name}.toml")), text).unwrap();
        }
        let endpoint = from_servers("TEST_SEAWEEDFS_URL");
        let (key, secret) = (from_servers("AWS_ACCESS_KEY_ID"), from_servers("AWS_SECRET_ACCESS_KEY"));
        let s3 = s3_client(&endpoint, &key, &secret);
        let bucket = unique("fault-");
        s3.create_bucket().bucket(&bucket).send().await.unwrap();
        let database = Database::open(url).await.unwrap();
        let settings = [
            ("DROPSLIP_LISTEN", "127.0.0.1:0".to_owned()),
            ("DROPSLIP_DATABASE_URL", through.database.map_or_else(|| url.to_owned(), |proxy| redirected(url, proxy))),
            ("DROPSLIP_S3_BUCKET", bucket.clone()),
            ("DROPSLIP_S3_REGION", "us-east-1".to_owned()),
            ("DROPSLIP_S3_ENDPOINT", through.s3.map_or_else(|| endpoint.clone(), |proxy| format!("http://{proxy}"))),
            ("DROPSLIP_S3_PUBLIC_ENDPOINT", endpoint.clone()),
            ("DROPSLIP_POLICIES", policies.display().to_string()),
            ("DROPSLIP_MULTIPART_THRESHOLD", "1".to_owned()),
            ("DROPSLIP_SWEEP_GRACE", "0s".to_owned()),
            ("DROPSLIP_SWEEP_INTERVAL", "0".to_owned()),
            ("DROPSLIP_DELETED_RETENTION", "1d".to_owned()),
        ];
        let scopes: Scopes = "files:read,files:write,files:delete".parse().unwrap();
        let caller = Caller {
            actor: Actor { id: 1, kind: ActorKind::Users },
            tenant: "default".parse().unwrap(),
            scopes,
            types: TypeLimit::default(),
            dialect: None,
        };
        let (_, token) = Tokens::new(database.clone(), None).create(&caller, OffsetDateTime::now_utc()).await.unwrap();
        Self {
            folder,
            bucket,
            s3,
            database,
            database_url: url.to_owned(),
            settings: settings.map(|(name, value)| (name.to_owned(), value)).into(),
            http: reqwest::Client::builder().pool_max_idle_per_host(0).timeout(Duration::from_mins(1)).build().unwrap(),
            token: token.reveal().to_owned(),
            told: Vec::new(),
        }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    #[cfg(feature = "failpoints")]
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    pub fn command(&self, dies_at: Option<&str>, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dropslip"));
        let kept =
            ["PATH", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"].map(|name| (name, from_servers(name)));
        command.env_clear().envs(kept).envs(self.settings.clone()).current_dir(self.folder.path()).args(arguments);
        command.envs(dies_at.map(|point| ("DROPSLIP_FAILPOINT", point)));
        command
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// Changes the database behind the program's back.
    pub async fn execute(&self, sql: &str) {
        execute(&self.database_url, sql).await;
    }

    /// Runs `dropslip serve`, which dies at that point.
    pub async fn start(&self, dies_at: Option<&str>) -> Program {
        let mut command = self.command(dies_at, &["serve"]);
        let log_path = self.folder.path().join(unique("log-"));
        let log = File::create(&log_path).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let line = tokio::task::spawn_blocking(move || BufReader::new(stdout).lines().next()).await.unwrap();
        let line = line.unwrap_or_else(|| panic!("it did not start: {}", std::fs::read_to_string(&log_path).unwrap())).unwrap();
        Program { base: line.strip_prefix("dropslip listens on ").unwrap().to_owned(), child, log_path }
    }

    /// The use cases in this process, to sweep as it will happen later.
    pub async fn broker(&self) -> Arc<Broker> {
        let config = Config::from_parts(None, self.settings.clone()).unwrap();
        dropslip::server::broker(&config, CancellationToken::new()).await.unwrap()
    }

    /// `Err` when the connection ended without an answer.
    pub async fn ask(&self, program: &Program, method: &str, path: &str, key: Option<&str>, body: &Value) -> Result<Answer, String> {
        let started = Instant::now();
        let url = format!("{}{path}", program.base);
        let mut request = self.http.request(method.parse().unwrap(), url).bearer_auth(&self.token).body(body.to_string());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await.map_err(|error| format!("{error:?}"))?;
        let status = response.status();
        let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let text = response.text().await.map_err(|error| format!("{error:?}"))?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, body, retry_after, took: started.elapsed() })
    }

    pub async fn authorize(&self, program: &Program, type_name: &str, key: Option<&str>) -> Result<Answer, String> {
        let body = json!({"type": type_name, "filename": "a.txt", "mimeType": "text/plain"});
        self.ask(program, "POST", "/v2/files/ref.json", key, &body).await
    }

    pub async fn reissue(&self, program: &Program, id: i64) -> Result<Answer, String> {
        self.ask(program, "POST", &format!("/v2/files/{id}/ref.json"), None, &Value::Null).await
    }

    pub async fn ask_for_parts(&self, program: &Program, size: usize, key: &str) -> Result<Answer, String> {
        let body = json!({"type": "kept", "filename": "a.txt", "mimeType": "text/plain", "size": size, "multipart": true});
        self.ask(program, "POST", "/v2/files/ref.json", Some(key), &body).await
    }

    pub async fn confirm(&self, program: &Program, id: i64) -> Result<Answer, String> {
        self.ask(program, "PATCH", &format!("/v2/files/{id}.json"), None, &Value::Null).await
    }

    #[cfg(feature = "failpoints")]
    pub async fn delete(&self, program: &Program, id: i64) -> Result<Answer, String> {
        self.ask(program, "DELETE", &format!("/v2/files/{id}.json"), None, &Value::Null).await
    }

    #[cfg(feature = "failpoints")]
    pub async fn restore(&self, program: &Program, id: i64) -> Result<Answer, String> {
        self.ask(program, "POST", &format!("/v2/files/{id}/restore.json"), None, &Value::Null).await
    }

    pub async fn slip(&self, program: &Program, type_name: &str) -> Slip {
        granted(self.authorize(program, type_name, None).await)
    }

    /// Step 2, straight to the store.
    pub async fn drop_bytes(&self, slip: &Slip, bytes: &[u8]) {
        let mut form = reqwest::multipart::Form::new();
        for (name, value) in &slip.params {
            form = form.text(name.clone(), value.clone());
        }
        let form = form.part("file", reqwest::multipart::Part::bytes(bytes.to_vec()));
        let response = self.http.post(&slip.url).multipart(form).send().await.unwrap();
        assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
    }

    /// Writes to the staging key past the form: the form may be dead, or may not allow it.
    pub async fn smuggle(&self, slip: &Slip, bytes: &[u8]) {
        let put = self.s3.put_object().bucket(&self.bucket).key(slip.param("key")).content_type("text/plain");
        put.body(bytes.to_vec().into()).send().await.unwrap();
    }

    /// In the end this file must be active with these bytes.
    pub fn must_keep(&mut self, id: i64, bytes: &[u8]) {
        self.told.push(Told { id, bytes: Some(bytes.to_vec()) });
    }

    /// The files that must be there in the end, and their bytes.
    pub fn kept(&self) -> Vec<(i64, Vec<u8>)> {
        self.told.iter().filter_map(|told| Some((told.id, told.bytes.clone()?))).collect()
    }

    /// In the end this file must be gone: nobody came back for it.
    pub fn must_lose(&mut self, id: i64) {
        self.told.retain(|told| told.id != id);
        self.told.push(Told { id, bytes: None });
    }

    /// An upload that is confirmed, one that waits for the sweeper to keep it and one that it must discard.
    pub async fn bystanders(&mut self, program: &Program) {
        for type_name in ["kept", "kept", "lost"] {
            let (slip, bytes) = self.uploaded(program, type_name).await;
            match (type_name, self.told.len()) {
                ("lost", _) => self.must_lose(slip.id),
                (_, told) => {
                    if told == 0 {
                        assert_eq!(self.confirm(program, slip.id).await.unwrap().status, 200);
                    }
                    self.must_keep(slip.id, &bytes);
                }
            }
        }
    }

    pub async fn uploaded(&self, program: &Program, type_name: &str) -> (Slip, Vec<u8>) {
        let (slip, bytes) = (self.slip(program, type_name).await, unique_bytes());
        self.drop_bytes(&slip, &bytes).await;
        (slip, bytes)
    }

    /// One sweep, when everything is due; then nothing is waiting, and what the client was told is all there is.
    pub async fn sweep_and_audit(&self, case: &str) -> Swept {
        // Later than any sweep that failed before: what that one leased is free again.
        let later = OffsetDateTime::now_utc() + LONG * 2;
        let swept = self.broker().await.sweep(later).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        let waiting = self.database.waiting(later + LONG, later + LONG, later - RETENTION).await.unwrap();
        assert_eq!(waiting, Waiting { expired_files: 0, due_objects: 0, purgeable_files: 0 }, "{case}: one sweep takes everything");
        let mut owned = BTreeSet::new();
        for Told { id, bytes } in &self.told {
            let file = self.database.find_file(&"default".parse().unwrap(), FileId(*id)).await.unwrap();
            let Some(bytes) = bytes else {
                assert!(file.is_none(), "{case}: file {id} should be gone: {file:?}");
                continue;
            };
            let file = file.unwrap_or_else(|| panic!("{case}: file {id} was acknowledged and is gone"));
            assert_eq!((file.state(), file.size()), (FileState::Active, bytes.len() as u64), "{case}: file {id}");
            let key = file.sealed_key().unwrap().to_string();
            let object = self.s3.get_object().bucket(&self.bucket).key(&key).send().await;
            let object = object.unwrap_or_else(|error| panic!("{case}: the bytes of file {id} are gone: {error:?}"));
            assert_eq!(object.body.collect().await.unwrap().to_vec(), *bytes, "{case}: file {id} has other bytes");
            owned.insert(key);
        }
        let listed = self.s3.list_objects_v2().bucket(&self.bucket).send().await.unwrap();
        let listed: BTreeSet<_> = listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect();
        assert_eq!(listed, owned, "{case}: one object for each active file, and nothing else");
        let open = self.s3.list_multipart_uploads().bucket(&self.bucket).send().await.unwrap();
        assert_eq!(open.uploads().len(), 0, "{case}: no upload in parts is left open: {:?}", open.uploads());
        swept
    }
}

/// `url` with another host and port.
fn redirected(url: &str, proxy: SocketAddr) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_host(Some(&proxy.ip().to_string())).unwrap();
    url.set_port(Some(proxy.port())).unwrap();
    url.to_string()
}

pub fn unique_bytes() -> Vec<u8> {
    unique("these bytes are like no others: ").into_bytes()
}

/// The slip in an answer that must be one.
pub fn granted(answer: Result<Answer, String>) -> Slip {
    let answer = answer.unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    slip(answer.body)
}

/// A running `dropslip serve`; killed when dropped.
pub struct Program {
    pub base: String,
    child: Child,
    log_path: PathBuf,
}

impl Program {
    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").arg(name).arg(self.pid()).status().unwrap().success());
    }

    /// How it ended by itself.
    pub async fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Where it tells its metrics.
    pub async fn admin(&self) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let told = self.log().lines().find_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                line["admin.address"].as_str().map(|address| format!("http://{address}"))
            });
            if let Some(told) = told {
                return told;
            }
            assert!(Instant::now() < deadline, "it tells no metrics: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log_path).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn number_of(answer: &Answer) -> i64 {
    assert_eq!((answer.status.as_u16(), answer.body["method"].as_str()), (201, Some("MULTIPART")), "{answer:?}");
    answer.body["file"]["id"].as_i64().unwrap()
}
