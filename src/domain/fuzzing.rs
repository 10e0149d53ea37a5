//! What must be true of the parsers of this layer, whatever they are given; see `crate::fuzzing`.

use percent_encoding::percent_decode_str;

use super::bucket_event::{MOST_OBJECTS, Message, ObjectCreated, Subscribing};
use super::byte_range::ByteRange;
use super::evidence::{Weighing, bytes_wanted, weigh};
use super::image_header::{MOST_READ, MOST_READS, Pieces, Survey};
use super::multipart::{MAX_PARTS, judge_parts};
use super::{Disposition, Field, FileName, MediaType, Part, Sniff, Verdict};

/// The first byte of an input, which says how the rest is meant.
fn chosen(bytes: &[u8]) -> (usize, &[u8]) {
    bytes.split_first().map_or((0, bytes), |(first, rest)| (usize::from(*first), rest))
}

/// The words of a file that may be secrets: long, and nothing that a complaint would say by itself.
pub(crate) fn long_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=_-".contains(c)).filter(|word| word.len() >= 20)
}

/// Nothing of a path, a terminal, a header or a direction of writing is left in a cleaned name; cleaning it again changes nothing.
pub(crate) fn file_name(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    clean(&FileName::sanitized(&text));
}

/// What is true of every name that went through [`FileName::sanitized`].
pub(crate) fn clean(name: &FileName) {
    let text = name.as_str();
    assert!((1..=255).contains(&text.len()), "{} bytes", text.len());
    assert!(!text.contains(['/', '\\', ':']), "a part of a path: {text:?}");
    assert!(!text.chars().any(char::is_control), "a control character: {text:?}");
    let deceptive =
        |c: char| matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    assert!(!text.chars().any(deceptive), "a deceptive character: {text:?}");
    assert_eq!(text, text.trim(), "blanks around it");
    assert!(!text.ends_with('.'), "Windows drops that dot: {text:?}");
    assert_eq!(&FileName::sanitized(text), name, "cleaning it again changes it");
    if let Some(extension) = name.extension() {
        assert!(!extension.is_empty() && !extension.contains('.'), "{extension:?}");
    }
    for disposition in [Disposition::Attachment, Disposition::AttachmentInline] {
        for content_type in ["image/png", "image/svg+xml", "text/html"] {
            let Ok(content_type) = content_type.parse::<MediaType>() else { panic!("{content_type} is no type") };
            header(name, disposition, &content_type);
        }
    }
}

