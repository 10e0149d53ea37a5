//! A broker of its own for every test, on real stores and databases.

use std::collections::HashMap;
use std::io::{Seek as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use dropslip::config::Config;
use dropslip::database::Database;
use dropslip::domain::{Actor, ActorKind, Caller, Scopes, TypeLimit, sqlite_url};
use dropslip::random;
use dropslip::server::Server;
use dropslip::tokens::Tokens;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::Connection as _;
use tempfile::TempDir;
use time::OffsetDateTime;

/// The S3 store a test runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bed {
    /// The one inside the process; verifies signatures.
    Embedded,
    /// Verifies signatures.
    SeaweedFs,
    /// Accepts every signature of a POST form.
    LocalStack,
}

/// The database a test runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Db {
    Sqlite,
    Postgres,
}

/// What `localstack/with-servers.sh` tells; a missing server fails the test, it never skips it.
pub fn from_servers(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests with `make test`"))
}

pub fn unique(prefix: &str) -> String {
    format!("{prefix}{}", hex::encode(random::bytes::<6>()))
}

/// A database of its own; gone with the test or with the server.
pub async fn database(db: Db, folder: &TempDir) -> String {
    match db {
        Db::Sqlite => sqlite_url(&folder.path().join("test.db")),
        Db::Postgres => {
            let server = from_servers("TEST_POSTGRES_URL");
            let name = unique("test_");
            let pool = sqlx::PgPool::connect(&server).await.unwrap();
            sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&pool).await.unwrap();
            pool.close().await;
            let (base, _) = server.rsplit_once('/').unwrap();
            format!("{base}/{name}")
        }
    }
}

