//! Sizes of images: headers that come late, headers that lie, orientation; and Pillow, which really decodes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dropslip::domain::image_header::{Pieces, Size};
use serde_json::{Value, json};

use crate::harness::{Bed, Setup, TestBroker, ask, error_fields, from_servers};

#[path = "../../../src/domain/image_header/samples.rs"]
mod samples;

use samples::{
    Order, bmff, every_type, exif, frame, ftyp, gif, gif_frame, ispe, jpeg, liars, meta, orientation, page, riff, scan, segment,
};
use samples::{tiff, vp8l, vp8x, webp};

/// Any picture, which must be what its name says.
const PICTURES: &str = r#"
name = "pictures"
title = "Pictures"
min_size = 0
max_size = "20 MiB"
dispositions = ["attachment"]
slip_lifetime = "1h"
sniff = "reject"
unconfirmed = "discard"
content_types = [
    { type = "image/jpeg", extensions = ["jpg"] },
    { type = "image/png", extensions = ["png"] },
    { type = "image/gif", extensions = ["gif"] },
    { type = "image/webp", extensions = ["webp"] },
    { type = "image/tiff", extensions = ["tif"] },
    { type = "image/heic", extensions = ["heic"] },
    { type = "image/avif", extensions = ["avif"] },
    { type = "image/bmp", extensions = ["bmp"] },
    { type = "image/x-icon", extensions = ["ico"] },
    { type = "image/*", extensions = ["*"] },
    { type = "text/plain", extensions = ["txt"] },
]
"#;

/// The same, relabeled.
fn relabeled() -> String {
    PICTURES.replace("\"pictures\"", "\"relabeled\"").replace("reject", "relabel")
}

async fn broker(bed: Bed) -> TestBroker {
    Setup::on(bed).policy("pictures.toml", PICTURES).policy("relabeled.toml", relabeled()).start().await
}

/// What became of an image: the answer to its confirmation.
async fn confirmed(broker: &TestBroker, rule: &str, name: &str, content_type: &str, bytes: &[u8]) -> (u16, Value) {
    let slip = broker.authorize(&json!({"type": rule, "filename": name, "mimeType": content_type, "disposition": "attachment"})).await;
    broker.drop_bytes(&slip, bytes).await;
    let (status, body) = broker.confirm(slip.id).await;
    (status.as_u16(), body)
}

fn size_in(body: &Value) -> Option<(u64, u64)> {
    Some((body["file"]["pixelWidth"].as_u64()?, body["file"]["pixelHeight"].as_u64()?))
}

/// Images whose size, or whose orientation, stands beyond the first 256 KiB.
fn late() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let filler = vec![segment(0xe1, &vec![0xaa; 60_000]); 5].concat();
    let profile = vec![segment(0xe2, &vec![0xbb; 65_000]); 3].concat();
    let heif = |brand| {
        let data = bmff(b"mdat", &vec![0; 300_000]);
        [ftyp(&[brand, b"mif1"]), data, meta(&[vec![ispe(2_000, 3_000), bmff(b"irot", &[1])]], &[])].concat()
    };
    let pixels = riff(b"VP8L", &[vp8l(2_000, 3_000)[8..].to_vec(), vec![0; 300_000]].concat());
    let comment = [b"!\xfe".to_vec(), [&[200], [b'x'; 200].as_slice()].concat().repeat(1_500), vec![0]].concat();
    vec![
        ("image/jpeg", "late.jpg", jpeg(&[filler.clone(), frame(0xc0, 3_000, 2_000), scan()])),
        ("image/jpeg", "profile.jpg", jpeg(&[exif(6), profile, filler, frame(0xc2, 2_000, 3_000), scan()])),
        ("image/heic", "late.heic", heif(b"heic")),
        ("image/avif", "late.avif", heif(b"avif")),
        ("image/tiff", "late.tif", tiff(Order::Little, &[page(3_000, 2_000)], 6_000_000)),
        ("image/tiff", "big.tif", tiff(Order::Big, &[page(3_000, 2_000)], 3_000_000)),
        ("image/webp", "late.webp", webp(&[vp8x(8, 2_000, 3_000), pixels, riff(b"EXIF", &orientation(8))])),
        ("image/gif", "late.gif", gif(1, 1, &[comment, gif_frame(0, 0, 3_000, 2_000)])),
    ]
}

