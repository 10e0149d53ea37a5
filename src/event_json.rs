//! What the audit log and webhooks say of a change: JSON under names that never change, whatever a dialect calls the same.

use serde_json::{Value, json};

use crate::domain::event::instant;
use crate::domain::{Actor, Change, Complaints, File};
use crate::field_names::{field_named, spelled};

/// What is kept in the audit log beside who, when and what.
#[must_use]
pub fn audited_details(change: &Change<'_>) -> String {
    let mut details = change.details.clone();
    if let Some(via) = change.origin.via() {
        details.insert("via".to_owned(), via.into());
    }
    if let Some(dialect) = change.origin.dialect() {
        details.insert("dialect".to_owned(), dialect.into());
    }
    details.insert("filename".to_owned(), change.file.name.as_str().into());
    Value::Object(details).to_string()
}

/// What webhooks are sent.
#[must_use]
pub fn payload(change: &Change<'_>) -> String {
    let mut data = change.details.clone();
    data.insert("tenant".to_owned(), change.file.tenant.as_str().into());
    data.insert("actor".to_owned(), change.origin.actor().map_or(Value::Null, actor));
    data.insert("file".to_owned(), file(change.file));
    json!({"type": change.action.as_str(), "timestamp": instant(change.at), "data": data}).to_string()
}

/// Complaints as a detail of a change.
#[must_use]
pub fn reasons(complaints: &Complaints) -> Value {
    json!(spelled(complaints).by_name())
}

/// The complaints that such a detail tells of.
#[must_use]
pub fn complaints(reasons: &Value) -> Complaints {
    let mut complaints = Complaints::new();
    for (name, messages) in reasons.as_object().into_iter().flatten() {
        let Some(field) = field_named(name) else { continue };
        let messages = messages.as_array().into_iter().flatten().filter_map(Value::as_str);
        messages.for_each(|message| complaints.add(field, message));
    }
    complaints
}

/// A file. Keys and entity tags stay here: who knows a key may be able to guess more.
fn file(file: &File) -> Value {
    let mut object = json!({
        "id": file.id.0,
        "type": file.type_name,
        "state": file.state().as_str(),
        "filename": file.name.as_str(),
        "mimeType": file.content_type().to_string(),
        "disposition": file.disposition.as_str(),
        "size": file.size(),
        "createdAt": instant(file.created_at),
        "updatedAt": instant(file.updated_at),
        "createdBy": actor(file.created_by),
        "updatedBy": actor(file.updated_by),
    });
    if let Some(pixels) = file.pixels() {
        object["pixelWidth"] = pixels.width.into();
        object["pixelHeight"] = pixels.height.into();
    }
    object
}

fn actor(actor: Actor) -> Value {
    json!({"id": actor.id, "type": actor.kind.as_str()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Field;

    #[test]
    fn reasons_read_back_as_the_complaints_that_they_were() {
        let mut refused = Complaints::one(Field::DeclaredType, "must be ‘text/plain’");
        refused.add(Field::Size, "must be 17 or lower");
        let told = reasons(&refused);
        assert_eq!(told, json!({"mimeType": ["must be ‘text/plain’"], "size": ["must be 17 or lower"]}));
        assert_eq!(complaints(&told), refused);
    }
}
