//! Which type the first bytes of an upload show, and which granted types that agrees with.

use super::media_type::MediaType;

/// The type that the first bytes show; `None` where they show none.
pub(super) fn detect(granted: &MediaType, start: &[u8]) -> Option<MediaType> {
    let known = infer::get(start).and_then(|kind| kind.mime_type().parse::<MediaType>().ok());
    let known = known.map(|kind| kind.alias_of().unwrap_or(kind));
    // No text has zero bytes, except in the two encodings that start with their mark.
    let is_wide = start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]);
    let binary_text = granted.is_text() && !is_wide && start.contains(&0);
    known.or_else(|| binary_text.then(MediaType::octet_stream))
}

/// Whether bytes that show `detected` may be what was granted.
pub(super) fn is_consistent(granted: &MediaType, detected: Option<&MediaType>) -> bool {
    match detected {
        _ if granted.is_unknown() => true,
        Some(detected) => family(detected.essence()) == family(granted.essence()),
        // Texts have no signature. What has one must show it.
        None => granted.is_text() || granted.is_scriptable() || !infer::is_mime_supported(granted.essence()),
    }
}

/// Types that share one container format, which is all that the first bytes can show for sure.
fn family(essence: &str) -> &str {
    match essence {
        "image/heic" | "image/heif" => "heif",
        "audio/mp4" | "audio/m4a" | "video/mp4" | "video/quicktime" | "video/3gpp" => "iso base media",
        "audio/ogg" | "video/ogg" | "application/ogg" | "audio/opus" => "ogg",
        "video/webm" | "audio/webm" | "video/x-matroska" => "matroska",
        "application/vnd.rar" | "application/x-rar-compressed" => "rar",
        "text/xml" | "image/svg+xml" | "application/xhtml+xml" => "xml",
        "application/zip" | "application/epub+zip" | "application/java-archive" | "application/vnd.android.package-archive" => "zip",
        "application/msword"
        | "application/vnd.ms-excel"
        | "application/vnd.ms-powerpoint"
        | "application/vnd.ms-outlook"
        | "application/x-ole-storage" => "ole",
        "text/plain" | "text/x-shellscript" => "plain text",
        other if other.starts_with("application/vnd.openxmlformats-") || other.starts_with("application/vnd.oasis.") => "zip",
        other => other,
    }
}
