//! Several broker processes on one Postgres and one bucket are one broker.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Db, Slip, answer, count, database, from_servers, new_file, s3_client, short_lived, slip, unique};
use crate::process::{Serving, run, text};

struct Brokers {
    folder: TempDir,
    settings: Vec<(String, String)>,
    token: String,
    running: Vec<Serving>,
    http: reqwest::Client,
}

impl Brokers {
    /// `count` processes, all started at once on a database that is still empty.
    async fn start(count: usize, more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = from_servers("TEST_SEAWEEDFS_URL");
        let (key, secret) = (from_servers("AWS_ACCESS_KEY_ID"), from_servers("AWS_SECRET_ACCESS_KEY"));
        let bucket = unique("drop-");
        s3_client(&endpoint, &key, &secret).create_bucket().bucket(&bucket).send().await.unwrap();
        let mut settings = vec![
            ("DROPSLIP_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("DROPSLIP_DATABASE_URL".to_owned(), database(Db::Postgres, &folder).await),
            ("DROPSLIP_S3_ENDPOINT".to_owned(), endpoint),
            ("DROPSLIP_S3_BUCKET".to_owned(), bucket),
            ("AWS_ACCESS_KEY_ID".to_owned(), key),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), secret),
        ];
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let borrowed: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let running = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..count).map(|_| scope.spawn(|| Serving::start(folder.path(), &borrowed, "forms go to"))).collect();
            starting.into_iter().map(|started| started.join().unwrap()).collect()
        });
        let token = text(&run(folder.path(), &borrowed, &["token", "create", "--user", "1"]).stdout).trim().to_owned();
        Self { folder, settings, token, running, http: reqwest::Client::new() }
    }

    async fn call(&self, broker: usize, method: &str, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.running[broker % self.running.len()].url());
        let request = self.http.request(method.parse().unwrap(), url).bearer_auth(&self.token);
        answer(if let Some(body) = body { request.body(body.to_string()) } else { request }).await
    }

    async fn drop_bytes(&self, slip: &Slip, bytes: &str) {
        let form = slip.params.iter().fold(reqwest::multipart::Form::new(), |form, (name, value)| form.text(name.clone(), value.clone()));
        let file = reqwest::multipart::Part::text(bytes.to_owned()).file_name("a.txt");
        assert_eq!(self.http.post(&slip.url).multipart(form.part("file", file)).send().await.unwrap().status(), 201);
    }

    /// What an operator sees.
    fn operate(&self, arguments: &[&str]) -> String {
        let borrowed: Vec<_> = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        text(&run(self.folder.path(), &borrowed, arguments).stdout)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_at_several_brokers_make_one_file() {
    let brokers = Brokers::start(3, &[]).await;
    let files = join_all((0..15).map(async |number| {
        let (status, body) = brokers.call(number, "POST", "/v2/files/ref.json", Some(&new_file("a.txt", "text/plain"))).await;
        assert_eq!(status, 201, "{body}");
        let slip = slip(body);
        brokers.drop_bytes(&slip, "hello").await;
        let path = format!("/v2/files/{}.json", slip.id);
        let mut answers = join_all((0..6).map(|broker| brokers.call(broker, "PATCH", &path, None))).await;
        for (_, body) in &mut answers {
            // Each names its own address, and the hour in which it was asked.
            let (link, key) = (body["file"]["downloadURL"].take(), body["file"]["proxyKey"].take());
            let key = key.as_str().unwrap();
            assert!(link.as_str().unwrap().ends_with(&format!("/v2/files/{}/download?proxyKey={key}", slip.id)), "{link}");
        }
        assert!(answers.iter().all(|answer| *answer == answers[0] && answer.0 == 200), "{answers:#?}");
    }));
    assert_eq!(files.await.len(), 15);
    assert_eq!(brokers.operate(&["audit"]), "audited 15 files and 15 objects: 0 lost, 0 forged, 0 orphaned\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sweepers_and_a_dead_one_leave_exactly_what_is_owned() {
    let policies = tempfile::tempdir().unwrap();
    std::fs::write(policies.path().join("short.toml"), short_lived("2s", 100)).unwrap();
    let policies = policies.path().display().to_string();
    let settings = [("DROPSLIP_POLICIES", policies.as_str()), ("DROPSLIP_SWEEP_INTERVAL", "200ms"), ("DROPSLIP_SWEEP_GRACE", "1s")];
    let mut brokers = Brokers::start(3, &settings).await;
    let outcomes = join_all((0..40).map(async |number| {
        let (status, body) = brokers.call(number, "POST", "/v2/files/ref.json", Some(&new_file("a.txt", "text/plain"))).await;
        assert_eq!(status, 201, "{body}");
        let slip = slip(body);
        brokers.drop_bytes(&slip, &format!("hello {number}")).await;
        if number % 2 == 0 {
            return (slip.id, false);
        }
        // Confirmed while sweepers run; late ones may find the file swept, and are told so.
        let (status, body) = brokers.call(number + 1, "PATCH", &format!("/v2/files/{}.json", slip.id), None).await;
        assert!([200, 404].contains(&status.as_u16()), "{status} {body}");
        (slip.id, status == 200)
    }))
    .await;
    // One dies without a word; the others go on with what it was at.
    drop(brokers.running.pop());

    let confirmed = outcomes.iter().filter(|(_, confirmed)| *confirmed).count();
    assert!(confirmed > 0, "none was confirmed in time");
    let clean = format!("audited {confirmed} files and {confirmed} objects: 0 lost, 0 forged, 0 orphaned\n");
    let deadline = Instant::now() + Duration::from_secs(40);
    while brokers.operate(&["audit"]) != clean {
        assert!(Instant::now() < deadline, "{} is not {clean}", brokers.operate(&["audit"]));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    for (id, confirmed) in outcomes {
        let (status, body) = brokers.call(0, "GET", &format!("/v2/files/{id}.json"), None).await;
        assert_eq!(status, if confirmed { 200 } else { 404 }, "{body}");
        assert!(!confirmed || body["file"]["state"] == json!("active"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_bytes_are_never_exceeded_over_all_brokers() {
    let mut brokers = Brokers::start(1, &[]).await;
    let mut file = new_file("a.txt", "text/plain");
    file["size"] = json!(1_000);
    for _ in 0..2 {
        assert_eq!(brokers.call(0, "POST", "/v2/files/ref.json", Some(&file)).await.0, 201, "there is no limit yet");
    }
    // From now on there is one, at two brokers more.
    brokers.settings.push(("DROPSLIP_ACTOR_RESERVED_BYTES".to_owned(), "10 KiB".to_owned()));
    let settings: Vec<_> = brokers.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    brokers.running = (0..2).map(|_| Serving::start(brokers.folder.path(), &settings, "forms go to")).collect();
    let ask = async |broker| brokers.call(broker, "POST", "/v2/files/ref.json", Some(&file)).await.0.as_u16();
    let answers = join_all((0..64).map(&ask)).await;
    assert!(answers.iter().all(|status| [201, 429].contains(status)), "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 8, "two are there from before: {answers:?}");
    assert_eq!((ask(0).await, ask(1).await), (429, 429));
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_start_at_once_agree_on_one_secret() {
    let brokers = Brokers::start(4, &[]).await;
    let (_, body) = brokers.call(0, "POST", "/v2/files/ref.json", Some(&new_file("a.txt", "text/plain"))).await;
    let slip = slip(body);
    brokers.drop_bytes(&slip, "hello").await;
    assert_eq!(brokers.call(0, "PATCH", &format!("/v2/files/{}.json", slip.id), None).await.0, 200);
    for maker in 0..4 {
        let (status, made) = brokers.call(maker, "POST", "/companion/tokens.json", Some(&json!({"types": ["attachment"]}))).await;
        assert_eq!(status, 201, "{made}");
        let (_, upload_token) = made["companionEndpoint"].as_str().unwrap().split_once("/u/").unwrap();
        let file = brokers.call(maker, "GET", &format!("/v2/files/{}.json", slip.id), None).await.1;
        let key = file["file"]["proxyKey"].as_str().unwrap();
        for asked in &brokers.running {
            let upload = brokers.http.get(format!("{}/u/{upload_token}/s3/params?filename=a.txt", asked.url()));
            assert_eq!(upload.send().await.unwrap().status(), 200);
            let link = brokers.http.get(format!("{}/v2/files/{}/download?proxyKey={key}", asked.url(), slip.id));
            assert_eq!(link.send().await.unwrap().text().await.unwrap(), "hello");
        }
    }
    let database_url = &brokers.settings.iter().find(|(name, _)| name == "DROPSLIP_DATABASE_URL").unwrap().1;
    assert_eq!(count(database_url, "SELECT COUNT(*) FROM shared_keys").await, 1);
}
