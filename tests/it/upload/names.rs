//! Whatever a file is called, it goes through all three steps, and its bytes are served under the name that was answered.

use std::collections::{BTreeSet, HashMap};

use dropslip::domain::FileName;
use dropslip::policy_file;
use dropslip::server::SHIPPED_POLICIES;
use futures_util::{StreamExt as _, stream};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Bed, TestBroker, answer, ask, error_fields, from_servers, new_file, slip};

const SEED: [u8; 32] = *b"the names of dropslip since 2026";

const TOTAL: usize = 500;
const AT_ONCE: usize = 16;

/// Names that have broken something somewhere.
const NASTY: [&str; 84] = [
    "note.txt",
    "résumé.txt",
    "re\u{301}sume\u{301}.txt",
    "\u{301}starts with a mark.txt",
    "Z\u{335}\u{321}\u{31b}a\u{336}\u{328}l\u{334}g\u{337}o.txt",
    "Ελληνικά.txt",
    "Кириллица.txt",
    "漢字ひらがなカタカナ.txt",
    "한국어 파일.txt",
    "قائمة الملفات.txt",
    "רשימה.txt",
    "नमस्ते.txt",
    "می\u{200c}خواهم.txt",
    "𐍈𐌰𝒻𝒶𝓃𝒸𝓎.txt",
    "İıſẞ.TXT",
    "👩\u{200d}🔬.txt",
    "👨\u{200d}👩\u{200d}👧\u{200d}👦.txt",
    "🏳\u{fe0f}\u{200d}🌈 🇪🇺.txt",
    "\"",
    "\"\"",
    "a\".txt",
    "\"; filename=\"evil.bin",
    "a\"; filename*=UTF-8''evil.bin; x=\".txt",
    "'single' `back` \"double\".txt",
    "back\\slash.txt",
    "ends with\\",
    "\\\"",
    "\\\\server\\share\\note.txt",
    "C:\\fakepath\\photo.bin",
    "C:note.txt",
    "../../../etc/passwd",
    "..\\..\\boot.ini",
    "/etc/shadow",
    "./.././.txt",
    "a/b\\c/d.txt",
    "....//....//note.txt",
    "%2e%2e%2fpasswd",
    "100%.txt",
    "%",
    "%00.txt",
    "%0d%0aSet-Cookie: a=b.txt",
    "a%22b%5C.txt",
    "a\r\nSet-Cookie: session=1.txt",
    "a\r\n\r\n<html>.txt",
    "a\nb\rc.txt",
    "nul\0inside.txt",
    "\0",
    "tab\tinside.txt",
    "bell\u{7} escape\u{1b}[31m delete\u{7f}.txt",
    "next\u{85}line c1\u{9b}31m.txt",
    "line\u{2028}paragraph\u{2029}.txt",
    "soft\u{ad}hyphen nbsp\u{a0}wide\u{3000}.txt",
    "gpj.\u{202e}nib",
    "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}",
    "\u{2066}a\u{2067}b\u{2068}c\u{2069}.txt",
    "\u{200e}left\u{200f}right\u{61c}arabic.txt",
    "\u{feff}bom.txt",
    "zero\u{200b}width\u{2060}joiner.txt",
    "interlinear\u{fff9}a\u{fffb}.txt",
    "\u{fffd}\u{fffe}\u{ffff}\u{10ffff}.txt",
    "private \u{e000}\u{f8ff}\u{100000}.txt",
    "tag\u{e0041}\u{e007f}.txt",
    ".",
    "..",
    "...",
    ". . .",
    "/",
    "\\",
    "a/",
    ".txt",
    ".profile",
    "..txt",
    "  leading and trailing  .txt  ",
    "dots at the end.txt...",
    ".hidden . . ",
    "\u{a0}\u{3000}.txt\u{2003}",
    "semi;colon.txt",
    "a; filename=b.txt",
    "a, b = c.txt",
    "=?utf-8?Q?=41=2Etxt?=",
    "=?UTF-8?B?Li4vLi4vZXRj?=",
    "UTF-8''%41.txt",
    "iso-8859-1'en'%A3 rates",
    "<img src=x onerror=alert(1)>.txt",
];

/// Names too long to be written down.
fn long() -> Vec<String> {
    vec![
        format!("{}.txt", "a".repeat(250)),
        format!("{}.txt", "a".repeat(251)),
        format!("{}.txt", "a".repeat(252)),
        "b".repeat(255),
        "b".repeat(256),
        format!("{}.txt", "c".repeat(4_100)),
        format!("{}.txt", "ü".repeat(2_100)),
        format!("{}.txt", "漢".repeat(1_400)),
        format!("{}.txt", "👩\u{200d}🔬".repeat(400)),
        format!("e{}.txt", "\u{301}".repeat(500)),
        format!("short.{}", "x".repeat(4_000)),
        format!("{}é.{}", "d".repeat(230), "e".repeat(31)),
        format!("{}.txt", " \"%\\;".repeat(900)),
        format!("{}.txt", "%\"".repeat(150)),
        format!("{}.txt", "\0".repeat(4_000)),
        format!("{}note.txt", "../".repeat(1_500)),
        // All dots and spaces up to where they are cut.
        format!("{}{}", ".".repeat(300), "x".repeat(40)),
        format!("{}.txt", ".".repeat(300)),
        format!("{}{}", ". ".repeat(200), "y".repeat(33)),
        format!("f{}{}", " ".repeat(300), "z".repeat(40)),
    ]
}

