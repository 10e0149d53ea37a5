//! Step 1: a declared type is a hint. What browsers, operating systems and mail programs say of ordinary files is taken.

use serde_json::{Value, json};

use crate::harness::{Bed, Setup, TestBroker, answer, error_fields, new_file, project};

/// A rule that looks at the bytes and refuses, for these types and extensions.
pub fn strict(content_types: &str) -> String {
    format!(
        r#"
name = "attachment"
title = "What the rule names and nothing else"
min_size = 0
max_size = "20 MiB"
dispositions = ["attachment", "attachment-inline"]
slip_lifetime = "1h"
sniff = "reject"
unconfirmed = "discard"
content_types = [{content_types}]
"#
    )
}

/// The lines of a table in `tests/data`, by column.
fn table(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(project().join("tests/data").join(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

async fn declared(broker: &TestBroker, name: &str, declared: &str) -> (u16, Value) {
    let (status, body) = broker.call("POST", "/v2/files/ref.json", Some(&new_file(name, declared))).await;
    (status.as_u16(), body)
}

/// What is granted, without its charset; `-` where the ending is refused, `!` where type and ending contradict each other.
async fn granted(broker: &TestBroker, name: &str, type_: &str) -> String {
    let (status, body) = declared(broker, name, type_).await;
    if status == 400 {
        let said = body["errors"]["filename"][0].as_str().unwrap_or_else(|| panic!("{name} as {type_}: {body}"));
        return if said.starts_with("must not end in ‘.") { "-" } else { "!" }.to_owned();
    }
    assert_eq!(status, 201, "{name} as {type_}: {body}");
    let granted = body["file"]["mimeType"].as_str().unwrap();
    granted.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn whatever_browsers_declare_is_taken_by_the_shipped_rule() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let rows = table("declared_types_of_browsers.tsv");
    assert_eq!(rows.len(), 121);
    for row in rows {
        let [name, chromium, firefox, in_chromium, in_firefox] = &row[..] else { panic!("{row:?}") };
        assert_eq!(granted(&broker, name, chromium).await, *in_chromium, "{name} as ‘{chromium}’");
        assert_eq!(granted(&broker, name, firefox).await, *in_firefox, "{name} as ‘{firefox}’");
        if in_chromium != "-" {
            granted(&broker, name, "").await;
        }
    }
}

#[tokio::test]
async fn whatever_other_systems_declare_is_taken_by_the_shipped_rule() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let rows = table("declared_types_of_systems.tsv");
    assert!(rows.len() > 100);
    let mut wrong = Vec::new();
    for row in rows {
        let [name, declared, system, _, becomes] = &row[..] else { panic!("{row:?}") };
        let got = granted(&broker, name, declared).await;
        if got != *becomes {
            wrong.push(format!("{name} as ‘{declared}’ ({system}): {got}, not {becomes}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn hints_that_failed_once_are_taken() {
    let broker = TestBroker::on(Bed::Embedded).await;
    for (name, declared, becomes) in [
        ("report.docx", "application/wps-office.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("deck.pptx", "application/vnd.ms-office", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        ("letter.rtf", "text/rtf", "application/rtf"),
        ("letter.rtf", "application/msword", "application/rtf"),
        ("a.avi", "video/avi", "video/x-msvideo"),
        ("a.rar", "application/x-rar-compressed", "application/vnd.rar"),
        ("a.yaml", "text/yaml", "application/yaml"),
        ("a.heic", "image/heif", "image/heic"),
        ("t.kmz", "application/vnd.google-earth.kmz", "application/octet-stream"),
        ("paper.dicom", "application/dicom", "application/octet-stream"),
        ("a.gpx", "application/gpx+xml", "application/octet-stream"),
        ("a.ttf", "font/ttf", "application/octet-stream"),
        ("a.sql", "application/sql", "application/octet-stream"),
        ("voice.webm", "audio/webm;codecs=opus", "audio/webm"),
        ("clip.webm", "video/webm; codecs=\"vp8, opus\"", "video/webm"),
        ("voice.mp4", "audio/mp4", "audio/mp4"),
        ("voice.mp4", "audio/mp4;codecs=mp4a.40.2", "audio/mp4"),
        ("voice.m4a", "video/mp4", "video/mp4"),
        ("a.ogg", "video/ogg", "video/ogg"),
        ("a.3gp", "audio/3gpp", "audio/3gpp"),
        ("a.mkv", "audio/x-matroska", "audio/x-matroska"),
        ("sheet.xlsx", "application/vnd.ms-excel", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("sheet.xlsx", "application/zip", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("people.csv", "application/vnd.ms-excel", "text/csv"),
        ("people.csv", "text/plain", "text/csv"),
        ("page.html", "text/plain", "text/html"),
        ("drawing.svg", "text/xml", "image/svg+xml"),
        ("poster.ai", "application/pdf", "application/postscript"),
        ("photo.png", "image/vnd.of.nobody", "image/png"),
        ("photo.png", "application/x-of-nobody; a=b", "image/png"),
        ("file", "application/x-of-nobody", "application/octet-stream"),
        ("file.unheard-of", "application/pdf", "application/octet-stream"),
        ("saved.xlsx", "application/force-download", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ] {
        assert_eq!(granted(&broker, name, declared).await, becomes, "{name} as {declared}");
    }
}

#[tokio::test]
async fn two_types_that_the_rule_knows_must_not_contradict_each_other() {
    let types = r#"{ type = "image/png", extensions = ["png"] }, { type = "application/pdf", extensions = ["pdf"] },
        { type = "video/webm", extensions = ["webm"] }, { type = "text/csv", extensions = ["csv"] }"#;
    let broker = Setup::on(Bed::Embedded).policy("attachment.toml", strict(types)).start().await;
    for (name, declared_type) in [
        ("photo.png", "application/pdf"),
        ("page.pdf", "image/png"),
        ("photo.png", "application/x-pdf"),
        ("page.pdf", "image/x-png"),
        ("people.csv", "application/pdf"),
        ("film.webm", "image/png"),
    ] {
        let (status, body) = declared(&broker, name, declared_type).await;
        assert_eq!((status, error_fields(&body)), (400, vec!["filename".to_owned()]), "{name} as {declared_type}: {body}");
    }
    for (name, declared_type, becomes) in [
        ("photo.png", "image/png", "image/png"),
        ("photo.png", "image/x-png", "image/png"),
        ("photo.png", "image/of-nobody", "image/png"),
        ("page.pdf", "application/acrobat", "application/pdf"),
        ("page.pdf", "", "application/pdf"),
        ("page.pdf", "binary/octet-stream", "application/pdf"),
        ("film.webm", "audio/webm", "video/webm"),
        ("people.csv", "application/vnd.ms-excel", "text/csv"),
        ("pasted", "image/png", "image/png"),
    ] {
        assert_eq!(granted(&broker, name, declared_type).await, becomes, "{name} as {declared_type}");
    }
}

#[tokio::test]
async fn a_refusal_of_a_type_is_one_short_sentence() {
    let types = r#"{ type = "image/png", extensions = ["png"] }, { type = "application/pdf", extensions = ["pdf"] }"#;
    let strict = Setup::on(Bed::Embedded).policy("attachment.toml", strict(types)).start().await;
    let shipped = TestBroker::on(Bed::Embedded).await;
    let long_type = format!("{0}/{0}", "x".repeat(120));
    let long_name = format!("a.{}", "ü".repeat(100));
    let mut said = Vec::new();
    for (broker, name, declared_type) in [
        (&strict, "logo.svg", "image/svg+xml"),
        (&strict, "logo.svg", ""),
        (&strict, "README", ""),
        (&strict, "README", "text/plain"),
        (&strict, "photo.png", "application/pdf"),
        (&strict, "photo.jpg", "image/png"),
        (&strict, long_name.as_str(), long_type.as_str()),
        (&strict, long_name.as_str(), "application/pdf"),
        (&shipped, "photo.png", "application/pdf"),
        (&shipped, "photo.png", "application/zip"),
        (&shipped, "setup.exe", "application/pdf"),
        (&shipped, ".bat", "text/plain"),
    ] {
        let (status, body) = declared(broker, name, declared_type).await;
        assert_eq!(status, 400, "{name} as {declared_type}: {body}");
        let fields = body["errors"].as_object().unwrap();
        assert_eq!(fields.len(), 1, "{body}");
        let (field, messages) = fields.iter().next().unwrap();
        assert_eq!(messages.as_array().unwrap().len(), 1, "{body}");
        let sentence = format!("{field} {}", messages[0].as_str().unwrap());
        assert!(sentence.chars().count() < 200, "{sentence}");
        said.push(sentence);
    }
    assert!(said[0].contains(".svg") && said[0].contains("image/svg+xml"), "what it was taken for: {}", said[0]);
    assert!(said[4].contains(".pdf"), "what is missing: {}", said[4]);
    assert_eq!(granted(&strict, "photo.png", "image/png").await, "image/png");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_sentence_reaches_every_client_whole() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let sentence = "filename must end in .pdf for application/pdf";

    let wish = json!({"types": ["attachment"]});
    let (_, made) = broker.call("POST", "/companion/tokens.json", Some(&wish)).await;
    let endpoint = made["companionEndpoint"].as_str().unwrap();
    for (name, status) in [("photo.png", 400), ("page.pdf", 200)] {
        let query = format!("{endpoint}/s3/params?filename={name}&type=application/pdf&metadata[fileType]=attachment");
        let (got, body) = answer(broker.http.get(query)).await;
        assert_eq!(got.as_u16(), status, "{body}");
        assert!(status == 200 || body["message"] == sentence, "{body}");
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.png");
    std::fs::write(&path, "x").unwrap();
    let upload = |declared: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dropslip"));
        command.args(["upload", "--server", &broker.base, "--mime-type", declared]).arg(&path);
        let ended = command.env("DROPSLIP_TOKEN", &broker.token).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let (code, said) = upload("application/pdf");
    assert!(code == Some(1) && said.contains(&format!("refused: {sentence}\n")), "{said}");
    let (code, said) = upload("application/x-of-nobody");
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn a_new_name_goes_with_what_the_bytes_are() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let slip = broker.authorize(&new_file("photo.png", "image/of-nobody")).await;
    broker.drop_bytes(&slip, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x06\0\0\0").await;
    assert_eq!(broker.confirm(slip.id).await.0, 200);
    let path = format!("/v2/files/{}.json", slip.id);
    for (name, status) in
        [("holiday.png", 200), ("holiday.pdf", 400), ("holiday.exe", 400), ("holiday.csv", 400), ("holiday", 200), ("again.PNG", 200)]
    {
        let (got, body) = broker.call("PATCH", &path, Some(&json!({"filename": name}))).await;
        assert_eq!(got.as_u16(), status, "{name}: {body}");
    }
}
