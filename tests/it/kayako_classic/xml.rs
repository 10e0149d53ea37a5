//! Answers to the byte, and names that would break careless XML.

use super::client::{Attachment, DECLARATION, classic};
use crate::harness::Db;
use crate::kayako::sending::{base64, noise};

/// An attachment as the answer writes it: each value in one piece, for a client that keeps the first piece alone.
fn written(one: &Attachment, name: &str, contents: Option<&str>) -> String {
    let [id, ticket, post, size, dateline] =
        [one.id, one.ticket, one.post, one.size.try_into().unwrap(), one.dateline].map(|number| number.to_string());
    let fields = [
        ("id", id.as_str()),
        ("ticketid", &ticket),
        ("ticketpostid", &post),
        ("filename", name),
        ("filesize", &size),
        ("filetype", &one.content_type),
        ("dateline", &dateline),
    ];
    let fields = fields.into_iter().chain(contents.map(|text| ("contents", text)));
    let lines: Vec<_> = fields.map(|(field, value)| format!("<{field}><![CDATA[{value}]]></{field}>\n")).collect();
    format!("<attachment>\n{}</attachment>\n", lines.concat())
}

fn whole(attachments: &[String]) -> String {
    format!("{DECLARATION}\n<attachments>\n{}</attachments>\n", attachments.concat())
}

async fn answers_are_these_bytes(db: Db) {
    let broker = classic(db).start().await;
    let said = broker.posts(broker.attaching(12, 31, "a & b.txt", b"hello")).await;
    let one = said.attachment();
    let name = "a & b.txt";
    assert_eq!(said.body, whole(&[written(&one, name, None)]));
    let other = broker.attached(12, 31, "b.bin", &noise(1000)).await;
    let list = broker.signed("GET", "/Tickets/TicketAttachment/ListAll/12").await;
    assert_eq!(list.body, whole(&[written(&one, name, None), written(&other, "b.bin", None)]));
    let read = broker.signed("GET", &format!("/Tickets/TicketAttachment/12/{}", one.id)).await;
    assert_eq!(read.body, whole(&[written(&one, name, Some("aGVsbG8="))]));
    let of_post = broker.signed("GET", "/Tickets/TicketPost/ListAll/12/31").await;
    let both = [written(&one, name, Some("aGVsbG8=")), written(&other, "b.bin", Some(&base64(&noise(1000))))];
    assert_eq!(of_post.body, whole(&both));
    let empty = format!("{DECLARATION}\n<attachments></attachments>\n");
    assert_eq!(broker.signed("GET", "/Tickets/TicketAttachment/ListAll/13").await.body, empty);
    assert_eq!(broker.signed("GET", "/Tickets/TicketPost/ListAll/12/32").await.body, empty);
    assert_eq!(broker.signed("DELETE", &format!("/Tickets/TicketAttachment//12/{}", one.id)).await.body, empty);
}

