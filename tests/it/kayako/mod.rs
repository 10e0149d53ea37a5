//! Kayako's Files API: what its clients send and read.

mod browsers;
mod deleting;
mod encoded;
mod errors;
mod files;
mod identity;
mod judged;
mod lifetime;
mod lists;
mod makers;
mod parts;
mod raw;
mod reference;
mod refused_early;
pub mod sending;
