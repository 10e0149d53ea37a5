//! What proves a call, and that nothing else does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::client::{Answer, INDEX, Pair, SECRET, UNSIGNED, classic, description, fields};
use crate::faults::proxy::{Break, Proxy};
use crate::harness::{Bed, Db, Setup, TestBroker, from_servers};

const LIST: &str = "/Tickets/TicketAttachment/ListAll/3";

async fn salts_of_every_client_are_taken(db: Db) {
    let broker = classic(db).start().await;
    let pair = broker.pair();
    let made = broker.attached(3, 4, "a.txt", b"Hello").await;
    let bytes = STANDARD.encode([0xfb; 20]);
    assert!(bytes.contains('+') || bytes.contains('/'), "{bytes}");
    for salt in [
        "1484302812",
        "-1484302812",
        "-9223372036854775808",
        "0",
        "a3f0c9d27b5e41886f0d2c7b9e1a4f53",
        "qWeRtYu",
        bytes.as_str(),
        "7WF3gBq5kqkdoYIHbnpS4Hu8mJU=",
        "with blanks & signs = + %41",
        "\u{fc}\u{1f600}",
    ] {
        let said = pair.says(salt);
        let list = broker.classic("GET", &format!("{INDEX}?e={LIST}&{said}")).await;
        assert_eq!(list.status, 200, "{salt}: {}", list.body);
        assert_eq!(list.attachments()[0], made);
        let posted = broker.posts(format!("{}&{said}", description(4, 1, "b.txt", b"Hello"))).await;
        assert_eq!(posted.status, 200, "{salt}: {}", posted.body);
    }
}

/// Two clients escape nothing, so that a plus is a blank when it arrives.
async fn a_signature_need_not_be_escaped(db: Db) {
    let broker = classic(db).start().await;
    let pair = broker.pair();
    broker.attached(3, 4, "a.txt", b"Hello").await;
    let mut from = 1;
    for characters in ["+", "/", "+/", "+/", "+/", "/", "+"] {
        let salt = pair.salt_with(from, characters);
        from = salt.parse::<u32>().unwrap() + 1;
        for salt in [salt.clone(), pair_negative(&pair, from, characters)] {
            let said = pair.says_raw(&salt);
            assert!(characters.chars().all(|c| said.contains(c)));
            for url in [format!("{INDEX}?e={LIST}&{said}"), format!("{INDEX}?{said}&e={LIST}"), format!("/api/?{LIST}&{said}")] {
                let answer = broker.classic("GET", &url).await;
                assert_eq!(answer.status, 200, "{url}: {}", answer.body);
            }
            for body in [
                format!("{said}&{}", description(3, 4, "b.txt", b"Hello")),
                format!("{}&{said}", description(3, 4, "b.txt", b"Hello")),
                format!("{}&{}", description(3, 4, "b.txt", b"Hello"), said.replace('+', "%20")),
            ] {
                let answer = broker.posts(body.clone()).await;
                assert_eq!(answer.status, 200, "{body}: {}", answer.body);
                let id = answer.attachment().id;
                let gone = broker.classic("DELETE", &format!("{INDEX}?e=/Tickets/TicketAttachment/3/{id}&{said}")).await;
                assert_eq!(gone.attachments(), [], "{body}");
            }
        }
    }
}

/// A salt below zero whose signature has these characters.
fn pair_negative(pair: &Pair, from: u32, characters: &str) -> String {
    let fits = |salt: &String| characters.chars().all(|c| pair.signature(salt).contains(c));
    (from..=u32::MAX).map(|salt| format!("-{salt}")).find(fits).unwrap()
}

async fn one_salt_is_good_for_everything_a_client_does(db: Db) {
    let broker = classic(db).start().await;
    let said = broker.pair().says("abcdefghijklmnopqrstuvwxyz012345");
    for _ in 0..3 {
        let made = broker.posts(format!("{said}&{}", description(3, 4, "a.txt", b"Hello"))).await.attachment();
        let one = format!("{INDEX}?e=/Tickets/TicketAttachment/3/{}&{said}", made.id);
        assert_eq!(broker.classic("GET", &one).await.attachment().contents.as_deref(), Some(&b"Hello"[..]));
        assert_eq!(broker.classic("DELETE", &one).await.attachments(), []);
    }
}

