//! One ticket in two dialects: what each puts there is there for both.

use std::io::Read as _;
use std::process::Command;

use serde_json::{Value, json};

use super::client::classic;
use crate::harness::{Db, TestBroker};

async fn desk_list(broker: &TestBroker, ticket: i64) -> Vec<(i64, Value)> {
    let (status, page) = broker.call("GET", &format!("/v2/tickets/{ticket}/files.json?pageSize=200"), None).await;
    assert_eq!(status, 200, "{page}");
    let mut found: Vec<_> =
        page["files"].as_array().unwrap().iter().map(|file| (file["id"].as_i64().unwrap(), file["post"].clone())).collect();
    found.sort_by_key(|(id, _)| *id);
    found
}

/// Names and bytes in a ticket's archive.
async fn archive(broker: &TestBroker, ticket: i64) -> Vec<(String, Vec<u8>)> {
    let response = broker.request("GET", &format!("/v2/tickets/{ticket}/files.zip")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &response.bytes().await.unwrap()).unwrap();
    let script = "import sys, zipfile, json, base64\nz = zipfile.ZipFile(sys.argv[1])\n\
                  print(json.dumps([[n, z.read(n).decode('latin-1')] for n in z.namelist()]))";
    let output = Command::new(crate::harness::from_servers("TEST_PYTHON")).args(["-c", script]).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut rest = String::new();
    file.read_to_string(&mut rest).unwrap_or_default();
    let listed: Vec<(String, String)> = serde_json::from_slice(&output.stdout).unwrap();
    let mut found: Vec<_> =
        listed.into_iter().map(|(name, text)| (name, text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect())).collect();
    found.sort();
    found
}

impl TestBroker {
    async fn puts(&self, ticket: i64, body: &Value) -> (u16, Value) {
        let (status, answer) = self.call("PUT", &format!("/v2/tickets/{ticket}/files.json"), Some(body)).await;
        (status.as_u16(), answer)
    }
}

async fn what_desk_attached_is_in_the_lists(db: Db) {
    let broker = classic(db).start().await;
    let (bare, posted) = (broker.active_note("no post").await, broker.active_note("a post").await);
    assert_eq!(broker.puts(12, &json!({"ids": [bare]})).await.0, 200);
    let (status, body) = broker.puts(12, &json!({"files": [{"id": posted}], "post": 31})).await;
    assert_eq!(status, 200, "{body}");
    let list = broker.on_the_ticket(12).await;
    assert_eq!(list.iter().map(|one| (one.id, one.post, one.ticket)).collect::<Vec<_>>(), [(bare, 0, 12), (posted, 31, 12)]);
    let of_post = broker.signed("GET", "/Tickets/TicketPost/ListAll/12/31").await.attachments();
    assert_eq!((of_post.len(), of_post[0].id, of_post[0].contents.as_deref()), (1, posted, Some(&b"a post"[..])));
    let one = broker.signed("GET", &format!("/Tickets/TicketAttachment/12/{bare}")).await.attachment();
    assert_eq!((one.post, one.contents.as_deref()), (0, Some(&b"no post"[..])));
    assert_eq!(desk_list(&broker, 12).await, [(bare, Value::Null), (posted, json!(31))]);

    // It moves to another post, and not off one where none is named.
    assert_eq!(broker.puts(12, &json!({"ids": [posted], "post": 32})).await.0, 200);
    assert_eq!(broker.puts(12, &json!({"ids": [posted, bare]})).await.0, 200);
    assert_eq!(broker.on_the_ticket(12).await.iter().map(|one| one.post).collect::<Vec<_>>(), [0, 32]);
    assert_eq!(broker.signed("GET", "/Tickets/TicketPost/ListAll/12/31").await.attachments(), []);
    assert_eq!(broker.puts(12, &json!({"ids": [bare], "post": 32})).await.0, 200);
    assert_eq!(broker.signed("GET", "/Tickets/TicketPost/ListAll/12/32").await.attachments().len(), 2);
    for bad in [json!(0), json!(-1), json!("x"), json!(1.5), json!(9_007_199_254_740_993_i64), json!([31])] {
        let (status, answer) = broker.puts(12, &json!({"ids": [bare], "post": bad})).await;
        assert_eq!((status, crate::harness::error_fields(&answer)), (400, vec!["post".to_owned()]), "{bad}: {answer}");
    }
    assert_eq!(broker.puts(12, &json!({"ids": [bare], "post": null})).await.0, 200, "none is as if it was not said");
    assert_eq!(broker.on_the_ticket(12).await.iter().map(|one| one.post).collect::<Vec<_>>(), [32, 32]);
}

async fn what_was_posted_here_is_in_desks_lists_and_its_archive(db: Db) {
    let broker = classic(db).start().await;
    let first = broker.attached(12, 31, "a & b.txt", b"Hello").await;
    let late = format!("{}&{}", super::client::description(12, 32, "large.bin", &vec![7; 3 << 20]), broker.pair().says("1"));
    let second = broker.posts(late).await.attachment();
    let note = broker.active_note("by Desk").await;
    assert_eq!(broker.puts(12, &json!({"ids": [note]})).await.0, 200);
    assert_eq!(desk_list(&broker, 12).await, [(first.id, json!(31)), (second.id, json!(32)), (note, Value::Null)]);
    let zipped = archive(&broker, 12).await;
    assert_eq!(zipped.len(), 3);
    assert!(zipped.contains(&("a & b.txt".to_owned(), b"Hello".to_vec())), "{:?}", zipped.iter().map(|(name, _)| name).collect::<Vec<_>>());
    assert!(zipped.iter().any(|(name, bytes)| name == "large.bin" && *bytes == vec![7; 3 << 20]));
    // A file that came so has no end by itself, and every dialect knows it.
    let (status, kayako) = broker.kayako("GET", &format!("/files/{}.json", first.id)).await;
    assert_eq!(
        (status.as_u16(), &kayako["data"]["expiry_at"], &kayako["data"]["content"]),
        (200, &Value::Null, &json!("SGVsbG8=")),
        "{kayako}"
    );
    let (_, desk) = broker.read(first.id).await;
    assert_eq!((&desk["file"]["state"], &desk["file"]["size"]), (&json!("active"), &json!(5)));
    // Desk takes it off; the file itself stays.
    let off = broker.request("DELETE", &format!("/v2/tickets/12/files/{}.json", first.id)).send().await.unwrap();
    assert_eq!(off.status(), 204);
    assert_eq!(broker.on_the_ticket(12).await.iter().map(|one| one.id).collect::<Vec<_>>(), [second.id, note]);
    assert_eq!(broker.read(first.id).await.1["file"]["state"], "active");
}

