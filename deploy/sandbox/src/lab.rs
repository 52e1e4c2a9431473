//! A log and a timestamp authority that last: their keys, certificates and leaves are kept in a folder, so that what was
//! signed with them yesterday still verifies today. For trying things out with a registry of one's own.
//!
//! # Out of scope
//! Production. The keys are plain files, there is one process on one machine, and it listens on loopback only.

#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::log::{LogOptions, SandboxLog};
use crate::timestamp_authority::{SandboxTsa, SavedChain, TsaOptions};
use crate::world::START;
use crate::world::trust::{ED25519, LogEntry, authority, service};
use crate::{SandboxError, clock, random_seed};

/// The name of a lab's log: the first line of its checkpoints.
pub const LAB_ORIGIN: &str = "rekor.lab.local";

/// How a lab is to start.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// The folder that keeps it; made where it is missing.
    pub directory: PathBuf,
    /// The loopback port of the log; the one of the last run where absent, and at first any that is free.
    pub log_port: Option<u16>,
    /// The same of the timestamp authority.
    pub timestamp_port: Option<u16>,
}

/// A running lab, until it is dropped.
#[derive(Debug)]
pub struct Lab {
    /// The log.
    pub log: SandboxLog,
    /// The timestamp authority.
    pub timestamp_authority: SandboxTsa,
    directory: PathBuf,
}

/// What a folder keeps besides the leaves. Secret: it has both private keys.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    /// The form of this file.
    version: u32,
    log_seed: String,
    log_port: u16,
    timestamp_port: u16,
    timestamp_chain: SavedChain,
}

const VERSION: u32 = 1;
const KEYS: &str = "lab.json";
const LEAVES: &str = "log.leaves";

impl Lab {
    /// Starts the services that the folder keeps; a new folder gets new ones.
    ///
    /// # Errors
    /// The folder cannot be read or written, is not one of a lab, belongs to a lab that runs, or a port is taken.
    pub async fn start(options: LabOptions) -> Result<Self, SandboxError> {
        let LabOptions { directory, log_port, timestamp_port } = options;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SandboxError::File { path, source }
        };
        // Private keys will be in it.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(failed(&directory))?;
        let keys = directory.join(KEYS);
        let mut saved = match std::fs::read(&keys) {
            Ok(bytes) => Saved::read(&keys, &bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if directory.join(LEAVES).exists() {
                    // Leaves without their key: a new key under the same name would be another log.
                    return Err(SandboxError::NotALab { path: keys, why: "log.leaves is there without it".to_owned() });
                }
                Saved::generate()?
            }
            Err(error) => return Err(failed(&keys)(error)),
        };
        let seed = saved.seed(&keys)?;
        saved.log_port = log_port.unwrap_or(saved.log_port);
        saved.timestamp_port = timestamp_port.unwrap_or(saved.timestamp_port);
        // Kept before the first signature: what was signed with a key that nobody kept could never be continued.
        saved.write(&keys)?;
        let log = SandboxLog::start(LogOptions {
            port: saved.log_port,
            origin: LAB_ORIGIN.to_owned(),
            seed: Some(seed),
            journal: Some(directory.join(LEAVES)),
            ..LogOptions::default()
        })
        .await?;
        let timestamp_authority =
            SandboxTsa::resume(TsaOptions { port: saved.timestamp_port }, &saved.timestamp_chain).await?;
        saved.log_port = log.addr().port();
        saved.timestamp_port = timestamp_authority.addr().port();
        saved.write(&keys)?;
        let lab = Self { log, timestamp_authority, directory };
        for (path, text) in
            [(lab.trusted_root(), lab.trusted_root_json()), (lab.signing_config(), lab.signing_config_json())]
        {
            std::fs::write(&path, text).map_err(failed(&path))?;
        }
        Ok(lab)
    }

    /// The file that says what a verifier trusts.
    pub fn trusted_root(&self) -> PathBuf {
        self.directory.join("trusted_root.json")
    }

    /// The file that says where a signer writes.
    pub fn signing_config(&self) -> PathBuf {
        self.directory.join("signing_config.json")
    }

    /// A Sigstore trusted root, v0.1.
    pub fn trusted_root_json(&self) -> String {
        let (log, tsa) = (&self.log, &self.timestamp_authority);
        let entry = LogEntry {
            base_url: &format!("https://{}", log.origin()),
            spki: log.public_key_spki(),
            key_details: ED25519,
            key_id: log.key_id(),
            start: START,
            end: None,
        };
        let start = clock::rfc3339(tsa.valid_from());
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [entry.json()],
            "certificateAuthorities": [],
            "ctlogs": [],
            "timestampAuthorities": [authority("lab timestamp root", tsa.url(), tsa.chain_der(), &start)],
        })
        .to_string()
    }

    /// A Sigstore signing config, v0.2.
    pub fn signing_config_json(&self) -> String {
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [],
            "oidcUrls": [],
            "rekorTlogUrls": [service(self.log.write_url(), 2, START)],
            "rekorTlogConfig": { "selector": "ANY" },
            "tsaUrls": [service(self.timestamp_authority.url(), 1, START)],
            "tsaConfig": { "selector": "ANY" },
        })
        .to_string()
    }

    /// Closes both listeners; everything that was answered for is on disk.
    pub fn shutdown(&self) {
        self.log.shutdown();
        self.timestamp_authority.shutdown();
    }
}

impl Saved {
    fn generate() -> Result<Self, SandboxError> {
        Ok(Self {
            version: VERSION,
            log_seed: STANDARD.encode(random_seed()?),
            log_port: 0,
            timestamp_port: 0,
            timestamp_chain: SavedChain::generate(clock::unix_seconds())?,
        })
    }

    fn read(path: &Path, bytes: &[u8]) -> Result<Self, SandboxError> {
        let not_a_lab = |why: String| SandboxError::NotALab { path: path.to_owned(), why };
        let saved: Self = serde_json::from_slice(bytes).map_err(|error| {
            // The place of the mistake; the words could repeat a part of a key.
            not_a_lab(format!("it is not readable at line {} column {}", error.line(), error.column()))
        })?;
        if saved.version != VERSION {
            return Err(not_a_lab(format!("it is of version {}, this program knows {VERSION}", saved.version)));
        }
        Ok(saved)
    }

    fn seed(&self, path: &Path) -> Result<[u8; 32], SandboxError> {
        STANDARD.decode(&self.log_seed).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).ok_or_else(|| {
            SandboxError::NotALab { path: path.to_owned(), why: "its log_seed is not 32 bytes".to_owned() }
        })
    }

    /// Replaces the file as a whole, so that a crash leaves the old one or the new one.
    fn write(&self, path: &Path) -> Result<(), SandboxError> {
        let next = path.with_extension("json.new");
        let written = || -> std::io::Result<()> {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&next)?;
            file.write_all(&serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?)?;
            file.sync_all()?;
            std::fs::rename(&next, path)
        };
        written().map_err(|source| SandboxError::File { path: path.to_owned(), source })
    }
}
