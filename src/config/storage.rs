//! Where the bytes go, and the log.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the bytes go.
#[derive(Debug, Clone)]
pub enum Storage {
    /// An S3 store inside the process: for one person at one machine.
    Embedded {
        /// Where the store listens.
        listen: SocketAddr,
        /// The region in every signature; any will do.
        region: Option<String>,
        /// Where browsers reach it; `None` when that follows from the address it listens on.
        public_endpoint: Option<String>,
        /// Its folder.
        data_dir: PathBuf,
        /// Whether a token is made that anybody at this machine can use.
        development_token: bool,
    },
    /// A real bucket.
    Bucket {
        /// The bucket's name.
        name: String,
        /// Its region.
        region: Option<String>,
        /// Where the broker reaches the store.
        endpoint: Option<String>,
        /// Where browsers reach it.
        public_endpoint: Option<String>,
        /// Whether the bucket's name goes into the path.
        path_style: bool,
    },
}

/// What to log, and how.
#[derive(Debug, Clone)]
pub struct Log {
    /// A filter of the `tracing` kind.
    pub filter: String,
    /// Lines of JSON; `None` leaves the choice to the terminal.
    pub json: Option<bool>,
}
