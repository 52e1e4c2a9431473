//! What a signature is: digests, references, statements, bundles, log entries, trust roots, verification.
#![doc = include_str!("../README.md")]

pub mod certificate;
pub mod claims;
pub mod digest;
pub mod dsse;
pub mod entry;
#[cfg(test)]
mod fixture;
pub mod format;
pub mod json;
pub mod legacy;
pub mod log_entry;
pub mod oci;
pub mod pem;
mod protojson;
pub mod public_key;
pub mod reference;
pub mod signing_config;
pub mod sigstore_bundle;
pub mod simple_signing;
pub mod statement;
pub mod timestamp;
pub mod trust_root;
pub mod verify;

pub use certificate::{CertificateError, CertificateView};
pub use claims::{Claim, ClaimedBy, Claims, ClaimsError, Scratch, Unreadable, claims, ct_claims};
pub use digest::{BlobDigest, Digest};
pub use dsse::{Envelope, EnvelopeSignature};
pub use entry::{EntryBody, EntryError, NewEntry};
pub use format::Format;
pub use legacy::LegacySignature;
pub use log_entry::{EntryProof, LogEntry};
pub use oci::{Descriptor, Manifest, ManifestKind};
pub use public_key::{HashAlgorithm, KeyAlgorithm, PemKeys, PublicKey, SignatureError};
pub use reference::{ImageLocator, ImageName, ImageReference, RegistryHost, Repository, Tag};
pub use signing_config::SigningConfig;
pub use sigstore_bundle::{Bundle, BundleContent, VerificationKey};
pub use trust_root::{CertificateAuthority, ChainError, TrustRoot, TrustedLog, TrustedTimestampAuthority, ValidFor};
pub use verify::{Requirements, Verified, VerifyError, verify_bundle, verify_entry, verify_legacy};
