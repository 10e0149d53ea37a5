//! Kayako's Files API: what its clients send and read.

mod deleting;
mod files;
mod lists;
