//! Where in a message an attachment stands.

use std::str::FromStr;

use super::wording::one_of;

/// Where in a message an attachment stands: listed below it, or shown inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Disposition {
    /// Listed below the message.
    #[default]
    Attachment,
    /// Shown inside the message.
    AttachmentInline,
}

impl Disposition {
    /// Both, in the order refusals list them.
    pub const ALL: [Self; 2] = [Self::Attachment, Self::AttachmentInline];

    /// The word used on the wire, in policies and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attachment => "attachment",
            Self::AttachmentInline => "attachment-inline",
        }
    }
}

impl FromStr for Disposition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|d| d.as_str() == text).ok_or_else(|| one_of(Self::ALL.map(Self::as_str)))
    }
}
