//! What is written down of a call: who did what in this dialect's name, and nothing that would let others do it again.

use std::fs;

use dropslip::database::AuditFilter;
use dropslip::domain::FileId;
use serde_json::{Value, json};

use super::client::{Answer, FORM, INDEX, Pair, SECRET, classic, description};
use crate::harness::Db;
use crate::process::{Serving, run, text};

async fn audit_lines_name_the_dialect(db: Db) {
    let broker = classic(db).start().await;
    let first = broker.attached(3, 4, "a.txt", b"Hello").await;
    let late = format!("{}&{}", description(3, 4, "b.bin", &vec![7; 3 << 20]), broker.pair().says("1"));
    let second = broker.posts(late).await.attachment();
    for made in [&first, &second] {
        let path = format!("/Tickets/TicketAttachment/3/{}", made.id);
        assert_eq!(broker.signed("DELETE", &path).await.attachments(), []);
        let filter = AuditFilter { file: Some(FileId(made.id)), ..AuditFilter::default() };
        let lines = broker.database.audit_log(&filter, 100).await.unwrap();
        let actions: Vec<_> = lines.iter().rev().map(|line| line.action.as_str()).collect();
        assert_eq!(actions, ["file.activated", "file.attached", "file.detached", "file.deleted"]);
        for line in &lines {
            assert_eq!((&line.details["dialect"], line.actor.map(|actor| actor.id)), (&json!("kayako-classic"), Some(1)), "{line:?}");
        }
        let attached = lines.iter().find(|line| line.action == "file.attached").unwrap();
        assert!(attached.details.to_string().contains('3'), "which ticket: {attached:?}");
    }
}

on_both_engines!(audit_lines_name_the_dialect);

/// Asks for everything in every style, well and badly signed.
async fn everything(base: &str, pair: &Pair) -> Vec<String> {
    let http = reqwest::Client::new();
    let mut secrets = vec![pair.secret.clone(), SECRET.to_owned()];
    let mut from = 1_000_000_000;
    for round in 0..6 {
        let salt = pair.salt_with(from, if round % 2 == 0 { "+/" } else { "" });
        from = salt.parse::<u32>().unwrap() + 1;
        let (raw, escaped) = (pair.says_raw(&salt), pair.says(&salt));
        let signature = pair.signature(&salt);
        secrets.extend([signature.clone(), super::client::escaped(&signature), signature.replace('+', " "), salt.clone()]);
        let bad = escaped.replace(&salt, "7777777777");
        secrets.push("7777777777".to_owned());
        for said in [&raw, &escaped, &bad] {
            for url in [
                format!("{INDEX}?e=/Tickets/TicketAttachment/ListAll/3&{said}"),
                format!("{INDEX}?{said}&e=/Tickets/TicketPost/ListAll/3/4"),
                format!("/api/?/Tickets/TicketAttachment/3/999&{said}"),
                format!("/api/Tickets/TicketAttachment/ListAll/3&{said}"),
                format!("/api/Tickets/Nothing&{said}"),
                format!("/api/Tickets/TicketAttachment/ListAll/3?{said}"),
                format!("/api/Core/TestAPI&{said}"),
                format!("/api/index.php/Tickets&{said}"),
                format!("/api/nothing&{said}"),
                format!("/API/index.php?{said}"),
                format!("/api/index.php?e=/Tickets/Nothing&{said}"),
            ] {
                for method in ["GET", "DELETE", "PUT"] {
                    http.request(method.parse().unwrap(), format!("{base}{url}")).send().await.unwrap();
                }
            }
            for length in [5, 2 << 20] {
                let body = format!("{}&{said}", description(3, 4, "a.txt", &vec![b'x'; length]));
                let request = http.post(format!("{base}{INDEX}?e=/Tickets/TicketAttachment")).header("content-type", FORM);
                let answer = Answer::of(request.body(body)).await;
                assert_eq!(answer.status, if said == &bad { 401 } else { 200 }, "{}", answer.body);
            }
        }
    }
    secrets
}

/// At every level, in both forms.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_proves_a_call_is_ever_logged() {
    for format in ["json", "text"] {
        let folder = tempfile::tempdir().unwrap();
        let settings = [
            ("DROPSLIP_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_DATA_DIR", folder.path().to_str().unwrap()),
            ("DROPSLIP_SECRETS", SECRET),
            ("DROPSLIP_LOG", "trace"),
            ("DROPSLIP_LOG_FORMAT", format),
        ];
        let made = run(folder.path(), &settings, &["token", "create", "--user", "7", "--scopes", "files:read,files:write,files:delete"]);
        assert!(made.status.success(), "{}", text(&made.stderr));
        let token = text(&made.stdout).trim().to_owned();
        let log = folder.path().join("log");
        let program = Serving::logging_to(fs::File::create(&log).unwrap(), folder.path(), &settings, "dropslip listens on ");
        let pair = Pair::of(SECRET, &token);
        let secrets = everything(program.url(), &pair).await;
        let (code, _) = program.terminate();
        assert_eq!(code, 0);
        let log = fs::read_to_string(&log).unwrap();
        assert!(log.contains("TicketAttachment") || log.contains("index.php"), "requests are told of");
        assert!(log.lines().count() > 500, "{}", log.lines().count());
        for secret in secrets {
            let line = log.lines().find(|line| line.contains(&secret));
            assert!(line.is_none(), "{format}: {secret} is in {}", line.unwrap());
        }
        for word in ["signature=", "salt=", "apikey="] {
            let line = log.lines().find(|line| line.contains(word));
            assert!(line.is_none(), "{format}: {word} is in {}", line.unwrap());
        }
    }
}

/// The last path of a call is told without what stands behind it.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_which_call_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("DROPSLIP_LISTEN", "127.0.0.1:0"),
        ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"),
        ("DROPSLIP_DATA_DIR", folder.path().to_str().unwrap()),
        ("DROPSLIP_SECRETS", SECRET),
        ("DROPSLIP_LOG_FORMAT", "json"),
    ];
    let log = folder.path().join("log");
    let program = Serving::logging_to(fs::File::create(&log).unwrap(), folder.path(), &settings, "dropslip listens on ");
    let answer =
        Answer::of(reqwest::Client::new().get(format!("{}{INDEX}?e=/Core/TestAPI&apikey=x&salt=1&signature=x", program.url()))).await;
    assert_eq!(answer.refusal().0, 401);
    let id = answer.header("x-request-id").to_owned();
    program.terminate();
    let lines: Vec<Value> = fs::read_to_string(&log).unwrap().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let told = lines.iter().find(|line| line["message"] == "request refused").unwrap_or_else(|| panic!("{lines:?}"));
    assert!(told.to_string().contains(&id) && told["status"] == json!(401), "{told}");
}
