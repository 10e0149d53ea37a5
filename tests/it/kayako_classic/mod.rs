//! Kayako Classic's `TicketAttachment` API: what its clients send and read, and who may send it.

pub mod client;
mod clients;
mod crowd;
mod direct;
mod errors;
mod headers;
mod hostile;
mod keys;
mod logs;
mod operations;
mod posting;
mod scopes;
mod signatures;
mod sizes;
mod strangers;
mod styles;
mod tickets;
mod unsigned;
mod xml;
