//! Where the bytes go.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::given::Given;
use super::settings::Readings;
use super::variables::env_name;

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

impl Storage {
    pub(super) fn of(readings: &Readings, given: &mut Given) -> Option<Self> {
        let (region, public_endpoint) = (readings.s3_region.clone(), readings.s3_public_endpoint.clone());
        let Some(name) = readings.s3_bucket.clone() else {
            if readings.s3_endpoint.is_some() {
                given.complain("s3_endpoint", &format!("has no effect without {}", env_name("s3_bucket")));
            }
            return Some(Self::Embedded {
                listen: readings.embedded_s3_listen?,
                region,
                public_endpoint,
                data_dir: readings.data_dir.clone()?,
                development_token: readings.development_token?,
            });
        };
        Some(Self::Bucket { name, region, endpoint: readings.s3_endpoint.clone(), public_endpoint, path_style: readings.s3_path_style? })
    }
}
