//! What is configured of this dialect.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::api::http::AppState;
use crate::domain::Tenant;

/// What is configured of this dialect. Cheap to clone.
#[derive(Debug, Clone)]
pub struct KayakoSettings {
    /// The file type of all that comes through it.
    pub file_type: Arc<str>,
    /// How long a file stays that nobody uses; `None` for ever.
    pub file_lifetime: Option<Duration>,
    /// Up to how many bytes a file's content is in the answers.
    pub content_max: u64,
    /// Whose customers those are that have but a fingerprint; `None` where there are none.
    pub fingerprints: Option<Tenant>,
}

static DEFAULT: LazyLock<KayakoSettings> = LazyLock::new(|| KayakoSettings {
    file_type: "attachment".into(),
    file_lifetime: Some(Duration::from_hours(3)),
    content_max: 8 * 1024 * 1024,
    fingerprints: None,
});

impl KayakoSettings {
    /// Those of this installation.
    pub(super) fn of(state: &AppState) -> &Self {
        state.settings.get().unwrap_or(&DEFAULT)
    }
}
