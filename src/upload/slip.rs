//! What a broker answers in step 1, read with suspicion: a client does with it what it says, so it may only say harmless things.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;
use url::Url;

use super::failure::Failure;

/// Most parts of one upload, of S3.
const MOST_PARTS: u64 = 10_000;

/// What a request to the store may not be made to carry: what authorizes somebody, and what frames the request itself.
pub(super) const NEVER_SENT: [HeaderName; 10] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::EXPECT,
    header::TE,
];

/// What step 1 yields. It has no `Debug`: what is in it is good for an upload.
#[derive(Deserialize)]
#[serde(try_from = "Answer")]
pub(super) struct Slip {
    pub(super) way: Way,
    pub(super) file: TempFile,
    expires_at: Option<String>,
    received: Instant,
}

/// How the bytes go to the store.
pub(super) enum Way {
    /// With a form.
    Form { url: Url, params: Params },
    /// With one presigned PUT.
    Put { url: Url, headers: Params },
    /// In parts, each with a PUT that is presigned when it is asked for.
    Parts { part_size: u64, part_count: u64 },
}

/// The fields of a form, or headers, in the order in which they came: some stores read no further than they must.
#[derive(Default)]
pub(super) struct Params(pub(super) Vec<(String, String)>);

/// The record behind a slip.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TempFile {
    pub(super) id: i64,
    created_at: Option<String>,
}

/// A presigned part.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignedPart {
    pub(super) part_number: u32,
    #[serde(deserialize_with = "web_url")]
    pub(super) url: Url,
    #[serde(default)]
    pub(super) headers: Params,
    pub(super) size: Option<u64>,
}

/// What arrived of a file in parts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arrived {
    pub(super) part_size: u64,
    pub(super) part_count: u64,
    pub(super) parts: Vec<ArrivedPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArrivedPart {
    pub(super) part_number: u32,
    pub(super) size: u64,
}

/// The wire shape of step 1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    method: Option<String>,
    #[serde(default, deserialize_with = "maybe_web_url")]
    url: Option<Url>,
    params: Option<Params>,
    headers: Option<Params>,
    part_size: Option<u64>,
    part_count: Option<u64>,
    file: TempFile,
    expires_at: Option<String>,
}

impl TryFrom<Answer> for Slip {
    type Error = String;

    fn try_from(answer: Answer) -> Result<Self, String> {
        let missing = |name: &str| format!("missing field `{name}`");
        let url = answer.url.ok_or_else(|| missing("url"));
        // Brokers that know one way only do not name it.
        let way = match answer.method.as_deref().unwrap_or("POST") {
            "POST" => Way::Form { url: url?, params: answer.params.ok_or_else(|| missing("params"))? },
            "PUT" => Way::Put { url: url?, headers: answer.headers.unwrap_or_default() },
            "MULTIPART" => Way::Parts {
                part_size: answer.part_size.ok_or_else(|| missing("partSize"))?,
                part_count: answer.part_count.ok_or_else(|| missing("partCount"))?,
            },
            _ => return Err("missing field `method` that this client knows; is there a newer one?".to_owned()),
        };
        Ok(Self { way, file: answer.file, expires_at: answer.expires_at, received: Instant::now() })
    }
}

impl Slip {
    /// Whether its time is over. The clock here may be wrong, so only the broker's two instants are compared with each other.
    pub(super) fn has_expired(&self) -> bool {
        let instant = |text: &Option<String>| OffsetDateTime::parse(text.as_deref()?, &Rfc3339).ok();
        let (Some(from), Some(until)) = (instant(&self.file.created_at), instant(&self.expires_at)) else { return false };
        self.received.elapsed() >= Duration::try_from(until - from).unwrap_or_default()
    }
}

impl Params {
    /// As the headers of a request to a store.
    pub(super) fn headers(&self) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.0 {
            let parsed = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value.as_str()).ok());
            let Some((name, value)) = parsed.filter(|(name, _)| !NEVER_SENT.contains(name)) else {
                return Err(Failure::BrokerNonsense("it names a header that does not belong into a request to a store".to_owned()));
            };
            // `append` panics when there are more than a map of headers can hold.
            let held = headers.try_append(name, value);
            held.map_err(|_| Failure::BrokerNonsense("it names more headers than any request has".to_owned()))?;
        }
        Ok(headers)
    }
}

/// How a file is cut into parts: without gaps, and into no more than S3 takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    part_size: u64,
    pub(super) count: u32,
    size: u64,
}

impl Cut {
    /// `None` unless exactly so many parts of that size cover exactly a file of `size` bytes.
    pub(super) fn new(part_size: u64, part_count: u64, size: u64) -> Option<Self> {
        let fits = part_size > 0 && (1..=MOST_PARTS).contains(&part_count) && size.div_ceil(part_size) == part_count;
        Some(Self { part_size, count: u32::try_from(part_count).ok()?, size }).filter(|_| fits)
    }

