//! The rule an upload is judged by, and the grant it yields.

use time::Duration;

use super::field_errors::{FieldErrors, one_of};
use super::{Disposition, FileName, MediaType, NewFile, PartSizes, Sniff};

/// One content type a file type allows, and the extensions that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedType {
    /// `image/png`, or `image/*` for every subtype.
    pub pattern: String,
    /// Lower-case extensions without dot; `*` stands for any.
    pub extensions: Vec<String>,
}

impl AllowedType {
    fn is_wildcard(&self) -> bool {
        self.pattern.ends_with("/*")
    }

    fn admits_type(&self, media_type: &MediaType) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(prefix) => media_type.essence().starts_with(prefix),
            None => media_type.essence() == self.pattern,
        }
    }

    fn names_extension(&self, extension: &str) -> bool {
        self.extensions.iter().any(|known| known == extension)
    }

    fn takes_any_extension(&self) -> bool {
        self.names_extension("*")
    }
}

/// A rule read from `policies/*.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileType {
    /// What requests call it.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Content types, first match first.
    pub content_types: Vec<AllowedType>,
    /// Extensions refused whatever the declared type, lower case without dot.
    pub refused_extensions: Vec<String>,
    /// Fewest bytes.
    pub min_size: u64,
    /// Most bytes.
    pub max_size: u64,
    /// Most bytes that the store at hand takes in one request; more must come in parts.
    pub max_request: u64,
    /// Dispositions a file of this type may have.
    pub dispositions: Vec<Disposition>,
    /// How long a form stays good.
    pub slip_lifetime: Duration,
    /// What to do when the bytes are not what was granted.
    pub sniff: Sniff,
    /// Most pixels an image may have.
    pub max_pixels: u64,
    /// What becomes of an upload that is never confirmed.
    pub unconfirmed: Unconfirmed,
}

/// What becomes of a temp file whose bytes arrived but whose confirmation never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unconfirmed {
    /// It is forgotten and its bytes are deleted.
    Discard,
    /// It is judged as if confirmed: the client's last request got lost.
    Activate,
}

impl std::str::FromStr for Unconfirmed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "discard" => Ok(Self::Discard),
            "activate" => Ok(Self::Activate),
            _ => Err(one_of(["discard", "activate"])),
        }
    }
}

/// What a caller may upload: the promise that a signed form enforces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The canonical content type.
    pub content_type: MediaType,
    /// Fewest bytes.
    pub min_size: u64,
    /// Most bytes; equal to `min_size` when the size was declared.
    pub max_size: u64,
    /// Most bytes that the store at hand takes in one request.
    pub max_request: u64,
    /// How long the form may stay good.
    pub lifetime: Duration,
}

impl FileType {
    /// Judges a request by this rule.
    ///
    /// # Errors
    /// Everything that is wrong, by field: `mimeType`, `filename`, `disposition`, `size`.
    pub fn judge(&self, new: &NewFile) -> Result<Grant, FieldErrors> {
        let mut errors = self.judge_disposition(new.disposition).err().unwrap_or_default();
        let (min_size, max_size) = match new.size {
            Some(size) if size < self.min_size => {
                errors.add("size", format!("must be {} or higher", self.min_size));
                (size, size)
            }
            Some(size) if size > self.max_size => {
                errors.add("size", format!("must be {} or lower", self.max_size));
                (size, size)
            }
            Some(size) if size > self.max_request && new.multipart.is_none() => {
                errors.add("size", format!("must be {} or lower in one request; ask with ‘multipart’ for more", self.max_request));
                (size, size)
            }
            Some(size) => (size, size),
            None if new.multipart == Some(PartSizes::ChosenByClient) => (self.min_size, self.max_size),
            None => (self.min_size.min(self.max_request), self.max_size.min(self.max_request)),
        };
        let content_type = self.canonical_type(&new.name, new.declared_type.as_ref()).unwrap_or_else(|refusal| {
            errors.merge(refusal);
            MediaType::octet_stream()
        });
        errors.or_ok(Grant { content_type, min_size, max_size, max_request: self.max_request, lifetime: self.slip_lifetime })
    }

    /// Judges another name for a file whose content type is known: it must be one that a file of this type could come with.
    ///
    /// # Errors
    /// What is wrong with `filename`.
    pub fn judge_name(&self, name: &FileName, content_type: &MediaType) -> Result<(), FieldErrors> {
        self.canonical_type(name, Some(content_type)).map(drop).map_err(|refusal| {
            // The type is what the bytes are: only the name can be another.
            let about_name = refusal.by_field().contains_key("filename");
            if about_name { refusal } else { FieldErrors::one("filename", format!("must have an ending that goes with {content_type}")) }
        })
    }

