//! From signature bytes to material that anybody can verify: logged, stamped, built, and verified offline.

use bundle::entry::NewEntry;
use bundle::legacy::LegacySignature;
use bundle::log_entry::LogEntry;
use bundle::sigstore_bundle::{Bundle, BundleContent, VerificationKey};
use bundle::verify::{self, Verified};
use bundle::{Digest, Format, PublicKey};

use crate::error::PublishError;
use crate::services::Services;
use crate::sign::Signed;

/// What is attached to the image.
#[derive(Clone, Debug)]
pub enum Artifact {
    /// A Sigstore bundle, as JSON.
    Bundle(Vec<u8>),
    /// One layer of a simple-signing image.
    Legacy(LegacySignature),
}

impl Artifact {
    /// Which format it is.
    pub fn format(&self) -> Format {
        match self {
            Self::Bundle(_) => Format::Bundle,
            Self::Legacy(_) => Format::Legacy,
        }
    }

    /// As the ledger keeps it.
    pub fn to_json(&self) -> Vec<u8> {
        match self {
            Self::Bundle(json) => json.clone(),
            Self::Legacy(signature) => signature.to_json(),
        }
    }

    /// From what the ledger kept.
    pub fn from_json(format: Format, json: &[u8]) -> Result<Self, PublishError> {
        match format {
            Format::Bundle => Ok(Self::Bundle(json.to_vec())),
            Format::Legacy => Ok(Self::Legacy(LegacySignature::from_json(json)?)),
        }
    }
}

/// Material that has been verified offline, with the trust that its readers have.
#[derive(Clone, Debug)]
pub struct Published {
    /// The log entry. A legacy signature on Rekor v2 has one that it does not carry.
    pub entry: Option<LogEntry>,
    /// RFC 3161 responses, DER.
    pub timestamps: Vec<Vec<u8>>,
    /// What is attached to the image.
    pub artifact: Artifact,
    /// What the verification found.
    pub verified: Verified,
}

/// Logs (unless `entry` is recorded already), stamps, builds and verifies.
///
/// A caller that must record the log's answer before anything else can fail calls [`write_log`] and [`assemble`].
pub async fn publish(
    signed: &Signed,
    key: &PublicKey,
    digest: &Digest,
    services: &Services,
    entry: Option<LogEntry>,
) -> Result<Published, PublishError> {
    let entry = match entry {
        Some(entry) => Some(entry),
        None => write_log(signed, key, services).await?,
    };
    assemble(signed, key, digest, services, entry).await
}

/// The first half: has the log take the signature in. `None` where the services name no log.
///
/// Safe to repeat, see [`crate::rekor::LogWriter::write`].
pub async fn write_log(
    signed: &Signed,
    key: &PublicKey,
    services: &Services,
) -> Result<Option<LogEntry>, PublishError> {
    services.check(key.algorithm(), signed.format)?;
    match &services.log {
        Some(log) => Ok(Some(log.write(&signed.new_entry(key)).await?)),
        None => Ok(None),
    }
}

/// The second half: stamps, builds the artifact, and verifies it as a reader would. Safe to repeat.
pub async fn assemble(
    signed: &Signed,
    key: &PublicKey,
    digest: &Digest,
    services: &Services,
    entry: Option<LogEntry>,
) -> Result<Published, PublishError> {
    services.check(key.algorithm(), signed.format)?;
    if let (Some(log), None) = (&services.log, &entry) {
        return Err(PublishError::EntryMissing { origin: log.origin().to_owned() });
    }
    if let Some(entry) = &entry {
        // It may come from the ledger, so it is checked as if it came from the log.
        recheck(signed, key, services, entry)?;
    }
    let authorities = services.stamping(signed.format);
    let mut timestamps = Vec::with_capacity(authorities.len());
    for authority in authorities {
        timestamps.push(authority.stamp(&signed.signature).await?);
    }
    let (artifact, verified) = match signed.envelope() {
        Some(envelope) => {
            let bundle = Bundle {
                key: VerificationKey::Hint(key.hint()),
                entries: entry.iter().cloned().collect(),
                timestamps: timestamps.clone(),
                content: BundleContent::Dsse(envelope),
            };
            verified_bundle(&bundle, key, digest, services)?
        }
        None => {
            let signature = legacy(signed, entry.as_ref(), &timestamps)?;
            verified_legacy(signature, key, digest, services)?
        }
    };
    Ok(Published { entry, timestamps, artifact, verified })
}

fn recheck(signed: &Signed, key: &PublicKey, services: &Services, entry: &LogEntry) -> Result<(), PublishError> {
    let expected: NewEntry = signed.new_entry(key);
    expected.matches(&entry.body).map_err(PublishError::EntryMismatch)?;
    verify::verify_entry(entry, &services.trust)
        .map_err(|source| PublishError::Unverified { format: signed.format, source })
}

/// The bytes that are handed out are the bytes that are read back and verified.
fn verified_bundle(
    bundle: &Bundle,
    key: &PublicKey,
    digest: &Digest,
    services: &Services,
) -> Result<(Artifact, Verified), PublishError> {
    let format = Format::Bundle;
    let json = bundle.to_json();
    let read = Bundle::parse(&json)?;
    let requirements = services.requirements(format);
    let verified = verify::verify_bundle(&read, digest, key, &services.trust, &requirements)
        .map_err(|source| PublishError::Unverified { format, source })?;
    Ok((Artifact::Bundle(json), verified))
}

fn verified_legacy(
    signature: LegacySignature,
    key: &PublicKey,
    digest: &Digest,
    services: &Services,
) -> Result<(Artifact, Verified), PublishError> {
    let format = Format::Legacy;
    let requirements = services.requirements(format);
    let verified = verify::verify_legacy(&signature, digest, key, &services.trust, &requirements)
        .map_err(|source| PublishError::Unverified { format, source })?;
    Ok((Artifact::Legacy(signature), verified))
}

/// The annotations have room for Rekor v1's promise and for one timestamp, and for nothing of Rekor v2.
fn legacy(signed: &Signed, entry: Option<&LogEntry>, timestamps: &[Vec<u8>]) -> Result<LegacySignature, PublishError> {
    let mut signature = LegacySignature::new(signed.payload.clone(), &signed.signature);
    if let Some(entry) = entry.filter(|entry| entry.set.is_some()) {
        signature = signature.with_rekor_v1(entry)?;
    }
    if let Some(timestamp) = timestamps.first() {
        signature = signature.with_timestamp(timestamp);
    }
    Ok(signature)
}

#[cfg(test)]
mod tests;
