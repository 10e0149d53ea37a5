//! Where the secrets of pairs come from: the installation secret, and none that lies in the database.

use std::fs;

use dropslip::domain::sqlite_url;

use super::client::{Answer, FORM, INDEX, Pair, UNSIGNED, description};
use crate::database::upgrades::rows;
use crate::faults::world::{Program, World};
use crate::harness::{Bed, Db, Setup, TestBroker};
use crate::operation::reload::{reloaded, with_file};
use crate::process::{dropslip, text};

const OLD: &str = "0123456789abcdef0123456789abcdef";
const NEW: &str = "fedcba9876543210fedcba9876543210";

/// What the log says when all has been read again, of what is read last.
const ALL: &str = "\"what\":\"log filter\"";

async fn status(program: &Program, pair: &Pair) -> u16 {
    let url = format!("{}{INDEX}?e=/Tickets/TicketAttachment/ListAll/1&{}", program.base, pair.says("1"));
    Answer::of(reqwest::Client::new().get(url)).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_ends_when_its_secret_is_taken_out() {
    let mut world = with_file("").await;
    world.receives();
    world.set("DROPSLIP_CLASSIC_FILE_TYPE", "received");
    let path = world.folder.path().join("secrets");
    fs::write(&path, OLD).unwrap();
    world.set("DROPSLIP_SECRETS_FILE", path.to_str().unwrap());
    let program = world.start(None).await;
    let (by_old, by_new) = (Pair::of(OLD, world.token()), Pair::of(NEW, world.token()));
    assert_eq!(by_old.apikey, by_new.apikey, "the key is the token's");
    assert_eq!([status(&program, &by_old).await, status(&program, &by_new).await], [200, 401]);
    fs::write(&path, format!("{NEW}\n{OLD}\n")).unwrap();
    reloaded(&program, ALL).await;
    assert_eq!([status(&program, &by_old).await, status(&program, &by_new).await], [200, 200], "both verify");
    fs::write(&path, NEW).unwrap();
    reloaded(&program, ALL).await;
    assert_eq!([status(&program, &by_old).await, status(&program, &by_new).await], [401, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_database_makes_no_pair_good_and_the_log_says_why() {
    let mut world = World::new(Db::Sqlite).await;
    world.receives();
    world.set("DROPSLIP_CLASSIC_FILE_TYPE", "received");
    let program = world.start(None).await;
    let hex = if world.database_url.starts_with("sqlite:") { "hex(secret)" } else { "encode(secret, 'hex')" };
    let kept = rows::texts(&world.database_url, &format!("SELECT {hex} FROM shared_keys")).await;
    assert!(!kept.is_empty());
    for secret in kept.iter().map(|secret| secret.to_lowercase()).chain([OLD.to_owned()]) {
        assert_eq!(status(&program, &Pair::of(&secret, world.token())).await, 401);
    }
    let log = program.log();
    let line = log.lines().find(|line| line.to_lowercase().contains("classic") && line.contains("DROPSLIP_SECRETS"));
    assert!(line.is_some(), "it does not say why: {log}");
    drop(program);
    world.set("DROPSLIP_SECRETS", OLD);
    let program = world.start(None).await;
    assert_eq!(status(&program, &Pair::of(OLD, world.token())).await, 200);
    assert!(!program.log().contains(OLD));
}

/// The pair that the program prints for a token.
fn printed(broker: &TestBroker, settings: &[(&str, &str)], token: &str) -> (bool, String, String) {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut command = dropslip(broker.folder.path(), settings);
    command.args(["token", "classic"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{token}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_prints_the_pair_of_a_token() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let folder = broker.folder.path().display().to_string();
    let database = sqlite_url(&broker.folder.path().join("test.db"));
    let settings = [("DROPSLIP_DATA_DIR", folder.as_str()), ("DROPSLIP_DATABASE_URL", &database)];
    let (good, said, complaint) = printed(&broker, &settings, &broker.token);
    assert!(good, "{said}{complaint}");
    let secret = fs::read_to_string(broker.folder.path().join("installation-secret")).unwrap();
    let pair = Pair::of(secret.trim(), &broker.token);
    assert_eq!(said, format!("apikey {}\nsecret {}\n", pair.apikey, pair.secret));
    let list = "/Tickets/TicketAttachment/ListAll/1";
    assert_eq!(broker.signed_by(&pair, "GET", list).await.attachments(), []);
    assert_eq!(broker.signed("GET", list).await.refusal(), (401, UNSIGNED), "that is of another secret");
    for bad in ["", "x", "dslip_0123456789abcdef"] {
        let (good, said, complaint) = printed(&broker, &settings, bad);
        assert!(!good && said.is_empty() && !complaint.is_empty(), "{bad}: {said}{complaint}");
    }
    // Also one that an operator set.
    let set = [settings[0], settings[1], ("DROPSLIP_SECRETS", OLD)];
    let pair = Pair::of(OLD, &broker.token);
    assert_eq!(printed(&broker, &set, &broker.token).1, format!("apikey {}\nsecret {}\n", pair.apikey, pair.secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_as_bearer_will_do_where_nothing_is_signed() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_SECRETS", OLD).start().await;
    let url = |path: &str| format!("{}{INDEX}?e={path}", broker.base);
    let body = description(12, 31, "a.bin", &crate::kayako::sending::noise(3 << 20));
    let by = |token: &str, request: reqwest::RequestBuilder| request.header("authorization", format!("bearer {token}"));
    let posts = || broker.http.post(url("/Tickets/TicketAttachment")).header("content-type", FORM).body(body.clone());
    let made = Answer::of(by(&broker.token, posts())).await.attachment();
    let one = url(&format!("/Tickets/TicketAttachment/12/{}", made.id));
    assert_eq!(Answer::of(by(&broker.token, broker.http.get(&one))).await.attachment().size, 3 << 20);
    let reader = broker.new_token("default", 2, "files:read").await;
    assert_eq!(Answer::of(by(&reader, posts())).await.refusal().0, 403);
    // A signature that is bad stays so, and a password is for somebody else's server.
    let bad = format!("{one}&{}", Pair::of(OLD, &reader).says("1").replace("salt=1", "salt=2"));
    assert_eq!(Answer::of(by(&broker.token, broker.http.get(bad))).await.refusal(), (401, UNSIGNED));
    for refused in [by("x", broker.http.get(&one)), by("x", posts()), broker.http.get(&one).basic_auth(&broker.token, Some("x"))] {
        assert_eq!(Answer::of(refused).await.refusal(), (401, UNSIGNED));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_access_token_of_a_pair_is_its_secret() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_SECRETS", OLD).start().await;
    let pair = Pair::of(OLD, &broker.token);
    let good = broker.signed_by(&pair, "GET", "/Core/TestAPI").await;
    assert_eq!(good.status, 200, "{}", good.body);
    // A signed call is for this dialect alone, and neither half is a token.
    for bearer in [pair.apikey.clone(), pair.secret.clone(), pair.signature("1"), format!("dslip_{}_{}", pair.apikey, "0".repeat(64))] {
        let url = format!("{}/v2/files.json?{}", broker.base, pair.says("1"));
        assert_eq!(broker.http.get(&url).bearer_auth(bearer).send().await.unwrap().status(), 401);
        assert_eq!(broker.http.get(&url).send().await.unwrap().status(), 401);
    }
    let files = format!("{}/api/v1/files.json?{}", broker.base, pair.says("1"));
    assert_eq!(broker.http.get(files).send().await.unwrap().status(), 401);
    // A form is no part of what is signed, and the secret of one token is that of no other.
    let other = broker.new_token("default", 2, "files:read").await;
    assert_ne!(Pair::of(OLD, &other).secret, pair.secret);
    let mixed = Pair { apikey: Pair::of(OLD, &other).apikey, secret: pair.secret };
    assert_eq!(broker.signed_by(&mixed, "GET", "/Core/TestAPI").await.refusal(), (401, UNSIGNED));
}
