//! Answers in XML: attachments under one root, in the order of fields that clients know.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};

use crate::api::http::streamed::Streamed;
use crate::domain::{Attachment, TicketId};

/// The media type of every answer that is no refusal.
pub(super) const XML: &str = "text/xml; charset=utf-8";

/// What every answer begins with: clients cut off what stands before it.
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

const OPEN: &str = "<attachments>";
const CLOSE: &str = "</attachments>\n";

/// Whether the bytes of an attachment are in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    Shown,
    Left,
}

/// The beginning of attachments.
pub(super) fn open() -> String {
    format!("{DECLARATION}{OPEN}\n")
}

/// Their end.
pub(super) fn close() -> &'static str {
    CLOSE
}

/// An answer that is written as a whole.
pub(super) fn answer(text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(XML));
    response
}

/// No attachments.
pub(super) fn none() -> String {
    format!("{DECLARATION}{OPEN}{CLOSE}")
}

/// A root with a line of text.
pub(super) fn line(root: &str, text: &str) -> String {
    format!("{DECLARATION}<{root}>{}</{root}>\n", cdata(text))
}

/// An attachment on a ticket.
pub(super) fn attachment(xml: &mut Streamed, ticket: TicketId, attachment: &Attachment, contents: Contents) {
    let file = &attachment.file;
    let fields = [
        ("id", file.id.0.to_string()),
        ("ticketid", ticket.0.to_string()),
        ("ticketpostid", attachment.post.map_or(0, |post| post.0).to_string()),
        ("filename", file.name.as_str().to_owned()),
        ("filesize", file.size().to_string()),
        ("filetype", file.content_type().to_string()),
        ("dateline", file.created_at.unix_timestamp().to_string()),
    ];
    xml.push("<attachment>\n");
    for (name, value) in fields {
        xml.push(&format!("<{name}>{}</{name}>\n", cdata(&value)));
    }
    if contents == Contents::Shown {
        xml.push("<contents><![CDATA[");
        if file.size() > 0 {
            xml.content(file);
        }
        xml.push("]]></contents>\n");
    }
    xml.push("</attachment>\n");
}

/// A text between tags, in one piece: an old client's parser hands an escape, or the end of its buffer, over as a piece of its own, and that
/// client keeps the first alone. (Of a text with `]]>` there is more than one.) What XML 1.0 cannot say in any way is a sign that something was there.
fn cdata(text: &str) -> String {
    let sayable = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    let said: String = text.chars().map(|c| if sayable(c) { c } else { '\u{fffd}' }).collect();
    format!("<![CDATA[{}]]>", said.replace("]]>", "]]]]><![CDATA[>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_element_or_holds_what_xml_forbids() {
        assert_eq!(cdata("a & b <c> \"d\".txt"), "<![CDATA[a & b <c> \"d\".txt]]>");
        assert_eq!(cdata("]]>]]>"), "<![CDATA[]]]]><![CDATA[>]]]]><![CDATA[>]]>");
        assert_eq!(cdata("\u{0}\u{8}\u{1f}\u{fffe}\u{ffff}ü\u{1f4e6}"), "<![CDATA[\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}ü\u{1f4e6}]]>");
        assert_eq!(none(), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<attachments></attachments>\n");
    }
}
