//! A file type as written in `policies/*.toml`, with the examples that prove it.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

use std::ops::Range;

use serde::Deserialize;
use time::Duration;
use toml::Spanned;

use crate::domain::file_type::{AllowedType, is_word};
use crate::domain::media_type::declared_type;
use crate::domain::multipart::{MAX_OBJECT_SIZE, MAX_PART_SIZE};
use crate::domain::{Allowance, Disposition, FileName, FileType, MediaType, NewFile, PartSizes};
use crate::field_names::spelled;

/// Shortest and longest life of a form; AWS ends every signature after 7 days.
const LIFETIME_SECONDS: std::ops::RangeInclusive<i64> = 1..=7 * 24 * 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    name: Spanned<String>,
    title: String,
    content_types: Spanned<Vec<ContentType>>,
    #[serde(default)]
    refused_extensions: Vec<Spanned<String>>,
    min_size: Spanned<Amount>,
    max_size: Spanned<Amount>,
    dispositions: Spanned<Vec<Spanned<String>>>,
    slip_lifetime: Spanned<String>,
    sniff: Spanned<String>,
    unconfirmed: Spanned<String>,
    #[serde(default = "hundred_megapixels")]
    max_pixels: u64,
    #[serde(default)]
    accepted: Vec<Spanned<Accepted>>,
    #[serde(default)]
    refused: Vec<Spanned<Refused>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentType {
    #[serde(rename = "type")]
    pattern: Spanned<String>,
    extensions: Spanned<Vec<Spanned<String>>>,
}

/// Bytes: `1048576` or `"1 MiB"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Amount {
    Bytes(u64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    filename: String,
    mime_type: String,
    size: Option<u64>,
    disposition: Option<String>,
    becomes: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    filename: String,
    mime_type: String,
    size: Option<u64>,
    disposition: Option<String>,
    field: String,
}

/// More than any camera takes, less than what exhausts the memory of what shows it.
fn hundred_megapixels() -> u64 {
    100_000_000
}

/// Where and why a policy file is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct PolicyError {
    /// 1-based line.
    pub line: usize,
    /// The key and what is wrong with it.
    pub message: String,
}

/// Reads one file type and tries its examples.
///
/// # Errors
/// The first thing that is wrong, with its line and key: bad TOML, an unknown key, a value out of range, an example that does
/// not come out as it says.
pub fn parse(text: &str) -> Result<FileType, PolicyError> {
    let file: PolicyFile = toml::from_str(text)
        .map_err(|error| PolicyError { line: line_of(text, error.span().unwrap_or_default()), message: described(text, &error) })?;
    Reader { text }.file_type(file)
}

