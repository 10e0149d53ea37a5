//! What Desk calls that by which its lists are filtered and ordered.

use crate::domain::Attribute;

/// Every name of an attribute, the proper one first. Where one is an actor, `.id` and `.type` are its members.
pub(super) fn names_of(attribute: Attribute) -> &'static [&'static str] {
    match attribute {
        Attribute::Id => &["id"],
        Attribute::Name => &["filename", "fileName", "name"],
        Attribute::ContentType => &["mimeType"],
        Attribute::Size => &["size"],
        Attribute::Type => &["type"],
        Attribute::Disposition => &["disposition"],
        Attribute::State => &["state"],
        Attribute::PixelWidth => &["pixelWidth"],
        Attribute::PixelHeight => &["pixelHeight"],
        Attribute::CreatedAt => &["createdAt"],
        Attribute::UpdatedAt => &["updatedAt"],
        Attribute::DeletedAt => &["deletedAt"],
        Attribute::CreatedById => &["createdBy", "createdBy.id"],
        Attribute::CreatedByType => &["createdBy.type"],
        Attribute::UpdatedById => &["updatedBy", "updatedBy.id"],
        Attribute::UpdatedByType => &["updatedBy.type"],
        Attribute::DeletedById => &["deletedBy", "deletedBy.id"],
        Attribute::DeletedByType => &["deletedBy.type"],
        Attribute::Customer => &["customer", "customer.id"],
        Attribute::CustomerType => &["customer.type"],
    }
}

/// The attribute of that name.
pub(super) fn attribute_named(name: &str) -> Option<Attribute> {
    Attribute::ALL.into_iter().find(|attribute| names_of(*attribute).contains(&name))
}

/// Every proper name.
pub(super) fn attribute_names() -> impl Iterator<Item = &'static str> {
    Attribute::ALL.into_iter().filter_map(|attribute| names_of(attribute).first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_one_attribute() {
        for attribute in Attribute::ALL {
            assert!(names_of(attribute).iter().all(|name| attribute_named(name) == Some(attribute)), "{attribute:?}");
        }
        assert_eq!(attribute_named("staging_key"), None);
    }
}
