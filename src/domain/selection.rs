//! Which files a list has, and in which order.

use time::OffsetDateTime;

use super::file::FileState;
use super::{Actor, Deletion, File, FileId};

/// What a list can be filtered and ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// The file's number.
    Id,
    /// Its name.
    Name,
    /// Its content type, as it is answered.
    ContentType,
    /// Bytes that landed.
    Size,
    /// The name of its file type.
    Type,
    /// Where in a message it stands.
    Disposition,
    /// Where in its life it is.
    State,
    /// Width of an image.
    PixelWidth,
    /// Height of an image.
    PixelHeight,
    /// When its slip was issued.
    CreatedAt,
    /// When it was last changed.
    UpdatedAt,
    /// When it was deleted.
    DeletedAt,
    /// Who made it.
    CreatedById,
    /// Of which kind that one is.
    CreatedByType,
    /// Who changed it last.
    UpdatedById,
    /// Of which kind that one is.
    UpdatedByType,
    /// Who deleted it.
    DeletedById,
    /// Of which kind that one is.
    DeletedByType,
    /// The customer whose file it is.
    Customer,
    /// `customers`, of a file that a customer made.
    CustomerType,
}

/// What values an attribute has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Number,
    /// Texts, in the order of their bytes.
    Text,
    /// One of a few words.
    Word,
    /// Instants, to the microsecond.
    Instant,
}

impl Attribute {
    /// Every one. Their order is part of what a list tells of its places: a new one comes last.
    pub const ALL: [Self; 20] = [
        Self::Id,
        Self::Name,
        Self::ContentType,
        Self::Size,
        Self::Type,
        Self::Disposition,
        Self::State,
        Self::PixelWidth,
        Self::PixelHeight,
        Self::CreatedAt,
        Self::UpdatedAt,
        Self::DeletedAt,
        Self::CreatedById,
        Self::CreatedByType,
        Self::UpdatedById,
        Self::UpdatedByType,
        Self::DeletedById,
        Self::DeletedByType,
        Self::Customer,
        Self::CustomerType,
    ];

    /// What values it has.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Name | Self::ContentType | Self::Type => Kind::Text,
            Self::Disposition | Self::State | Self::CreatedByType | Self::UpdatedByType | Self::DeletedByType | Self::CustomerType => {
                Kind::Word
            }
            Self::CreatedAt | Self::UpdatedAt | Self::DeletedAt => Kind::Instant,
            _ => Kind::Number,
        }
    }

    /// Every word that it can be, for an attribute of [`Kind::Word`].
    #[must_use]
    pub fn words(self) -> &'static [&'static str] {
        const STATES: &[&str] = &["temp", "active", "deleted"];
        const DISPOSITIONS: &[&str] = &["attachment", "attachment-inline"];
        const KINDS: &[&str] = &["users", "customers"];
        match self {
            Self::State => STATES,
            Self::Disposition => DISPOSITIONS,
            Self::CreatedByType | Self::UpdatedByType | Self::DeletedByType | Self::CustomerType => KINDS,
            _ => &[],
        }
    }

    /// Whether some files have no value in it.
    #[must_use]
    pub fn may_be_absent(self) -> bool {
        self.tells_deletion() || matches!(self, Self::PixelWidth | Self::PixelHeight | Self::Customer | Self::CustomerType)
    }

    /// Whether only deleted files have a value in it.
    fn tells_deletion(self) -> bool {
        matches!(self, Self::DeletedAt | Self::DeletedById | Self::DeletedByType)
    }

    /// Whether who asks for it means files in other states than `active` too.
    fn tells_state(self) -> bool {
        self == Self::State || self.tells_deletion()
    }

    /// The value that a file has in it.
    #[must_use]
    pub fn of(self, file: &File) -> Option<Value> {
        let pixels = file.pixels();
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let kind = |actor: Actor| text(actor.kind.as_str());
        let deletion = |of: fn(Deletion) -> Value| file.deletion().map(of);
        match self {
            Self::Id => Some(Value::Number(file.id.0)),
            Self::Name => text(file.name.as_str()),
            Self::ContentType => text(&file.content_type().to_string()),
            Self::Size => i64::try_from(file.size()).ok().map(Value::Number),
            Self::Type => text(&file.type_name),
            Self::Disposition => text(file.disposition.as_str()),
            Self::State => text(file.state().as_str()),
            Self::PixelWidth => pixels.map(|pixels| Value::Number(pixels.width.into())),
            Self::PixelHeight => pixels.map(|pixels| Value::Number(pixels.height.into())),
            Self::CreatedAt => Some(Value::Instant(file.created_at)),
            Self::UpdatedAt => Some(Value::Instant(file.updated_at)),
            Self::DeletedAt => deletion(|deletion| Value::Instant(deletion.at)),
            Self::CreatedById => Some(Value::Number(file.created_by.id)),
            Self::CreatedByType => kind(file.created_by),
            Self::UpdatedById => Some(Value::Number(file.updated_by.id)),
            Self::UpdatedByType => kind(file.updated_by),
            Self::DeletedById => deletion(|deletion| Value::Number(deletion.by.id)),
            Self::DeletedByType => deletion(|deletion| Value::Text(deletion.by.kind.as_str().to_owned())),
            Self::Customer => file.customer().map(|customer| Value::Number(customer.id)),
            Self::CustomerType => file.customer().and_then(kind),
        }
    }
}

