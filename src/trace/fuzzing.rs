//! What must be true of the `traceparent` of a request; see `crate::fuzzing`.

use super::parsed;

/// A context is one that the header names, and reads back from what it would be sent on as.
pub(crate) fn traceparent(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(context) = parsed(&text) else { return };
    let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags());
    assert!(context.is_valid() && context.is_remote() && flags.to_u8() <= 1, "{context:?}");
    assert!(text.contains(&format!("{trace}-{span}")), "{context:?} of {text:?}");
    assert_eq!(parsed(&format!("00-{trace}-{span}-{flags:02x}")), Some(context));
}