/// The hand-written names; the ones of [`nasty`] that every store must see.
fn nasty() -> Vec<String> {
    NASTY.into_iter().map(str::to_owned).chain(long()).collect()
}

fn piece() -> BoxedStrategy<String> {
    let fixed = |pieces: &'static [&'static str]| select(pieces).prop_map(str::to_owned);
    prop_oneof![
        3 => "[a-zA-Z0-9 _-]{1,12}",
        2 => fixed(&["Grüße", "Ελλάς", "Дом", "文書", "ぶんしょ", "문서", "وثيقة", "מסמך", "दस्तावेज़", "เอกสาร", "დოკუმენტი", "፩ሰነድ", "𐍈𝔘"]),
        2 => fixed(&["👩\u{200d}🔬", "🏴\u{200d}☠\u{fe0f}", "👍🏽", "🇯🇵", "e\u{301}", "ا\u{64b}", "q\u{323}\u{307}", "1\u{fe0f}\u{20e3}"]),
        2 => fixed(&["\"", "'", "`", "\\", ";", "%", "%22", "*", "=", ",", "$", "&", "?", "#", "+", "|", "<", ">", "{}", "~", "^", "()", "[]"]),
        1 => fixed(&["../", "..\\", "C:\\", "/etc/", "\\\\host\\", "./", "//", "~/"]),
        1 => fixed(&["\r\n", "\n", "\r", "\0", "\t", "\u{7f}", "\u{1b}[0m", "\u{80}", "\u{85}", "\u{9f}"]),
        1 => fixed(&["\u{202a}", "\u{202e}", "\u{2066}", "\u{2067}", "\u{2068}", "\u{2069}", "\u{200e}", "\u{200f}", "\u{61c}", "\u{feff}"]),
        1 => fixed(&[".", "..", " ", "  ", ". ", "\u{a0}", "\u{2028}", "\u{3000}"]),
        1 => fixed(&["=?utf-8?Q?", "?=", "UTF-8''", "utf-8'en'", "%41", "=41", "filename=", "filename*=", "; "]),
        2 => "\\PC{1,8}",
        1 => proptest::collection::vec(any::<char>(), 1..6).prop_map(String::from_iter),
        1 => (fixed(&["n", "ñ", "名", "👩\u{200d}🔬", "\"", "\u{301}", " ", "."]), 60..320_usize).prop_map(|(text, times)| text.repeat(times)),
    ]
    .boxed()
}

fn generated() -> impl Strategy<Value = String> {
    let ending = select(&["", "", ".txt", ".txt", ".TXT", ".bin", ".unknown", ".", " ", ". . ", ".t\u{202e}xt", ".\u{e9}t\u{e9}"][..]);
    (proptest::collection::vec(piece(), 0..8), ending).prop_map(|(pieces, ending)| pieces.concat() + ending)
}

/// The hand-written names and as many generated ones as are missing; the same in every run.
fn five_hundred() -> Vec<String> {
    let (_, attachment) = SHIPPED_POLICIES.into_iter().find(|(file, _)| *file == "attachment.toml").unwrap();
    let refused = policy_file::parse(attachment).unwrap().refused_extensions;
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    let mut names = nasty();
    while names.len() < TOTAL {
        let name = generated().new_tree(&mut runner).unwrap().current();
        let ending = name.rsplit('.').next().unwrap().to_lowercase();
        if !name.trim().is_empty() && !refused.iter().any(|refused| ending.contains(refused)) {
            names.push(name);
        }
    }
    names
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What every safe name is, said without the code that makes it.
fn complaint(name: &str, safe: &str) -> Option<&'static str> {
    match safe {
        _ if !(1..=255).contains(&safe.len()) => Some("is not 1 to 255 bytes long"),
        _ if safe.chars().any(char::is_control) => Some("has a control character"),
        _ if safe.chars().any(is_bidi_control) => Some("has a direction control"),
        _ if safe.contains(['/', '\\']) => Some("has a path separator"),
        "." | ".." => Some("is a folder"),
        _ if safe.trim() != safe || safe.ends_with('.') => Some("has an edge that Windows drops"),
        _ if FileName::sanitized(safe).as_str() != safe => Some("changes when it is cleaned again"),
        _ if is_plain(name) && safe != name => Some("differs from a name that nothing is wrong with"),
        _ => None,
    }
}

