//! Programs as helpdesks have them, in other languages, and those that `docs/kayako-classic.md` prints.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use super::client::{Pair, classic};
use crate::harness::{Db, TestBroker, from_servers, project};

/// Runs it with that environment alone; the broker under test runs in this process and goes on meanwhile.
async fn run(mut command: Command) -> Output {
    command.env("LC_ALL", "C.UTF-8");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// What it prints when all went well.
async fn said(command: Command, what: &str) -> Value {
    let output = run(command).await;
    let (printed, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && complaint.is_empty(), "{what}: {printed}{complaint}");
    serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{what}: {printed}"))
}

fn program(interpreter: &str, script: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).arg(project().join(script));
    command
}

async fn a_helpdesk_in_php_does_all_it_does(db: Db) {
    let broker = classic(db).start().await;
    let Pair { apikey, secret } = broker.pair();
    for (url, style) in [("/api/index.php", "e"), ("/api/index.php", "bare"), ("/api/", "e"), ("/api/", "bare")] {
        let mut command = program("php", "tests/clients/kayako_classic.php");
        command.args([&format!("{}{url}", broker.base), &apikey, &secret, style]);
        let seen = said(command, style).await;
        assert_eq!(seen["ids"].as_array().unwrap().len(), 3, "{seen}");
        assert!(!seen["test"].as_str().unwrap().is_empty() && seen["refused"].as_str().unwrap().contains("filename"), "{seen}");
        are_gone(&broker, &seen).await;
    }
}

async fn a_helpdesk_in_python_does_all_it_does(db: Db) {
    let broker = classic(db).start().await;
    let Pair { apikey, secret } = broker.pair();
    for url in ["/api/index.php", "/api/"] {
        let mut command = program(&from_servers("TEST_PYTHON"), "tests/clients/kayako_classic.py");
        command.args([&format!("{}{url}", broker.base), &apikey, &secret]);
        let seen = said(command, url).await;
        let refused = seen["refused"].as_str().unwrap();
        assert!(["ticketpostid must be set\n", "contents must be set\n"].iter().all(|name| refused.contains(name)), "{seen}");
        are_gone(&broker, &seen).await;
    }
}

/// What the program deleted can be restored.
async fn are_gone(broker: &TestBroker, seen: &Value) {
    for id in seen["ids"].as_array().unwrap() {
        let (status, file) = broker.read(id.as_i64().unwrap()).await;
        assert_eq!((status.as_u16(), file["file"]["state"].as_str()), (200, Some("deleted")), "{file}");
    }
}

on_both_engines!(a_helpdesk_in_php_does_all_it_does, a_helpdesk_in_python_does_all_it_does);

fn example(path: &str) -> PathBuf {
    project().join("examples/kayako-classic").join(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_prints_its_programs_and_those_put_files_on_tickets() {
    let page = std::fs::read_to_string(project().join("docs/kayako-classic.md")).unwrap();
    let broker = classic(Db::Sqlite).start().await;
    let Pair { apikey, secret } = broker.pair();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it's a \"note\" & \u{e4}.txt");
    let bytes = crate::kayako::sending::noise(1_500_000);
    std::fs::write(&path, &bytes).unwrap();
    for (place, (file, language)) in [("upload.php", "php"), ("upload.py", "python"), ("direct.sh", "bash")].into_iter().enumerate() {
        let code = std::fs::read_to_string(example(file)).unwrap();
        assert!(
            page.contains(&format!("\n```{language}\n{code}```\n")),
            "docs/kayako-classic.md does not hold examples/kayako-classic/{file} as it is"
        );
        assert!(page.contains(&format!("examples/kayako-classic/{file}")), "docs/kayako-classic.md does not name {file}");
        let command = |secret: &str, file_path: &std::path::Path| {
            let interpreter = match language {
                "php" => "php".to_owned(),
                "python" => from_servers("TEST_PYTHON"),
                _ => "bash".to_owned(),
            };
            let mut command = program(&interpreter, &format!("examples/kayako-classic/{file}"));
            command.env("DROPSLIP_SERVER", &broker.base).env("DROPSLIP_TOKEN", &broker.token);
            command.env("CLASSIC_KEY", &apikey).env("CLASSIC_SECRET", secret);
            command.arg(file_path).args(["12", &(31 + place).to_string()]);
            command
        };
        let output = run(command(&secret, &path)).await;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{file}: {printed}{}", String::from_utf8_lossy(&output.stderr));
        let list = broker.on_the_ticket(12).await;
        assert_eq!(
            (list.len(), list[place].post, list[place].size),
            (place + 1, 31 + i64::try_from(place).unwrap(), bytes.len()),
            "{file}"
        );
        assert_eq!(list[place].name, path.file_name().unwrap().to_str().unwrap(), "{file}");
        assert!(printed.contains(&list[place].id.to_string()), "{file}: {printed}");
        let one = broker.signed("GET", &format!("/Tickets/TicketAttachment/12/{}", list[place].id)).await.attachment();
        assert!(one.contents.as_deref() == Some(&bytes), "{file}: other bytes");

        if file == "direct.sh" {
            continue;
        }
        // It fails where it is refused, and says why.
        let output = run(command("wrong", &path)).await;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && complaint.contains("401"), "{file}: {complaint}");
        let program = folder.path().join("setup.exe");
        std::fs::write(&program, "MZ").unwrap();
        let output = run(command(&secret, &program)).await;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(
            !output.status.success() && complaint.contains("400") && complaint.contains("filename must not end in"),
            "{file}: {complaint}"
        );
        assert_eq!(broker.on_the_ticket(12).await.len(), place + 1);
    }
}