/// `key: what is wrong`, for errors that the TOML reader reports without naming the key.
fn described(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().and_then(|span| text.lines().nth(line_of(text, span).saturating_sub(1))).unwrap_or_default();
    match line.split_once('=') {
        Some((key, _)) if !error.message().contains(key.trim()) => format!("{}: {}", key.trim(), error.message()),
        _ => error.message().to_owned(),
    }
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn error<T>(&self, at: &Spanned<T>, key: &str, message: impl std::fmt::Display) -> PolicyError {
        PolicyError { line: line_of(self.text, at.span()), message: format!("{key} {message}") }
    }

    fn file_type(&self, file: PolicyFile) -> Result<FileType, PolicyError> {
        if !is_word(file.name.get_ref()) {
            return Err(self.error(&file.name, "name", "must be lower-case letters, digits and '-'"));
        }
        let min_size = self.bytes(&file.min_size, "min_size")?;
        let max_size = self.bytes(&file.max_size, "max_size")?;
        if min_size > max_size {
            return Err(self.error(&file.min_size, "min_size", "must not be above max_size"));
        }
        if max_size == 0 || max_size > MAX_OBJECT_SIZE {
            return Err(self.error(&file.max_size, "max_size", "must be 1 byte to 5 TiB, the most that S3 takes in parts"));
        }
        let file_type = FileType {
            name: file.name.into_inner(),
            title: file.title,
            content_types: self.content_types(&file.content_types)?,
            refused_extensions: file
                .refused_extensions
                .iter()
                .map(|e| self.extension(e, "refused_extensions"))
                .collect::<Result<_, _>>()?,
            min_size,
            max_size,
            max_request: MAX_PART_SIZE,
            dispositions: self.dispositions(&file.dispositions)?,
            slip_lifetime: self.lifetime(&file.slip_lifetime)?,
            sniff: file.sniff.get_ref().parse().map_err(|message: String| self.error(&file.sniff, "sniff", message))?,
            max_pixels: file.max_pixels,
            unconfirmed: file
                .unconfirmed
                .get_ref()
                .parse()
                .map_err(|message: String| self.error(&file.unconfirmed, "unconfirmed", message))?,
        };
        self.try_examples(&file_type, &file.accepted, &file.refused)?;
        Ok(file_type)
    }

    fn bytes(&self, amount: &Spanned<Amount>, key: &str) -> Result<u64, PolicyError> {
        match amount.get_ref() {
            Amount::Bytes(bytes) => Ok(*bytes),
            Amount::Text(text) => text
                .parse::<bytesize::ByteSize>()
                .map(|size| size.as_u64())
                .map_err(|_| self.error(amount, key, "must be a number of bytes or a size such as \"25 MiB\"")),
        }
    }

    fn lifetime(&self, text: &Spanned<String>) -> Result<Duration, PolicyError> {
        let seconds = humantime::parse_duration(text.get_ref()).ok().and_then(|d| i64::try_from(d.as_secs()).ok());
        seconds
            .filter(|seconds| LIFETIME_SECONDS.contains(seconds))
            .map(Duration::seconds)
            .ok_or_else(|| self.error(text, "slip_lifetime", "must be a time such as \"15m\", 1 second to 7 days"))
    }

    fn dispositions(&self, list: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<Disposition>, PolicyError> {
        if list.get_ref().is_empty() {
            return Err(self.error(list, "dispositions", "must name at least one"));
        }
        list.get_ref().iter().map(|word| word.get_ref().parse().map_err(|message| self.error(word, "dispositions", message))).collect()
    }

    fn content_types(&self, list: &Spanned<Vec<ContentType>>) -> Result<Vec<AllowedType>, PolicyError> {
        if list.get_ref().is_empty() {
            return Err(self.error(list, "content_types", "must name at least one"));
        }
        list.get_ref()
            .iter()
            .map(|content_type| {
                let pattern = content_type.pattern.get_ref();
                // A wildcard is checked with a subtype in the star's place.
                let concrete = pattern.strip_suffix("/*").map_or_else(|| pattern.clone(), |family| format!("{family}/x"));
                let known = concrete.parse::<MediaType>().is_ok_and(|parsed| parsed.to_string() == concrete);
                if !known {
                    return Err(self.error(
                        &content_type.pattern,
                        "content_types.type",
                        "must be such as \"image/png\" or \"image/*\", lower case",
                    ));
                }
                if content_type.extensions.get_ref().is_empty() {
                    return Err(self.error(
                        &content_type.extensions,
                        "content_types.extensions",
                        "must name at least one, or \"*\" for any",
                    ));
                }
                let extensions = content_type.extensions.get_ref().iter();
                Ok(AllowedType {
                    pattern: pattern.clone(),
                    extensions: extensions.map(|e| self.extension(e, "content_types.extensions")).collect::<Result<_, _>>()?,
                })
            })
            .collect()
    }

    fn extension(&self, text: &Spanned<String>, key: &str) -> Result<String, PolicyError> {
        let word = text.get_ref();
        let fits = !word.is_empty() && !word.contains(['.', '/', ' ']) && *word == word.to_lowercase();
        if fits { Ok(word.clone()) } else { Err(self.error(text, key, "must be lower case without dot, such as \"png\"")) }
    }

    fn try_examples(&self, rule: &FileType, accepted: &[Spanned<Accepted>], refused: &[Spanned<Refused>]) -> Result<(), PolicyError> {
        for example in accepted {
            let Accepted { filename, mime_type, size, disposition, becomes } = example.get_ref();
            let new = self.example(rule, example, "accepted", (filename, mime_type, *size, disposition.as_deref()))?;
            match rule.judge(&new) {
                Ok(Allowance { grant, .. }) if grant.content_type.to_string() == *becomes => {}
                Ok(Allowance { grant, .. }) => {
                    return Err(self.error(
                        example,
                        "accepted",
                        format!("example ‘{filename}’ becomes {}, not {becomes}", grant.content_type),
                    ));
                }
                Err(why) => return Err(self.error(example, "accepted", format!("example ‘{filename}’ is refused: {}", spelled(&why)))),
            }
        }
        for example in refused {
            let Refused { filename, mime_type, size, disposition, field } = example.get_ref();
            let new = self.example(rule, example, "refused", (filename, mime_type, *size, disposition.as_deref()))?;
            match rule.judge(&new) {
                Err(why) if spelled(&why).by_name().contains_key(field) => {}
                Err(why) => {
                    return Err(self.error(
                        example,
                        "refused",
                        format!("example ‘{filename}’ is refused for another reason: {}", spelled(&why)),
                    ));
                }
                Ok(Allowance { grant, .. }) => {
                    return Err(self.error(example, "refused", format!("example ‘{filename}’ is accepted as {}", grant.content_type)));
                }
            }
        }
        Ok(())
    }

    fn example<T>(
        &self,
        rule: &FileType,
        at: &Spanned<T>,
        key: &str,
        (filename, mime_type, size, disposition): (&str, &str, Option<u64>, Option<&str>),
    ) -> Result<NewFile, PolicyError> {
        let disposition = match disposition {
            Some(word) => word.parse().map_err(|message| self.error(at, &format!("{key}.disposition"), message))?,
            None => rule.dispositions.first().copied().unwrap_or_default(),
        };
        let declared_type = declared_type(mime_type).map_err(|why| self.error(at, &format!("{key}.mime_type"), spelled(&why)))?;
        Ok(NewFile {
            type_name: rule.name.clone(),
            name: FileName::sanitized(filename),
            declared_type,
            disposition,
            size,
            checksum_sha256: None,
            // Examples are about the rule, not about what a store takes in one request.
            multipart: Some(PartSizes::Granted),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule for texts, and what else stands there.
    fn texts(more: &str) -> Result<FileType, PolicyError> {
        let rule = "name = \"texts\"\ntitle = \"Texts\"\nmin_size = 1\nmax_size = 100\ndispositions = [\"attachment\"]\nslip_lifetime = \"1h\"\n\
            sniff = \"reject\"\nunconfirmed = \"discard\"\ncontent_types = [{ type = \"text/plain\", extensions = [\"txt\"] }]\n";
        parse(&format!("{rule}{more}"))
    }

    fn accepted(filename: &str, becomes: &str) -> String {
        format!("[[accepted]]\nfilename = \"{filename}\"\nmime_type = \"\"\nbecomes = \"{becomes}\"\n")
    }

    fn refused(filename: &str, field: &str) -> String {
        format!("[[refused]]\nfilename = \"{filename}\"\nmime_type = \"\"\nfield = \"{field}\"\n")
    }

    #[test]
    fn a_rule_that_is_not_what_its_examples_say_is_refused() {
        assert!(texts(&(accepted("a.txt", "text/plain") + &refused("a.pdf", "mimeType"))).is_ok());
        for (more, line, said) in [
            (accepted("a.txt", "text/html"), 10, "‘a.txt’ becomes text/plain, not text/html"),
            (accepted("a.pdf", "text/plain"), 10, "‘a.pdf’ is refused: "),
            (refused("a.txt", "filename"), 10, "‘a.txt’ is accepted as text/plain"),
            (refused("a.pdf", "size"), 10, "‘a.pdf’ is refused for another reason: "),
            ("max_sise = 7\n".to_owned(), 10, "max_sise"),
            (accepted("a.txt", "text/plain") + "disposition = \"attachment-inline\"\n", 10, "‘a.txt’ is refused: "),
        ] {
            let error = texts(&more).unwrap_err();
            assert!(error.line == line && error.message.contains(said), "{more}: {error}");
        }
    }
}
