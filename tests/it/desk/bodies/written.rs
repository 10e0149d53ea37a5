//! Bodies written by hand, and what they deserve.

use serde_json::json;

use crate::harness::new_file;

/// The longest body there may be.
pub(super) const LONGEST: usize = 65_536;

/// What means something in a request.
pub(super) const KNOWN: [&str; 7] = ["filename", "fileName", "mimeType", "type", "disposition", "size", "checksumSHA256"];

/// What clients send along.
pub(super) const UNKNOWN: [&str; 6] = ["id", "state", "params", "url", "createdBy", "\u{1f4a9}"];

pub(super) fn valid() -> String {
    new_file("note.txt", "text/plain").to_string()
}

pub(super) fn wrapped(inner: &str) -> String {
    format!(r#"{{"params":{{"key":"","policy":""}},"file":{inner}}}"#)
}

/// A good request where one member has another value, or which has one member more.
pub(super) fn with(member: &str, value: &str) -> String {
    let mut members = vec![("type", r#""attachment""#), ("filename", r#""note.txt""#), ("mimeType", r#""text/plain""#)];
    members.retain(|(name, _)| *name != member);
    members.push((member, value));
    object(&members)
}

pub(super) fn object(members: &[(&str, &str)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    format!("{{{}}}", members.join(","))
}

pub(super) fn nested(open: &str, middle: &str, close: &str, levels: usize) -> String {
    format!("{}{middle}{}", open.repeat(levels), close.repeat(levels))
}

pub(super) fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect()
}

/// `text` with the one `?` in it replaced by bytes that no text has.
fn spoiled(text: &str, bytes: &[u8]) -> Vec<u8> {
    let (before, after) = text.split_once('?').unwrap();
    [before.as_bytes(), bytes, after.as_bytes()].concat()
}

/// No JSON at all, whoever reads it.
pub(super) fn no_json() -> Vec<Vec<u8>> {
    let texts = [
        "{",
        "}",
        "{}}",
        "{}{}",
        "{,}",
        r#"{"filename"}"#,
        r#"{"filename":}"#,
        r#"{"filename":"a.txt",}"#,
        r#"{"filename":"a.txt" "type":"attachment"}"#,
        "{'filename':'a.txt'}",
        "{filename:1}",
        r#"{"size":NaN}"#,
        r#"{"size":-Infinity}"#,
        r#"{"size":+1}"#,
        r#"{"size":01}"#,
        r#"{"size":.5}"#,
        r#"{"size":5.}"#,
        r#"{"size":0x10}"#,
        r#"{"size":1e}"#,
        "/* a comment */ {}",
        "{\"filename\":\"a\nb\"}",
        "{\"filename\":\"a\0b\"}",
        r#"{"filename":"\x41"}"#,
        r#"{"filename":"\u00g0"}"#,
        r#"{"filename":"a.txt"#,
        "[1,2",
        "nul",
        "True",
        "undefined",
        "filename=a.txt&type=attachment",
        "<file><filename>a.txt</filename></file>",
        "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nhello\r\n--x--",
        "\u{feff}\u{feff}{}",
        "{}\u{feff}",
        "\u{a0}{}",
        "\0",
    ];
    let mut bodies: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).into();
    bodies.push(utf16(&valid(), u16::to_le_bytes));
    bodies.push(utf16(&valid(), u16::to_be_bytes));
    bodies.push(nested("[", "", "", 10_000).into_bytes());
    bodies.push(vec![0xff; 3]);
    bodies
}

/// Half of a character is read as another, which is good for nothing here; which fields are complained about.
fn halves() -> Vec<(Vec<u8>, &'static [&'static str])> {
    const FIELDS: [(&str, &[&str]); 6] = [
        ("fileName", &["filename"]),
        ("mimeType", &["mimeType"]),
        ("type", &["type"]),
        ("disposition", &["disposition"]),
        ("size", &["size"]),
        ("checksumSHA256", &["checksumSHA256"]),
    ];
    let halves = [r#""\ud800""#, r#""\udc00\ud800""#, r#""\uDFFFx""#];
    halves.into_iter().flat_map(|half| FIELDS.map(|(member, fields)| (with(member, half).into_bytes(), fields))).collect()
}

/// JSON, but no description of a file: which fields are complained about.
pub(super) fn refused() -> Vec<(Vec<u8>, &'static [&'static str])> {
    const UNSET: &[&str] = &["filename", "mimeType", "type"];
    let mut table: Vec<(Vec<u8>, &[&str])> = Vec::new();
    let mut add = |body: &str, fields: &'static [&'static str]| table.push((body.as_bytes().to_vec(), fields));

    for blank in ["", " \r\n\t ", "{}", r#"{"file":null}"#, r#"{"file":{}}"#, r#"{"file":{"file":{}}}"#, r#"{"FILENAME":"a.txt"}"#] {
        add(blank, UNSET);
    }
    add(&format!(r#"{{"":{}}}"#, valid()), UNSET);
    add(&nested(r#"{"file":"#, "1", "}", 100), UNSET);

    for other in ["null", "true", "false", "0", "-1.5e3", r#""x""#, "[]", "[[]]", "[null]", "[{}]"] {
        add(other, &["body"]);
        if other != "null" {
            add(&wrapped(other), &["body"]);
        }
    }
    // A list is no object, even when what it holds would do.
    add(&format!("[{}]", valid()), &["body"]);
    add(r#"["note.txt",null,"text/plain","attachment",null,null,null]"#, &["body"]);
    add(&wrapped(r#"["note.txt",null,"text/plain","attachment",null,null,null]"#), &["body"]);
    add(&wrapped(&format!("[{}]", valid())), &["body"]);
    add(&nested("[", "", "]", 10_000), &["body"]);
    add(&format!("[{}", nested("[", "", "]", 10_000)), &["body"]);

    for member in KNOWN {
        let twice = format!(r#"{},"{member}":null}}"#, with(member, "null").trim_end_matches('}'));
        add(&twice, &["body"]);
        add(&wrapped(&twice), &["body"]);
        add(&with(member, "1e999"), &["body"]);
        add(&with(member, &nested("[", "", "]", 10_000)), &["body"]);
        add(&with(member, &nested(r#"{"a":"#, "1", "}", 9_000)), &["body"]);
    }
    table.extend(halves());
    let mut add = |body: &str, fields: &'static [&'static str]| table.push((body.as_bytes().to_vec(), fields));
    add(&format!(r#"{{"file":{},"file":{}}}"#, valid(), valid()), &["body"]);
    add(r#"{"filename":"a.txt","\u0066ilename":"b.txt"}"#, &["body"]);

    for wrong in ["1", "-1", "1.5", "true", "[]", "{}", r#"["note.txt"]"#, "18446744073709551616"] {
        add(&with("filename", wrong), &["filename"]);
        add(&with("fileName", wrong), &["fileName"]);
        add(&with("mimeType", wrong), &["mimeType"]);
        add(&with("type", wrong), &["type"]);
        add(&with("disposition", wrong), &["disposition"]);
        add(&with("checksumSHA256", wrong), &["checksumSHA256"]);
    }
    for wrong in ["null", r#""""#, r#"" ""#, r#""\u0000.exe""#, r#""a.ExE""#, r#""a.exe. . ""#] {
        add(&with("filename", wrong), &["filename"]);
    }
    add(&with("fileName", r#""another.txt""#), &["filename"]);
    for wrong in
        ["null", r#""text""#, r#""/""#, r#""text/*""#, r#""*/*""#, r#""text/plain\r\nx: y""#, r#""text/plain\u0000""#, r#""téxt/plain""#]
    {
        add(&with("mimeType", wrong), &["mimeType"]);
    }
    add(&with("mimeType", &json!("a/".repeat(20_000)).to_string()), &["mimeType"]);
    for wrong in ["null", r#""""#, r#""Attachment""#, r#""attachment ""#, r#""../attachment""#, r#""\u0000""#] {
        add(&with("type", wrong), &["type"]);
    }
    for wrong in [r#""inline""#, r#""ATTACHMENT""#, r#"" ""#, r#""attachment; filename=x""#] {
        add(&with("disposition", wrong), &["disposition"]);
    }
    let no_size = [
        "-1",
        "1.5",
        "0",
        "15e-1",
        "1E400000",
        "-0",
        "1e-7",
        "104857601",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        r#""5""#,
        r#""""#,
        "true",
        "[]",
        "{}",
        "[5]",
    ];
    for wrong in no_size {
        add(&with("size", wrong), if wrong == "1E400000" { &["body"] } else { &["size"] });
    }
    for wrong in
        [r#""x""#, r#""LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ""#, r#""LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=""#, r#""????""#]
    {
        add(&with("checksumSHA256", wrong), &["checksumSHA256"]);
    }
    for bytes in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x80"] {
        for member in KNOWN {
            table.push((spoiled(&with(member, r#""?""#), bytes), &["body"]));
        }
        table.push((spoiled(r#"{"?":1}"#, bytes), &["body"]));
    }
    // Compressed, which nobody asked for.
    table.push((b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0\x43\xbf\xa6\xa3\x02\0\0\0".to_vec(), &["body"]));
    table
}

/// Odd, and still a description of a file.
pub(super) fn accepted() -> Vec<String> {
    let padding = LONGEST - valid().len();
    vec![
        valid(),
        format!("\r\n\t {} \n", valid()),
        wrapped(&valid()),
        wrapped(&with("size", "0")),
        wrapped(&with("id", "0")),
        object(&[("file", "null"), ("type", r#""attachment""#), ("fileName", r#""note.txt""#), ("mimeType", r#""""#)]),
        with("fileName", r#""note.txt""#),
        with("disposition", "null"),
        with("disposition", r#""""#),
        with("size", "null"),
        with("size", "104857600"),
        with("checksumSHA256", r#""""#),
        with("mimeType", r#"" TEXT/plain ; charset=\"UTF-8\" ""#),
        with("filename", r#""\uD83D\uDC69\u200d\uD83D\uDD2C \/ \u0000.txt""#),
        with("filename", r#""x\ud83d.txt""#),
        with("unknown", r#"{"\udc00":["\ud800\ud800"]}"#),
        format!("\u{feff}{}", valid()),
        format!("\u{feff} \n{}", wrapped(&valid())),
        with("id", "-1e3000"),
        with("state", r#""active""#),
        with("unknown", &nested("[", "", "]", 10_000)),
        with("unknown", &nested(r#"{"a":"#, "1", "}", 9_000)),
        format!(r#"{},"x":1,"x":2}}"#, valid().trim_end_matches('}')),
        format!("{}{}", valid(), " ".repeat(padding)),
    ]
}
