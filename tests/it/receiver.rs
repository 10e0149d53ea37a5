//! A server that webhooks are sent to: it keeps what came and answers as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use dropslip::listener::Bounds;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// 24 bytes each.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub at: Instant,
    pub answered: u16,
}

impl Delivery {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The number of its file and what happened.
    pub fn told(&self) -> (i64, String) {
        let json = self.json();
        (json["data"]["file"]["id"].as_i64().unwrap(), json["type"].as_str().unwrap().to_owned())
    }
}

/// A status, and when to come again.
type Answer = (u16, Option<&'static str>);

/// Decides about a request that nothing was scripted for.
type Rule = Box<dyn Fn(&Delivery) -> u16 + Send>;

struct State {
    deliveries: Vec<Delivery>,
    script: VecDeque<Answer>,
    rule: Rule,
}

pub struct Receiver {
    pub url: String,
    state: Arc<Mutex<State>>,
    stop: CancellationToken,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { deliveries: Vec::new(), script: VecDeque::new(), rule: Box::new(|_| 204) }));
        let kept = state.clone();
        let receive = async move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let mut state = kept.lock().unwrap();
            let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
            let body = String::from_utf8(body.to_vec()).unwrap();
            let mut delivery = Delivery { path: uri.path().to_owned(), headers, body, at: Instant::now(), answered: 0 };
            let (status, again) = state.script.pop_front().unwrap_or_else(|| ((state.rule)(&delivery), None));
            delivery.answered = status;
            state.deliveries.push(delivery);
            let mut headers = HeaderMap::new();
            if let Some(again) = again {
                let name = if status == 302 { "location" } else { "retry-after" };
                headers.insert(HeaderName::from_static(name), again.parse().unwrap());
            }
            (StatusCode::from_u16(status).unwrap(), headers)
        };
        let stop = CancellationToken::new();
        let bounds = Bounds { connections: 100, buffer_bytes: 64 * 1024 };
        tokio::spawn(dropslip::listener::serve(listener, axum::Router::new().fallback(receive), bounds, stop.clone()));
        Self { url, state, stop }
    }

    /// What the next requests are answered, before the rule counts again.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().unwrap().script.extend(answers);
    }

    pub fn rule(&self, rule: impl Fn(&Delivery) -> u16 + Send + 'static) {
        self.state.lock().unwrap().rule = Box::new(rule);
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.lock().unwrap().deliveries.clone()
    }

    /// Waits until so many came, and gives all there are then.
    pub async fn wait_for(&self, count: usize) -> Vec<Delivery> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let deliveries = self.deliveries();
            if deliveries.len() >= count {
                return deliveries;
            }
            assert!(Instant::now() < deadline, "{} of {count} came: {deliveries:#?}", deliveries.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A file of endpoints with this one in it.
    pub fn endpoints_file(&self, folder: &Path, more: &str) -> PathBuf {
        let path = folder.join("webhooks.toml");
        let text = format!("[[endpoint]]\nname = \"desk\"\nurl = \"{}\"\nsecrets = [\"{SECRET}\", \"{OTHER_SECRET}\"]\n{more}\n", self.url);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
