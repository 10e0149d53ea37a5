//! How a client of Desk's describes a file that is there: by sending back what it was answered, with something changed.

use time::OffsetDateTime;

use crate::domain::changes::Changes;
use crate::domain::{Complaints, Disposition, Field, File, FileName};

/// How a caller wants a file to be described.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Description {
    /// Every name that the request has for it.
    pub(super) names: Vec<FileName>,
    /// Of which moment's file the request speaks, where it is one that was answered and then changed.
    pub(super) as_of: Option<OffsetDateTime>,
    /// Where in a message it shall stand.
    pub(super) disposition: Option<Disposition>,
}

impl Description {
    /// What is to be changed of `file`, by its name as it is now.
    ///
    /// # Errors
    /// Two names, of which neither is known to be the old one.
    pub(super) fn changes(&self, file: &File) -> Result<Changes, Complaints> {
        Ok(Changes { name: self.name(file)?.cloned(), disposition: self.disposition })
    }

    /// The name that is meant, if any.
    ///
    /// Clients send back what they were answered, with both spellings in it, and change one. The other is the name that the file has; but
    /// when the same request is repeated, it is the one that the file had, and must not come back.
    fn name<'a>(&'a self, file: &'a File) -> Result<Option<&'a FileName>, Complaints> {
        let unlike = || Complaints::one(Field::Name, "must be the same as fileName");
        let Some(first) = self.names.first() else { return Ok(None) };
        let Some(second) = self.names.iter().find(|name| *name != first) else { return Ok(Some(first)) };
        let fresh = if *first == file.name { second } else { first };
        if *first != file.name && *second != file.name {
            return Err(unlike());
        }
        // Some languages keep milliseconds only.
        let milliseconds = |at: OffsetDateTime| at.unix_timestamp_nanos().div_euclid(1_000_000);
        let is_current = milliseconds(self.as_of.ok_or_else(unlike)?) == milliseconds(file.updated_at);
        Ok(Some(if is_current { fresh } else { &file.name }))
    }
}
