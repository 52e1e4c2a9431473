//! The world in one process: a container registry, transparency logs of three kinds with their witness, a timestamp
//! authority, a certificate authority and an OIDC issuer, each on real HTTP on a loopback port of its own.
//!
//! For the quickstart, the drills and the tests. What a peer sees on the wire is meant to be what
//! the real services answer, down to the odd corners that clients have to survive; what happens
//! behind the wire can be steered: answers are lost, requests refused, tags frozen, and the logs lie.
//!
//! # Out of scope
//! Durability (everything but a [`Lab`] lives in memory), TLS, more than one host, and any secret worth keeping:
//! the keys are made at start and die with the process. Never put a sandbox on a public address.

pub mod alerts;
mod branch;
pub mod ca;
mod clock;
pub mod ct;
pub mod faults;
pub mod lab;
pub mod leaves;
mod lies;
pub mod log;
pub mod oidc;
pub mod proxy;
pub mod registry;
pub mod rekor_v1;
mod serve;
mod signing;
#[cfg(test)]
mod testing;
pub mod timestamp_authority;
mod tree;
pub mod witness;
mod world;

pub use alerts::{AlertReceiver, MailOptions, MailReceiver};
pub use ca::{CaOptions, Identity, Issued, SandboxCa, Subject};
pub use ct::{CtOptions, SandboxCt};
pub use faults::{Fault, Faults};
pub use lab::{LAB_ORIGIN, Lab, LabOptions};
pub use leaves::SandboxKey;
pub use log::{LogOptions, SandboxLog};
pub use oidc::{OidcIssuer, OidcOptions};
pub use proxy::SandboxProxy;
pub use registry::{PushedImage, RegistryAuth, RegistryOptions, SandboxRegistry, WebhookTarget};
pub use rekor_v1::{RekorV1Options, SandboxRekorV1};
pub use signing::HeadSignature;
pub use timestamp_authority::{SandboxTsa, TsaOptions};
pub use witness::{SandboxWitness, WitnessOptions};
pub use world::{Keyless, Ports, World, WorldOptions};

/// Why a part of the sandbox could not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The port is taken, or loopback is not available.
    #[error("could not listen on 127.0.0.1:{port}; choose another port, or 0 for any")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gave no randomness.
    #[error("no randomness for a key")]
    Randomness,
    /// A file of a lab could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process works with a lab.
    #[error("{} is in use: a lab runs with this folder already; stop it, or choose another folder", path.display())]
    InUse {
        /// The file that it holds.
        path: std::path::PathBuf,
    },
    /// A folder is not one of a lab, or a part of it is gone.
    #[error("{} is not the file of a lab: {why}; choose another folder, or restore the file", path.display())]
    NotALab {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate could not be made.
    #[error("could not make certificates: {0}")]
    Certificates(String),
    /// The log's own key was not accepted.
    #[error("could not make the log's key: {0}")]
    LogKey(String),
    /// The OIDC issuer's key was not accepted.
    #[error("could not make the issuer's key: {0}")]
    IssuerKey(String),
}

/// 32 bytes for a new key.
pub(crate) fn random_seed() -> Result<[u8; 32], SandboxError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| SandboxError::Randomness)?;
    Ok(seed)
}

/// A random name in the form of a UUID, for events, uploads and requests.
pub(crate) fn random_id() -> String {
    let mut bytes = [0u8; 16];
    // A sandbox without randomness has failed at its keys already; an id only has to be a string.
    let _ = getrandom::fill(&mut bytes);
    let text = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}
