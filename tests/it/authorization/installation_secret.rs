//! The installation secret: what a reader of the database can make of it, and what an older broker would have made.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::database::upgrades::rows;
use crate::harness::{Bed, Db, Setup, TestBroker, answer, execute, new_file};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What the labels of keys are; written out here, as a forger would know them.
const UPLOADS: &[u8] = b"dropslip upload tokens";
const LINKS: &[u8] = b"dropslip keys in links";

fn mac(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(key).unwrap();
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes().into()
}

/// HKDF-SHA256 without salt, for one block.
fn derived(secret: &[u8], label: &[u8]) -> [u8; 32] {
    mac(&mac(&[0; 32], &[secret]), &[label, &[1]])
}

/// What somebody can make of some bytes that were meant to be a secret: upload tokens for that access token, keys of links to that file.
struct Forger<'a> {
    lookup: &'a str,
    file: i64,
    now: i64,
}

impl Forger<'_> {
    fn upload_tokens(&self, bytes: &[u8]) -> Vec<String> {
        let said = |version: &str| format!("{version}.{}.{}.attachment", self.lookup, self.now + 3600);
        let sealed = |said: String, proof: [u8; 32]| format!("{said}.{}", hex::encode(proof));
        let (of_now, of_before) = (said("du2"), said("du1"));
        let text = hex::encode(bytes);
        vec![
            sealed(of_now.clone(), mac(&derived(text.as_bytes(), UPLOADS), &[of_now.as_bytes()])),
            sealed(of_now.clone(), mac(&derived(bytes, UPLOADS), &[of_now.as_bytes()])),
            sealed(of_now.clone(), mac(bytes, &[of_now.as_bytes()])),
            sealed(of_now.clone(), mac(bytes, &[b"dropslip upload token\0", of_now.as_bytes()])),
            sealed(of_before.clone(), mac(bytes, &[b"dropslip upload token\0", of_before.as_bytes()])),
        ]
    }

    fn link_keys(&self, bytes: &[u8]) -> Vec<String> {
        let text = hex::encode(bytes);
        let mut keys = Vec::new();
        for secret in [text.as_bytes(), bytes] {
            for (version, key) in [(3, derived(secret, LINKS).to_vec()), (3, secret.to_vec()), (2, secret.to_vec())] {
                let name = Sha256::digest([b"dropslip proxyKey id\0", secret].concat());
                let mut said = [&[version], &name[..4]].concat();
                for moment in [self.now, self.now + 3600] {
                    said.extend(u32::try_from(moment).unwrap().to_be_bytes());
                }
                said.extend(b"default");
                let proof = mac(&key, &[b"dropslip proxyKey download\0", &self.file.to_be_bytes(), &said]);
                said.extend(proof);
                keys.push(URL_SAFE_NO_PAD.encode(said));
            }
        }
        keys
    }
}

/// Everything in the database that could be a secret.
async fn dump(url: &str) -> Vec<Vec<u8>> {
    let hex_of = |column: &str, table: &str| {
        if url.starts_with("sqlite:") {
            format!("SELECT hex({column}) FROM {table}")
        } else {
            format!("SELECT encode({column}, 'hex') FROM {table}")
        }
    };
    let mut found = Vec::new();
    for (column, table) in [("secret", "shared_keys"), ("secret_sha256", "tokens"), ("request_sha256", "idempotency_keys")] {
        found.extend(rows::texts(url, &hex_of(column, table)).await.into_iter().map(|text| hex::decode(text).unwrap()));
    }
    for text in ["lookup FROM tokens", "identity FROM storage", "name FROM shared_keys", "name FROM moments"] {
        found.extend(rows::texts(url, &format!("SELECT {text}")).await.into_iter().map(String::into_bytes));
    }
    found
}

/// Whether one of these opens an upload, and whether one of those opens the file.
async fn opens(broker: &TestBroker, forger: &Forger<'_>, bytes: &[Vec<u8>]) -> (bool, bool) {
    let (mut uploads, mut links) = (false, false);
    for bytes in bytes {
        for token in forger.upload_tokens(bytes) {
            let request = broker.http.get(format!("{}/u/{token}/s3/params?filename=a.txt&type=text/plain", broker.base));
            uploads |= answer(request).await.0 == 200;
        }
        for key in forger.link_keys(bytes) {
            let request = broker.http.get(format!("{}/v2/files/{}/download?proxyKey={key}", broker.base, forger.file));
            links |= request.send().await.unwrap().status() == 302;
        }
    }
    (uploads, links)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_the_database_forges_nothing_where_the_secret_lies_elsewhere() {
    for (bed, db, set) in [
        (Bed::SeaweedFs, Db::Postgres, false),
        (Bed::SeaweedFs, Db::Sqlite, false),
        (Bed::SeaweedFs, Db::Postgres, true),
        (Bed::SeaweedFs, Db::Sqlite, true),
        (Bed::Embedded, Db::Sqlite, false),
    ] {
        let broker = Setup::on(bed).database(db).setting("DROPSLIP_SECRETS", if set { SECRET } else { "" }).start().await;
        let file = broker.active(&new_file("a.txt", "text/plain"), b"a").await["id"].as_i64().unwrap();
        let (status, made) = broker.call("POST", "/companion/tokens.json", Some(&json!({"types": ["attachment"]}))).await;
        assert_eq!(status, 201, "{made}");
        let lookup = &broker.token["dslip_".len().."dslip_".len() + 16];
        let forger = Forger { lookup, file, now: OffsetDateTime::now_utc().unix_timestamp() };
        let found = dump(&broker.database_url).await;
        assert!(found.len() >= 4, "{found:?}");
        let in_database = bed != Bed::Embedded && !set;
        assert_eq!(opens(&broker, &forger, &found).await, (in_database, in_database), "{bed:?} {db:?} {set}");
        // The forger knows how, and lacks nothing but the secret.
        let secret = match (bed, set) {
            (_, true) => vec![hex::decode(SECRET).unwrap()],
            (Bed::Embedded, _) => {
                let kept = fs::read_to_string(broker.folder.path().join("installation-secret")).unwrap();
                vec![hex::decode(kept.trim()).unwrap()]
            }
            _ => found,
        };
        assert_eq!(opens(&broker, &forger, &secret).await, (true, true), "{bed:?} {db:?} {set}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_database_signs_nothing_once_a_secret_is_set() {
    let broker = Setup::on(Bed::SeaweedFs).setting("DROPSLIP_SECRETS", SECRET).start().await;
    let file = broker.active(&new_file("a.txt", "text/plain"), b"a").await["id"].as_i64().unwrap();
    // As an installation has it that was without the setting before, and one that took JWTs in the version before.
    let bytes = "ab".repeat(32);
    for name in ["installation secret", "upload tokens"] {
        execute(&broker.database_url, &format!("INSERT INTO shared_keys (name, secret) VALUES ('{name}', x'{bytes}')")).await;
    }
    let lookup = &broker.token["dslip_".len().."dslip_".len() + 16];
    let forger = Forger { lookup, file, now: OffsetDateTime::now_utc().unix_timestamp() };
    assert_eq!(opens(&broker, &forger, &[hex::decode(&bytes).unwrap()]).await, (false, false));
    assert_eq!(opens(&broker, &forger, &[hex::decode(SECRET).unwrap()]).await, (true, true));
}
