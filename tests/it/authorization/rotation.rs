//! SIGHUP again: the secrets of links and upload tokens, and the endpoints of webhooks with theirs, are others without a restart.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use dropslip::database::EventFilter;
use futures_util::future;
use serde_json::{Value, json};

use crate::faults::world::{Program, World};
use crate::operation::reload::{reloaded, with_file};
use crate::operation::webhooks::verified;
use crate::receiver::{OTHER_SECRET, Receiver, SECRET};

const OLD: &str = "0123456789abcdef0123456789abcdef";
const NEW: &str = "fedcba9876543210fedcba9876543210";

/// What the log says when all has been read again, of what is read last.
const ALL: &str = "\"what\":\"log filter\"";

const NOT_RELOADED: &str = "not reloaded: the old one stays in force";

async fn active(world: &World, program: &Program) -> i64 {
    let (slip, _) = world.uploaded(program, "kept").await;
    assert_eq!(world.confirm(program, slip.id).await.unwrap().status, 200);
    slip.id
}

/// The key of a file's link, and the link.
async fn link(world: &World, program: &Program, id: i64) -> (String, String) {
    let answer = world.ask(program, "GET", &format!("/v2/files/{id}.json"), None, &Value::Null).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let file = &answer.body["file"];
    (file["proxyKey"].as_str().unwrap().to_owned(), file["downloadURL"].as_str().unwrap().to_owned())
}

/// What somebody without a token is answered.
async fn followed(url: &str) -> u16 {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    http.get(url).send().await.unwrap().status().as_u16()
}

