//! The power goes: what the embedded store had answered is there when it starts again, with every byte.
//!
//! `strace` tells what the broker wrote and what it waited for; `tests/oracles/power_loss.py` makes of that what is left on the disk. The
//! database goes the same way.

use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use dropslip::embedded_s3::BUCKET;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{answer, from_servers, new_file, project, s3_client, slip};
use crate::process::Serving;
use crate::upload::multipart::content;

/// All that changes files or moves in them. What is not understood by the replay fails it.
const CALLS: &str = "trace=open,openat,creat,read,lseek,write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,splice,truncate,\
                     ftruncate,fallocate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,fsync,\
                     fdatasync,sync,syncfs,close,close_range,dup,dup2,dup3,fcntl,prctl";

const MIB: usize = 1 << 20;

/// What was answered, and when.
struct Answered {
    at: f64,
    id: i64,
    content: Vec<u8>,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The bytes: whoever confirms them finds them.
    Uploaded,
    /// The confirmation.
    Active,
    /// The deletion of the only object.
    Deleted,
}

struct Broker {
    folder: TempDir,
    method: &'static str,
    serving: Serving,
    http: reqwest::Client,
    token: String,
}

impl Broker {
    /// Serves the folder `data` in that one.
    fn start(folder: TempDir, method: &'static str, traced: bool) -> Self {
        let program = env!("CARGO_BIN_EXE_dropslip");
        let mut command = Command::new(if traced { "strace" } else { program });
        if traced {
            // Traced from beside it: what is killed is the broker itself. It may not forbid that its memory is looked at.
            command.args(["-D", "-f", "--seccomp-bpf", "-ttt", "-xx", "-s", "99999999", "-e", CALLS, "-e", "inject=prctl:retval=0", "-o"]);
            command.arg(Self::log(&folder)).args(["--", program]);
        }
        let settings = [
            ("DROPSLIP_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_DATA_DIR", "data"),
            ("DROPSLIP_S3_METHOD", method),
            ("DROPSLIP_MULTIPART_THRESHOLD", "6 MB"),
            ("DROPSLIP_PART_SIZE", "5 MiB"),
            ("DROPSLIP_COPY_IN_PARTS_ABOVE", "5 MiB"),
        ];
        command.arg("serve").env_clear().env("PATH", std::env::var("PATH").unwrap()).envs(settings);
        std::fs::create_dir_all(Self::root(&folder)).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let serving = Serving::by(command.current_dir(Self::root(&folder)), log, "forms go to ");
        let token = std::fs::read_to_string(Self::root(&folder).join("data/development-token")).unwrap().trim().to_owned();
        Self { folder, method, serving, http: reqwest::Client::new(), token }
    }

    fn root(folder: &TempDir) -> PathBuf {
        folder.path().join("root")
    }

