//! A client that uploads, overwrites, re-issues, retries and confirms at random, and remembers what it was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::Dice;

/// What a broker acknowledged to a client about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The file's number.
    pub id: i64,
    /// Every version that was sent for it, acknowledged or not.
    pub versions: Vec<String>,
    /// The whole file object of the first 200 to a confirmation.
    pub active: Option<Value>,
}

pub struct Client {
    number: u64,
    dice: Dice,
    token: String,
    urls: Arc<RwLock<Vec<String>>>,
    http: reqwest::Client,
    told: Vec<Told>,
    requests: u64,
    failures: u64,
}

/// What a client ends with.
pub struct Reckoning {
    pub told: Vec<Told>,
    pub requests: u64,
    pub failures: u64,
}

impl Client {
    pub fn new(number: u64, seed: u64, token: String, urls: Arc<RwLock<Vec<String>>>) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(40)).build().unwrap();
        let dice = Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
        Self { number, dice, token, urls, http, told: Vec::new(), requests: 0, failures: 0 }
    }

    pub async fn work(mut self, over: Arc<AtomicBool>) -> Reckoning {
        let mut round = 0;
        while !over.load(Ordering::Relaxed) {
            self.one_file(round).await;
            round += 1;
        }
        Reckoning { told: self.told, requests: self.requests, failures: self.failures }
    }

    async fn one_file(&mut self, round: u64) {
        let key = format!("{}-{round}", self.number);
        let request = json!({"type": "attachment", "filename": format!("{key}.txt"), "mimeType": "text/plain"});
        // Half of the clients ask again after a lost answer, with their key.
        let key = (self.number % 2 == 0).then_some(key.as_str());
        let Some((201, mut slip)) = self.ask("POST", "/v2/files/ref.json", Some(&request), key).await else { return };
        let id = slip["file"]["id"].as_i64().unwrap();
        let mut told = Told { id, versions: Vec::new(), active: None };
        let path = format!("/v2/files/{id}.json");
        for step in 0..2 + self.dice.roll(6) {
            match self.dice.roll(8) {
                0 => {
                    if let Some((201, fresh)) = self.ask("POST", &format!("/v2/files/{id}/ref.json"), None, None).await {
                        slip = fresh;
                    }
                }
                1 | 2 => self.confirm(&path, &mut told).await,
                _ => {
                    let length = usize::try_from(1 + self.dice.roll(400)).unwrap();
                    let version = format!("{} {round} {step} ", self.number).repeat(length);
                    told.versions.push(version.clone());
                    self.drop_bytes(&slip, version).await;
                }
            }
        }
        // Some never come back.
        if self.dice.roll(5) != 0 {
            self.confirm(&path, &mut told).await;
        }
        self.told.push(told);
    }

    async fn confirm(&mut self, path: &str, told: &mut Told) {
        if let Some((200, body)) = self.ask("PATCH", path, None, None).await {
            let first = told.active.get_or_insert_with(|| body["file"].clone());
            assert_eq!(*first, body["file"], "an active file changed");
        }
    }

    /// Asks a broker, another one after each failure; `None` when five of them failed.
    async fn ask(&mut self, method: &str, path: &str, body: Option<&Value>, key: Option<&str>) -> Option<(u16, Value)> {
        for _ in 0..5 {
            let url = {
                let urls = self.urls.read().await;
                format!("{}{path}", urls[usize::try_from(self.dice.roll(urls.len() as u64)).unwrap()])
            };
            let mut request = self.http.request(method.parse().unwrap(), url).bearer_auth(&self.token);
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            if let Some(body) = body {
                request = request.body(body.to_string());
            }
            self.requests += 1;
            let answered = async {
                let response = request.send().await.ok()?;
                let status = response.status();
                Some((status, response.json::<Value>().await.ok()?))
            };
            match answered.await {
                Some((status, body)) if status != StatusCode::SERVICE_UNAVAILABLE => {
                    assert!(!status.is_server_error(), "{method} {path}: {status} {body}");
                    return Some((status.as_u16(), body));
                }
                _ => {
                    self.failures += 1;
                    // Without a key, asking for a slip again would make another file: its owner gives up, and it is swept.
                    if key.is_none() && path.ends_with("/files/ref.json") {
                        return None;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        None
    }

    async fn drop_bytes(&mut self, slip: &Value, bytes: String) {
        let mut form = reqwest::multipart::Form::new();
        for (name, value) in slip["params"].as_object().unwrap() {
            form = form.text(name.clone(), value.as_str().unwrap().to_owned());
        }
        let file = reqwest::multipart::Part::text(bytes).file_name("a.txt");
        let _ = self.http.post(slip["url"].as_str().unwrap()).multipart(form.part("file", file)).send().await;
    }
}
