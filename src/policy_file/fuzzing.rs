//! What must be true of rules, whatever stands in their files; see `crate::fuzzing`.

use super::parse;
use crate::domain::{Allowance, Disposition, FileName, MediaType, NewFile, PartSizes};

/// A rule that reads keeps its own bounds, and what it grants is what it allows.
pub(crate) fn policy(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let rule = match parse(&text) {
        Ok(rule) => rule,
        Err(error) => {
            assert!((1..=text.matches('\n').count() + 1).contains(&error.line), "line {} of {text:?}", error.line);
            assert!(!error.message.is_empty());
            return;
        }
    };
    assert!(rule.min_size <= rule.max_size && rule.max_size > 0, "{rule:?}");
    assert!((1..=7 * 24 * 3600).contains(&rule.slip_lifetime.whole_seconds()), "{rule:?}");
    assert!(!rule.dispositions.is_empty() && !rule.content_types.is_empty(), "{rule:?}");
    assert!(!rule.name.is_empty() && rule.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{rule:?}");
    for allowed in &rule.content_types {
        for extension in &allowed.extensions {
            let declared_type = allowed.pattern.parse::<MediaType>().ok();
            for size in [None, Some(rule.min_size), Some(rule.max_size), Some(rule.max_size.saturating_add(1))] {
                let name = FileName::sanitized(&format!("a.{extension}"));
                let disposition = Disposition::Attachment;
                let new = NewFile {
                    type_name: rule.name.clone(),
                    name: name.clone(),
                    declared_type: declared_type.clone(),
                    disposition,
                    size,
                    checksum_sha256: None,
                    multipart: Some(PartSizes::Granted),
                };
                let Ok(Allowance { grant, .. }) = rule.judge(&new) else { continue };
                assert!(grant.min_size >= rule.min_size && grant.max_size <= rule.max_size, "{grant:?} of {rule:?}");
                assert!(size.is_none_or(|size| (grant.min_size, grant.max_size) == (size, size)), "{grant:?}");
                assert!(rule.dispositions.contains(&disposition));
                assert!(name.extension().is_none_or(|ending| !rule.refused_extensions.contains(&ending)), "{name:?} by {rule:?}");
            }
        }
    }
}
