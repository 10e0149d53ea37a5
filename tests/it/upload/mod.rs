//! The way of a file from slip to active, whatever the dialect: what is granted, what lands, what is judged.

pub mod attachments;
pub mod command;
pub mod confirm;
pub mod declared_types;
pub mod evidence;
pub mod forms;
pub mod image_headers;
pub mod js_client;
pub mod multipart;
pub mod names;
pub mod objects;
pub mod put;
pub mod reissue;
pub mod shown_types;
pub mod sweeps;
pub mod tampering;
pub mod unconditional;