async fn follows_headers_that_come_late(bed: Bed) {
    let broker = broker(bed).await;
    for (content_type, name, bytes) in late() {
        for rule in ["pictures", "relabeled"] {
            let (status, body) = confirmed(&broker, rule, name, content_type, &bytes).await;
            assert_eq!((status, size_in(&body)), (200, Some((3_000, 2_000))), "{name} as {rule}: {body}");
            assert_eq!(body["file"]["evidence"]["verdict"], "matches", "{name} as {rule}");
        }
    }
}

#[tokio::test]
async fn headers_that_come_late_are_followed_on_the_embedded_store() {
    follows_headers_that_come_late(Bed::Embedded).await;
}

#[tokio::test]
async fn headers_that_come_late_are_followed_on_seaweedfs() {
    follows_headers_that_come_late(Bed::SeaweedFs).await;
}

#[tokio::test]
async fn an_image_bomb_of_every_type_is_refused_wherever_it_says_its_size() {
    let broker = broker(Bed::Embedded).await;
    for (content_type, name, bytes) in every_type(16_000, 12_000).into_iter().chain(liars(16_000, 12_000)) {
        for rule in ["pictures", "relabeled"] {
            let (status, body) = confirmed(&broker, rule, name, content_type, &bytes).await;
            assert_eq!((status, error_fields(&body)), (422, vec!["pixels".to_owned()]), "{name} as {rule}: {body}");
            let said = "must be 100000000 or fewer, but the image has 16000 × 12000";
            assert_eq!(body["errors"]["pixels"][0], said, "{name} as {rule}");
        }
    }
    // Declared as something else it is a bomb still.
    let bomb = jpeg(&[frame(0xc0, 1, 1), vec![segment(0xe1, &vec![0; 60_000]); 5].concat(), frame(0xc0, 16_000, 12_000), scan()]);
    let (status, body) = confirmed(&broker, "relabeled", "notes.txt", "text/plain", &bomb).await;
    assert_eq!((status, error_fields(&body)), (422, vec!["pixels".to_owned()]), "{body}");
    for (content_type, name, bytes) in every_type(640, 480) {
        for rule in ["pictures", "relabeled"] {
            let (status, body) = confirmed(&broker, rule, name, content_type, &bytes).await;
            assert_eq!((status, size_in(&body)), (200, Some((640, 480))), "{name} as {rule}: {body}");
        }
    }
    for (content_type, name, bytes) in liars(640, 480) {
        assert_eq!(confirmed(&broker, "pictures", name, content_type, &bytes).await.0, 200, "{name}");
    }
}

#[tokio::test]
async fn an_image_whose_size_is_not_found_is_refused_or_has_none() {
    let broker = broker(Bed::Embedded).await;
    let endless = jpeg(&[segment(0xe0, b"").repeat(500_000), frame(0xc0, 30, 20), scan()]);
    let nowhere = tiff(Order::Big, &[page(0, 20)], 400_000);
    let empty = samples::png(0, 20, &[]);
    for (content_type, name, bytes) in
        [("image/jpeg", "endless.jpg", &endless), ("image/tiff", "a.tif", &nowhere), ("image/png", "a.png", &empty)]
    {
        let (status, body) = confirmed(&broker, "pictures", name, content_type, bytes).await;
        assert_eq!((status, error_fields(&body)), (422, vec!["mimeType".to_owned()]), "{name}: {body}");
        let said = body["errors"]["mimeType"][0].as_str().unwrap();
        assert!(said.contains("width and height") && said.len() < 200, "{said}");
        let (status, body) = confirmed(&broker, "relabeled", name, content_type, bytes).await;
        assert_eq!((status, &body["file"]["mimeType"], size_in(&body)), (200, &json!(content_type), None), "{name}: {body}");
    }
}

fn size_of(file: &[u8]) -> Option<Size> {
    let mut pieces = Pieces::new(file[..file.len().min(256 * 1024)].to_vec(), file.len() as u64);
    while let Some(range) = pieces.wanted() {
        let place = |at: u64| usize::try_from(at).unwrap();
        pieces.add(range.start, file[place(range.start)..place(range.end)].to_vec());
    }
    pieces.survey().size()
}

