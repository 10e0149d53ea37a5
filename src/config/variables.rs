//! Which variables of the environment are settings.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::domain::text::without_mark;

/// What the names of all our variables begin with.
pub(super) const PREFIX: &str = "DROPSLIP_";

/// Known to the tests' build only: in any other it is refused like every unknown name.
#[cfg(feature = "failpoints")]
pub(super) const FAILPOINT: &str = "DROPSLIP_FAILPOINT";

/// The variables that are for dropslip. A file of variables may begin with a mark, which is a part of the first name then; and a file whose
/// whole text became a value.
pub(super) fn without_marks(environment: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (given, value) in environment {
        let (name, value) = (without_mark(&given), without_mark(&value));
        match variables.entry(name.to_owned()) {
            _ if !name.starts_with(PREFIX) => {}
            // What bears the right name counts.
            Entry::Occupied(_) if name != given => {}
            Entry::Occupied(mut known) => drop(known.insert(value.to_owned())),
            Entry::Vacant(new) => drop(new.insert(value.to_owned())),
        }
    }
    variables
}

/// Kubernetes puts the addresses of a service named `dropslip` into every container's environment.
pub(super) fn is_service_link(name: &str) -> bool {
    name == "DROPSLIP_PORT" || name.starts_with("DROPSLIP_PORT_") || name.starts_with("DROPSLIP_SERVICE_")
}

/// The name of a setting in the environment.
pub(super) fn env_name(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase())
}
