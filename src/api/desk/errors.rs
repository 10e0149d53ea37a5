//! Refusals as Desk's clients read them: messages by field, for every fault.

use super::fields::field_name;
use crate::api::http::Fault;
use crate::api::http::rendering::{BEARER, JSON, Rendering, nothing_else};
use crate::api::http::wording::wording;

/// How Desk says its faults.
pub(in crate::api) static FAULTS: Rendering =
    Rendering { status: Fault::status, content_type: JSON, body: error_body, challenges: &[BEARER], finish: nothing_else };

fn error_body(fault: &Fault) -> Vec<u8> {
    serde_json::to_vec(&wording(fault).by_field(field_name)).unwrap_or_default()
}
