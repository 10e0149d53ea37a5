//! Forms: the order of their fields, how base64 may be written, and what is refused.

use std::fmt::Write as _;

use super::client::{FORM, INDEX, SECRET, all_escaped, classic, description, escaped, fields};
use crate::harness::{Bed, Db, Setup};
use crate::kayako::sending::{base64, noise};

/// Every order of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    (0..count).flat_map(|at| shorter.iter().map(move |order| [&order[..at], &[count - 1], &order[at..]].concat())).collect()
}

async fn fields_come_in_any_order(db: Db) {
    let broker = classic(db).start().await;
    let pair = broker.pair();
    let signature = pair.signature("-17");
    let (ids, credentials) = (fields(&[("ticketid", "3"), ("ticketpostid", "4")]), [("apikey", pair.apikey.as_str()), ("salt", "-17")]);
    let pieces =
        [ids, fields(&credentials), fields(&[("signature", &signature)]), "filename=a.txt".to_owned(), "contents=SGVsbG8%3D".to_owned()];
    for order in orders(pieces.len()) {
        let body = order.iter().map(|place| pieces[*place].as_str()).collect::<Vec<_>>().join("&");
        let answer = broker.posts(body.clone()).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.body);
        let made = answer.attachment();
        assert_eq!((made.ticket, made.post, made.name.as_str(), made.size), (3, 4, "a.txt", 5), "{body}");
    }
    assert_eq!(broker.on_the_ticket(3).await.len(), 120);
    // As the vendor's library writes it, and as its documentation does.
    let last = format!("{}&{}", pieces[0].clone() + "&filename=a.txt&contents=SGVsbG8%3D", pair.says("17"));
    assert_eq!(broker.posts(last).await.status, 200);
    let salt_last = format!(
        "apikey={}&filename=a.txt&signature={}&ticketid=1&salt=-17&ticketpostid=2&contents=aGVsbG8%3D",
        pair.apikey,
        escaped(&signature)
    );
    assert_eq!(broker.posts(salt_last).await.attachment().size, 5);
    // What nobody knows is passed over; names in other letters are not these.
    let more = format!("&format=xml&{}&dialect=x&filetype=image/png&filesize=9&&=&x", broker.attaching(1, 2, "b.txt", b"Hello"));
    assert_eq!(broker.posts(more).await.attachment().content_type, "text/plain");
}

async fn base64_may_be_written_in_many_ways(db: Db) {
    let broker = classic(db).start().await;
    let bytes = noise(1000);
    let text = base64(&bytes);
    assert!(text.contains('+') && text.contains('/') && text.ends_with("=="), "{text}");
    let lines = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>();
    let ways = [
        ("escaped", escaped(&text)),
        ("as it is, so that a plus is a blank", text.clone()),
        ("blanks, escaped", text.replace('+', "%20")),
        ("without padding", escaped(text.trim_end_matches('='))),
        ("in lines", escaped(&lines.join("\r\n"))),
        ("in lines of another kind", escaped(&lines.join("\n"))),
        ("in lines with one at the end", escaped(&(lines.join("\r\n") + "\r\n"))),
        ("in lines without padding", escaped(lines.join("\n").trim_end_matches('='))),
        ("in lines with tabs before them", escaped(&lines.join("\r\n\t"))),
        ("small percent signs", text.replace('+', "%2b").replace('/', "%2f").replace('=', "%3d")),
        ("all in percent signs", all_escaped(&text)),
    ];
    let said = broker.pair().says("1");
    for (way, contents) in ways {
        for body in [
            format!("{said}&ticketid=3&ticketpostid=4&filename=a.bin&contents={contents}"),
            format!("contents={contents}&ticketid=3&ticketpostid=4&filename=a.bin&{said}"),
        ] {
            let answer = broker.posts(body).await;
            assert_eq!(answer.status, 200, "{way}: {}", answer.body);
            let read = broker.signed("GET", &format!("/Tickets/TicketAttachment/3/{}", answer.attachment().id)).await;
            assert!(read.attachment().contents.as_deref() == Some(&bytes), "{way}: other bytes");
        }
    }
}