/// Changes a database behind the program's back. The connection is closed when this ends: SQLite's side files go with the last one.
pub async fn execute(url: &str, sql: &str) {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    if url.starts_with("sqlite:") {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

/// A number that a database knows.
pub async fn count(url: &str, sql: &str) -> i64 {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    if url.starts_with("sqlite:") {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        count
    } else {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        count
    }
}

pub struct Setup {
    bed: Bed,
    db: Db,
    settings: HashMap<String, String>,
    policies: Vec<(&'static str, String)>,
    bucket_prefix: &'static str,
}

impl Setup {
    pub fn on(bed: Bed) -> Self {
        Self { bed, db: Db::Sqlite, settings: HashMap::new(), policies: Vec::new(), bucket_prefix: "drop-" }
    }

    pub fn database(mut self, db: Db) -> Self {
        self.db = db;
        self
    }

    pub fn setting(mut self, name: &str, value: impl Into<String>) -> Self {
        self.settings.insert(name.to_owned(), value.into());
        self
    }

    /// A bucket whose name begins so.
    pub fn bucket_prefix(mut self, prefix: &'static str) -> Self {
        self.bucket_prefix = prefix;
        self
    }

    /// A file type instead of the shipped ones.
    pub fn policy(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.policies.push((name, text.into()));
        self
    }

    pub async fn start(self) -> TestBroker {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = self.settings;
        settings.entry("DROPSLIP_LISTEN".to_owned()).or_insert_with(|| "127.0.0.1:0".to_owned());
        // Links change once in an hour, when the end of their keys does: not before half an hour from now, and no test compares across it.
        let past_the_hour = OffsetDateTime::now_utc().unix_timestamp().rem_euclid(3600);
        settings.entry("DROPSLIP_PROXY_KEY_LIFETIME".to_owned()).or_insert_with(|| format!("{}s", 24 * 3600 + 1800 - past_the_hour));
        settings.insert("DROPSLIP_DATA_DIR".to_owned(), folder.path().display().to_string());
        let database_url = database(self.db, &folder).await;
        settings.insert("DROPSLIP_DATABASE_URL".to_owned(), database_url.clone());
        if !self.policies.is_empty() {
            let policies = folder.path().join("policies");
            std::fs::create_dir(&policies).unwrap();
            for (name, text) in self.policies {
                std::fs::write(policies.join(name), text).unwrap();
            }
            settings.insert("DROPSLIP_POLICIES".to_owned(), policies.display().to_string());
        }
        let (s3, bucket) = match self.bed {
            Bed::Embedded => {
                settings.insert("DROPSLIP_EMBEDDED_S3_LISTEN".to_owned(), "127.0.0.1:0".to_owned());
                (None, dropslip::embedded_s3::BUCKET.to_owned())
            }
            Bed::SeaweedFs | Bed::LocalStack => {
                let endpoint = from_servers(if self.bed == Bed::SeaweedFs { "TEST_SEAWEEDFS_URL" } else { "TEST_LOCALSTACK_URL" });
                let (key, secret) = test_credentials();
                let s3 = s3_client(&endpoint, &key, &secret);
                let bucket = unique(self.bucket_prefix);
                s3.create_bucket().bucket(&bucket).send().await.unwrap();
                settings.entry("DROPSLIP_S3_ENDPOINT".to_owned()).or_insert(endpoint);
                settings.insert("DROPSLIP_S3_BUCKET".to_owned(), bucket.clone());
                settings.insert("DROPSLIP_S3_REGION".to_owned(), "us-east-1".to_owned());
                (Some(s3), bucket)
            }
        };
        let config = Config::from_parts(None, settings).unwrap();
        // On the heap: what starts a server is large, and is a part of every test.
        let server = Box::pin(Server::start(&config)).await.unwrap();
        let (key, secret) = match self.bed {
            Bed::Embedded => embedded_credentials(&folder),
            Bed::SeaweedFs | Bed::LocalStack => test_credentials(),
        };
        let s3 = s3.unwrap_or_else(|| s3_client(&format!("http://{}", server.embedded_s3.unwrap()), &key, &secret));
        let base = format!("http://{}", server.address);
        let database = Database::open(&database_url).await.unwrap();
        let mut broker = TestBroker {
            base,
            bucket,
            s3,
            bed: self.bed,
            access_key_id: key,
            secret_access_key: secret,
            token: String::new(),
            http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            database,
            folder,
            server,
            database_url,
        };
        broker.token = broker.new_token("default", 1, "files:read,files:write,files:delete").await;
        broker
    }
}

/// A file type whose forms die soon and whose unconfirmed uploads are discarded; text files only.
pub fn short_lived(slip_lifetime: &str, max_size: u64) -> String {
    format!(
        r#"
name = "attachment"
title = "Forms that die soon"
min_size = 1
max_size = {max_size}
dispositions = ["attachment"]
slip_lifetime = "{slip_lifetime}"
sniff = "reject"
unconfirmed = "discard"
content_types = [{{ type = "text/plain", extensions = ["txt"] }}]
"#
    )
}

fn test_credentials() -> (String, String) {
    // The broker finds these in the environment, like in production.
    (from_servers("AWS_ACCESS_KEY_ID"), from_servers("AWS_SECRET_ACCESS_KEY"))
}

fn embedded_credentials(folder: &TempDir) -> (String, String) {
    let kept = std::fs::read(folder.path().join("embedded-s3-credentials.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    (kept["access_key_id"].as_str().unwrap().to_owned(), kept["secret_access_key"].as_str().unwrap().to_owned())
}

pub fn s3_client(endpoint: &str, key: &str, secret: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .force_path_style(true)
        .credentials_provider(Credentials::new(key, secret, None, None, "test"))
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

pub struct TestBroker {
    pub base: String,
    pub bed: Bed,
    pub bucket: String,
    pub s3: aws_sdk_s3::Client,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub token: String,
    pub http: reqwest::Client,
    pub database: Database,
    pub folder: TempDir,
    pub server: Server,
    pub database_url: String,
}

/// The answer to step 1.
#[derive(Debug, Clone)]
pub struct Slip {
    pub id: i64,
    pub url: String,
    pub params: Vec<(String, String)>,
    pub body: Value,
}

impl Slip {
    pub fn param(&self, name: &str) -> &str {
        &self.params.iter().find(|(field, _)| field == name).unwrap_or_else(|| panic!("no {name}")).1
    }
}

impl TestBroker {
    pub async fn on(bed: Bed) -> Self {
        Setup::on(bed).start().await
    }

    pub async fn new_token(&self, tenant: &str, user: i64, scopes: &str) -> String {
        let scopes: Scopes = scopes.parse().unwrap();
        let caller = Caller {
            actor: Actor { id: user, kind: ActorKind::Users },
            tenant: tenant.parse().unwrap(),
            scopes,
            types: TypeLimit::default(),
            dialect: None,
        };
        let (_, token) = Tokens::new(self.database.clone(), None).create(&caller, OffsetDateTime::now_utc()).await.unwrap();
        token.reveal().to_owned()
    }

    pub async fn new_customer(&self, tenant: &str, id: i64) -> String {
        let caller = Caller {
            actor: Actor { id, kind: ActorKind::Customers },
            tenant: tenant.parse().unwrap(),
            scopes: Scopes::all(),
            types: TypeLimit::default(),
            dialect: None,
        };
        let (_, token) = Tokens::new(self.database.clone(), None).create(&caller, OffsetDateTime::now_utc()).await.unwrap();
        token.reveal().to_owned()
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let request = self.request(method, path).header("content-type", "application/json");
        answer(if let Some(body) = body { request.body(body.to_string()) } else { request }).await
    }

    pub async fn authorize(&self, body: &Value) -> Slip {
        let (status, body) = self.call("POST", "/v2/files/ref.json", Some(body)).await;
        assert_eq!(status, 201, "{body}");
        slip(body)
    }

    /// A slip for a small text.
    pub async fn text_slip(&self) -> Slip {
        self.authorize(&new_file("note.txt", "text/plain")).await
    }

    pub async fn confirm(&self, id: i64) -> (StatusCode, Value) {
        self.call("PATCH", &format!("/v2/files/{id}.json"), None).await
    }

    pub async fn read(&self, id: i64) -> (StatusCode, Value) {
        self.call("GET", &format!("/v2/files/{id}.json"), None).await
    }

    pub async fn drop_bytes(&self, slip: &Slip, bytes: &[u8]) {
        let (status, answer) = self.post_form(&slip.url, &slip.params, Some(bytes)).await;
        assert_eq!(status, 201, "{:?}: {answer}", self.bed);
    }

    /// Step 2: every field, then the file, which never says its real type.
    pub async fn post_form(&self, url: &str, fields: &[(String, String)], file: Option<&[u8]>) -> (StatusCode, String) {
        let mut form = reqwest::multipart::Form::new();
        for (name, value) in fields {
            form = form.text(name.clone(), value.clone());
        }
        if let Some(bytes) = file {
            let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name("a.bin").mime_str("application/octet-stream").unwrap();
            form = form.part("file", part);
        }
        let response = self.http.post(url).multipart(form).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    /// Keys and sizes of everything in the bucket.
    pub async fn objects(&self) -> Vec<(String, i64)> {
        let listed = self.s3.list_objects_v2().bucket(&self.bucket).send().await.unwrap();
        listed.contents().iter().map(|object| (object.key().unwrap().to_owned(), object.size().unwrap())).collect()
    }

    pub async fn bytes_of(&self, key: &str) -> Vec<u8> {
        let object = self.s3.get_object().bucket(&self.bucket).key(key).send().await.unwrap();
        object.body.collect().await.unwrap().to_vec()
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} is answered with no JSON: {text}"));
    (status, body)
}

pub fn new_file(filename: &str, mime_type: &str) -> Value {
    json!({"type": "attachment", "filename": filename, "mimeType": mime_type, "disposition": "attachment"})
}

pub fn slip(body: Value) -> Slip {
    let params = body["params"].as_object().unwrap();
    Slip {
        id: body["file"]["id"].as_i64().unwrap(),
        url: body["url"].as_str().unwrap().to_owned(),
        params: params.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
        body,
    }
}

/// Asserts Desk's error shape, an object of field to texts, and gives the fields.
pub fn error_fields(body: &Value) -> Vec<String> {
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{body}");
    let errors = body["errors"].as_object().unwrap_or_else(|| panic!("no errors object in {body}"));
    assert!(!errors.is_empty(), "{body}");
    for messages in errors.values() {
        let messages = messages.as_array().unwrap();
        assert!(!messages.is_empty() && messages.iter().all(|message| message.as_str().is_some_and(|m| !m.is_empty())), "{body}");
    }
    errors.keys().cloned().collect()
}

/// Asks a program of `tests/oracles`, one question and one answer a line.
pub fn ask(interpreter: &str, script: &str, questions: &[Value]) -> Vec<Value> {
    // A file and not a pipe: nobody has to write and read at the same time.
    let mut lines = tempfile::tempfile().unwrap();
    for question in questions {
        writeln!(lines, "{question}").unwrap();
    }
    lines.rewind().unwrap();
    let script = PathBuf::from(from_servers("TEST_ORACLES")).join(script);
    let output = Command::new(interpreter).arg(&script).stdin(lines).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{}: {}", script.display(), output.status);
    let answers: Vec<Value> =
        std::str::from_utf8(&output.stdout).unwrap().split_terminator('\n').map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), questions.len(), "{}", script.display());
    answers
}

/// The folder of the project.
pub fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
