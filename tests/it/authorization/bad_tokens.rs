//! What bad tokens cost: their senders wait, the log stays short, the database is not asked, and nobody with a good one notices.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::header::{AUTHORIZATION, RETRY_AFTER};
use serde_json::{Value, json};

use crate::faults::proxy::{Break, Proxy};
use crate::faults::world::{Through, World};
use crate::harness::{Bed, Db, Setup, TestBroker, error_fields, from_servers};
use crate::process::{Serving, run, text};

/// How many are let through at once.
const BURST: usize = 30;

/// A token of ours to the letter, whose number nobody has; each is another.
fn unknown(number: usize) -> String {
    format!("dslip_{number:016x}_{}", "0".repeat(64))
}

/// Where somebody uploads with a token that nobody made; it ends in so many seconds.
fn made_up(seconds: i64) -> String {
    let (ends, proof) = (time::OffsetDateTime::now_utc().unix_timestamp() + seconds, "0".repeat(64));
    format!("/u/du2.0123456789abcdef.{ends}.image.{proof}/s3/params?filename=a.png&type=image/png")
}

/// Asks for a list, through a proxy that says from where.
async fn ask(broker: &TestBroker, from: Option<&str>, token: &str) -> (u16, Option<u64>, Value) {
    let mut request = broker.http.get(format!("{}/v2/files.json", broker.base)).bearer_auth(token);
    if let Some(from) = from {
        request = request.header("x-forwarded-for", from);
    }
    let response = request.send().await.unwrap();
    let retry_after = response.headers().get(RETRY_AFTER).map(|seconds| seconds.to_str().unwrap().parse().unwrap());
    (response.status().as_u16(), retry_after, response.json().await.unwrap())
}

#[tokio::test]
async fn an_address_with_many_bad_tokens_waits_and_its_good_ones_and_other_addresses_do_not() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_TRUSTED_PROXIES", "127.0.0.0/8").start().await;
    let attacker = Some("203.0.113.9");
    for number in 0..BURST {
        assert_eq!(ask(&broker, attacker, &unknown(number)).await.0, 401, "the first are told what is wrong");
    }
    let flood = join_all((0..200).map(|number| {
        let broker = &broker;
        async move { ask(broker, attacker, &unknown(number)).await }
    }));
    // Behind the same address are people with good tokens, also with such as this broker has never seen.
    let polite = async {
        for user in 0..10 {
            let token = broker.new_token("default", user, "files:read").await;
            assert_eq!(ask(&broker, attacker, &token).await.0, 200, "a good token waits for bad ones");
            assert_eq!(ask(&broker, attacker, &broker.token).await.0, 200, "a good token waits for bad ones");
        }
    };
    let (answers, ()) = tokio::join!(flood, polite);
    let refused: Vec<_> = answers.into_iter().filter(|(status, ..)| *status == 429).collect();
    assert!(!refused.is_empty(), "none of the flood has to wait");
    for (_, retry_after, body) in refused {
        assert!((1..=60).contains(&retry_after.unwrap()));
        assert_eq!(error_fields(&body), ["limit"]);
        assert!(body.to_string().contains("too many bad tokens"), "{body}");
    }
    // Whatever is bad about a token, and wherever it stands.
    let again = async |ask: &dyn Fn() -> reqwest::RequestBuilder| {
        for _ in 0..20 {
            let answer = ask().header("x-forwarded-for", "198.51.100.1, 203.0.113.9").send().await.unwrap();
            match answer.status().as_u16() {
                401 => {}
                429 => return answer.headers().contains_key(RETRY_AFTER) && answer.text().await.unwrap().contains("too many bad tokens"),
                other => panic!("{other}"),
            }
        }
        false
    };
    let url = |path: &str| format!("{}{path}", broker.base);
    assert!(again(&|| broker.http.get(url("/v2/files.json")).bearer_auth("x")).await, "what is no token");
    assert!(again(&|| broker.http.get(url("/u/x/s3/params?filename=a.txt&type=text/plain"))).await, "what is no upload token");
    assert!(again(&|| broker.http.get(url(&made_up(600)))).await, "an upload token that nobody made");
    // Others, and who presents none.
    assert_eq!(ask(&broker, Some("203.0.113.10"), &unknown(0)).await.0, 401);
    assert_eq!(
        ask(&broker, Some("203.0.113.9, 203.0.113.10"), &unknown(0)).await.0,
        401,
        "the last hop is the one that the proxy has seen"
    );
    let without = broker.http.get(url("/v2/files.json")).header("x-forwarded-for", "203.0.113.9").send().await.unwrap();
    assert_eq!(without.status(), 401);
    for number in 0..2 * BURST {
        assert_eq!(ask(&broker, None, &unknown(number)).await.0, 401, "nobody waits where it is not known who asks");
    }
}

#[tokio::test]
async fn without_trusted_proxies_nobody_waits_behind_one() {
    let broker = TestBroker::on(Bed::Embedded).await;
    for number in 0..2 * BURST {
        assert_eq!(ask(&broker, Some("203.0.113.9"), &unknown(number)).await.0, 401);
    }
}

/// A program that logs what it asks the database, and where that stands.
struct Told {
    program: Serving,
    log: std::path::PathBuf,
    token: String,
    _folder: tempfile::TempDir,
}