/// A name breaks out of no header, and comes back out of it.
fn header(name: &FileName, disposition: Disposition, content_type: &MediaType) {
    let header = name.content_disposition(disposition, content_type);
    assert!(header.bytes().all(|b| (b' '..=b'~').contains(&b)), "{header:?}");
    let shown = header.starts_with("inline; ");
    assert!(shown || header.starts_with("attachment; "), "{header:?}");
    assert!(!shown || disposition == Disposition::AttachmentInline && !content_type.is_scriptable(), "{content_type} is shown");
    let mut parts = header.splitn(3, '"');
    let (Some(_), Some(plain), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { panic!("no quoted name: {header:?}") };
    assert!(!plain.contains(['\\', '%']) && !rest.contains('"'), "{header:?}");
    let back = match rest.strip_prefix("; filename*=UTF-8''") {
        Some(encoded) => percent_decode_str(encoded).decode_utf8_lossy().into_owned(),
        None => plain.to_owned(),
    };
    assert_eq!(back, name.as_str(), "{header:?}");
}

/// A content type has one spelling, which reads back as itself, and never more power than before.
pub(crate) fn media_type(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(read) = text.parse::<MediaType>() else { return };
    let printed = read.to_string();
    assert_eq!(printed.parse::<MediaType>().as_ref(), Ok(&read), "{printed:?}");
    assert!(printed.bytes().all(|b| b.is_ascii_graphic() || b == b' ') && !printed.contains([',', '"', '*']), "{printed:?}");
    assert_eq!(printed, printed.to_ascii_lowercase());
    assert_eq!(read.essence().matches('/').count(), 1, "{printed:?}");
    let served = read.as_served();
    assert!(!served.is_scriptable(), "{printed} is served as {served}");
    assert_eq!(served.as_served(), served);
    assert!(!(read.is_inline_safe() && read.is_scriptable()), "{printed}");
    let canonical = read.canonical();
    assert_eq!(canonical.canonical(), canonical, "{printed}");
    assert!(read.is_same(&canonical) && canonical.is_same(&read), "{printed}");
    assert_eq!(canonical.is_scriptable(), read.is_scriptable(), "{printed}");
    assert_eq!(canonical.to_string().parse::<MediaType>().as_ref(), Ok(&canonical));
}

/// What the bytes of an upload are taken for is what was granted, or what the rule allows, or nothing but bytes.
pub(crate) fn evidence(bytes: &[u8]) {
    const GRANTED: [&str; 18] = [
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/heic",
        "image/avif",
        "application/pdf",
        "application/zip",
        "text/plain",
        "text/html",
        "image/svg+xml",
        "application/octet-stream",
        "text/csv",
        "text/markdown",
        "audio/mpeg",
        "video/mp4",
        "application/msword",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ];
    const SNIFF: [Sniff; 3] = [Sniff::Reject, Sniff::Relabel, Sniff::Trust];
    const MAX_PIXELS: u64 = 1_000_000;
    let (choice, start) = chosen(bytes);
    let Some(Ok(granted)) = GRANTED.get(choice % GRANTED.len()).map(|text| text.parse::<MediaType>()) else { return };
    let sniff = SNIFF[choice / GRANTED.len() % SNIFF.len()];
    let whole = choice < 128;
    let size = start.len() as u64 + if whole { 0 } else { 1_000_000 };
    let allows = |detected: &MediaType| detected.essence() == "image/png" || detected.essence() == "text/html";
    let spelled = |detected: &MediaType| Some(detected.clone()).filter(allows);
    let rule = Weighing { sniff, max_pixels: MAX_PIXELS, spelled: &spelled };
    let upload = Pieces::new(start.to_vec(), size);
    assert_eq!(bytes_wanted(&granted, sniff) == 0, sniff == Sniff::Trust);
    let evidence = match weigh(&granted, &upload, &rule) {
        Ok(evidence) => evidence,
        Err(why) => {
            assert!(why.iter().all(|(field, _)| matches!(field, Field::DeclaredType | Field::Pixels)), "{why:?}");
            return;
        }
    };
    assert!(!evidence.decided.as_served().is_scriptable(), "{evidence:?}");
    if let Some(pixels) = evidence.pixels {
        assert!(u64::from(pixels.width) * u64::from(pixels.height) <= MAX_PIXELS, "{evidence:?}");
    }
    match evidence.verdict {
        Verdict::Trusted => assert!(sniff == Sniff::Trust && evidence.decided == granted && evidence.detected.is_none()),
        Verdict::Matches => assert_eq!(evidence.decided, granted, "{evidence:?}"),
        Verdict::Relabeled => {
            assert_eq!(sniff, Sniff::Relabel, "{evidence:?}");
            assert!(evidence.decided == MediaType::octet_stream() || allows(&evidence.decided), "{evidence:?}");
        }
    }
    let is_plain = start.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t'));
    if is_plain
        && granted.essence().starts_with("text/")
        && let Some(detected) = &evidence.detected
    {
        // No letters make a picture, a sound or a program of a text.
        assert!(["text", "application", "image/svg+xml"].iter().any(|kind| detected.essence().starts_with(kind)), "{evidence:?}");
        assert!(!detected.essence().contains("executable") && detected.container() != Some("zip"), "{evidence:?}");
    }
    if let (Some(detected), Verdict::Matches) = (&evidence.detected, evidence.verdict) {
        // What shows itself as a page or a program never passes for a picture.
        assert!(!(granted.is_inline_safe() && detected.is_scriptable()), "{evidence:?}");
    }
    assert_eq!(weigh(&granted, &upload, &rule).as_ref(), Ok(&evidence), "looked at again, it is the same");
}

/// What is wanted of an image lies within it, is bounded, and leads to an answer that is the same when it is asked for again. A size that
/// is shown is no larger than the largest that was seen.
pub(crate) fn image_header(bytes: &[u8]) {
    let (choice, file) = chosen(bytes);
    let size = file.len() as u64;
    // Little of it is known at first, so that all kinds of images are followed.
    let first = [file.len(), 64, 16, 200][choice % 4].min(file.len());
    let mut upload = Pieces::new(file[..first].to_vec(), size);
    let (mut reads, mut read) = (0, 0);
    while let Some(range) = upload.wanted() {
        assert!(range.start < range.end && range.end <= size, "{range:?} of {size}");
        (reads, read) = (reads + 1, read + (range.end - range.start));
        assert!(reads <= MOST_READS && read <= MOST_READ, "{reads} reads of {read} bytes");
        // A store may send less than it is asked for.
        let sent = if choice / 4 % 2 == 0 { range.end } else { range.start + (range.end - range.start).min(40) };
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let piece = file.get(place(range.start)..place(sent)).unwrap_or_default().to_vec();
        upload.add(range.start, piece);
    }
    let survey = upload.survey();
    assert_eq!(upload.survey(), survey, "looked at again, it is the same");
    if let Some(found) = survey.size() {
        let (shown, largest) = (found.shown, found.largest);
        assert!(0 < shown.count() && shown.count() <= largest.count(), "{found:?}");
    }
    if first == file.len() {
        assert!(!matches!(survey, Survey::Wants { .. }), "all is known, and {survey:?}");
    }
}

/// Objects that a message speaks of are few, and each is one that it names.
pub(crate) fn bucket_event(bytes: &[u8]) {
    match super::bucket_event::parse(bytes) {
        Ok(Message::Created(objects)) => assert!(objects.len() <= MOST_OBJECTS),
        Ok(Message::MaySubscribe(Subscribing { topic, token })) => {
            // Both stand in a command.
            for word in [topic, token] {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b":-_.".contains(&b);
                assert!((1..=1024).contains(&word.len()) && !word.starts_with('-') && word.bytes().all(plain), "{word:?}");
            }
        }
        Ok(Message::Unsubscribed) => {}
        Err(why) => {
            assert!(!why.is_empty() && why.len() < 200, "{why}");
            assert!(!why.chars().any(char::is_control), "{why:?}");
        }
    }
    // A key is written as in a form, and comes back as it was.
    let key = String::from_utf8_lossy(bytes).into_owned();
    let written = percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC).to_string().replace("%20", "+");
    let message =
        serde_json::json!({"Records": [{"eventName": "ObjectCreated:Post", "s3": {"bucket": {"name": "b"}, "object": {"key": written}}}]});
    let event = serde_json::json!({"detail-type": "Object Created", "detail": {"bucket": {"name": "b"}, "object": {"key": key}}});
    let one = Ok(Message::Created(vec![ObjectCreated { bucket: "b".to_owned(), key }]));
    for message in [message, event] {
        // However it is wrapped it is the same, and so is what came.
        let wrapped = serde_json::json!({"Type": "Notification", "Message": message.to_string()}).to_string();
        assert_eq!(super::bucket_event::parse(message.to_string().as_bytes()), one);
        assert_eq!(super::bucket_event::parse(wrapped.as_bytes()), one);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let wrapped = super::bucket_event::parse(serde_json::json!({"Message": text}).to_string().as_bytes());
        match super::bucket_event::parse(bytes) {
            Err(why) => assert!(wrapped.is_err(), "{why}"),
            Ok(read) => assert!(wrapped == Ok(read) || wrapped.is_err_and(|why| why.contains("wrapped")), "{text}"),
        }
    }
}

