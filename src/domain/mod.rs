//! What dropslip is about, without IO, without async, without a clock.
//!
//! Everything in here is a value or a pure function: a rule can be read, tested and trusted without a database, a bucket or a
//! network. Time is always an argument. The words are the project's vocabulary; every other layer uses exactly these.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@address`] | whom a request comes from, by address, behind proxies too |
//! | [`caller`] | who is asking: actor, tenant, scopes, file types |
//! | [`reach`] | what a caller may see |
//! | [`mod@composed`] | texts as they are compared, in one of Unicode's spellings |
//! | [`mod@file`] | the record of one uploaded content and its states |
//! | [`object_key`] | keys of objects: those that forms may write, and those that only the broker writes |
//! | [`changes`] | what a caller may change of a file afterwards: its name and disposition |
//! | [`file_name`] | hostile names made safe, and their `Content-Disposition` |
//! | [`media_type`] | content types in one canonical spelling |
//! | [`file_type`] | the rule an upload is judged by |
//! | `grant` | what a rule allowed for one upload, and a file keeps |
//! | [`byte_range`] | which bytes a `Range` header asks for |
//! | [`multipart`] | files in parts: their sizes, and whether all arrived |
//! | `detection` | which type the first bytes of an upload show |
//! | `families` | which types share a container, and which a file may be called both |
//! | [`evidence`] | what the first bytes of an upload show and what is decided from that |
//! | [`image_header`] | how large an image is, as its headers say |
//! | [`event`] | what happened to a file, as the audit log and webhooks tell it |
//! | [`bucket_event`] | what a bucket says when an object was written |
//! | [`selection`] | which files a list has, and in which order |
//! | [`mod@sqlite_url`] | paths of databases as URLs |
//! | `ticket` | tickets and their posts, by number |
//! | [`text`] | texts as programs write them down: marks, encodings, halves of characters |
//! | [`web`] | addresses of servers |
//! | [`field`], [`complaints`] | what is wrong with a request, field by field |
//! | [`wording`] | how complaints are worded |

pub mod address;
pub mod bucket_event;
pub mod byte_range;
pub mod caller;
pub mod changes;
pub mod complaints;
pub mod composed;
mod detection;
mod disposition;
pub mod event;
pub mod evidence;
mod families;
pub mod field;
pub mod file;
pub mod file_name;
pub mod file_type;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod grant;
pub mod image_header;
pub mod media_type;
pub mod multipart;
pub mod object_key;
mod pixels;
pub mod reach;
pub mod selection;
pub mod sqlite_url;
pub mod text;
mod ticket;
pub mod toml_failure;
pub mod web;
pub mod wording;

pub use address::{Address, TrustedProxies};
pub use caller::{Actor, ActorKind, Caller, Scope, Scopes, Tenant, TypeLimit};
pub use changes::Changes;
pub use complaints::Complaints;
pub use composed::composed;
pub use disposition::Disposition;
pub use event::{Action, By, Change, Origin, Subscription};
pub use evidence::{Evidence, Sniff, Verdict};
pub use field::Field;
pub use file::{Attempts, Deletion, File, FileId, FileState, NewFile, Sealed, State, UploadMethod};
pub use file_name::FileName;
pub use file_type::{Allowance, FileType, FileTypes};
pub use grant::Grant;
pub use media_type::MediaType;
pub use multipart::{Multipart, Part, PartSizes};
pub use object_key::{SealedKey, StagingKey};
pub use pixels::Pixels;
pub use reach::Reach;
pub use selection::{Attribute, Condition, Order, Position, Selection, Start};
pub use sqlite_url::sqlite_url;
pub use ticket::{Attachment, PostId, TicketId, TicketPlace};
pub use toml_failure::toml_failure;