/// What an attribute is compared with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A whole number.
    Number(i64),
    /// A text or a word.
    Text(String),
    /// An instant, to the microsecond.
    Instant(OffsetDateTime),
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// What must be true of a file.
///
/// A file without a value in an attribute is neither less nor greater than anything; it is not among any values unless `None` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// All of them; true of every file when there are none.
    All(Vec<Condition>),
    /// At least one of them; true of no file when there are none.
    Any(Vec<Condition>),
    /// The attribute's value is less, or greater.
    Compare(Attribute, Comparison, Value),
    /// The attribute's value is one of these; `None` stands for no value.
    In(Attribute, Vec<Option<Value>>),
    /// It is none of these.
    NotIn(Attribute, Vec<Option<Value>>),
}

impl Condition {
    /// No condition.
    #[must_use]
    pub fn none() -> Self {
        Self::All(Vec::new())
    }

    /// Whether it asks for the state, or for what only deleted files have.
    fn tells_state(&self) -> bool {
        match self {
            Self::All(inner) | Self::Any(inner) => inner.iter().any(Self::tells_state),
            Self::Compare(attribute, ..) | Self::In(attribute, _) | Self::NotIn(attribute, _) => attribute.tells_state(),
        }
    }

    /// Whether files in that state meet it; `None` when that depends on more.
    fn holds_in(&self, state: FileState) -> Option<bool> {
        match self {
            Self::All(inner) => {
                let mut holds = inner.iter().map(|one| one.holds_in(state));
                if holds.clone().any(|one| one == Some(false)) { Some(false) } else { holds.all(|one| one == Some(true)).then_some(true) }
            }
            Self::Any(inner) => {
                let mut holds = inner.iter().map(|one| one.holds_in(state));
                if holds.clone().any(|one| one == Some(true)) { Some(true) } else { holds.all(|one| one == Some(false)).then_some(false) }
            }
            Self::Compare(attribute, comparison, value) => match Known::of(*attribute, state) {
                Known::Same(known) => Some(comparison.holds(&known, value)),
                Known::Nothing => Some(false),
                Known::Something | Known::Different => None,
            },
            Self::In(attribute, values) => Known::of(*attribute, state).among(values),
            Self::NotIn(attribute, values) => Known::of(*attribute, state).among(values).map(|is| !is),
        }
    }
}

impl Comparison {
    fn holds(self, left: &Value, right: &Value) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

/// What every file in a state has in an attribute.
enum Known {
    Same(Value),
    Nothing,
    /// A value, each its own.
    Something,
    /// A value or none.
    Different,
}

impl Known {
    fn of(attribute: Attribute, state: FileState) -> Self {
        match attribute {
            Attribute::State => Self::Same(Value::Text(state.as_str().to_owned())),
            _ if attribute.tells_deletion() && state == FileState::Deleted => Self::Something,
            _ if attribute.tells_deletion() => Self::Nothing,
            _ => Self::Different,
        }
    }