/// JSON that was read before is read as before, and it stays as long as it was; what was none for half a character is read without.
pub(crate) fn json_text(bytes: &[u8]) {
    let text = match super::text::json(bytes) {
        Ok(text) => text.into_owned(),
        Err(why) => {
            assert!(std::str::from_utf8(bytes).is_err() || bytes.iter().take(2).any(|b| *b == 0), "{why}");
            assert!(serde_json::from_slice::<serde_json::Value>(bytes).is_err(), "{why}");
            return;
        }
    };
    assert!(text.len() == bytes.len() || bytes.starts_with(b"\xef\xbb\xbf") && text.len() + 3 == bytes.len(), "{text:?}");
    assert_eq!(super::text::whole_characters(&text), text, "mending it again changes it");
    let read = serde_json::from_str::<serde_json::Value>(&text);
    if let Ok(before) = serde_json::from_slice::<serde_json::Value>(bytes) {
        assert_eq!(read.ok(), Some(before), "{text:?}");
    }
    // A text is read with every unit of UTF-16 as an escape too, whatever stands beside what.
    let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    let escaped = units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat();
    let read = serde_json::from_str::<String>(&super::text::whole_characters(&format!("\"{escaped}\""))).ok();
    assert_eq!(read, Some(String::from_utf16_lossy(&units)), "{escaped}");
}

