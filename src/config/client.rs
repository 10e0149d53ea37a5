//! What `dropslip upload` takes from the environment.

use std::fmt;
use std::path::PathBuf;

use crate::domain::text::without_mark;

/// The environment of `dropslip upload`.
#[derive(Default)]
pub struct ClientEnvironment {
    /// `DROPSLIP_SERVER`.
    pub server: Option<String>,
    /// `DROPSLIP_TOKEN`.
    pub token: Option<String>,
    /// Where programs keep what they need to go on with: `XDG_STATE_HOME`, else `.local/state` at home. `None` without a home.
    pub state_home: Option<PathBuf>,
}

impl fmt::Debug for ClientEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, token, state_home } = self;
        let token = token.as_ref().map(|_| "***");
        f.debug_struct("ClientEnvironment").field("server", server).field("token", &token).field("state_home", state_home).finish()
    }
}

/// Reads the environment of `dropslip upload`.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is a part of the one place")]
pub fn client_environment() -> ClientEnvironment {
    let set = |name| std::env::var(name).ok().map(|value| without_mark(&value).to_owned()).filter(|value| !value.is_empty());
    // "XDG Base Directory Specification": a path that is not absolute is to be ignored.
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state_home = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")));
    ClientEnvironment { server: set("DROPSLIP_SERVER"), token: set("DROPSLIP_TOKEN"), state_home }
}