/// What is no proof: of each a name, and the fields.
fn unproven(pair: &Pair, other: &Pair) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let said = |apikey: &str, salt: &str, signature: &str| {
        vec![("apikey", apikey.to_owned()), ("salt", salt.to_owned()), ("signature", signature.to_owned())]
    };
    let (key, salt) = (pair.apikey.as_str(), "12345");
    let good = pair.signature(salt);
    let mac =
        |key: &[u8], said: &[u8]| STANDARD.encode(Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(said).finalize().into_bytes());
    let of_secret = |said: String| mac(pair.secret.as_bytes(), said.as_bytes());
    let mut changed = STANDARD.decode(&good).unwrap();
    changed[31] ^= 1;
    let without = |name: &str| said(key, salt, &good).into_iter().filter(|(field, _)| *field != name).collect();
    vec![
        ("another signature", said(key, salt, &STANDARD.encode(changed))),
        ("of another salt", said(key, "12346", &good)),
        ("of another pair", said(key, salt, &other.signature(salt))),
        ("another key", said(&other.apikey, salt, &good)),
        ("a key that nobody has", said("0123456789abcdef", salt, &good)),
        ("no key at all", said("", salt, &good)),
        ("a word", said("admin", salt, &good)),
        ("a key in capitals", said(&key.to_uppercase(), salt, &good)),
        ("an empty salt with its signature", said(key, "", &pair.signature(""))),
        ("an empty signature", said(key, salt, "")),
        ("in hex", said(key, salt, &hex::encode(STANDARD.decode(&good).unwrap()))),
        ("cut", said(key, salt, &good[..20])),
        ("the hex in base64, as some libraries do", said(key, salt, &STANDARD.encode(hex::encode(STANDARD.decode(&good).unwrap())))),
        ("more than the salt was signed", said(key, salt, &of_secret(format!("{salt}{key}")))),
        ("the key and the salt were signed", said(key, salt, &of_secret(format!("{key}{salt}")))),
        ("by the bytes of the secret", said(key, salt, &mac(&STANDARD.decode(&pair.secret).unwrap(), salt.as_bytes()))),
        ("by the installation secret", said(key, salt, &mac(SECRET.as_bytes(), salt.as_bytes()))),
        ("the secret itself", said(key, salt, &pair.secret)),
        ("no apikey", without("apikey")),
        ("no salt", without("salt")),
        ("no signature", without("signature")),
        ("nothing", Vec::new()),
    ]
}

fn form(said: &[(&'static str, String)]) -> String {
    fields(&said.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>())
}

fn is_unsigned(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {}", answer.body);
    assert_eq!(answer.refusal().1, UNSIGNED, "{what}");
    assert_eq!(answer.header("www-authenticate"), "Signature realm=\"dropslip\"", "{what}");
}

async fn whatever_is_no_proof_gets_one_and_the_same_answer(db: Db) {
    let broker = classic(db).start().await;
    let pair = broker.pair();
    let other = Pair::of(SECRET, &broker.new_token("default", 2, "files:read,files:write,files:delete").await);
    let made = broker.attached(3, 4, "a.txt", b"Hello").await;
    let one = format!("/Tickets/TicketAttachment/3/{}", made.id);
    let description = description(3, 4, "b.txt", b"Hello");
    for (what, said) in unproven(&pair, &other) {
        let said = form(&said);
        for (method, path) in
            [("GET", LIST), ("GET", &one), ("GET", "/Tickets/TicketPost/ListAll/3/4"), ("DELETE", &one), ("GET", "/Core/TestAPI")]
        {
            is_unsigned(&broker.classic(method, &format!("{INDEX}?e={path}&{said}")).await, what);
        }
        is_unsigned(&broker.posts(format!("{said}&{description}")).await, what);
        is_unsigned(&broker.posts(format!("{description}&{said}")).await, what);
        // Whatever else is wrong is nobody's business.
        is_unsigned(&broker.posts(format!("{said}&filename=a.exe")).await, what);
        is_unsigned(&broker.signed_with("GET", "/Tickets/TicketAttachment/3/999999", &said).await, what);
        is_unsigned(&broker.signed_with("GET", "/Tickets/TicketAttachment/ListAll/999999", &said).await, what);
    }
    assert_eq!(broker.on_the_ticket(3).await, [made]);
    broker.comes_to(1, "nothing else is left").await;
    for pair in [pair, other] {
        assert_eq!(broker.signed_by(&pair, "GET", LIST).await.attachments().len(), 1);
    }
}

impl TestBroker {
    async fn signed_with(&self, method: &str, path: &str, said: &str) -> Answer {
        self.classic(method, &format!("{INDEX}?e={path}&{said}")).await
    }
}

/// Whatever comes to the store passes a proxy that refuses and counts it.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_never_reaches_the_bucket() {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let broker = Setup::on(Bed::SeaweedFs)
        .setting("DROPSLIP_DIALECTS", "all")
        .setting("DROPSLIP_SECRETS", SECRET)
        .setting("DROPSLIP_S3_ENDPOINT", format!("http://{}", proxy.address))
        .start()
        .await;
    let made = broker.attached(3, 4, "a.txt", b"Hello").await;
    let good = broker.pair();
    let other = Pair::of(SECRET, &broker.new_token("default", 2, "files:read").await);
    proxy.breaks("x-id=", Break::Refuse);
    let one = format!("/Tickets/TicketAttachment/3/{}", made.id);
    for (what, said) in unproven(&good, &other) {
        let said = form(&said);
        for (method, path) in [("GET", &*one), ("GET", "/Tickets/TicketPost/ListAll/3/4"), ("DELETE", &one)] {
            is_unsigned(&broker.signed_with(method, path, &said).await, what);
        }
        is_unsigned(&broker.posts(format!("{said}&{}", description(3, 4, "b.txt", b"Hello"))).await, what);
        is_unsigned(&broker.posts(format!("{}&{said}", description(3, 4, "b.txt", b"Hello"))).await, what);
    }
    assert_eq!(proxy.hits(), 0, "the store was asked");
    assert_eq!(broker.signed("GET", &one).await.status, 503);
    assert!(proxy.hits() > 0, "a good one gets there");
    proxy.heals();
    assert_eq!(broker.signed("GET", &one).await.attachment().contents.as_deref(), Some(&b"Hello"[..]));
}

on_both_engines!(
    salts_of_every_client_are_taken,
    a_signature_need_not_be_escaped,
    one_salt_is_good_for_everything_a_client_does,
    whatever_is_no_proof_gets_one_and_the_same_answer
);
