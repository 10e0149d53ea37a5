//! How many files and connections this process may have open.
//!
//! The soft limit is 1024 almost everywhere, for programs that wait by `select`, which is none here; the hard one is what the operator
//! allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one; answers how many handles there may be now, `None` for any number.
///
/// Where the system refuses, the limit stays as it was.
#[must_use]
pub fn raise() -> Option<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current
}