/// What Pillow is asked to make: images of 40 × 30.
fn questions() -> Vec<Value> {
    let mut questions = Vec::new();
    let mut add = |format: &str, more: Value| {
        let mut question = json!({"make": format, "size": [40, 30]});
        question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        questions.push(question);
    };
    for orientation in 1..=8 {
        for format in ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"] {
            add(format, json!({"orientation": orientation}));
        }
    }
    add("JPEG", json!({"orientation": 6, "save": {"progressive": true}, "profile": vec![7; 190_000]}));
    add("JPEG", json!({"size": [1500, 1200], "save": {"quality": 100}}));
    add("TIFF", json!({"orientation": 6, "size": [900, 800]}));
    for format in ["MPO", "PNG", "GIF", "WEBP", "TIFF", "AVIF", "HEIF"] {
        add(format, json!({"frames": 3}));
    }
    for format in ["JPEG", "BMP", "JPEG2000", "PCX", "PPM", "QOI", "SGI", "DDS", "ICNS"] {
        add(format, json!({}));
    }
    for mode in ["L", "1", "F"] {
        add("PPM", json!({"mode": mode}));
    }
    for compression in ["jpeg", "tiff_lzw", "tiff_deflate", "packbits"] {
        add("TIFF", json!({"save": {"compression": compression}}));
    }
    add("TIFF", json!({"save": {"big_tiff": true}, "orientation": 5}));
    add("WEBP", json!({"save": {"lossless": true}}));
    add("JPEG2000", json!({"save": {"no_jp2": true}}));
    add("ICO", json!({"save": {"sizes": [[16, 16], [32, 24]]}}));
    add("ICO", json!({"save": {"sizes": [[32, 24]], "bitmap_format": "bmp"}}));
    add("BLP", json!({"mode": "P"}));
    questions
}

#[test]
fn pillow_shows_an_image_as_large_as_we_say() {
    let questions = questions();
    for (question, answer) in questions.iter().zip(ask(&from_servers("TEST_PYTHON"), "image_sizes.py", &questions)) {
        let file = BASE64.decode(answer["file"].as_str().unwrap()).unwrap();
        let size = size_of(&file);
        let said = size.map(|size| json!([size.shown.width, size.shown.height]));
        assert_eq!(said.as_ref(), Some(&answer["shown"]), "{question}: {}", file[..file.len().min(64)].escape_ascii());
        // No header of an honest file says more than that, the codec's own among them; but an encoder of HEVC pads to whole blocks.
        let most = |size: Size| if question["make"] == "HEIF" { 64 * 64 } else { size.shown.count() };
        assert!(size.is_some_and(|size| size.largest.count() <= most(size)), "{question}: {size:?}");
    }
}

#[test]
fn pillow_decodes_no_image_larger_than_we_say() {
    let python = from_servers("TEST_PYTHON");
    let questions: Vec<Value> = questions().into_iter().filter(|question| question["make"] != "ICNS").collect();
    let made = ask(&python, "image_sizes.py", &questions);
    let small = |answer: &&Value| answer["file"].as_str().unwrap().len() < 50_000;
    let mut asked: Vec<Value> = made.iter().filter(small).map(|answer| json!({"lie": answer["file"], "times": 150})).collect();
    asked.extend(liars(400, 300).iter().map(|(_, _, file)| json!({"lie": BASE64.encode(file), "times": 150})));
    let mut compared = 0;
    for answer in ask(&python, "image_sizes.py", &asked) {
        for lie in answer["lies"].as_array().unwrap() {
            let file = BASE64.decode(lie["file"].as_str().unwrap()).unwrap();
            // Where we say none, the rule refuses, or tells no size.
            let Some(said) = size_of(&file) else { continue };
            for size in lie["sizes"].as_array().unwrap() {
                let decoded = size[0].as_u64().unwrap() * size[1].as_u64().unwrap();
                assert!(decoded <= said.largest.count(), "{size} of what we say is {said:?}: {}", BASE64.encode(&file));
                compared += 1;
            }
        }
    }
    assert!(compared > 3_000, "only {compared} were decoded");
    println!("{compared} decoded frames are no larger than we say");
}
