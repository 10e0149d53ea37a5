//! What tests of creating share: bodies on their way, and what is left of them.

use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{TestBroker, answer, count};

/// Where files are made.
pub const FILES: &str = "/api/v1/files.json";

/// A form of parts with this boundary.
pub const PARTS: &str = "multipart/form-data; boundary=cut";

/// Part after part, each with its headers, and the end.
pub fn parts(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (headers, bytes) in parts {
        body.extend_from_slice(format!("--cut\r\n{headers}\r\n\r\n").as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--cut--\r\n");
    body
}

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes without a pattern.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..length).map(next).collect()
}

/// The code of the first error and what it is about.
pub fn error(body: &Value) -> (&str, &str) {
    let error = &body["errors"][0];
    let about = error.get("parameter").or(error.pointer("/parameters/0")).and_then(Value::as_str);
    (error["code"].as_str().unwrap_or_default(), about.unwrap_or_default())
}

impl TestBroker {
    /// Sends a body of that type; of none, where it is empty.
    pub async fn sends(&self, query: &str, content_type: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        self.sends_with(query, &[("content-type", content_type)], body).await
    }

    /// Sends a body with these headers; those without a value are left out.
    pub async fn sends_with(&self, query: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self.request("POST", &format!("{FILES}{query}"));
        let headers = headers.iter().filter(|(_, value)| !value.is_empty());
        let request = headers.fold(request, |request, (name, value)| request.header(*name, *value));
        let (status, body) = answer(request.body(body)).await;
        (status.as_u16(), body)
    }

    /// `curl` as documentations write it. What it prints is the answer.
    pub async fn curl(&self, arguments: &[&str], query: &str) -> Value {
        let mut command = Command::new("curl");
        command.args(["-sS", "-X", "POST", "-u", &format!("me@example.com:{}", self.token)]).args(arguments);
        command.arg(format!("{}{FILES}{query}", self.base));
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// A file on the disk of a client.
    pub fn on_disk(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }

    /// Writes a request with this head and body, ends what it sends, and reads what is answered.
    pub async fn by_hand(&self, head: &str, body: &[u8]) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.server.address).await.unwrap();
        let head = format!("{head}\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n", self.token);
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let status = text.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// The same, while the body goes on for ever: what is answered before its end.
    pub async fn answered_early(&self, head: &str, body: &[u8]) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.server.address).await.unwrap();
        let head = format!("{head}\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n", self.token);
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut read, mut write) = stream.split();
        let mut text = Vec::new();
        // It may be refused before all of this is taken.
        let sent = async {
            let _ = write.write_all(body).await;
        };
        let answered = async {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = read.read(&mut buffer).await {
                text.extend_from_slice(&buffer[..count]);
            }
        };
        tokio::join!(sent, answered);
        let text = String::from_utf8(text).unwrap();
        let status = text.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// The bytes of a file as Kayako's clients download them, and as Desk's do.
    pub async fn both_downloads(&self, id: i64) -> [Vec<u8>; 2] {
        [self.downloaded(&format!("/api/v1/files/{id}/content")).await, self.downloaded(&format!("/v2/files/{id}/download")).await]
    }

    async fn downloaded(&self, path: &str) -> Vec<u8> {
        let response = self.request("GET", path).send().await.unwrap();
        let elsewhere = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        let response = if let Some(url) = elsewhere { self.http.get(url).send().await.unwrap() } else { response };
        assert_eq!(response.status(), 200, "{path}");
        response.bytes().await.unwrap().to_vec()
    }

    /// How many records, keys that are to go, objects and open uploads there are.
    pub async fn kept(&self) -> [usize; 4] {
        let rows = async |table: &str| count(&self.database_url, &format!("SELECT count(*) FROM {table}")).await.try_into().unwrap();
        let open = self.s3.list_multipart_uploads().bucket(&self.bucket).send().await.unwrap().uploads().len();
        [rows("files").await, rows("doomed_objects").await, self.objects().await.len(), open]
    }

    /// Waits until so many files and their objects are all that there is.
    pub async fn comes_to(&self, files: usize, why: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let kept = self.kept().await;
            if kept == [files, 0, files, 0] {
                return;
            }
            assert!(Instant::now() < deadline, "{why}: {kept:?} and not {files}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
