//! Markup by the root of its document, not by any tag: a text about HTML is no page.

/// How much of a document is read before its root must have begun, in bytes: what a tool writes about itself comes first.
const ROOT_WITHIN: usize = 16 * 1024;

/// How HTML documents begin, after blanks and comments.
const HTML_ROOTS: [&str; 5] = ["html", "head", "body", "script", "iframe"];

/// What the document is whose text begins so; `None` where it is no markup.
pub(super) fn root(start: &[u8]) -> Option<&'static str> {
    let start = &start[..start.len().min(ROOT_WITHIN)];
    let decoded: String = match wide_units(start) {
        Some(units) => units.map(|unit| u8::try_from(unit).ok().filter(u8::is_ascii).map_or('?', char::from)).collect(),
        None => start.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect(),
    };
    let mut rest = decoded.strip_prefix("???").filter(|_| start.starts_with(b"\xef\xbb\xbf")).unwrap_or(&decoded);
    let mut is_xml = false;
    loop {
        rest = rest.trim_ascii_start();
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = after(comment, "-->");
        } else if let Some(instruction) = rest.strip_prefix("<?") {
            let target = instruction.get(..3).unwrap_or_default();
            let is_declaration = target.eq_ignore_ascii_case("xml");
            // `<?php` and its kin begin programs.
            if !is_declaration && !is_xml {
                return None;
            }
            is_xml = true;
            rest = after(instruction, "?>");
        } else if let Some(doctype) = rest.get(..9).filter(|word| word.eq_ignore_ascii_case("<!doctype")).map(|_| &rest[9..]) {
            let name = doctype.trim_ascii_start();
            if is_named(name, "html") {
                return Some(if is_xml { "application/xhtml+xml" } else { "text/html" });
            }
            is_xml |= doctype.len() > name.len() && name.starts_with(|c: char| c.is_ascii_alphabetic());
            rest = after_doctype(doctype);
        } else {
            break;
        }
    }
    let element = rest.strip_prefix('<').unwrap_or_default();
    let local = element.split_once(':').filter(|(prefix, _)| prefix.bytes().all(|b| b.is_ascii_alphanumeric())).map_or(element, |(_, l)| l);
    if is_named(local, "svg") {
        return Some("image/svg+xml");
    }
    if is_xml {
        return Some(if is_named(local, "html") { "application/xhtml+xml" } else { "text/xml" });
    }
    HTML_ROOTS.iter().any(|root| is_named(element, root)).then_some("text/html")
}

/// The units of a text in UTF-16 or UTF-32, by its mark; `None` where there is no such mark.
pub(super) fn wide_units(start: &[u8]) -> Option<Box<dyn Iterator<Item = u32> + '_>> {
    let two = |bytes: &[u8], big: bool| {
        let pair = [bytes[0], bytes[1]];
        u32::from(if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
    };
    let four = |bytes: &[u8], big: bool| {
        let quad = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if big { u32::from_be_bytes(quad) } else { u32::from_le_bytes(quad) }
    };
    match start {
        [0xff, 0xfe, 0, 0, rest @ ..] => Some(Box::new(rest.chunks_exact(4).map(move |unit| four(unit, false)))),
        [0, 0, 0xfe, 0xff, rest @ ..] => Some(Box::new(rest.chunks_exact(4).map(move |unit| four(unit, true)))),
        [0xff, 0xfe, rest @ ..] => Some(Box::new(rest.chunks_exact(2).map(move |unit| two(unit, false)))),
        [0xfe, 0xff, rest @ ..] => Some(Box::new(rest.chunks_exact(2).map(move |unit| two(unit, true)))),
        _ => None,
    }
}

/// What follows the first `end`; nothing where there is none.
fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

/// What follows a document type declaration, with the declarations that it may have in square brackets.
fn after_doctype(doctype: &str) -> &str {
    match (doctype.find('['), doctype.find('>')) {
        (Some(bracket), Some(end)) if bracket < end => after(after(&doctype[bracket..], "]"), ">"),
        _ => after(doctype, ">"),
    }
}

/// Whether a tag has this name: it ends there.
fn is_named(tag: &str, name: &str) -> bool {
    let Some(head) = tag.get(..name.len()) else { return false };
    let ends = |rest: &str| rest.chars().next().is_none_or(|c| c.is_ascii_whitespace() || c == '>' || c == '/');
    head.eq_ignore_ascii_case(name) && ends(&tag[name.len()..])
}
