//! Kayako's Files API: what its clients send and read.

mod deleting;
mod errors;
mod files;
mod identity;
mod lifetime;
mod lists;