impl Told {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = [
            ("DROPSLIP_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_ADMIN_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_DATA_DIR", folder.path().to_str().unwrap()),
            ("DROPSLIP_LOG", "info,sqlx::query=debug"),
            ("DROPSLIP_LOG_FORMAT", "json"),
        ];
        let made = run(folder.path(), &settings, &["token", "create", "--user", "7", "--scopes", "files:read,files:write"]);
        assert!(made.status.success(), "{}", text(&made.stderr));
        let log = folder.path().join("log");
        let program = Serving::logging_to(File::create(&log).unwrap(), folder.path(), &settings, "metrics are at");
        Self { program, log, token: text(&made.stdout).trim().to_owned(), _folder: folder }
    }

    fn lines(&self) -> Vec<Value> {
        fs::read_to_string(&self.log).unwrap().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How often the database was asked who has a token.
    fn look_ups(&self) -> usize {
        let asked = |line: &&Value| line["target"] == "sqlx::query" && line.to_string().contains("FROM tokens WHERE lookup");
        self.lines().iter().filter(asked).count()
    }
}

/// Requests whose tokens are none to the letter, or are not proven by the installation secret: nobody has to be asked about them.
fn no_tokens() -> Vec<(String, String)> {
    let (short, long) = (unknown(1)[1..].to_owned(), unknown(1) + "0");
    let upper = unknown(0xabc).to_uppercase();
    let not_hex = unknown(1).replace("_0", "_g");
    let mut requests = Vec::new();
    for header in ["x", "", "dslip_", "dslip__", &short, &long, &upper, &not_hex, "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        requests.extend(["Bearer", "Digest"].map(|scheme| ("/v2/files.json".to_owned(), format!("{scheme} {header}"))));
    }
    let (proof, good) = ("0".repeat(64), made_up(600));
    let bad =
        ["/u/x/s3/params".to_owned(), "/u/du2..../s3/params".to_owned(), good.replace("cdef.", "cde."), good.replace(&proof, &proof[1..])];
    let unproven = [made_up(-1), made_up(100 * 365 * 86_400), good];
    requests.extend(bad.into_iter().chain(unproven).map(|path| (path, "Bearer x".to_owned())));
    requests
}

#[tokio::test]
async fn what_cannot_be_a_token_is_refused_while_the_database_says_nothing() {
    let proxy = Proxy::to(&from_servers("TEST_POSTGRES_URL")).await;
    let world = World::through(Db::Postgres, Through { s3: None, database: Some(proxy.address) }).await;
    let program = world.start(None).await;
    world.assert_ready(&program, "before").await;
    assert_eq!(world.authorize(&program, "kept", None).await.unwrap().status, 201, "a good token passes");
    proxy.breaks("", Break::Stall);
    let http = reqwest::Client::new();
    let asked = proxy.hits();
    for (path, header) in no_tokens() {
        let request = http.get(format!("{}{path}", program.base)).header(AUTHORIZATION, &header);
        assert_eq!(request.send().await.unwrap().status(), 401, "{path} {header}");
    }
    // Readiness and sweeps ask the database too, a few times in this while; each of these requests would be one more.
    assert!(proxy.hits() - asked < no_tokens().len(), "{} questions to the database", proxy.hits() - asked);
    let answer = http.get(format!("{}/v2/files.json", program.base)).bearer_auth(unknown(1)).send().await.unwrap();
    assert_eq!(answer.status(), 503, "what can be a token is looked up");
    proxy.heals();
    world.assert_ready(&program, "after").await;
    assert_eq!(world.authorize(&program, "kept", None).await.unwrap().status, 201, "and passes again");
    let answer = http.get(format!("{}/v2/files.json", program.base)).bearer_auth(unknown(1)).send().await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn what_cannot_be_a_token_is_not_looked_up() {
    let told = Told::start();
    let http = reqwest::Client::new();
    for (path, header) in no_tokens() {
        let request = http.get(format!("{}{path}", told.program.url())).header(AUTHORIZATION, &header);
        assert_eq!(request.send().await.unwrap().status(), 401, "{path} {header}");
    }
    assert_eq!(told.look_ups(), 0);
    // What can be one is looked up, and a good one once in a while.
    for (token, status) in [(unknown(1), 401), (told.token.clone(), 200), (told.token.clone(), 200)] {
        let answer = http.get(format!("{}/v2/files.json", told.program.url())).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
    let look_ups = told.look_ups();
    assert!((2..=3).contains(&look_ups), "{look_ups}");
}

#[tokio::test]
async fn bad_tokens_have_a_log_line_a_second_that_says_how_many_there_were() {
    const SENT: u64 = 200;
    let told = Told::start();
    let http = reqwest::Client::new();
    let began = Instant::now();
    let asks = (0..SENT).map(|number| {
        let request = http.get(format!("{}/v2/files.json", told.program.url())).bearer_auth(unknown(usize::try_from(number).unwrap()));
        async move { request.send().await.unwrap().status().as_u16() }
    });
    assert!(join_all(asks).await.into_iter().all(|status| status == 401));
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let lines = told.lines();
        let alone = lines.iter().filter(|line| line["message"] == "request refused" && line["status"] == json!(401)).count() as u64;
        let together: u64 = lines.iter().filter_map(|line| line["left_out"].as_u64()).sum();
        if alone + together == SENT {
            assert!((1..=began.elapsed().as_secs() + 1).contains(&alone), "{alone} lines in {:?}", began.elapsed());
            break;
        }
        assert!(alone + together < SENT && Instant::now() < deadline, "{alone} alone and {together} together");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Whoever has shown a good token is told of as before.
    let refused = http.get(format!("{}/v2/files/999.json", told.program.url())).bearer_auth(&told.token).send().await.unwrap();
    assert_eq!(refused.status(), 404);
    let lines = told.lines();
    let line = lines.iter().find(|line| line["message"] == "request refused" && line["status"] == json!(404)).unwrap();
    assert_eq!(line["span"]["path"], "/v2/files/999.json");
}
