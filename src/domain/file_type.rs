//! The rule an upload is judged by.

use time::Duration;

use super::families::{is_sound_and_film, may_be_both};
use super::wording::{one_of, short};
use super::{Complaints, Disposition, Field, FileName, Grant, MediaType, NewFile, PartSizes, Sniff};

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

    /// The type as this entry spells it; `None` where it is about another.
    fn spelled(&self, media_type: &MediaType) -> Option<MediaType> {
        match self.pattern.strip_suffix('*') {
            Some(prefix) => [media_type.clone(), media_type.canonical()].into_iter().find(|t| t.essence().starts_with(prefix)),
            None => media_type.is_one_of(&[&self.pattern]).then(|| media_type.spelled(&self.pattern)),
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

/// What a rule answers to a request that it allows: the grant, and the terms of its first slip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// What may be uploaded.
    pub grant: Grant,
    /// Most bytes that the store at hand takes in one request.
    pub max_request: u64,
    /// How long the form may stay good.
    pub lifetime: Duration,
}

impl FileType {
    /// Judges a request by this rule.
    ///
    /// # Errors
    /// Everything that is wrong, by field.
    pub fn judge(&self, new: &NewFile) -> Result<Allowance, Complaints> {
        let mut errors = self.judge_disposition(new.disposition).err().unwrap_or_default();
        let (min_size, max_size) = match new.size {
            Some(size) if size < self.min_size => {
                errors.add(Field::Size, format!("must be {} or higher", self.min_size));
                (size, size)
            }
            Some(size) if size > self.max_size => {
                errors.add(Field::Size, format!("must be {} or lower", self.max_size));
                (size, size)
            }
            Some(size) if size > self.max_request && new.multipart.is_none() => {
                errors.add(Field::Size, format!("must be {} or lower in one request; ask with ‘multipart’ for more", self.max_request));
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
        let grant = Grant { content_type, min_size, max_size };
        errors.or_ok(Allowance { grant, max_request: self.max_request, lifetime: self.slip_lifetime })
    }

    /// Judges another name for a file whose content type is known: it must be one that a file of this type could come with.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn judge_name(&self, name: &FileName, content_type: &MediaType) -> Result<(), Complaints> {
        // The type is what the bytes are: only the name can be another.
        let unfit = || Complaints::one(Field::Name, format!("must have an ending that goes with {}", short(content_type.essence())));
        match self.canonical_type(name, Some(content_type)) {
            Ok(named) if named.is_unknown() || content_type.is_unknown() || may_be_both(content_type, &named) => Ok(()),
            Err(refusal) if refusal.about(Field::Name).next().is_some() => Err(refusal),
            Ok(_) | Err(_) => Err(unfit()),
        }
    }

    /// Judges a disposition.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn judge_disposition(&self, disposition: Disposition) -> Result<(), Complaints> {
        if self.dispositions.contains(&disposition) {
            return Ok(());
        }
        Err(Complaints::one(Field::Disposition, one_of(self.dispositions.iter().map(|d| d.as_str()))))
    }

    /// A content type as this rule spells it; `None` when it allows it under no name.
    #[must_use]
    pub fn spelled(&self, media_type: &MediaType) -> Option<MediaType> {
        self.exact(media_type).or_else(|| self.content_types.iter().find_map(|allowed| allowed.spelled(media_type)))
    }

    /// The type that extension and declaration stand for together, when this rule allows it.
    fn canonical_type(&self, name: &FileName, declared: Option<&MediaType>) -> Result<MediaType, Complaints> {
        let extension = name.extension();
        let extension = extension.as_deref();
        // A name that is all extension has none, but Windows runs ‘.exe’ all the same.
        let ending = name.as_str().rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
        if let Some(refused) = ending.filter(|ending| self.refused_extensions.contains(ending)) {
            return Err(Complaints::one(Field::Name, format!("must not end in ‘.{refused}’")));
        }
        let declared = declared.filter(|declared| !declared.is_unknown());
        let named: Vec<_> = self.named_by(extension).collect();
        let found = match declared {
            Some(declared) => self.agreed(declared, extension, &named),
            // A client that does not know the type: the extension knows.
            None => named.first().cloned(),
        };
        // Nobody knows, or nobody but the client: it is bytes, and step 3 looks at them.
        let bytes = || named.is_empty().then(|| self.taken(&MediaType::octet_stream())).flatten();
        found.or_else(bytes).ok_or_else(|| self.refusal(declared, extension, &named))
    }

    /// The type that a declared one stands for beside an extension, which stands for the types `named`.
    ///
    /// What the rule does not know contradicts nothing: a declared type is what some operating system believes.
    fn agreed(&self, declared: &MediaType, extension: Option<&str>, named: &[MediaType]) -> Option<MediaType> {
        let exact = self.exact(declared);
        let Some(first) = named.first() else {
            let fits = |allowed: &&AllowedType| extension.is_none_or(|e| allowed.names_extension(e) || allowed.takes_any_extension());
            return self.content_types.iter().filter(fits).find_map(|allowed| allowed.spelled(declared));
        };
        if let Some(same) = named.iter().find(|named| named.is_same(declared)) {
            return Some(declared.spelled(same.essence()));
        }
        // One extension for sound and for film: only the client knows which of them it is.
        if named.iter().any(|named| is_sound_and_film(declared, named))
            && let Some(spelled) = self.spelled(declared)
        {
            return Some(spelled);
        }
        let fitting = named.iter().find(|named| may_be_both(declared, named));
        match (fitting, exact) {
            (Some(fitting), _) => Some(fitting.clone()),
            (None, Some(_)) => None,
            (None, None) => Some(first.clone()),
        }
    }

    /// The declared type where an entry takes it under any extension.
    fn taken(&self, media_type: &MediaType) -> Option<MediaType> {
        self.content_types.iter().filter(|allowed| allowed.takes_any_extension()).find_map(|allowed| allowed.spelled(media_type))
    }

    /// A type that the rule knows by name, as the rule spells it.
    fn exact(&self, media_type: &MediaType) -> Option<MediaType> {
        self.content_types.iter().filter(|allowed| !allowed.is_wildcard()).find_map(|allowed| allowed.spelled(media_type))
    }

    /// The types that an extension stands for, the first of them where nothing else is known.
    fn named_by(&self, extension: Option<&str>) -> impl Iterator<Item = MediaType> {
        let names = move |allowed: &&AllowedType| !allowed.is_wildcard() && extension.is_some_and(|e| allowed.names_extension(e));
        self.content_types.iter().filter(names).filter_map(|allowed| allowed.pattern.parse().ok())
    }

    /// Why nothing fits, in one short sentence: what the file was taken for, and what it would take.
    fn refusal(&self, declared: Option<&MediaType>, extension: Option<&str>, named: &[MediaType]) -> Complaints {
        let known = declared.and_then(|declared| self.exact(declared).map(|known| (declared, known)));
        if let (Some((declared, known)), Some(extension)) = (&known, extension) {
            let endings =
                self.content_types.iter().filter(|allowed| known.essence() == allowed.pattern).flat_map(|allowed| &allowed.extensions);
            let endings: Vec<_> = endings.filter(|ending| *ending != "*").map(|ending| format!(".{ending}")).collect();
            let shown = endings.iter().take(SHOWN_ENDINGS).map(String::as_str).collect::<Vec<_>>().join(", ");
            if !shown.is_empty() && shown.chars().count() <= LONGEST_ENDINGS {
                return Complaints::one(Field::Name, format!("must end in {shown} for {}", short(declared.essence())));
            }
            let ending = short(extension);
            let named = named.first().map_or_else(String::new, |named| format!(", which stands for {}", short(named.essence())));
            return Complaints::one(Field::Name, format!("must not end in ‘.{ending}’{named}, for {}", short(declared.essence())));
        }
        let file = match extension {
            Some(extension) => format!("a file that ends in ‘.{}’", short(extension)),
            None => "a file without an ending".to_owned(),
        };
        let declared = declared.map_or_else(String::new, |declared| format!(" and is declared as {}", short(declared.essence())));
        Complaints::one(Field::DeclaredType, format!("must be one that is taken here; {file}{declared} is not"))
    }
}

/// Whether a text may be what requests call a file type.
#[must_use]
pub fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The longest list of names in a complaint, in characters.
const LONGEST_LIST: usize = 150;

/// The most endings that a refusal names, and the most characters that these may have.
const SHOWN_ENDINGS: usize = 6;
const LONGEST_ENDINGS: usize = 80;

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
    /// A complaint about the file type that lists the names there are, unless they are many.
    pub fn get(&self, name: &str) -> Result<&FileType, Complaints> {
        self.iter().find(|t| t.name == name).ok_or_else(|| {
            let names = one_of(self.iter().map(|t| t.name.as_str()));
            // Who asks with a wrong name can ask for the list.
            let is_short = names.chars().count() <= LONGEST_LIST;
            Complaints::one(Field::FileType, if is_short { names } else { "must be the name of a file type".to_owned() })
        })
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