fn is_plain(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// All three steps; the bytes are the name's number, so that the sealed object tells whose it is.
async fn upload(broker: &TestBroker, number: usize, name: &str) -> Result<(), String> {
    let mime_type = if number.is_multiple_of(2) { "" } else { "application/octet-stream" };
    let failed = |step: &str, answer: &dyn std::fmt::Display| Err(format!("{number} {name:?}: {step}: {answer}"));
    let safe = FileName::sanitized(name);
    let (status, body) = broker.call("POST", "/v2/files/ref.json", Some(&new_file(name, mime_type))).await;
    if status != 201 {
        return failed("authorize", &body);
    }
    let named = |body: &Value| body["file"]["filename"] == safe.as_str() && body["file"]["fileName"] == safe.as_str();
    if !named(&body) {
        return failed("authorize has another name", &body);
    }
    let slip = slip(body);
    let (status, answer) = broker.post_form(&slip.url, &slip.params, Some(number.to_string().as_bytes())).await;
    if status != 201 {
        return failed("form", &answer);
    }
    let (status, body) = broker.confirm(slip.id).await;
    if status != 200 || body["file"]["state"] != "active" || !named(&body) {
        return failed("confirm", &body);
    }
    Ok(())
}

/// The disposition of the object at `key`, by the number in its bytes.
async fn disposition(broker: &TestBroker, key: &str) -> (usize, String) {
    let object = broker.s3.get_object().bucket(&broker.bucket).key(key).send().await.unwrap();
    let header = object.content_disposition().unwrap_or_else(|| panic!("{key} has no disposition")).to_owned();
    let bytes = object.body.collect().await.unwrap().to_vec();
    (String::from_utf8(bytes).unwrap().parse().unwrap(), header)
}

async fn go_through_all_three_steps(bed: Bed, names: &[String]) {
    let broker = TestBroker::on(bed).await;

    let uploads = names.iter().enumerate().map(|(number, name)| upload(&broker, number, name));
    let results: Vec<_> = stream::iter(uploads).buffer_unordered(AT_ONCE).collect().await;
    let failures: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{} names failed:\n{}", failures.len(), failures.join("\n"));

    // One sealed object for each, and nothing else.
    let keys: BTreeSet<String> = broker.objects().await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), names.len());
    assert!(keys.iter().all(|key| key.starts_with("files/")), "{keys:?}");
    let headers = keys.iter().map(|key| disposition(&broker, key));
    let headers: HashMap<usize, String> = stream::iter(headers).buffer_unordered(AT_ONCE).collect().await;
    assert_eq!(headers.len(), names.len(), "two names share an object");

    let questions: Vec<Value> = (0..names.len()).map(|number| json!(headers[&number])).collect();
    let parsed = ask(&from_servers("TEST_PYTHON"), "parse_disposition.py", &questions);
    for (number, (name, parsed)) in names.iter().zip(parsed).enumerate() {
        let header = &headers[&number];
        assert!(header.bytes().all(|b| matches!(b, b' '..=b'~')), "{number} {name:?}: {header:?}");
        let safe = FileName::sanitized(name);
        assert_eq!(parsed, json!({"type": "attachment", "filename": safe.as_str()}), "{number} {name:?}: {header}");
    }
}

#[test]
fn every_name_becomes_a_safe_one() {
    let names = five_hundred();
    assert_eq!(names.len(), TOTAL);
    let complaints: Vec<_> = names
        .iter()
        .filter_map(|name| {
            let safe = FileName::sanitized(name);
            complaint(name, safe.as_str()).map(|why| format!("{name:?} became {:?}, which {why}", safe.as_str()))
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[tokio::test]
async fn five_hundred_names_go_through_all_three_steps_on_the_embedded_store() {
    go_through_all_three_steps(Bed::Embedded, &five_hundred()).await;
}

#[tokio::test]
async fn the_nastiest_names_go_through_all_three_steps_on_seaweedfs() {
    go_through_all_three_steps(Bed::SeaweedFs, &nasty()).await;
}

#[tokio::test]
async fn the_nastiest_names_go_through_all_three_steps_on_localstack() {
    go_through_all_three_steps(Bed::LocalStack, &nasty()).await;
}

#[tokio::test]
async fn a_blank_name_is_refused_and_leaves_nothing() {
    let broker = TestBroker::on(Bed::Embedded).await;
    for blank in ["", " ", "\t\r\n", "\u{a0}", "\u{2003}\u{3000}", "\u{85}", "\u{2028}\u{2029}", &" ".repeat(5_000)] {
        let request = broker.request("POST", "/v2/files/ref.json").body(new_file(blank, "text/plain").to_string());
        let (status, body) = answer(request).await;
        assert_eq!(status, 400, "{blank:?}: {body}");
        assert_eq!(error_fields(&body), ["filename"], "{blank:?}: {body}");
        assert_eq!(body["errors"]["filename"], json!(["must be set"]), "{blank:?}");
    }
    assert_eq!(broker.read(1).await.0, 404);
    assert_eq!(broker.objects().await, []);
    assert_eq!(
        broker.authorize(&new_file("\u{2003}a\u{a0}", "text/plain")).await.id,
        1,
        "one that is not all blank, the first that is kept"
    );
}
