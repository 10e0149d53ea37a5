//! Files of settings, secrets, keys and tokens as other programs write them: with a mark before them they are read, in UTF-16 they are
//! refused by name.

use std::fs;
use std::path::{Path, PathBuf};

use dropslip::config::Config;
use dropslip::server::Server;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::StatusCode;
use serde_json::json;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::harness::{Bed, Setup, TestBroker, answer, new_file};
use crate::process::{run, text};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The public key of RFC 8037, appendix A.2.
const KEYS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "1"}]}"#;

const RULE: &str = r#"
name = "attachment"
title = "Texts"
min_size = 1
max_size = 100
dispositions = ["attachment"]
slip_lifetime = "1h"
sniff = "relabel"
unconfirmed = "discard"
content_types = [{ type = "text/plain", extensions = ["txt"] }]
"#;

/// How a text is written down.
#[derive(Clone, Copy, PartialEq)]
enum Written {
    Plain,
    /// In UTF-8, after a mark.
    Marked,
    /// As PowerShell's `>` does it.
    Utf16,
    /// The same from the other end.
    Utf16BigEnd,
}

impl Written {
    fn bytes(self, text: &str) -> Vec<u8> {
        let marked = || format!("\u{feff}{text}");
        match self {
            Self::Plain => text.as_bytes().to_vec(),
            Self::Marked => marked().into_bytes(),
            Self::Utf16 => marked().encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Self::Utf16BigEnd => marked().encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }
}

const READ: [Written; 2] = [Written::Plain, Written::Marked];
const REFUSED: [Written; 2] = [Written::Utf16, Written::Utf16BigEnd];

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn jwt(secret: &str) -> String {
    let exp = OffsetDateTime::now_utc().unix_timestamp() + 600;
    let claims = json!({"iss": "x", "aud": "x", "exp": exp, "sub": "42", "tenant": "acme", "scope": "files:read files:write"});
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

async fn asks_for_a_slip(broker: &TestBroker, token: &str) -> StatusCode {
    let request = broker.http.post(format!("{}/v2/files/ref.json", broker.base)).bearer_auth(token);
    request.body(new_file("a.txt", "text/plain").to_string()).send().await.unwrap().status()
}

/// Each setting that names a file, with a good text of it; and whether a broker that started with it does what the text says.
async fn does_as_the_file_says(setting: &str, broker: &TestBroker, token: &str) {
    let good = match setting {
        "DROPSLIP_TOKENS_FILE" => asks_for_a_slip(broker, token).await == 201,
        "DROPSLIP_JWT_SECRET_FILE" => {
            asks_for_a_slip(broker, &jwt(SECRET)).await == 201
                && asks_for_a_slip(broker, &jwt("another one, 0123456789abcdef")).await == 401
        }
        "DROPSLIP_NOTIFICATIONS_TOKEN_FILE" => {
            let request = broker.http.post(format!("{}/notifications/s3", broker.base)).bearer_auth(SECRET).body(r#"{"Records":[]}"#);
            request.send().await.unwrap().status() == 200
        }
        "DROPSLIP_SECRETS_FILE" | "DROPSLIP_PROXY_KEYS_FILE" => {
            let slip = broker.text_slip().await;
            broker.drop_bytes(&slip, b"hello").await;
            let (_, file) = broker.confirm(slip.id).await;
            let other = Setup::on(Bed::Embedded).setting("DROPSLIP_PROXY_KEYS", SECRET).start().await;
            let slip = other.text_slip().await;
            other.drop_bytes(&slip, b"hello").await;
            let (_, theirs) = other.confirm(slip.id).await;
            // The same secret opens the same file number there.
            let link = format!("{}/v2/files/{}/download?proxyKey={}", other.base, slip.id, file["file"]["proxyKey"].as_str().unwrap());
            theirs["file"]["id"] == file["file"]["id"] && other.http.get(link).send().await.unwrap().status() == 302
        }
        "DROPSLIP_POLICIES" => {
            let (_, types) = answer(broker.request("GET", "/v2/file-types.json")).await;
            types["fileTypes"][0]["title"] == "Texts"
        }
        // That it starts says that it is read.
        "DROPSLIP_JWT_JWKS" | "DROPSLIP_WEBHOOKS_FILE" => true,
        _ => panic!("{setting}"),
    };
    assert!(good, "{setting} is read as something else");
}

#[tokio::test]
async fn a_mark_before_a_file_is_no_part_of_it_and_utf16_is_refused_by_name() {
    let (token, sha256) = {
        let folder = tempfile::tempdir().unwrap();
        let made = run(folder.path(), &[], &["token", "create", "--print-only", "--user", "7"]);
        let sha256 = text(&made.stderr).lines().find_map(|line| line.strip_prefix("sha256 = ")).unwrap().to_owned();
        (text(&made.stdout).trim().to_owned(), sha256)
    };
    let entry =
        format!("[[token]]\nname = \"ci\"\nsha256 = {sha256}\nuser = 7\ntype = \"users\"\ntenant = \"acme\"\nscopes = \"files:write\"\n");
    let endpoint =
        "[[endpoint]]\nname = \"a\"\nurl = \"https://example.com/\"\nsecrets = [\"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"]\n";
    for (setting, file, content) in [
        ("DROPSLIP_TOKENS_FILE", "tokens.toml", entry.as_str()),
        ("DROPSLIP_JWT_SECRET_FILE", "jwt", SECRET),
        ("DROPSLIP_JWT_JWKS", "keys.json", KEYS),
        ("DROPSLIP_NOTIFICATIONS_TOKEN_FILE", "notifications", SECRET),
        ("DROPSLIP_SECRETS_FILE", "secrets", SECRET),
        ("DROPSLIP_PROXY_KEYS_FILE", "proxy-keys", SECRET),
        ("DROPSLIP_WEBHOOKS_FILE", "webhooks.toml", endpoint),
        ("DROPSLIP_POLICIES", "attachment.toml", RULE),
    ] {
        for written in READ.into_iter().chain(REFUSED) {
            let folder = tempfile::tempdir().unwrap();
            let path = write(folder.path(), file, &written.bytes(&format!("{content}\r\n")));
            let value = if setting == "DROPSLIP_POLICIES" { folder.path() } else { &path };
            let mut setup = Setup::on(Bed::Embedded).setting(setting, value.display().to_string());
            let jwts = setting.contains("JWT");
            if jwts {
                setup = setup.setting("DROPSLIP_JWT_ISSUER", "x").setting("DROPSLIP_JWT_AUDIENCE", "x");
            }
            if READ.contains(&written) {
                does_as_the_file_says(setting, &setup.start().await, &token).await;
                continue;
            }
            let mut settings = vec![(setting, value.display().to_string()), ("DROPSLIP_DATA_DIR", folder.path().display().to_string())];
            settings.extend(["DROPSLIP_LISTEN", "DROPSLIP_EMBEDDED_S3_LISTEN"].map(|name| (name, "127.0.0.1:0".to_owned())));
            if jwts {
                settings.extend(["DROPSLIP_JWT_ISSUER", "DROPSLIP_JWT_AUDIENCE"].map(|name| (name, "x".to_owned())));
            }
            let config = Config::from_parts(None, settings.into_iter().map(|(name, value)| (name.to_owned(), value))).unwrap();
            let refused = Box::pin(Server::start(&config)).await.err().map(|error| format!("{error:#}")).unwrap_or_default();
            assert!(
                refused.contains(setting) && refused.contains(file) && refused.contains("must be UTF-8, but is UTF-16"),
                "{setting}: {refused}"
            );
            assert!(!refused.contains(SECRET), "{refused}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_at_an_address_are_read_with_a_mark_and_not_in_utf16() {
    for written in READ.into_iter().chain(REFUSED) {
        let body = written.bytes(KEYS);
        let router = axum::Router::new().fallback(move || async move { body });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let bounds = dropslip::listener::Bounds { connections: 10, buffer_bytes: 16_384 };
        tokio::spawn(dropslip::listener::serve(listener, router, bounds, stop.clone()));
        let folder = tempfile::tempdir().unwrap();
        let settings = [
            ("DROPSLIP_JWT_JWKS", url.as_str()),
            ("DROPSLIP_JWT_ISSUER", "x"),
            ("DROPSLIP_JWT_AUDIENCE", "x"),
            ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"),
        ];
        let checked = crate::operation::check::Checked::from(&run(folder.path(), &settings, &["check", "--json"]));
        let (status, found, _) = checked.row("jwt-keys");
        let good = READ.contains(&written);
        assert!(
            if good { status == "ok" && found.contains("EdDSA") } else { status == "error" && found.contains("UTF-16") },
            "{status} {found}"
        );
        stop.cancel();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_program_reads_by_itself_may_have_a_mark_too() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.txt", b"hello");
    let ask = |settings: &[(&str, &str)], arguments: &[&str]| {
        let output = run(folder.path(), settings, arguments);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    for written in READ.into_iter().chain(REFUSED) {
        let good = READ.contains(&written);
        let path = write(folder.path(), "token", &written.bytes(&format!("{}\r\n", broker.token)));
        let upload =
            |settings: &[(&str, &str)], more: &[&str]| ask(settings, &[&["upload", "--server", &broker.base], more, &["a.txt"]].concat());
        let (code, _, said) = upload(&[], &["--token-file", path.to_str().unwrap()]);
        assert_eq!(code, Some(i32::from(!good)), "{said}");
        assert!(good || said.contains("token file") && said.contains("is UTF-16"), "{said}");

        // In the folder of a broker on this machine.
        fs::create_dir_all(folder.path().join("data")).unwrap();
        fs::copy(&path, folder.path().join("data/development-token")).unwrap();
        let (code, _, said) = upload(&[], &[]);
        assert_eq!(code, Some(i32::from(!good)), "{said}");

        let path = write(folder.path(), "dropslip.toml", &written.bytes("listen = \"127.0.0.1:7\"\n"));
        let (code, printed, said) = ask(&[], &["config", "--config", path.to_str().unwrap()]);
        assert_eq!(code, Some(i32::from(!good)), "{said}");
        assert!(
            if good { printed.contains("127.0.0.1:7") } else { said.contains("dropslip.toml: it must be UTF-8, but is UTF-16") },
            "{printed}{said}"
        );

        fs::create_dir_all(folder.path().join("rules")).unwrap();
        write(folder.path(), "rules/texts.toml", &written.bytes(RULE));
        let (code, _, said) = ask(&[("DROPSLIP_POLICIES", "rules")], &["policy", "check"]);
        assert_eq!(code, Some(i32::from(!good)), "{said}");
        assert!(good || said.contains("texts.toml: it must be UTF-8, but is UTF-16"), "{said}");
    }
    // A value that was read from such a file by a shell, and the first variable of a file of variables.
    let marked = format!("\u{feff}{}", broker.token);
    let (code, _, said) =
        ask(&[("DROPSLIP_TOKEN", &marked), ("DROPSLIP_SERVER", &format!("\u{feff}{}", broker.base))], &["upload", "a.txt"]);
    assert_eq!(code, Some(0), "{said}");
    let (_, printed, _) = ask(&[("\u{feff}DROPSLIP_LISTEN", "127.0.0.1:8")], &["config"]);
    assert!(printed.contains("listen = \"127.0.0.1:8\" # DROPSLIP_LISTEN"), "{printed}");
    let secret = Setup::on(Bed::Embedded).setting("DROPSLIP_JWT_SECRET", format!("\u{feff}{SECRET}"));
    let by_value = secret.setting("DROPSLIP_JWT_ISSUER", "x").setting("DROPSLIP_JWT_AUDIENCE", "x").start().await;
    assert_eq!(asks_for_a_slip(&by_value, &jwt(SECRET)).await, 201);
}

/// What the embedded mode made once and somebody's editor saved again.
#[test]
fn files_of_the_embedded_mode_may_be_saved_with_a_mark() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("DROPSLIP_LISTEN", "127.0.0.1:0"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0")];
    let start = || crate::process::Serving::start(folder.path(), &settings, "dropslip listens on ");
    assert_eq!(start().terminate().0, 0);
    let names = ["development-token", "embedded-s3-identity", "embedded-s3-credentials.json", "installation-secret"];
    for name in names {
        let path = folder.path().join("data").join(name);
        let kept = fs::read_to_string(&path).unwrap();
        fs::write(&path, Written::Marked.bytes(&kept)).unwrap();
    }
    write(folder.path(), "a.txt", b"hello");
    let serving = start();
    let uploaded = run(folder.path(), &[], &["upload", "--server", serving.url(), "a.txt"]);
    assert_eq!(uploaded.status.code(), Some(0), "{}", text(&uploaded.stderr));
    assert_eq!(serving.terminate().0, 0);
}
