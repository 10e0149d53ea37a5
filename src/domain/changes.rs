//! What a caller may change of a file afterwards: its name and its disposition.

use super::{Complaints, Disposition, File, FileName, FileType, MediaType};

/// What is to be different.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Another name.
    pub name: Option<FileName>,
    /// Another disposition.
    pub disposition: Option<Disposition>,
}

/// What is to be different of a file, said by the file as it is then: it may change until its turn comes.
pub type Describe<'a> = &'a (dyn Fn(&File) -> Result<Changes, Complaints> + Send + Sync);

/// Nothing is to be different, whatever the file.
pub const UNCHANGED: Describe<'static> = &|_| Ok(Changes { name: None, disposition: None });

impl Changes {
    /// The same without what the file has already.
    #[must_use]
    pub fn new_to(self, file: &File) -> Self {
        Self {
            name: self.name.filter(|name| *name != file.name),
            disposition: self.disposition.filter(|wished| *wished != file.disposition),
        }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.disposition.is_none()
    }

    /// The file with the changes made, if its rule takes them for a file of that content type.
    ///
    /// # Errors
    /// What is wrong, by field: `filename`, `disposition`.
    pub fn made(self, file: &File, rule: &FileType, content_type: &MediaType) -> Result<File, Complaints> {
        let mut errors = Complaints::new();
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