    fn log(folder: &TempDir) -> PathBuf {
        folder.path().join("strace")
    }

    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.serving.url())).bearer_auth(&self.token);
        let (status, body) = answer(if let Some(body) = body { request.body(body.to_string()) } else { request }).await;
        (status.as_u16(), body)
    }

    async fn authorize(&self, size: usize) -> Value {
        let mut file = new_file("note.txt", "text/plain");
        (file["size"], file["multipart"]) = (size.into(), (size > 6_000_000).into());
        let (status, body) = self.call("POST", "/v2/files/ref.json", Some(&file)).await;
        assert_eq!(status, 201, "{body}");
        body
    }

    async fn put(&self, signed: &Value, bytes: &[u8]) {
        let mut request = self.http.put(signed["url"].as_str().unwrap()).body(bytes.to_vec());
        for (name, value) in signed["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    }

    async fn upload(&self, content: &[u8]) -> i64 {
        let body = self.authorize(content.len()).await;
        let id = body["file"]["id"].as_i64().unwrap();
        match body["method"].as_str().unwrap() {
            "POST" => {
                let slip = slip(body);
                let fields = slip.params.into_iter().fold(Form::new(), |form, (name, value)| form.text(name, value));
                let form = fields.part("file", Part::bytes(content.to_vec()));
                let response = self.http.post(slip.url).multipart(form).send().await.unwrap();
                assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
            }
            "PUT" => self.put(&body, content).await,
            _ => {
                let parts = content.chunks(5 * MIB);
                let numbers: Vec<usize> = (1..=parts.len()).collect();
                let (_, signed) = self.call("POST", &format!("/v2/files/{id}/parts.json"), Some(&json!({"partNumbers": numbers}))).await;
                for (signed, part) in signed["parts"].as_array().unwrap().iter().zip(parts) {
                    self.put(signed, part).await;
                }
            }
        }
        id
    }

    async fn confirm(&self, id: i64) {
        let (status, body) = self.call("PATCH", &format!("/v2/files/{id}.json"), None).await;
        assert_eq!((status, &body["file"]["state"]), (200, &"active".into()), "{body}");
    }

    fn s3(&self) -> aws_sdk_s3::Client {
        let kept = std::fs::read(Self::root(&self.folder).join("data/embedded-s3-credentials.json")).unwrap();
        let kept: Value = serde_json::from_slice(&kept).unwrap();
        let forms = self.serving.banner.lines().find_map(|line| line.strip_prefix("forms go to ")).unwrap();
        let endpoint = forms.parse::<reqwest::Url>().unwrap().origin().ascii_serialization();
        s3_client(&endpoint, kept["access_key_id"].as_str().unwrap(), kept["secret_access_key"].as_str().unwrap())
    }

    async fn keys(&self) -> Vec<String> {
        let listed = self.s3().list_objects_v2().bucket(BUCKET).send().await.unwrap();
        listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
    }

    /// The same broker on what a power cut then leaves of it.
    fn after_the_cut(&self, at: f64, names: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let oracle = project().join("tests/oracles/power_loss.py");
        let mut replay = Command::new(from_servers("TEST_PYTHON"));
        replay
            .arg(oracle)
            .args([Self::log(&self.folder), Self::root(&self.folder)])
            .args([&at.to_string(), names])
            .arg(Self::root(&folder));
        assert!(replay.status().unwrap().success());
        Self::start(folder, self.method, false)
    }

    async fn has(&self, answered: &Answered) {
        let case = (answered.what, self.method, answered.content.len());
        if answered.what == What::Deleted {
            assert_eq!(self.keys().await, [] as [&str; 0], "{case:?}: it came back");
            return;
        }
        if answered.what == What::Uploaded {
            self.confirm(answered.id).await;
        }
        let (status, body) = self.call("GET", &format!("/v2/files/{}.json", answered.id), None).await;
        assert_eq!((status, &body["file"]["state"]), (200, &"active".into()), "{case:?}: {body}");
        let url = format!("{}/v2/files/{}/download", self.serving.url(), answered.id);
        let response = self.http.get(url).bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(response.status(), 200, "{case:?}");
        assert!(response.bytes().await.unwrap() == answered.content, "{case:?}: other bytes");
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

async fn what_was_answered_outlives_the_power(method: &'static str, sizes: &[usize]) {
    let broker = Broker::start(tempfile::tempdir().unwrap(), method, true);
    let mut answered = Vec::new();
    for &size in sizes {
        let content = content(size);
        let id = broker.upload(&content).await;
        answered.push(Answered { at: now(), id, content: content.clone(), what: What::Uploaded });
        broker.confirm(id).await;
        answered.push(Answered { at: now(), id, content, what: What::Active });
        let [key] = &broker.keys().await[..] else { panic!("one object a time") };
        broker.s3().delete_object().bucket(BUCKET).key(key).send().await.unwrap();
        answered.push(Answered { at: now(), id, content: Vec::new(), what: What::Deleted });
    }
    for answered in &answered {
        for names in ["synced", "all"] {
            broker.after_the_cut(answered.at, names).has(answered).await;
        }
    }
}

#[tokio::test]
async fn forms_parts_and_sealed_copies_that_were_answered_outlive_the_power() {
    what_was_answered_outlives_the_power("post", &[100_000, 7 * MIB]).await;
}

#[tokio::test]
async fn a_put_that_was_answered_outlives_the_power() {
    what_was_answered_outlives_the_power("put", &[100_000]).await;
}