    /// The bytes of a part, counted from 1.
    pub(super) fn range(&self, number: u32) -> Range<u64> {
        let start = u64::from(number.saturating_sub(1)).saturating_mul(self.part_size).min(self.size);
        start..start.saturating_add(self.part_size).min(self.size)
    }

    /// How long a part is.
    pub(super) fn length(&self, number: u32) -> u64 {
        let range = self.range(number);
        range.end - range.start
    }

    /// The parts that are not there as they should be, in order.
    pub(super) fn missing(&self, arrived: &[ArrivedPart]) -> Vec<u32> {
        let whole = arrived.iter().filter(|part| part.size == self.length(part.part_number));
        let there: std::collections::HashSet<u32> = whole.map(|part| part.part_number).collect();
        (1..=self.count).filter(|number| !there.contains(number)).collect()
    }
}

fn web_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    // A user in it would become an Authorization header, which no request to a store may carry.
    let url = Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none());
    url.ok_or_else(|| serde::de::Error::custom("the url is none"))
}

fn maybe_web_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    web_url(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Params;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Params, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Params(fields))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slip(created_at: &str, expires_at: &str) -> Slip {
        let text = format!(
            r#"{{"url":"http://s/b","params":{{"z":"1","a":"2","k":"3"}},"expiresAt":"{expires_at}","file":{{"id":1,"createdAt":"{created_at}"}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_slip_without_a_method_is_a_form_whose_fields_keep_their_order() {
        let Way::Form { params: Params(fields), .. } = slip("", "").way else { panic!("no form") };
        assert_eq!(fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["z", "a", "k"]);
    }

    #[test]
    fn a_slip_lives_as_long_as_the_broker_says_whatever_the_clock_here() {
        assert!(!slip("2001-01-01T00:00:00.123456Z", "2001-01-01T01:00:00Z").has_expired());
        assert!(slip("2101-01-01T00:00:00.123456Z", "2101-01-01T00:00:00Z").has_expired());
        assert!(!slip("", "2001-01-01T00:00:00Z").has_expired());
    }

    #[test]
    fn urls_that_are_no_web_addresses_or_carry_a_user_are_refused() {
        let taken = |url: &str| {
            let slip = format!(r#"{{"method":"PUT","url":"{url}","headers":{{}},"file":{{"id":1}}}}"#);
            let part = format!(r#"{{"partNumber":1,"url":"{url}","headers":{{}}}}"#);
            [serde_json::from_str::<Slip>(&slip).is_ok(), serde_json::from_str::<SignedPart>(&part).is_ok()]
        };
        assert_eq!(taken("http://s/b"), [true; 2]);
        for url in ["file:///etc/passwd", "ftp://s/b", "http://user:pass@s/b", "//s/b", ""] {
            assert_eq!(taken(url), [false; 2], "{url}");
        }
    }

    #[test]
    fn a_broker_chooses_no_header_that_authorizes_or_frames() {
        let headers = |name: &str, value: &str| Params(vec![(name.to_owned(), value.to_owned())]).headers();
        assert_eq!(headers("If-None-Match", "*").unwrap()["if-none-match"], "*");
        for name in ["authorization", "Cookie", "HOST", "Content-Length", "transfer-encoding", "", "a b", "x:y"] {
            assert!(headers(name, "1").is_err(), "{name}");
        }
        assert!(headers("x-a", "1\r\nx-b: 2").is_err());
    }

    #[test]
    fn more_headers_than_can_be_held_are_refused() {
        let many = Params((0..40_000).map(|number| (format!("x-{number}"), String::new())).collect());
        assert!(matches!(many.headers(), Err(Failure::BrokerNonsense(why)) if why.contains("more headers")));
    }

    #[test]
    fn parts_cover_a_file_exactly_or_not_at_all() {
        let cut = Cut::new(5, 3, 11).unwrap();
        assert_eq!([1, 2, 3].map(|number| cut.range(number)), [0..5, 5..10, 10..11]);
        assert_eq!(Cut::new(5, 2, 10).unwrap().range(2), 5..10);
        assert!(Cut::new(1, 10_000, 10_000).is_some());
        let wrong =
            [(0, 1, 1), (5, 2, 11), (5, 4, 11), (5, 0, 0), (1, 10_001, 10_001), (u64::MAX, 2, u64::MAX), (u64::MAX, u64::MAX, u64::MAX)];
        for (part_size, part_count, size) in wrong {
            assert_eq!(Cut::new(part_size, part_count, size), None, "{part_count} of {part_size} for {size}");
        }
    }

    #[test]
    fn a_part_that_is_there_with_another_length_is_missing() {
        let cut = Cut::new(5, 3, 11).unwrap();
        let parts = [(1, 5), (2, 4), (3, 1), (4, 0), (u32::MAX, 5)];
        assert_eq!(cut.missing(&parts.map(|(part_number, size)| ArrivedPart { part_number, size })), [2]);
        assert_eq!(cut.missing(&[]), [1, 2, 3]);
    }
}