async fn what_is_wrong_with_a_form_is_said_by_name(db: Db) {
    let broker = classic(db).start().await;
    let said = broker.pair().says("1");
    let four = [("ticketid", "3"), ("ticketpostid", "4"), ("filename", "a.txt"), ("contents", "SGVsbG8=")];
    let lines = |text: &str| text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
    let whole: Vec<_> = ["ticketid", "ticketpostid", "filename", "contents"].map(str::to_owned).into();
    let nothing = broker.posts(said.clone()).await;
    let mut named = lines(nothing.refusal().1);
    assert_eq!(nothing.status, 400);
    named.sort();
    let mut sorted = whole.clone();
    sorted.sort();
    assert_eq!(named, sorted, "one line each: {}", nothing.body);
    assert!(nothing.body.lines().all(|line| line.ends_with("must be set")), "{}", nothing.body);
    for missing in &whole {
        let rest: Vec<_> = four.into_iter().filter(|(name, _)| name != missing).collect();
        for body in
            [format!("{said}&{}", fields(&rest)), format!("{}&{said}", fields(&rest)), format!("{said}&{}&{missing}=", fields(&rest))]
        {
            let answer = broker.posts(body.clone()).await;
            assert_eq!(answer.refusal(), (400, format!("{missing} must be set\n").as_str()), "{body}");
        }
    }
    for (name, value) in [
        ("ticketid", "0"),
        ("ticketid", "-1"),
        ("ticketid", "x"),
        ("ticketid", "1.5"),
        ("ticketid", "9007199254740993"),
        ("ticketid", "99999999999999999999"),
        ("ticketpostid", "0"),
        ("ticketpostid", "-3"),
        ("ticketpostid", "one"),
        ("ticketpostid", "9007199254740993"),
        ("filename", "setup.exe"),
        ("filename", "a.txt.js"),
        ("contents", "SGVs!G8="),
        ("contents", "S"),
        ("contents", "SGVsbG8=SGVsbG8="),
        ("contents", "===="),
        ("contents", "SGVs%00bG8"),
    ] {
        let other: Vec<_> = four.into_iter().map(|(known, good)| if known == name { (known, value) } else { (known, good) }).collect();
        for body in [format!("{said}&{}", fields(&other)), format!("{}&{said}", fields(&other))] {
            let answer = broker.posts(body.clone()).await;
            let (status, text) = answer.refusal();
            assert_eq!((status, lines(text)), (400, vec![name.to_owned()]), "{body}: {text}");
        }
    }
    let refused = broker.posts(format!("{said}&{}", fields(&[four[0], four[1], ("filename", "setup.exe"), four[3]]))).await;
    assert!(refused.body.starts_with("filename must not end in \u{2018}.exe\u{2019}"), "{}", refused.body);
    broker.comes_to(0, "refused").await;
    // Both bounds of a number, and every good one between.
    for (ticket, post) in [(1, 1), (9_007_199_254_740_992_i64, 9_007_199_254_740_992)] {
        let made = broker.attached(ticket, post, "a.txt", b"Hello").await;
        assert_eq!((made.ticket, made.post), (ticket, post));
        assert_eq!(broker.on_the_ticket(ticket).await, [made]);
    }
    broker.comes_to(2, "taken").await;
}

/// Takes pictures and texts of a few bytes, and looks at what they are.
fn strict(max_size: &str) -> String {
    format!(
        "name = \"strict\"\ntitle = \"Pictures and texts\"\nmin_size = 2\nmax_size = \"{max_size}\"\ndispositions = [\"attachment\"]\n\
         slip_lifetime = \"1h\"\nsniff = \"reject\"\nunconfirmed = \"discard\"\ncontent_types = [\n\
         {{ type = \"image/png\", extensions = [\"png\"] }}, {{ type = \"text/plain\", extensions = [\"txt\"] }} ]\n"
    )
}

