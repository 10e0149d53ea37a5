//! Kayako's Files API.

mod errors;
mod identity;
