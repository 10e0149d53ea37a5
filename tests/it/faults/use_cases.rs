//! Use cases in a process of their own, without any dialect: to see what is left when it dies, and what it asks the database.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use bytes::Bytes;
use dropslip::broker::{Described, Known};
use dropslip::config::Config;
use dropslip::domain::{Actor, ActorKind, Caller, FileId, FileName, PostId, Scopes, TicketId, TicketPlace, TypeLimit};
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::harness::from_servers;

/// What such a process is to do.
const TASK: &str = "USE_CASES";

/// One use case.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum UseCase {
    /// Bytes come, and are somebody's in the end; they become a file on a ticket.
    Unsigned {
        file_type: String,
        name: String,
        bytes: std::path::PathBuf,
        ticket: i64,
        post: i64,
    },
    Release {
        ticket: i64,
        file: i64,
    },
    Attachments {
        ticket: i64,
        post: Option<i64>,
    },
}

/// A process that does these one after the other and prints what came of each as a line of JSON.
pub fn doing(settings: &[(String, String)], folder: &Path, dies_at: Option<&str>, tenant: &str, cases: &[Value]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let kept = ["PATH", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"].map(|name| (name, from_servers(name)));
    command.env_clear().envs(kept).envs(settings.iter().cloned()).current_dir(folder);
    command.envs(dies_at.map(|point| ("DROPSLIP_FAILPOINT", point))).env(TASK, json!([tenant, cases]).to_string());
    command.args(["--exact", "faults::use_cases::they_are_done_in_a_process_of_their_own", "--nocapture", "--test-threads=1"]);
    command
}

/// What came of each.
pub fn outcomes(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    // The name of the test stands before the first one.
    let told = text.lines().filter_map(|line| line.split_once("outcome: "));
    told.map(|(_, outcome)| serde_json::from_str(outcome).unwrap()).collect()
}

/// Also what other tests start in that process, with a task of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn they_are_done_in_a_process_of_their_own() {
    if let Ok(task) = std::env::var(TASK) {
        return done(&task).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let bytes = folder.path().join("bytes");
    std::fs::write(&bytes, "hello").unwrap();
    let settings = [("DROPSLIP_DATA_DIR", "data"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let cases = [
        json!({"do": "unsigned", "file_type": "attachment", "name": "a.txt", "bytes": bytes, "ticket": 3, "post": 4}),
        json!({"do": "attachments", "ticket": 3, "post": null}),
        json!({"do": "release", "ticket": 3, "file": 1}),
        json!({"do": "attachments", "ticket": 3, "post": 4}),
    ];
    let output = doing(&settings, folder.path(), None, "default", &cases).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(outcomes(&output), [json!(1), json!([[1, 4]]), json!(null), json!([])]);
}

async fn done(task: &str) {
    let (tenant, cases): (String, Vec<UseCase>) = serde_json::from_str(task).unwrap();
    let config = Config::load(None).unwrap();
    tracing_subscriber::fmt().json().flatten_event(true).with_writer(std::io::stderr).with_env_filter(config.log.as_str()).init();
    #[cfg(feature = "failpoints")]
    if let Some(point) = &config.failpoint {
        dropslip::failpoint::arm(point);
    }
    let broker = dropslip::server::broker(&config, CancellationToken::new()).await.unwrap();
    let caller = Caller {
        actor: Actor { id: 1, kind: ActorKind::Users },
        tenant: tenant.parse().unwrap(),
        scopes: Scopes::all(),
        types: TypeLimit::default(),
        dialect: None,
    };
    let now = OffsetDateTime::now_utc;
    for case in cases {
        let outcome = match case {
            UseCase::Unsigned { file_type, name, bytes, ticket, post } => {
                let mut unsigned = broker.receive_unsigned(&file_type, None, now()).await.unwrap();
                for piece in std::fs::read(bytes).unwrap().chunks(60_000) {
                    unsigned.write(Bytes::copy_from_slice(piece)).await.unwrap();
                }
                let mut receiving = unsigned.signed(&caller, Known::default()).await.unwrap();
                receiving.end(Described { name: FileName::sanitized(&name), declared_type: None, md5: None }).await.unwrap();
                let place = TicketPlace { ticket: TicketId(ticket), post: Some(PostId(post)) };
                json!(receiving.claim_on(place).await.unwrap()[0].id.0)
            }
            UseCase::Release { ticket, file } => {
                json!(broker.release(&caller, TicketId(ticket), FileId(file), now()).await.map_err(|error| error.to_string()).err())
            }
            UseCase::Attachments { ticket, post } => {
                let found: Vec<_> = broker.attachments(caller.clone(), TicketId(ticket), post.map(PostId)).try_collect().await.unwrap();
                let mut told = Vec::new();
                for attachment in found {
                    let again = broker.attachment(&caller, TicketId(ticket), attachment.file.id).await.unwrap();
                    assert_eq!(again, attachment);
                    told.push(json!([attachment.file.id.0, attachment.post.map(|post| post.0)]));
                }
                json!(told)
            }
        };
        let mut stdout = std::io::stdout();
        writeln!(stdout, "outcome: {outcome}").unwrap();
    }
}
