//! What is configured of this dialect.

use std::sync::{Arc, LazyLock};

use super::held::Memory;
use crate::api::http::AppState;

/// What is configured of this dialect, and the memory that its unsigned bodies have together. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClassicSettings {
    /// The file type of all that comes through it.
    pub file_type: Arc<str>,
    memory: Memory,
}

static DEFAULT: LazyLock<ClassicSettings> = LazyLock::new(|| ClassicSettings::new("attachment"));

impl ClassicSettings {
    /// Everything comes as that file type.
    #[must_use]
    pub fn new(file_type: &str) -> Self {
        Self { file_type: file_type.into(), memory: Memory::default() }
    }

    /// Those of this installation.
    pub(super) fn of(state: &AppState) -> &Self {
        state.settings.get().unwrap_or(&DEFAULT)
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }
}