/// A range of bytes lies within the file.
pub(crate) fn byte_range(bytes: &[u8]) {
    let (size, header) = bytes.split_at(bytes.len().min(8));
    let size = u64::from_le_bytes(std::array::from_fn(|place| size.get(place).copied().unwrap_or_default()));
    let header = String::from_utf8_lossy(header);
    for size in [size, size % 1000, 0] {
        match ByteRange::of(&header, size) {
            ByteRange::Part(first, last) => assert!(first <= last && last < size, "{header:?} of {size} is {first} to {last}"),
            ByteRange::Whole => {}
            ByteRange::Unsatisfiable => assert!(header.trim_start().to_ascii_lowercase().starts_with("bytes"), "{header:?}"),
        }
    }
    if size > 0 {
        let (one, other) = (size / 3, size / 2);
        let (first, last) = (one.min(other), other.min(size - 1));
        assert_eq!(ByteRange::of(&format!("bytes={first}-{last}"), size), ByteRange::Part(first, last));
    }
}

/// Parts that are taken for a file are all of its parts, each of its size; a complaint is short, however many are missing.
pub(crate) fn parts(bytes: &[u8]) {
    let (head, rest) = bytes.split_at(bytes.len().min(9));
    let byte = |place: usize| u64::from(head.get(place).copied().unwrap_or_default());
    // Small sizes, so that some come out right by chance, and the largest there are.
    let unit = [1, 1 << 20, 5 << 30, u64::MAX / 4][usize::try_from(byte(0) % 4).unwrap_or_default()];
    let part_size = [None, Some(unit), Some(unit.saturating_mul(byte(1))), Some(0)][usize::try_from(byte(2) % 4).unwrap_or_default()];
    let max_size = unit.saturating_mul(byte(3)).saturating_add(byte(4));
    let min_size = if byte(5) % 2 == 0 { max_size } else { 0 };
    let parts: Vec<Part> = rest
        .chunks_exact(4)
        .map(|chunk| Part {
            number: u32::from(u16::from_le_bytes([chunk[0], chunk[1] % 64])),
            size: if chunk[3] % 2 == 0 { unit } else { unit.saturating_mul(u64::from(chunk[2])).saturating_add(u64::from(chunk[3] / 2)) },
            etag: String::new(),
        })
        .collect();
    // A cut into more parts than S3 takes is never granted.
    if part_size.is_some_and(|size| max_size.div_ceil(size.max(1)) > MAX_PARTS) {
        return;
    }
    match judge_parts(&parts, part_size, min_size, max_size) {
        Ok(()) => {
            let total: u128 = parts.iter().map(|part| u128::from(part.size)).sum();
            assert!((u128::from(min_size)..=u128::from(max_size)).contains(&total), "{total} bytes of {min_size} to {max_size}");
            let numbers: std::collections::BTreeSet<_> = parts.iter().map(|part| part.number).collect();
            assert_eq!(numbers.len(), parts.len(), "a part is there twice: {parts:?}");
            assert!((1..).zip(&numbers).all(|(wanted, number)| wanted == *number), "{numbers:?}");
        }
        Err(why) => {
            assert!(why.iter().all(|(field, said)| field == Field::Parts && said.len() < 400), "{why:?}");
        }
    }
}