    /// Whether it is one of these; `None` when that is true of some files alone.
    fn among(self, values: &[Option<Value>]) -> Option<bool> {
        match self {
            Self::Same(value) => Some(values.contains(&Some(value))),
            Self::Nothing => Some(values.contains(&None)),
            Self::Something if values.iter().all(Option::is_none) => Some(false),
            Self::Something | Self::Different => None,
        }
    }
}

/// In which order files are listed. Those with the same value are ordered by their numbers, in the same direction; those without a value
/// come before all others, or after them when the order is descending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: Attribute,
    /// Whether the largest come first.
    pub descending: bool,
}

impl Order {
    /// The newest slips first.
    pub const NEWEST: Self = Self { by: Attribute::Id, descending: true };
}

/// A place in an ordered list: right after the file with this number and this value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file's number.
    pub id: FileId,
    /// What it has in the attribute that the list is ordered by.
    pub value: Option<Value>,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// After so many files.
    Skip(u32),
    /// Right after that one.
    After(Position),
}

/// Which files a list has, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// What must be true of them.
    pub condition: Condition,
    /// What their names hold, whatever the case of ASCII letters: in small letters, composed.
    pub name_holds: Option<String>,
    /// Their numbers.
    pub ids: Option<Vec<FileId>>,
    /// Their order.
    pub order: Order,
}

impl Selection {
    /// Active files, newest first.
    #[must_use]
    pub fn newest() -> Self {
        Self { condition: Condition::none(), name_holds: None, ids: None, order: Order::NEWEST }
    }

    /// The states of the files in question: active ones alone, unless the condition or the order speaks of states.
    #[must_use]
    pub fn states(&self) -> Vec<FileState> {
        if !self.condition.tells_state() && !self.order.by.tells_state() {
            return vec![FileState::Active];
        }
        let all = [FileState::Active, FileState::Deleted, FileState::Temp];
        all.into_iter().filter(|state| self.condition.holds_in(*state) != Some(false)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ActorKind, Disposition};

    fn is(state: FileState) -> Condition {
        Condition::In(Attribute::State, vec![Some(Value::Text(state.as_str().to_owned()))])
    }

    #[test]
    fn every_word_is_one_that_reads_back() {
        let known = |attribute: Attribute, word: &str| match attribute {
            Attribute::State => word.parse::<FileState>().is_ok(),
            Attribute::Disposition => word.parse::<Disposition>().is_ok(),
            _ => word.parse::<ActorKind>().is_ok(),
        };
        for attribute in Attribute::ALL {
            assert_eq!(attribute.kind() == Kind::Word, !attribute.words().is_empty(), "{attribute:?}");
            assert!(attribute.words().iter().all(|word| known(attribute, word)), "{attribute:?}");
        }
    }

    #[test]
    fn only_active_files_are_meant_unless_the_state_is_spoken_of() {
        use FileState::{Active, Deleted, Temp};
        let long_ago = Value::Instant(OffsetDateTime::UNIX_EPOCH);
        let deleted = Condition::Compare(Attribute::DeletedAt, Comparison::Greater, long_ago.clone());
        let large = Condition::Compare(Attribute::Size, Comparison::Greater, Value::Number(5));
        let table = [
            (Condition::none(), vec![Active]),
            (large.clone(), vec![Active]),
            (is(Deleted), vec![Deleted]),
            (Condition::NotIn(Attribute::State, vec![Some(Value::Text("temp".to_owned()))]), vec![Active, Deleted]),
            (deleted.clone(), vec![Deleted]),
            (Condition::In(Attribute::DeletedAt, vec![None]), vec![Active, Temp]),
            (Condition::All(vec![large.clone(), deleted.clone()]), vec![Deleted]),
            (Condition::Any(vec![large.clone(), deleted]), vec![Active, Deleted, Temp]),
            (Condition::Any(vec![is(Temp), is(Deleted)]), vec![Deleted, Temp]),
            (Condition::All(vec![is(Temp), is(Deleted)]), vec![]),
            (Condition::Any(vec![is(Active), Condition::All(vec![is(Temp), large])]), vec![Active, Temp]),
        ];
        for (condition, states) in table {
            let selection = Selection { condition, ..Selection::newest() };
            assert_eq!(selection.states(), states, "{selection:?}");
        }
        let order = Order { by: Attribute::DeletedAt, descending: true };
        assert_eq!(Selection { order, ..Selection::newest() }.states(), vec![Active, Deleted, Temp]);
    }
}
