//! What is configured of single dialects, each under a type of its own: nobody else knows it.

use axum::http::Extensions;

/// The settings of every dialect that has some.
#[derive(Clone, Default)]
pub struct DialectSettings(Extensions);

impl DialectSettings {
    /// The same with those of one more.
    #[must_use]
    pub fn with<T: Clone + Send + Sync + 'static>(mut self, settings: T) -> Self {
        self.0.insert(settings);
        self
    }

    /// Those of that type, where somebody set them.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.get()
    }
}
