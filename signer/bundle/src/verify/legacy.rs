//! A legacy signature: a simple-signing payload with its annotations.
use super::material::verify_material;
use super::{Requirements, Verified, VerifyError};
use crate::digest::Digest;
use crate::entry::{EntryError, NewEntry, kind_version};
use crate::format::Format;
use crate::legacy::LegacySignature;
use crate::log_entry::LogEntry;
use crate::public_key::{HashAlgorithm, PublicKey};
use crate::simple_signing;
use crate::trust_root::TrustRoot;

/// Whether the legacy signature is this key's over a payload about this digest, and logged and timestamped as required.
pub fn verify_legacy(
    signature: &LegacySignature,
    digest: &Digest,
    key: &PublicKey,
    trust: &TrustRoot,
    requirements: &Requirements,
) -> Result<Verified, VerifyError> {
    let signed = NewEntry {
        format: Format::Legacy,
        message: signature.payload.clone(),
        envelope: None,
        signature: signature.signature()?,
        key: key.clone(),
        // Whatever the key: readers of this format know no other hash.
        hash: HashAlgorithm::Sha256,
    };
    key.verify(&signed.message, &signed.signature, signed.hash)?;
    let claim = simple_signing::parse(&signature.payload)?;
    if claim.digest != *digest {
        return Err(VerifyError::WrongDigest { found: vec![claim.digest], expected: *digest });
    }
    let mut entries = Vec::new();
    if let Some(logged) = signature.rekor_bundle()? {
        let (kind, version) = kind_version(&logged.body).ok_or(EntryError::Field("kind"))?;
        entries.push(LogEntry {
            log_index: logged.log_index,
            log_id: logged.log_id,
            kind,
            version,
            integrated_time: Some(logged.integrated_time),
            set: Some(logged.set),
            proof: None,
            body: logged.body,
        });
    }
    let timestamps: Vec<_> = signature.timestamp()?.into_iter().collect();
    verify_material(&signed, &entries, &timestamps, trust, requirements)
}
