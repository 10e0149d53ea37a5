//! An installation as an older version left it, copied to where a test may upgrade it; `tests/data/upgrade/make.py` made it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::harness::{Db, answer, database, execute, from_servers, project, s3_client, unique};
use crate::process::{Serving, text};
use crate::receiver::Receiver;

use super::rows;

/// Bytes of a part in every fixture.
pub const PART: usize = 5 << 20;

/// Every version that left something behind, oldest first or last: each is upgraded.
pub fn versions() -> Vec<PathBuf> {
    let entries = fs::read_dir(project().join("tests/data/upgrade")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.join("embedded.json").is_file()).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// How old the copy looks.
#[derive(Debug, Clone, Copy)]
pub enum Age {
    /// As old as it is: moments are those that are written down.
    AsItIs,
    /// As if it had been made so long ago.
    Of(time::Duration),
}

/// Half an hour: events are due again, and no slip for an ordinary file has died yet.
pub const YOUNG: Age = Age::Of(time::Duration::minutes(30));

pub struct Installation {
    /// What the program of that time told its clients.
    pub facts: Value,
    pub database_url: String,
    pub receiver: Receiver,
    folder: TempDir,
    settings: Vec<(String, String)>,
    http: reqwest::Client,
    serving: Option<Serving>,
}

impl Installation {
    /// A copy in which nothing was upgraded yet.
    pub async fn copy(version: &Path, db: Db, age: Age) -> Self {
        let name = if db == Db::Sqlite { "embedded" } else { "postgres" };
        let facts: Value = serde_json::from_slice(&fs::read(version.join(format!("{name}.json"))).unwrap()).unwrap();
        let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
        let mut settings: Vec<(String, String)> = pairs(&facts["settings"]);
        let mut set = |name: &str, value: &str| settings.push((name.to_owned(), value.to_owned()));
        set("DROPSLIP_LISTEN", "127.0.0.1:0");
        set("DROPSLIP_SWEEP_INTERVAL", "0");
        set("DROPSLIP_WEBHOOKS_FILE", endpoints(&folder, &receiver, &facts).to_str().unwrap());
        let database_url = match db {
            Db::Sqlite => {
                unpacked(&version.join("embedded.tar.gz"), folder.path());
                set("DROPSLIP_DATA_DIR", folder.path().join("data").to_str().unwrap());
                set("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0");
                format!("sqlite:{}", folder.path().join("data/dropslip.db").display())
            }
            Db::Postgres => {
                let url = database(db, &folder).await;
                let dump = version.join("postgres.sql");
                let psql = ["-qX", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-o", "/dev/null", "-f"];
                done(Command::new("psql").arg(&url).args(psql).arg(&dump));
                let bucket = unique("upgraded-");
                execute(&url, &format!("UPDATE storage SET identity = 'bucket {bucket}'")).await;
                restored_objects(version, &facts, &url, &bucket, folder.path()).await;
                set("DROPSLIP_DATABASE_URL", &url);
                set("DROPSLIP_S3_ENDPOINT", &from_servers("TEST_SEAWEEDFS_URL"));
                set("DROPSLIP_S3_BUCKET", &bucket);
                set("DROPSLIP_S3_REGION", "us-east-1");
                for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"] {
                    set(name, &from_servers(name));
                }
                url
            }
        };
        let http = reqwest::Client::new();
        let copy = Self { facts, database_url, receiver, folder, settings, http, serving: None };
        if let Age::Of(age) = age {
            copy.move_times(age, db).await;
        }
        copy
    }

    /// Moves every moment so that the copy looks as if it was made `age` ago. The audit log stays: it cannot be changed.
    async fn move_times(&self, age: time::Duration, db: Db) {
        let made_at = OffsetDateTime::parse(self.facts["madeAt"].as_str().unwrap(), &Rfc3339).unwrap();
        let later = (OffsetDateTime::now_utc() - age - made_at).whole_microseconds();
        let later = if db == Db::Sqlite { later.to_string() } else { format!("interval '{later} microseconds'") };
        for moment in texts(&self.facts["times"]) {
            let (table, column) = moment.split_once('.').unwrap();
            if table != "audit_log" {
                execute(&self.database_url, &format!("UPDATE {table} SET {column} = {column} + {later}")).await;
            }
        }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the present program on it.
    pub fn upgrade(&mut self) {
        // The one before, if there is one, ends first.
        self.serving = None;
        let log = File::create(self.folder.path().join("log")).unwrap();
        self.serving = Some(Serving::logging_to(log, self.folder.path(), &self.borrowed(), "dropslip listens on "));
    }

    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What a file of the data folder says.
    pub fn data_file(&self, name: &str) -> String {
        fs::read_to_string(self.data_folder().join(name)).unwrap()
    }

    /// What the program that runs has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn borrowed(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// A command beside the broker; what it prints, and that it succeeded.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = crate::process::run(self.folder.path(), &self.borrowed(), arguments);
        let said = text(&output.stdout);
        assert!(output.status.success(), "{arguments:?}: {said}{}", text(&output.stderr));
        said
    }

    /// The same of one that prints a JSON object a line.
    pub fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        self.run(arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn url(&self) -> &str {
        self.serving.as_ref().unwrap().url()
    }

    /// A request as somebody with that token, or with none.
    pub fn request(&self, method: &str, path: &str, token: Option<&str>) -> reqwest::RequestBuilder {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.url()));
        if let Some(token) = token { request.bearer_auth(token) } else { request }
    }

    pub async fn ask(&self, method: &str, path: &str, token: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let request = self.request(method, path, Some(token)).header("content-type", "application/json");
        answer(if let Some(body) = body { request.body(body.to_string()) } else { request }).await
    }

    /// The answer to what must succeed with that status.
    pub async fn must(&self, status: u16, method: &str, path: &str, token: &str, body: Option<&Value>) -> Value {
        let (answered, said) = self.ask(method, path, token, body).await;
        assert_eq!(answered, status, "{method} {path}: {said}");
        said
    }

    /// The bytes that a GET leads to.
    pub async fn bytes(&self, path: &str, token: Option<&str>) -> Vec<u8> {
        let response = self.request("GET", path, token).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.bytes().await.unwrap().to_vec()
    }

    /// Step 2: a form, as a slip has it.
    pub async fn drop_bytes(&self, url: &Value, fields: &Value, bytes: &[u8]) {
        let fields = pairs(fields).into_iter();
        let form = fields.fold(reqwest::multipart::Form::new(), |form, (name, value)| form.text(name, value));
        let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name("a.bin");
        let response = self.http.post(url.as_str().unwrap()).multipart(form.part("file", part)).send().await.unwrap();
        assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
    }

    pub async fn put(&self, url: &Value, bytes: Vec<u8>) {
        let response = self.http.put(url.as_str().unwrap()).body(bytes).send().await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    }

    /// The text of the token that the story calls so.
    pub fn token(&self, name: &str) -> &str {
        let token = array(&self.facts["tokens"]).iter().find(|token| token["name"] == name);
        token.unwrap_or_else(|| panic!("no token is called ‘{name}’"))["text"].as_str().unwrap()
    }

    /// The token of who sees all files of that tenant.
    pub fn of_all(&self, tenant: &Value) -> &str {
        self.token(&format!("all of {}", tenant.as_str().unwrap()))
    }

    /// The files that are so in the story.
    pub fn files(&self, is: &str) -> Vec<&Value> {
        let found: Vec<_> = array(&self.facts["files"]).iter().filter(|file| file["is"] == is).collect();
        assert!(!found.is_empty(), "no file is ‘{is}’");
        found
    }

    /// Active, with the bytes that the story says.
    pub async fn assert_has_its_bytes(&self, file: &Value) {
        let (id, token) = (&file["id"], self.of_all(&file["tenant"]));
        let said = self.must(200, "GET", &format!("/v2/files/{id}.json"), token, None).await;
        assert_eq!((&said["file"]["state"], &said["file"]["size"]), (&json!("active"), &file["size"]), "{said}");
        let bytes = self.bytes(&format!("/v2/files/{id}/download"), Some(token)).await;
        assert_eq!(json!(sha256(&bytes)), file["sha256"], "{file}");
    }

    /// Database and bucket agree.
    pub fn assert_whole(&self) {
        let said = self.run(&["audit"]);
        assert!(said.contains(": 0 lost, 0 forged, 0 orphaned"), "{said}");
    }

    /// Waits until names of before are found in each spelling: a start begins with that, but does not wait for it.
    pub async fn wait_for_names(&self) {
        let deadline = Instant::now() + Duration::from_secs(90);
        while rows::names_to_look_at(&self.database_url).await > 0 {
            assert!(Instant::now() < deadline, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until no event is to be sent any more.
    pub async fn wait_for_events(&self) {
        let deadline = Instant::now() + Duration::from_secs(40);
        while !self.rows(&["events", "list", "--state", "pending", "--json"]).is_empty() {
            assert!(Instant::now() < deadline, "{}", self.run(&["events", "list"]));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The endpoints of the story: those that wait for something are at the test's receiver now, the one that is gone is where it was.
fn endpoints(folder: &TempDir, receiver: &Receiver, facts: &Value) -> PathBuf {
    let here = receiver.url.trim_end_matches("/hook");
    let there = facts["webhooks"].as_str().unwrap();
    let endpoint = |(name, base): (&str, &str)| {
        format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{base}/{name}\"\nsecrets = [\"{}\"]\n", crate::receiver::SECRET)
    };
    let list = [("told", here), ("failing", here), ("hanging", here), ("closed", there)].map(endpoint).concat();
    let path = folder.path().join("webhooks.toml");
    fs::write(&path, list).unwrap();
    path
}

/// A bucket with the objects of the dump, and with the uploads in parts that it says are open.
async fn restored_objects(version: &Path, facts: &Value, url: &str, bucket: &str, folder: &Path) {
    let (key, secret) = (from_servers("AWS_ACCESS_KEY_ID"), from_servers("AWS_SECRET_ACCESS_KEY"));
    let s3 = s3_client(&from_servers("TEST_SEAWEEDFS_URL"), &key, &secret);
    s3.create_bucket().bucket(bucket).send().await.unwrap();
    let objects = folder.join("objects");
    fs::create_dir(&objects).unwrap();
    unpacked(&version.join("postgres-objects.tar.gz"), &objects);
    for object in array(&facts["objects"]) {
        let key = object["key"].as_str().unwrap();
        let put = s3.put_object().bucket(bucket).key(key).content_type(object["contentType"].as_str().unwrap());
        let put = put.set_content_disposition(object["disposition"].as_str().map(ToOwned::to_owned));
        let stored = put.body(fs::read(objects.join(key)).unwrap().into()).send().await.unwrap();
        let (etag, old) = (stored.e_tag().unwrap().trim_matches('"'), object["etag"].as_str().unwrap());
        if etag != old {
            // What was put together of parts and comes back in one piece has another one.
            execute(url, &format!("UPDATE files SET etag = '{etag}' WHERE sealed_key = '{key}' AND etag = '{old}'")).await;
        }
    }
    for (id, key, granted_type) in rows::open_uploads(url).await {
        let begun = s3.create_multipart_upload().bucket(bucket).key(&key).content_type(granted_type).send().await.unwrap();
        let upload = begun.upload_id().unwrap();
        for part in array(&facts["parts"]).iter().filter(|part| part["file"] == id) {
            let (number, bytes) = (part["number"].as_i64().unwrap(), lines(part["size"].as_u64().unwrap()));
            assert_eq!(json!(sha256(&bytes)), part["sha256"]);
            let sent = s3.upload_part().bucket(bucket).key(&key).upload_id(upload).part_number(number.try_into().unwrap());
            sent.body(bytes.into()).send().await.unwrap();
        }
        execute(url, &format!("UPDATE files SET upload_id = '{upload}' WHERE id = {id}")).await;
    }
}

fn unpacked(archive: &Path, folder: &Path) {
    done(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder));
}

fn done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
}

pub fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

pub fn texts(value: &Value) -> Vec<&str> {
    array(value).iter().map(|text| text.as_str().unwrap()).collect()
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What the story uploads in parts: so many bytes of it.
pub fn lines(size: u64) -> Vec<u8> {
    b"one line of a long text that says nothing\n".iter().copied().cycle().take(size.try_into().unwrap()).collect()
}

pub fn numbers<'a>(files: impl IntoIterator<Item = &'a Value>) -> BTreeSet<i64> {
    files.into_iter().map(|file| file["id"].as_i64().unwrap()).collect()
}

/// Whether `new` says all that `old` says; it may say more.
pub fn says(new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => old.iter().all(|(name, value)| new.get(name).is_some_and(|new| says(new, value))),
        _ => new == old,
    }
}

pub fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

pub async fn listed(installation: &Installation, token: &str, query: &str) -> BTreeSet<i64> {
    let list = installation.must(200, "GET", &format!("/v2/files.json?pageSize=100&{query}"), token, None).await;
    assert_eq!(list["meta"]["page"]["hasMore"], false, "{list}");
    numbers(array(&list["files"]))
}
