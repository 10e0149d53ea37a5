//! Queries: what stands behind the question mark.

use axum::http::request::Parts;
use url::form_urlencoded;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::field_errors::FieldErrors;

/// The members of a query, in their order; headers and with them queries are bounded by the listener.
pub(in crate::api) struct Query(Vec<(String, String)>);

impl Query {
    pub(in crate::api) fn of(parts: &Parts) -> Self {
        Self::parsed(parts.uri.query().unwrap_or_default())
    }

    pub(in crate::api) fn parsed(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(in crate::api) fn members(&self) -> &[(String, String)] {
        &self.0
    }

    /// The member of that name, which must be there once.
    pub(in crate::api) fn one(&self, name: &str) -> Result<String, FieldErrors> {
        self.at_most_one(name)?.ok_or_else(|| FieldErrors::one(name, "must be set"))
    }

    /// A member that has several names, under whichever of them; complaints go by the first. It may be there twice if it says the same.
    pub(in crate::api) fn spelled(&self, names: &[&str]) -> Result<Option<String>, FieldErrors> {
        let mut found = None;
        let first = names.first().copied().unwrap_or_default();
        for name in names {
            let value = self.at_most_one(name).map_err(|_| FieldErrors::one(first, "must be given once"))?;
            if let (Some(one), Some(other)) = (&found, &value)
                && one != other
            {
                return Err(FieldErrors::one(first, format!("must be the same as {name}")));
            }
            found = found.or(value);
        }
        Ok(found)
    }

    /// A text whose blank value is the same as none, as clients send it that fill in a form.
    pub(in crate::api) fn filled(&self, name: &str) -> Result<Option<String>, FieldErrors> {
        Ok(self.at_most_one(name)?.filter(|value| !value.is_empty()))
    }

    pub(in crate::api) fn at_most_one(&self, name: &str) -> Result<Option<String>, FieldErrors> {
        let mut values = self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value.clone());
        let value = values.next();
        if values.next().is_some() { Err(FieldErrors::one(name, "must be given once")) } else { Ok(value) }
    }
}

/// A member that is true or false, in whatever letters a language writes them, and false when it is absent.
pub(in crate::api) fn flag(name: &str, text: Option<&str>) -> Result<bool, FieldErrors> {
    match text.map(str::to_ascii_lowercase).as_deref() {
        Some("true") => Ok(true),
        None | Some("false") => Ok(false),
        Some(_) => Err(FieldErrors::one(name, "must be true or false")),
    }
}

/// A member of a query that may be there once.
pub(in crate::api) fn parameter(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    let builder =
        Parameter::builder().name(name).parameter_in(ParameterIn::Query).description(Some(format!("{description} At most once.")));
    builder.schema(Some(schema.build())).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_about_other_names_go_by_the_first() {
        let asked = |query: &str| Query::parsed(query).spelled(&["pageSize", "per_page"]);
        assert_eq!(asked("per_page=5"), Ok(Some("5".to_owned())));
        assert_eq!(asked("per_page=5&pageSize=5"), Ok(Some("5".to_owned())));
        assert_eq!(asked("per_page=5&per_page=5"), Err(FieldErrors::one("pageSize", "must be given once")));
        assert_eq!(asked("per_page=5&pageSize=6"), Err(FieldErrors::one("pageSize", "must be the same as per_page")));
    }
}
