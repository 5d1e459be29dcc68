//! Defaults that depend on other settings or on the machine.

use super::{Config, DatabaseUrl, PublicUrl, SigningKeyFile};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

impl Config {
    /// Returns the URL under which clients reach the installation; by default that of the configured address.
    pub fn public_url(&self) -> PublicUrl {
        let given = self.service.public_url.clone();
        given.unwrap_or_else(|| PublicUrl::of_listener(self.service.listen))
    }

    /// Returns the number of HTTP worker threads; by default the number of cores.
    pub fn workers(&self) -> NonZeroU16 {
        self.service.workers.unwrap_or_else(cores)
    }

    /// Returns the database; by default a file in the data directory.
    pub fn database_url(&self) -> DatabaseUrl {
        let given = self.service.database_url.clone();
        given.unwrap_or_else(|| DatabaseUrl::Sqlite(self.service.data_dir.join("canopy.db")))
    }

    /// Returns the installation's signing key; by default a file in the data directory.
    pub fn signing_key(&self) -> SigningKeyFile {
        match &self.service.signing_key_file {
            Some(path) => SigningKeyFile::Given(path.clone()),
            None => SigningKeyFile::Own(self.service.data_dir.join("signing-key.pem")),
        }
    }

    pub(super) fn signing_key_path(&self) -> PathBuf {
        self.signing_key().path().to_owned()
    }

    /// Returns the MiB of one copy of one index; by default half of the memory of all.
    pub fn index_environment_mib(&self) -> NonZeroU32 {
        self.index
            .environment_mib
            .or_else(|| NonZeroU32::new(self.index.memory_mib.get() / 2))
            .unwrap_or(NonZeroU32::MIN)
    }

    /// Returns the number of concurrent long requests; by default the number of cores, and at least 2.
    pub fn long_requests(&self) -> NonZeroU16 {
        let two = NonZeroU16::MIN.saturating_add(1);
        self.limit.long_requests.unwrap_or_else(|| cores().max(two))
    }
}

fn cores() -> NonZeroU16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u16::try_from(cores.min(1024))
        .ok()
        .and_then(NonZeroU16::new)
        .unwrap_or(NonZeroU16::MIN)
}