/// A world whose links have secrets in that file.
async fn with_secrets(secrets: &str) -> (World, std::path::PathBuf) {
    let world = with_file("").await;
    let path = world.folder.path().join("proxy-keys");
    fs::write(&path, secrets).unwrap();
    fs::write(world.folder.path().join("dropslip.toml"), format!("proxy_keys_file = \"{}\"\n", path.display())).unwrap();
    (world, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_links_rotate_without_a_restart() {
    let (world, path) = with_secrets(OLD).await;
    let program = world.start(None).await;
    let id = active(&world, &program).await;
    let (old_key, old_link) = link(&world, &program, id).await;
    assert_eq!(followed(&old_link).await, 302);

    // The new one signs, and the old one is still on the list.
    fs::write(&path, format!("{NEW}\n{OLD}\n")).unwrap();
    reloaded(&program, ALL).await;
    let (new_key, new_link) = link(&world, &program, id).await;
    assert_ne!(old_key, new_key);
    assert_eq!([followed(&old_link).await, followed(&new_link).await], [302, 302]);

    // A broken list changes nothing.
    for broken in ["short", ",", &format!("{NEW}\n{NEW}\n")] {
        fs::write(&path, broken).unwrap();
        reloaded(&program, NOT_RELOADED).await;
        assert_eq!(link(&world, &program, id).await.0, new_key);
        assert_eq!([followed(&old_link).await, followed(&new_link).await], [302, 302], "‘{broken}’");
    }
    fs::remove_file(&path).unwrap();
    reloaded(&program, NOT_RELOADED).await;
    assert_eq!([followed(&old_link).await, followed(&new_link).await], [302, 302], "without a file");

    // The old one is off the list, and so are the links by it.
    fs::write(&path, NEW).unwrap();
    reloaded(&program, ALL).await;
    assert_eq!([followed(&old_link).await, followed(&new_link).await], [401, 302]);
    assert_eq!(link(&world, &program, id).await.0, new_key);

    // The settings themselves may change too.
    fs::write(world.folder.path().join("dropslip.toml"), format!("proxy_keys = \"{OLD}\"\nproxy_key_lifetime = \"1h\"\n")).unwrap();
    reloaded(&program, ALL).await;
    assert_eq!(followed(&new_link).await, 401);
    assert_eq!(followed(&link(&world, &program, id).await.1).await, 302);
    fs::write(world.folder.path().join("dropslip.toml"), "").unwrap();
    reloaded(&program, ALL).await;
    let (own_key, by_own) = link(&world, &program, id).await;
    assert_eq!((followed(&by_own).await, followed(&old_link).await), (302, 401), "without a setting the broker has a secret of its own");
    fs::write(world.folder.path().join("dropslip.toml"), "links = \"token\"\n").unwrap();
    reloaded(&program, ALL).await;
    let (no_key, needs_token) = link(&world, &program, id).await;
    assert_eq!((no_key.as_str(), followed(&needs_token).await, followed(&by_own).await), ("", 401, 401), "links may need a token");

    let log = program.log();
    assert!(log.contains("PROXY_KEYS_FILE") && log.contains("must be secrets of 32 or more"), "it says why: {log}");
    assert!(log.contains("\"source\":\"DROPSLIP_PROXY_KEYS_FILE\"") && log.contains("signs, from the database"), "{log}");
    assert!(![OLD, NEW, "\"short\"", &old_key, &new_key, &own_key].iter().any(|secret| log.contains(secret)), "a secret is logged: {log}");
    assert!(!log.contains("need a restart"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_of_secrets_ends_all_links() {
    let (world, path) = with_secrets(OLD).await;
    let mut program = world.start(None).await;
    let id = active(&world, &program).await;
    let (_, by_old) = link(&world, &program, id).await;
    for empty in ["", " \n\r\n\t"] {
        assert_eq!(followed(&by_old).await, 302);
        fs::write(&path, empty).unwrap();
        reloaded(&program, "no keys in links: the file of DROPSLIP_PROXY_KEYS_FILE is empty").await;
        assert_eq!(followed(&by_old).await, 401, "‘{empty:?}’");
        let (no_key, needs_token) = link(&world, &program, id).await;
        assert_eq!((no_key.as_str(), followed(&needs_token).await), ("", 401));
        // Taken back: whoever emptied it by mistake loses nothing.
        fs::write(&path, OLD).unwrap();
        reloaded(&program, ALL).await;
    }
    program.signal("-TERM");
    program.end().await;
    fs::write(&path, "\n").unwrap();
    let program = world.start(None).await;
    assert!(program.log().contains("links to files have no keys"), "{}", program.log());
    assert_eq!(link(&world, &program, id).await.0, "");
}

async fn upload_token(world: &World, program: &Program) -> String {
    let made = world.ask(program, "POST", "/companion/tokens.json", None, &json!({"types": ["kept"]})).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    made.body["companionEndpoint"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn upload_tokens_rotate_with_the_secret_and_without_a_restart() {
    let (world, path) = with_secrets(OLD).await;
    fs::write(world.folder.path().join("dropslip.toml"), format!("secrets_file = \"{}\"\n", path.display())).unwrap();
    let program = world.start(None).await;
    let uploads = async |endpoint: &str| followed(&format!("{endpoint}/s3/params?filename=a.txt&metadata[fileType]=kept")).await;
    let by_old = upload_token(&world, &program).await;
    assert!(by_old.contains("/u/du2."), "{by_old}");
    assert_eq!(uploads(&by_old).await, 200);

    fs::write(&path, format!("{NEW}\n{OLD}\n")).unwrap();
    reloaded(&program, ALL).await;
    let by_new = upload_token(&world, &program).await;
    assert_eq!([uploads(&by_old).await, uploads(&by_new).await], [200, 200], "the old one verifies");

    fs::write(&path, NEW).unwrap();
    reloaded(&program, ALL).await;
    assert_eq!([uploads(&by_old).await, uploads(&by_new).await], [401, 200], "the new one signed");

    // An empty file ends all that it signed; upload tokens are signed by the broker's own secret then.
    fs::write(&path, "").unwrap();
    reloaded(&program, ALL).await;
    let by_own = upload_token(&world, &program).await;
    assert_eq!([uploads(&by_new).await, uploads(&by_own).await], [401, 200]);
    fs::write(&path, NEW).unwrap();
    reloaded(&program, ALL).await;
    assert_eq!([uploads(&by_new).await, uploads(&by_own).await], [200, 401]);
    assert!(![OLD, NEW].iter().any(|secret| program.log().contains(secret)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_links_by_one_secret_while_they_rotate() {
    let (world, path) = with_secrets(OLD).await;
    let program = world.start(None).await;
    for _ in 0..4 {
        active(&world, &program).await;
    }
    let stop = AtomicBool::new(false);
    let asking = future::join_all((0..4).map(|_| async {
        let mut signed_by = BTreeSet::new();
        while !stop.load(Ordering::Relaxed) {
            let answer = world.ask(&program, "GET", "/v2/files.json", None, &Value::Null).await.unwrap();
            let keys = answer.body["files"].as_array().unwrap().iter().map(|file| file["proxyKey"].as_str().unwrap());
            // The version, and most of the public name of the secret.
            let names: BTreeSet<String> = keys.map(|key| key[..6].to_owned()).collect();
            assert_eq!(names.len(), 1, "{answer:?}");
            signed_by.extend(names);
        }
        signed_by
    }));
    let rotating = async {
        for round in 0..10 {
            let (first, second) = if round % 2 == 0 { (NEW, OLD) } else { (OLD, NEW) };
            fs::write(&path, format!("{first}\n{second}\n")).unwrap();
            reloaded(&program, ALL).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (signed_by, ()) = future::join(asking, rotating).await;
    assert_eq!(signed_by.into_iter().flatten().collect::<BTreeSet<_>>().len(), 2, "both signed");
}

fn entry(name: &str, receiver: &Receiver, secret: &str) -> String {
    format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{}\"\nsecrets = [\"{secret}\"]\n", receiver.url)
}

async fn delete(world: &World, program: &Program, id: i64) {
    let deleted = world.ask(program, "DELETE", &format!("/v2/files/{id}.json"), None, &Value::Null).await.unwrap();
    assert_eq!(deleted.status, 204, "{deleted:?}");
}

async fn restore(world: &World, program: &Program, id: i64) {
    let restored = world.ask(program, "POST", &format!("/v2/files/{id}/restore.json"), None, &Value::Null).await.unwrap();
    assert_eq!(restored.status, 200, "{restored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_come_change_and_go_without_a_restart() {
    let world = with_file("").await;
    let program = world.start(None).await;
    let (a, b) = (Receiver::start().await, Receiver::start().await);
    let path = world.folder.path().join("webhooks.toml");
    let written_to = async |name: &str| {
        let filter = EventFilter { endpoint: Some(name.to_owned()), ..EventFilter::default() };
        world.database.list_events(&filter, 100).await.unwrap().len()
    };
    let id = active(&world, &program).await;

    fs::write(&path, entry("a", &a, SECRET)).unwrap();
    fs::write(world.folder.path().join("dropslip.toml"), format!("webhooks_file = \"{}\"\n", path.display())).unwrap();
    reloaded(&program, ALL).await;
    delete(&world, &program, id).await;
    let told = a.wait_for(1).await;
    assert_eq!(told[0].told(), (id, "file.deleted".to_owned()), "what was before it came is not told");
    assert_eq!(verified(SECRET, &told[0])["payload"], told[0].json());

    for broken in [entry("b", &b, "whsec_hunter2"), "endpoint = 1".to_owned(), format!("{0}{0}", entry("b", &b, SECRET))] {
        fs::write(&path, broken).unwrap();
        reloaded(&program, NOT_RELOADED).await;
    }
    fs::remove_file(&path).unwrap();
    reloaded(&program, NOT_RELOADED).await;
    restore(&world, &program, id).await;
    assert_eq!(a.wait_for(2).await[1].told(), (id, "file.restored".to_owned()), "a broken list changes nothing");

    // Another secret for one, and another one.
    fs::write(&path, entry("a", &a, OTHER_SECRET) + &entry("b", &b, SECRET)).unwrap();
    reloaded(&program, ALL).await;
    delete(&world, &program, id).await;
    let (at_a, at_b) = (a.wait_for(3).await, b.wait_for(1).await);
    assert_eq!(at_b[0].told(), (id, "file.deleted".to_owned()));
    assert_eq!(verified(OTHER_SECRET, &at_a[2])["payload"], at_a[2].json());
    assert!(verified(SECRET, &at_a[2])["refused"].is_string(), "the old secret signs no more");

    fs::write(&path, entry("b", &b, SECRET)).unwrap();
    reloaded(&program, ALL).await;
    restore(&world, &program, id).await;
    assert_eq!(b.wait_for(2).await[1].told(), (id, "file.restored".to_owned()));
    assert_eq!((written_to("a").await, a.deliveries().len()), (3, 3), "nothing is written for who is gone");

    let log = program.log();
    assert!(log.contains("WEBHOOKS_FILE") && log.contains("another endpoint has it already"), "it says why: {log}");
    assert!(!["hunter2", SECRET, OTHER_SECRET].iter().any(|secret| log.contains(secret)), "{log}");
    assert!(!log.contains("need a restart"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_stay_whole_and_in_order_while_endpoints_are_replaced() {
    let world = with_file("").await;
    let receiver = Receiver::start().await;
    let path = world.folder.path().join("webhooks.toml");
    fs::write(&path, entry("a", &receiver, SECRET)).unwrap();
    fs::write(world.folder.path().join("dropslip.toml"), format!("webhooks_file = \"{}\"\n", path.display())).unwrap();
    let program = world.start(None).await;
    let id = active(&world, &program).await;
    let mut expected = vec!["file.activated"];
    for round in 0..8 {
        delete(&world, &program, id).await;
        restore(&world, &program, id).await;
        expected.extend(["file.deleted", "file.restored"]);
        fs::write(&path, entry("a", &receiver, if round % 2 == 0 { OTHER_SECRET } else { SECRET })).unwrap();
        reloaded(&program, ALL).await;
    }
    let deliveries = receiver.wait_for(expected.len()).await;
    let mut ids = BTreeSet::new();
    let first = deliveries.iter().filter(|delivery| ids.insert(delivery.id().to_owned()));
    assert_eq!(first.map(|delivery| delivery.told().1).collect::<Vec<_>>(), expected);
    for delivery in &deliveries {
        assert!([SECRET, OTHER_SECRET].iter().any(|secret| verified(secret, delivery)["payload"].is_object()), "{delivery:?}");
    }
}
