//! What a caller may see.

use super::{Actor, ActorKind, By, Caller, File, Origin, Tenant, TypeLimit};

/// The files that somebody may see: those of a tenant, or of one maker in it, of some types or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach<'a> {
    /// Files of this tenant.
    pub tenant: &'a Tenant,
    /// Only those that this one made; `None` for whoever made them.
    pub maker: Option<Actor>,
    /// None of a type that this leaves out.
    pub types: &'a TypeLimit,
}

impl Caller {
    /// What makes dropslip do what it asks for.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::Request(self.by())
    }

    /// Who asks, and in which words.
    #[must_use]
    pub fn by(&self) -> By {
        By { actor: self.actor, dialect: self.dialect }
    }

    /// What the caller may see. Customers are strangers to each other: what one uploads is nothing to another. Users work on the same files.
    #[must_use]
    pub fn reach(&self) -> Reach<'_> {
        match self.actor.kind {
            ActorKind::Users => Reach { tenant: &self.tenant, maker: None, types: &self.types },
            ActorKind::Customers => self.own(),
        }
    }

    /// What the caller made itself, of what it may see.
    #[must_use]
    pub fn own(&self) -> Reach<'_> {
        Reach { tenant: &self.tenant, maker: Some(self.actor), types: &self.types }
    }
}

impl Reach<'_> {
    /// Whether a file is within it. One that is not is the same as no file.
    #[must_use]
    pub fn sees(&self, file: &File) -> bool {
        file.tenant == *self.tenant && self.maker.is_none_or(|maker| file.created_by == maker) && self.types.allows(&file.type_name)
    }

    /// Whether it ends at nobody's files within the tenant.
    #[must_use]
    pub fn is_whole_tenant(&self) -> bool {
        self.maker.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Scopes;

    #[test]
    fn customers_reach_their_own_files_and_users_those_of_the_tenant() {
        let caller = |id, kind| Caller {
            actor: Actor { id, kind },
            tenant: "acme".parse().unwrap(),
            scopes: Scopes::all(),
            types: TypeLimit::to(["image".to_owned()]),
            dialect: None,
        };
        let (user, customer) = (caller(1, ActorKind::Users), caller(1, ActorKind::Customers));
        assert_eq!((user.reach().maker, user.own().maker), (None, Some(user.actor)));
        assert_eq!(customer.reach(), customer.own());
        assert!(user.reach().is_whole_tenant() && !customer.reach().is_whole_tenant());
        assert_eq!((user.reach().types, user.reach().tenant), (&user.types, &user.tenant));
    }
}