    /// Judges a disposition.
    ///
    /// # Errors
    /// What is wrong with `disposition`.
    pub fn judge_disposition(&self, disposition: Disposition) -> Result<(), FieldErrors> {
        if self.dispositions.contains(&disposition) {
            return Ok(());
        }
        Err(FieldErrors::one("disposition", one_of(self.dispositions.iter().map(|d| d.as_str()))))
    }

    /// Whether this rule allows that content type under some name.
    #[must_use]
    pub fn allows(&self, media_type: &MediaType) -> bool {
        self.content_types.iter().any(|allowed| allowed.admits_type(media_type))
    }

    /// The type that extension and declaration stand for together, when this rule allows it.
    fn canonical_type(&self, name: &FileName, declared: Option<&MediaType>) -> Result<MediaType, FieldErrors> {
        let extension = name.extension();
        let extension = extension.as_deref();
        // A name that is all extension has none, but Windows runs ‘.exe’ all the same.
        let ending = name.as_str().rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
        if let Some(refused) = ending.filter(|ending| self.refused_extensions.contains(ending)) {
            return Err(FieldErrors::one("filename", format!("must not end in ‘.{refused}’")));
        }
        let declared = declared.filter(|declared| !declared.is_unknown());
        let canonical = match declared {
            Some(declared) => self
                .admitted(declared.clone(), extension)
                .or_else(|| self.admitted(declared.alias_of()?, extension))
                // Many tools call every text plain: then the extension says which text.
                .or_else(|| self.named_by(extension).filter(|named| declared.essence() == "text/plain" && named.is_text())),
            // A client that does not know the type: the extension knows, or else it is bytes.
            None => self.named_by(extension).or_else(|| self.admitted(MediaType::octet_stream(), extension)),
        };
        canonical.ok_or_else(|| self.refusal(declared, extension))
    }

    /// `*` admits the extensions that no exact type claims: `photo.png` cannot come as `image/x-icon` because of an `image/*`.
    /// A name without extension contradicts no type.
    fn admitted(&self, media_type: MediaType, extension: Option<&str>) -> Option<MediaType> {
        let fits = |allowed: &AllowedType, extension: &str| {
            allowed.names_extension(extension)
                || allowed.takes_any_extension()
                    && self.named_by(Some(extension)).is_none_or(|claimed| claimed.essence() == media_type.essence())
        };
        let admits = |allowed: &AllowedType| allowed.admits_type(&media_type) && extension.is_none_or(|e| fits(allowed, e));
        self.content_types.iter().any(admits).then_some(media_type)
    }

    fn named_by(&self, extension: Option<&str>) -> Option<MediaType> {
        let extension = extension?;
        let allowed = self.content_types.iter().find(|t| !t.is_wildcard() && t.names_extension(extension))?;
        allowed.pattern.parse().ok()
    }

    fn refusal(&self, declared: Option<&MediaType>, extension: Option<&str>) -> FieldErrors {
        let fitting: Vec<_> = self
            .content_types
            .iter()
            .filter(|t| declared.is_some_and(|d| t.admits_type(d) || d.alias_of().is_some_and(|a| t.admits_type(&a))))
            .flat_map(|t| t.extensions.iter().map(String::as_str))
            .collect();
        match (declared, extension) {
            (Some(declared), Some(_)) if !fitting.is_empty() && !fitting.contains(&"*") => {
                FieldErrors::one("filename", format!("must end in one of ‘{}’ for {declared}", fitting.join(", ")))
            }
            (Some(declared), Some(extension)) if !fitting.is_empty() => {
                FieldErrors::one("mimeType", format!("must be the type that ‘.{extension}’ stands for, not {declared}"))
            }
            _ => FieldErrors::one("mimeType", one_of(self.content_types.iter().map(|t| t.pattern.as_str()))),
        }
    }
}

/// Every rule of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTypes(Vec<FileType>);

impl FileTypes {
    /// A set of rules; sorted by name.
    #[must_use]
    pub fn new(mut types: Vec<FileType>) -> Self {
        types.sort_by(|a, b| a.name.cmp(&b.name));
        Self(types)
    }

    /// The rule of that name.
    ///
    /// # Errors
    /// A complaint about `type` that lists the names there are.
    pub fn get(&self, name: &str) -> Result<&FileType, FieldErrors> {
        self.iter().find(|t| t.name == name).ok_or_else(|| FieldErrors::one("type", one_of(self.iter().map(|t| t.name.as_str()))))
    }

    /// All rules, by name.
    pub fn iter(&self) -> impl Iterator<Item = &FileType> {
        self.0.iter()
    }

    /// The same rules for a store that takes at most `bytes` in one request.
    #[must_use]
    pub fn with_max_request(mut self, bytes: u64) -> Self {
        for file_type in &mut self.0 {
            file_type.max_request = bytes;
        }
        self
    }
}
