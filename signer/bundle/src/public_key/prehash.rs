//! Signatures checked from the digest that was signed: all that a log's leaf holds.
use super::{PublicKey, SignatureError, Verifier, logged};
use crate::entry::LoggedHash;
use aws_lc_rs::digest::{Digest, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPssSaltLength, UnparsedPublicKey,
};
use signature::hazmat::PrehashVerifier as _;

const LONGEST: RsaPssSaltLength = RsaPssSaltLength::Max;
static LONG_SALT_SHA256: RsaParameters = RSA_PSS_2048_8192_SHA256.with_pss_salt_length(LONGEST);
static LONG_SALT_SHA384: RsaParameters = RSA_PSS_2048_8192_SHA384.with_pss_salt_length(LONGEST);
static LONG_SALT_SHA512: RsaParameters = RSA_PSS_2048_8192_SHA512.with_pss_salt_length(LONGEST);

/// The paddings of RSA, the most usual first.
static RSA_SHA256: [&RsaParameters; 3] = [&RSA_PKCS1_2048_8192_SHA256, &RSA_PSS_2048_8192_SHA256, &LONG_SALT_SHA256];
static RSA_SHA384: [&RsaParameters; 3] = [&RSA_PKCS1_2048_8192_SHA384, &RSA_PSS_2048_8192_SHA384, &LONG_SALT_SHA384];
static RSA_SHA512: [&RsaParameters; 3] = [&RSA_PKCS1_2048_8192_SHA512, &RSA_PSS_2048_8192_SHA512, &LONG_SALT_SHA512];

impl PublicKey {
    /// Verifies a signature as a log may hold it over a digest, made with this hash: ECDSA in any encoding that logs take
    /// and with any s, or RSA with either padding. Rekor takes PKCS #1 v1.5 only; other logs may take PSS, here with a
    /// salt as long as the digest or as long as fits, which is what signers choose. [`SignatureError::NeedsMessage`]
    /// for Ed25519;
    /// [`SignatureError::Malformed`] where it is in no encoding that we can read, so that nothing is known of it.
    pub fn verify_digest(
        &self,
        digest: &[u8],
        signature: &[u8],
        hash: impl Into<LoggedHash>,
    ) -> Result<(), SignatureError> {
        let hash = hash.into();
        if digest.len() != hash.digest_len() {
            return Err(SignatureError::Mismatch);
        }
        match &self.verifier {
            Verifier::P256(key) => {
                key.verify_prehash(digest, &logged::p256(signature)?).map_err(|_| SignatureError::Mismatch)
            }
            Verifier::P384(key) => {
                key.verify_prehash(digest, &logged::p384(signature)?).map_err(|_| SignatureError::Mismatch)
            }
            Verifier::Ed25519(_) => Err(SignatureError::NeedsMessage),
            Verifier::Rsa { pkcs1, bits } => {
                if signature.len() != (*bits as usize).div_ceil(8) {
                    return Err(SignatureError::Malformed);
                }
                let (schemes, algorithm) = match hash {
                    LoggedHash::Sha256 => (&RSA_SHA256, &SHA256),
                    LoggedHash::Sha384 => (&RSA_SHA384, &SHA384),
                    LoggedHash::Sha512 => (&RSA_SHA512, &SHA512),
                };
                let digest = Digest::import_less_safe(digest, algorithm).map_err(|_| SignatureError::Mismatch)?;
                let verifies = |scheme: &&'static RsaParameters| {
                    UnparsedPublicKey::new(*scheme, pkcs1).verify_digest(&digest, signature).is_ok()
                };
                if schemes.iter().any(verifies) { Ok(()) } else { Err(SignatureError::Mismatch) }
            }
        }
    }
}
