//! What a caller may change of a file afterwards: its name and its disposition.

use time::OffsetDateTime;

use super::{Disposition, FieldErrors, File, FileName, FileType, MediaType};

/// How a caller wants a file to be described.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// Every name that the request has for it.
    pub names: Vec<FileName>,
    /// Of which moment's file the request speaks, where it is one that was answered and then changed.
    pub as_of: Option<OffsetDateTime>,
    /// Where in a message it shall stand.
    pub disposition: Option<Disposition>,
}

impl Description {
    /// What is to be changed of `file`, by its name and disposition as they are now.
    ///
    /// # Errors
    /// Two names, of which neither is known to be the old one.
    pub fn changes(&self, file: &File) -> Result<Changes, FieldErrors> {
        let name = self.name(file)?;
        let disposition = self.disposition.filter(|wished| *wished != file.disposition);
        Ok(Changes { name: name.filter(|name| **name != file.name).cloned(), disposition })
    }

    /// The name that is meant, if any.
    ///
    /// Clients send back what they were answered, with both spellings in it, and change one. The other is the name that the file has; but
    /// when the same request is repeated, it is the one that the file had, and must not come back.
    fn name<'a>(&'a self, file: &'a File) -> Result<Option<&'a FileName>, FieldErrors> {
        let unlike = || FieldErrors::one("filename", "must be the same as fileName");
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

/// What is to be different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Another name.
    pub name: Option<FileName>,
    /// Another disposition.
    pub disposition: Option<Disposition>,
}

impl Changes {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.disposition.is_none()
    }

    /// The file with the changes made, if its rule takes them for a file of that content type.
    ///
    /// # Errors
    /// What is wrong, by field: `filename`, `disposition`.
    pub fn made(self, file: &File, rule: &FileType, content_type: &MediaType) -> Result<File, FieldErrors> {
        let mut errors = FieldErrors::new();
        if let Some(name) = &self.name {
            let judged = rule.judge_name(name, content_type).or_else(|why| {
                // Where the bytes showed another type than the name, that name was kept: the ending may stay.
                let keeps_ending = name.extension() == file.name.extension();
                if keeps_ending { rule.judge_name(name, &file.grant.content_type).map_err(|_| why) } else { Err(why) }
            });
            judged.unwrap_or_else(|why| errors.merge(why));
        }
        if let Some(Err(why)) = self.disposition.map(|disposition| rule.judge_disposition(disposition)) {
            errors.merge(why);
        }
        let name = self.name.unwrap_or_else(|| file.name.clone());
        errors.or_ok(File { name, disposition: self.disposition.unwrap_or(file.disposition), ..file.clone() })
    }
}
