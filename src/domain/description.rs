//! What a caller may change of a file afterwards: its name and its disposition.

use super::{Disposition, FieldErrors, File, FileName, FileType, MediaType};

/// How a caller wants a file to be described.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// Every name that the request has for it. One that the file has already says nothing: clients send back what they were answered,
    /// with both spellings in it, and change one.
    pub names: Vec<FileName>,
    /// Where in a message it shall stand.
    pub disposition: Option<Disposition>,
}

impl Description {
    /// What is to be changed of `file`, by its name and disposition as they are now.
    ///
    /// # Errors
    /// Two names that are both new.
    pub fn changes(&self, file: &File) -> Result<Changes, FieldErrors> {
        let mut fresh = self.names.iter().filter(|name| **name != file.name);
        let name = fresh.next();
        if fresh.any(|other| Some(other) != name) {
            return Err(FieldErrors::one("filename", "must be the same as fileName"));
        }
        let disposition = self.disposition.filter(|wished| *wished != file.disposition);
        Ok(Changes { name: name.cloned(), disposition })
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
        if let Some(Err(why)) = self.name.as_ref().map(|name| rule.judge_name(name, content_type)) {
            errors.merge(why);
        }
        if let Some(Err(why)) = self.disposition.map(|disposition| rule.judge_disposition(disposition)) {
            errors.merge(why);
        }
        let name = self.name.unwrap_or_else(|| file.name.clone());
        errors.or_ok(File { name, disposition: self.disposition.unwrap_or(file.disposition), ..file.clone() })
    }
}