async fn the_file_type_says_what_is_taken(db: Db) {
    let setup = classic(db).policy("strict.toml", strict("3 MiB")).setting("DROPSLIP_KAYAKO_FILE_TYPE", "strict");
    let broker = setup.setting("DROPSLIP_CLASSIC_FILE_TYPE", "strict").start().await;
    let said = broker.pair().says("1");
    let html = b"<!DOCTYPE html><html><script>alert(1)</script></html>".to_vec();
    let mut large = html.clone();
    large.resize(2 << 20, b' ');
    for (name, bytes, about) in [
        ("a.zip", b"Hello".to_vec(), "contents"),
        ("a.png", html.clone(), "contents"),
        ("a.png", large, "contents"),
        ("a.txt", b"x".to_vec(), "contents"),
        ("a.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x02\x08\x06\0\0\0\0\0\0\0".to_vec(), "contents"),
        ("a.txt", b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0".to_vec(), "contents"),
        ("a.txt", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0".to_vec(), "contents"),
    ] {
        for body in [format!("{said}&{}", description(3, 4, name, &bytes)), format!("{}&{said}", description(3, 4, name, &bytes))] {
            let answer = broker.posts(body).await;
            let (status, text) = answer.refusal();
            assert!(status == 400 && text.lines().any(|line| line.starts_with(about)), "{name}: {status} {text}");
            broker.comes_to(0, name).await;
        }
    }
    for length in [2, 3 << 20] {
        for credentials_last in [false, true] {
            let description = description(3, 4, "a.txt", &vec![b'x'; length]);
            let body = if credentials_last { format!("{description}&{said}") } else { format!("{said}&{description}") };
            assert_eq!(broker.posts(body).await.attachment().size, length);
        }
    }
}

async fn too_many_bytes_are_refused(db: Db) {
    const MOST: usize = 3 << 20;
    let setup = classic(db).policy("strict.toml", strict("3 MiB")).setting("DROPSLIP_KAYAKO_FILE_TYPE", "strict");
    let ruled = setup.setting("DROPSLIP_CLASSIC_FILE_TYPE", "strict").start().await;
    let bounded = classic(db).setting("DROPSLIP_MAX_PROXIED_BYTES", "3 MiB").start().await;
    for (broker, statuses) in [(&ruled, [400, 413]), (&bounded, [413, 413])] {
        let said = broker.pair().says("1");
        for last in [false, true] {
            let body = |length: usize| {
                let description = description(3, 4, "a.txt", &vec![b'x'; length]);
                if last { format!("{description}&{said}") } else { format!("{said}&{description}") }
            };
            let before = broker.kept().await[0];
            for length in [MOST + 1, 2 * MOST, 12 << 20] {
                let body = body(length);
                let answer = broker.posts(body.clone()).await;
                let (status, text) = answer.refusal();
                assert!(statuses.contains(&status), "{length} {last}: {status} {text}");
                assert!(status == 413 || text.starts_with("contents "), "{length} {last}: {text}");
                // Nobody knows how much will come.
                let chunks = body.as_bytes().chunks(100_000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>();
                let answer = broker.posts(reqwest::Body::wrap_stream(futures_util::stream::iter(chunks))).await;
                assert!(statuses.contains(&answer.refusal().0), "{length} {last} in chunks: {}", answer.body);
                broker.comes_to(before, "refused").await;
            }
            assert_eq!(broker.posts(body(MOST)).await.attachment().size, MOST, "{last}");
            broker.comes_to(before + 1, "taken").await;
        }
    }
}

async fn bodies_of_another_kind_are_refused_and_named(db: Db) {
    let broker = classic(db).start().await;
    let said = broker.pair().says("1");
    let url = format!("{}{INDEX}?e=/Tickets/TicketAttachment", broker.base);
    let parts = "multipart/form-data; boundary=cut";
    let mut multipart = String::new();
    let four = [("ticketid", "3"), ("ticketpostid", "4"), ("filename", "a.txt"), ("contents", "SGVsbG8=")];
    for (name, value) in four {
        let _ = write!(multipart, "--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    multipart += "--cut--\r\n";
    let whole = broker.attaching(3, 4, "a.txt", b"Hello");
    for (headers, body, query, words) in [
        (vec![("content-type", parts)], multipart.clone(), said.as_str(), FORM),
        (vec![("content-type", parts)], multipart.clone(), "", ""),
        (vec![("content-type", "application/json")], "{\"ticketid\": 3}".to_owned(), &said, ""),
        (vec![("content-type", FORM), ("content-encoding", "gzip")], whole.clone(), &said, "content-encoding"),
        (vec![("content-type", FORM), ("content-encoding", "gzip")], whole.clone(), "", ""),
    ] {
        let request = broker.http.post(format!("{url}&{query}")).body(body);
        let answer = super::client::Answer::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await;
        let (status, text) = answer.refusal();
        let good = [400, 415].contains(&status) || query.is_empty() && status == 401;
        assert!(good && text.to_lowercase().contains(words), "{headers:?} {query}: {status} {text}");
    }
    broker.comes_to(0, "refused").await;
    for (content_type, encoding) in
        [(FORM, ""), ("application/x-www-form-urlencoded; charset=utf-8", ""), ("Application/X-WWW-Form-URLEncoded", "identity")]
    {
        let mut request = broker.http.post(&url).header("content-type", content_type).body(whole.clone());
        if !encoding.is_empty() {
            request = request.header("content-encoding", encoding);
        }
        assert_eq!(super::client::Answer::of(request).await.attachment().size, 5, "{content_type}");
    }
    broker.comes_to(3, "taken").await;
}

on_both_engines!(
    fields_come_in_any_order,
    base64_may_be_written_in_many_ways,
    what_is_wrong_with_a_form_is_said_by_name,
    the_file_type_says_what_is_taken,
    too_many_bytes_are_refused,
    bodies_of_another_kind_are_refused_and_named
);

/// The embedded mode without any setting: its secret lies in a file.
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_mode_speaks_this_dialect_without_a_setting() {
    let broker = Setup::on(Bed::Embedded).start().await;
    let secret = std::fs::read_to_string(broker.folder.path().join("installation-secret")).unwrap();
    assert_ne!(secret.trim(), SECRET);
    let pair = super::client::Pair::of(secret.trim(), &broker.token);
    let made = broker.posts(format!("{}&{}", description(3, 4, "a.txt", b"Hello"), pair.says("1"))).await.attachment();
    let one = broker.signed_by(&pair, "GET", &format!("/Tickets/TicketAttachment/3/{}", made.id)).await.attachment();
    assert_eq!(one.contents.as_deref(), Some(&b"Hello"[..]));
}
