//! A Sigstore bundle about an image, signed with a key.
use super::material::verify_material;
use super::{Requirements, Verified, VerifyError};
use crate::digest::Digest;
use crate::dsse::{Envelope, IN_TOTO_PAYLOAD_TYPE, pae};
use crate::entry::NewEntry;
use crate::format::Format;
use crate::protojson;
use crate::public_key::PublicKey;
use crate::sigstore_bundle::{Bundle, BundleContent, VerificationKey};
use crate::statement::{self, SIGN_PREDICATE_TYPE};
use crate::trust_root::TrustRoot;

/// Whether the bundle is this key's signature of this digest, and logged and timestamped as required.
pub fn verify_bundle(
    bundle: &Bundle,
    digest: &Digest,
    key: &PublicKey,
    trust: &TrustRoot,
    requirements: &Requirements,
) -> Result<Verified, VerifyError> {
    expect_key(&bundle.key, key)?;
    let BundleContent::Dsse(envelope) = &bundle.content else {
        return Err(VerifyError::Content("it holds a bare message signature"));
    };
    let [signature] = envelope.signatures.as_slice() else {
        return Err(VerifyError::Content("there is none, or there are several"));
    };
    let signed = NewEntry {
        format: Format::Bundle,
        message: pae(&envelope.payload_type, &envelope.payload),
        signature: signature.signature.clone(),
        envelope: Some(envelope.clone()),
        hash: key.bundle_hash(),
        key: key.clone(),
    };
    key.verify(&signed.message, &signed.signature, signed.hash)?;
    expect_digest(envelope, digest)?;
    verify_material(&signed, &bundle.entries, &bundle.timestamps, trust, requirements)
}

/// A hint proves nothing, but one that is another key's hash says plainly whose signature this is.
fn expect_key(found: &VerificationKey, key: &PublicKey) -> Result<(), VerifyError> {
    let VerificationKey::Hint(hint) = found else {
        return Err(VerifyError::Certificate);
    };
    let is_key_hash = protojson::decode(hint).is_some_and(|bytes| bytes.len() == 32);
    if is_key_hash && *hint != key.hint() {
        return Err(VerifyError::WrongKey { found: hint.clone(), expected: key.hint() });
    }
    Ok(())
}

fn expect_digest(envelope: &Envelope, digest: &Digest) -> Result<(), VerifyError> {
    if envelope.payload_type != IN_TOTO_PAYLOAD_TYPE {
        return Err(VerifyError::PayloadType(envelope.payload_type.clone()));
    }
    let statement = statement::parse(&envelope.payload)?;
    // Without this any statement by the same key, say a revocation, would pass for a signature.
    if statement.predicate_type != SIGN_PREDICATE_TYPE {
        return Err(VerifyError::PredicateType(statement.predicate_type));
    }
    if !statement.subjects.contains(digest) {
        return Err(VerifyError::WrongDigest { found: statement.subjects, expected: *digest });
    }
    Ok(())
}