async fn names_arrive_as_they_were_whatever_is_in_them(db: Db) {
    let broker = classic(db).start().await;
    for (sent, kept) in [
        ("a & b.txt", "a & b.txt"),
        ("<script>alert('x')<\\script>.txt", "script>.txt"),
        ("<b>&amp;\"'.txt", "<b>&amp;\"'.txt"),
        ("]]>.txt", "]]>.txt"),
        ("<![CDATA[x]]>.txt", "<![CDATA[x]]>.txt"),
        ("]]>]]><!--.txt", "]]>]]><!--.txt"),
        ("&#0;&#x1F;.txt", "&#0;&#x1F;.txt"),
        ("na\u{ef}ve \u{20ac} \u{6587}\u{66f8}.txt", "na\u{ef}ve \u{20ac} \u{6587}\u{66f8}.txt"),
        ("\u{1f469}\u{200d}\u{1f52c} \u{1f5ce}.txt", "\u{1f469}\u{200d}\u{1f52c} \u{1f5ce}.txt"),
        ("50% + 50%.txt", "50% + 50%.txt"),
        ("a\u{0}b\u{1}c\u{8}d\u{b}e\u{c}f\u{1f}g\u{7f}h\u{85}i.txt", "abcdefghi.txt"),
        ("line\r\nbreak\ttab.txt", "linebreaktab.txt"),
        ("\u{fffe}\u{ffff}\u{feff}x.txt", "x.txt"),
        ("gpj.\u{202e}txt", "gpj.txt"),
        ("/etc/passwd.txt", "passwd.txt"),
        ("  spaced  .txt. .", "spaced  .txt"),
    ] {
        let made = broker.attached(3, 4, sent, b"Hello").await;
        assert_eq!(made.name, kept, "{sent:?}");
        let list = broker.signed("GET", "/Tickets/TicketAttachment/ListAll/3").await;
        assert_eq!(list.attachments().last().unwrap().name, kept, "{sent:?}");
        let read = broker.signed("GET", &format!("/Tickets/TicketAttachment/3/{}", made.id)).await;
        assert_eq!(read.attachment().name, kept, "{sent:?}");
        // What XML 1.0 forbids is nowhere, nor is a reference to it.
        assert!(
            list.body.chars().all(|c| c == '\n' || (c >= ' ' && !('\u{7f}'..='\u{9f}').contains(&c) && c != '\u{fffe}' && c != '\u{ffff}'))
        );
        let (status, desk) = broker.read(made.id).await;
        assert_eq!((status.as_u16(), desk["file"]["filename"].as_str()), (200, Some(kept)));
    }
    let python = python_reads(broker.signed("GET", "/Tickets/TicketAttachment/ListAll/3").await.body).await;
    assert_eq!(python, broker.on_the_ticket(3).await.iter().map(|one| one.name.clone()).collect::<Vec<_>>());
}

/// The names that another reader finds.
async fn python_reads(xml: String) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.xml");
    std::fs::write(&path, xml).unwrap();
    let script = "import json, sys, xml.etree.ElementTree as t\n\
                  print(json.dumps([one.find('filename').text for one in t.parse(sys.argv[1]).getroot().findall('attachment')]))";
    let mut command = std::process::Command::new(crate::harness::from_servers("TEST_PYTHON"));
    let output = tokio::task::spawn_blocking(move || command.args(["-c", script]).arg(path).output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    drop(folder);
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn a_renamed_file_has_its_new_name(db: Db) {
    let broker = classic(db).start().await;
    let made = broker.attached(3, 4, "a.txt", b"Hello").await;
    let name = serde_json::json!({"filename": "b <&> ]]> c.txt"});
    let (status, body) = broker.call("PATCH", &format!("/v2/files/{}.json", made.id), Some(&name)).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(broker.on_the_ticket(3).await[0].name, "b <&> ]]> c.txt");
}

/// What is decided of the bytes, and not what the ending says.
async fn the_type_is_that_of_the_bytes(db: Db) {
    let broker = classic(db).start().await;
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x02\x08\x06\0\0\0\0\0\0\0";
    for (name, bytes, expected) in [
        ("a.txt", &b"Hello"[..], "text/plain"),
        ("a.png", png, "image/png"),
        ("a.pdf", b"%PDF-1.7\n", "application/pdf"),
        ("noise.nothing", &noise(64), "application/octet-stream"),
    ] {
        let made = broker.attached(3, 4, name, bytes).await;
        let (_, desk) = broker.read(made.id).await;
        assert_eq!(desk["file"]["mimeType"].as_str(), Some(made.content_type.as_str()), "{name}: one type in each dialect");
        assert_eq!(made.content_type, expected, "{name}");
    }
}

on_both_engines!(
    answers_are_these_bytes,
    names_arrive_as_they_were_whatever_is_in_them,
    a_renamed_file_has_its_new_name,
    the_type_is_that_of_the_bytes
);
