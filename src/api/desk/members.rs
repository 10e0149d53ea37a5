//! What of a file object is answered (`fields`), and what beside it (`includes`).

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{Object, Type};

use super::response::{ActorBody, FileBody};
use crate::api::http::downloads::Links;
use crate::api::http::query::{Query, parameter};
use crate::domain::{Actor, ActorKind, File, PostId};

/// Which members of file objects are wanted, and which actors beside them. Names that mean nothing here are passed over: clients send the
/// same ones for every kind of object.
#[derive(Default)]
pub(super) struct Members {
    /// `None` for all.
    fields: Option<BTreeSet<String>>,
    included: BTreeSet<&'static str>,
}

impl<S: Send + Sync> FromRequestParts<S> for Members {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::asked_in(&Query::of(parts)))
    }
}

impl utoipa::IntoParams for Members {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        members_parameters().into()
    }
}

pub(super) fn members_parameters() -> [Parameter; 2] {
    let text = || Object::builder().schema_type(Type::String);
    [
        parameter("fields", "Members of the file object, commas between them: only these and `id`. Unknown ones are passed over.", text()),
        parameter("includes", "`users`, `customers`, commas between them, or `all`: tells them in `included`. Also as `embed`.", text()),
    ]
}

impl Members {
    pub(super) fn asked_in(query: &Query) -> Self {
        let (fields, wished) = (words(query, &["fields"]), words(query, &["includes", "embed"]));
        let kinds = [ActorKind::Users, ActorKind::Customers].map(ActorKind::as_str);
        let included = kinds.into_iter().filter(|kind| wished.contains("all") || wished.contains(*kind));
        Self { fields: Some(fields).filter(|fields| !fields.is_empty()), included: included.collect() }
    }

    /// The members that are wanted of a file object.
    pub(super) fn of<'a>(&'a self, file: &'a File, links: &'a Links<'a>) -> SomeOf<'a> {
        SomeOf { file, fields: self.fields.as_ref(), links, on_ticket: None }
    }

    /// The same of a file on a ticket, where it belongs to that post or to none.
    pub(super) fn on_ticket<'a>(&'a self, file: &'a File, post: Option<PostId>, links: &'a Links<'a>) -> SomeOf<'a> {
        SomeOf { on_ticket: Some(post), ..self.of(file, links) }
    }

    /// The actors that are wanted, each once; `None` when nobody asked for any.
    pub(super) fn included<'a>(&self, files: impl IntoIterator<Item = &'a File>) -> Option<Included> {
        if self.included.is_empty() {
            return None;
        }
        let mut actors: BTreeMap<&'static str, BTreeSet<i64>> = self.included.iter().map(|kind| (*kind, BTreeSet::new())).collect();
        let named =
            files.into_iter().flat_map(|file| [Some(file.created_by), Some(file.updated_by), file.deletion().map(|deletion| deletion.by)]);
        for Actor { id, kind } in named.flatten() {
            if let Some(ids) = actors.get_mut(kind.as_str()) {
                ids.insert(id);
            }
        }
        let bodies = |(kind, ids): (&'static str, BTreeSet<i64>)| (kind, ids.into_iter().map(|id| ActorBody::of(kind, id)).collect());
        Some(Included(actors.into_iter().map(bodies).collect()))
    }
}

/// The words in members of these names, commas between them.
fn words(query: &Query, names: &[&str]) -> BTreeSet<String> {
    let given = query.members().iter().filter(|(name, _)| names.contains(&name.as_str()));
    let words = given.flat_map(|(_, value)| value.split(',')).map(str::trim).filter(|word| !word.is_empty());
    words.map(ToOwned::to_owned).collect()
}

/// A file object, or some of its members.
#[derive(ToSchema)]
#[schema(as = SomeOfFile)]
pub(super) struct SomeOf<'a> {
    #[schema(ignore)]
    file: &'a File,
    #[schema(ignore)]
    fields: Option<&'a BTreeSet<String>>,
    #[schema(ignore)]
    links: &'a Links<'a>,
    /// On a ticket: the post that it belongs to there.
    #[schema(ignore)]
    on_ticket: Option<Option<PostId>>,
}

/// A file object on a ticket.
#[derive(Serialize, ToSchema)]
#[schema(as = SomeOfTicketFile)]
pub(super) struct OnTicketBody<'a> {
    #[serde(flatten)]
    file: FileBody<'a>,
    /// The post of the ticket that the file belongs to; null for none.
    #[schema(required, minimum = 1)]
    post: Option<i64>,
}

impl Serialize for SomeOf<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let file = FileBody::new(self.file).linked(self.file, self.links);
        match self.on_ticket {
            Some(post) => self.some(&OnTicketBody { file, post: post.map(|post| post.0) }, serializer),
            None => self.some(&file, serializer),
        }
    }
}

impl SomeOf<'_> {
    /// Of all members those that are wanted.
    fn some<S: serde::Serializer>(&self, whole: &impl Serialize, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(fields) = self.fields else { return whole.serialize(serializer) };
        let mut some = serde_json::to_value(whole).map_err(serde::ser::Error::custom)?;
        if let Some(members) = some.as_object_mut() {
            members.retain(|name, _| name == "id" || fields.contains(name));
        }
        some.serialize(serializer)
    }
}

/// Actors by what they are. Their numbers and kinds are all that is known of them.
#[derive(Serialize, ToSchema, Default)]
#[schema(as = Included, value_type = std::collections::BTreeMap<String, Vec<ActorBody>>)]
pub(super) struct Included(BTreeMap<&'static str, Vec<ActorBody>>);