async fn deleting_takes_off_and_deletes_what_nobody_else_holds(db: Db) {
    let broker = classic(db).start().await;
    let (alone, shared, desks) = (
        broker.attached(12, 31, "a.txt", b"alone").await.id,
        broker.attached(12, 31, "b.txt", b"shared").await.id,
        broker.active_note("by Desk").await,
    );
    assert_eq!(broker.puts(13, &json!({"ids": [shared]})).await.0, 200);
    assert_eq!(broker.puts(12, &json!({"ids": [desks]})).await.0, 200);
    for id in [alone, shared, desks] {
        assert_eq!(broker.signed("DELETE", &format!("/Tickets/TicketAttachment/14/{id}")).await.refusal().0, 404, "another ticket's");
        let path = format!("/Tickets/TicketAttachment//12/{id}");
        assert_eq!(broker.signed("DELETE", &path).await.attachments(), []);
        assert_eq!(broker.signed("DELETE", &path).await.refusal().0, 404, "the second time");
        assert_eq!(broker.signed("GET", &path).await.refusal().0, 404);
    }
    assert_eq!(broker.on_the_ticket(12).await, []);
    assert_eq!(broker.on_the_ticket(13).await.iter().map(|one| one.id).collect::<Vec<_>>(), [shared], "another ticket holds it");
    assert_eq!(broker.read(shared).await.1["file"]["state"], "active");
    for (id, bytes) in [(alone, "YWxvbmU="), (desks, "YnkgRGVzaw==")] {
        assert_eq!(broker.read(id).await.1["file"]["state"], "deleted", "{id}");
        assert_eq!(broker.call("POST", &format!("/v2/files/{id}/restore.json"), None).await.0, 200);
        let (_, kayako) = broker.kayako("GET", &format!("/files/{id}.json")).await;
        assert_eq!(kayako["data"]["content"], bytes, "it is back as it was");
        assert_eq!(broker.signed("GET", &format!("/Tickets/TicketAttachment/12/{id}")).await.refusal().0, 404, "and on no ticket");
    }
    // The other ticket was the last that held it.
    assert_eq!(broker.signed("DELETE", &format!("/Tickets/TicketAttachment/13/{shared}")).await.attachments(), []);
    assert_eq!(broker.read(shared).await.1["file"]["state"], "deleted");
}

async fn a_file_deleted_elsewhere_is_on_no_list(db: Db) {
    let broker = classic(db).start().await;
    let made = broker.attached(12, 31, "a.txt", b"Hello").await;
    assert_eq!(broker.request("DELETE", &format!("/v2/files/{}.json", made.id)).send().await.unwrap().status(), 204);
    let one = format!("/Tickets/TicketAttachment/12/{}", made.id);
    assert_eq!(broker.on_the_ticket(12).await, []);
    assert_eq!(broker.signed("GET", "/Tickets/TicketPost/ListAll/12/31").await.attachments(), []);
    for method in ["GET", "DELETE"] {
        assert_eq!(broker.signed(method, &one).await.refusal().0, 404, "{method}");
    }
    assert_eq!(broker.call("POST", &format!("/v2/files/{}/restore.json", made.id), None).await.0, 200);
    assert_eq!(broker.on_the_ticket(12).await, std::slice::from_ref(&made), "restored, it is where it was");
    assert_eq!(broker.signed("GET", &one).await.attachment().contents.as_deref(), Some(&b"Hello"[..]));
}

async fn of_eight_at_once_one_takes_it_off(db: Db) {
    let broker = classic(db).start().await;
    let made = broker.attached(12, 31, "a.txt", b"Hello").await;
    let path = format!("/Tickets/TicketAttachment/12/{}", made.id);
    let answers = futures_util::future::join_all((0..8).map(|_| broker.signed("DELETE", &path))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404, 404, 404, 404, 404, 404, 404]);
    // On two tickets, taken off both at once: the last one deletes it.
    let made = broker.attached(12, 31, "a.txt", b"Hello").await;
    assert_eq!(broker.puts(13, &json!({"ids": [made.id]})).await.0, 200);
    let off = [12, 13].map(|ticket| format!("/Tickets/TicketAttachment/{ticket}/{}", made.id));
    let answers = futures_util::future::join_all(off.iter().map(|path| broker.signed("DELETE", path))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(broker.read(made.id).await.1["file"]["state"], "deleted");
}

on_both_engines!(
    what_desk_attached_is_in_the_lists,
    what_was_posted_here_is_in_desks_lists_and_its_archive,
    deleting_takes_off_and_deletes_what_nobody_else_holds,
    a_file_deleted_elsewhere_is_on_no_list,
    of_eight_at_once_one_takes_it_off
);
