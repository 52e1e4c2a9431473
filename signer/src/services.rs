//! What a signature is published through: one log, timestamp authorities, and the trust that checks both.

use std::sync::Arc;

use bundle::trust_root::TrustRoot;
use bundle::verify::Requirements;
use bundle::{Format, KeyAlgorithm};

use crate::rekor::LogWriter;
use crate::supported::{Unsupported, check_supported};
use crate::timestamp::TimestampAuthority;

/// What one identity publishes through. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// The log, if signatures are logged at all.
    pub log: Option<Arc<dyn LogWriter>>,
    /// Each of these stamps each signature, see [`Services::stamping`].
    pub timestamp_authorities: Vec<TimestampAuthority>,
    /// What a verifier will have: everything that is published has been verified with it.
    pub trust: Arc<TrustRoot>,
    /// Whether legacy signatures may be published without the proof of a Rekor v2 log, which they cannot carry.
    pub legacy_without_proof: bool,
    /// Whether a legacy signature carries a timestamp beside the promise of a Rekor v1 log. cosign 2.2.4 refuses one that
    /// does unless it is given the authority's chain.
    pub legacy_timestamp: bool,
}

impl Services {
    /// Whether signatures of such a key in this format can be published and verified. Ask before anything is signed.
    pub fn check(&self, algorithm: KeyAlgorithm, format: Format) -> Result<(), Unsupported> {
        let version = self.log.as_ref().map(|log| log.version());
        check_supported(algorithm, format, version, self.legacy_without_proof)
    }

    /// What new material must prove by itself. Rekor v2's proof does not fit into a legacy signature.
    pub fn requirements(&self, format: Format) -> Requirements {
        let timestamp = !self.stamping(format).is_empty();
        Requirements { log: self.carries_proof(format), timestamp }
    }

    /// What material must prove that is there already, to count as signed. Where the promise of a Rekor v1 log says when a
    /// legacy signature was made, one with a timestamp and one without are as good.
    pub fn sufficient(&self, format: Format) -> Requirements {
        let promised = format == Format::Legacy && self.carries_proof(format);
        Requirements { timestamp: !promised && self.requirements(format).timestamp, ..self.requirements(format) }
    }

    /// The authorities that stamp signatures of this format.
    pub fn stamping(&self, format: Format) -> &[TimestampAuthority] {
        let promised = format == Format::Legacy && self.carries_proof(format);
        if promised && !self.legacy_timestamp { &[] } else { &self.timestamp_authorities }
    }

    fn carries_proof(&self, format: Format) -> bool {
        match (&self.log, format) {
            (None, _) => false,
            (Some(_), Format::Bundle) => true,
            (Some(log), Format::Legacy) => log.version() == 1,
        }
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services")
            .field("log", &self.log.as_ref().map(|log| log.origin().to_owned()))
            .field("timestamp_authorities", &self.timestamp_authorities)
            .field("legacy_without_proof", &self.legacy_without_proof)
            .field("legacy_timestamp", &self.legacy_timestamp)
            .finish_non_exhaustive()
    }
}
