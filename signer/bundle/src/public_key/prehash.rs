//! Signatures checked from the digest that was signed: all that a log's leaf holds.
use super::{PublicKey, SignatureError, Verifier, logged};
use crate::entry::LoggedHash;
use aws_lc_rs::digest::{Digest, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
};
use signature::hazmat::PrehashVerifier as _;

impl PublicKey {
    /// Verifies a signature as a log may hold it over a digest, made with this hash: ECDSA in any encoding that logs take
    /// and with any s, or RSA PKCS #1 v1.5. [`SignatureError::NeedsMessage`] for Ed25519;
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
                let (scheme, algorithm) = match hash {
                    LoggedHash::Sha256 => (&RSA_PKCS1_2048_8192_SHA256, &SHA256),
                    LoggedHash::Sha384 => (&RSA_PKCS1_2048_8192_SHA384, &SHA384),
                    LoggedHash::Sha512 => (&RSA_PKCS1_2048_8192_SHA512, &SHA512),
                };
                let digest = Digest::import_less_safe(digest, algorithm).map_err(|_| SignatureError::Mismatch)?;
                UnparsedPublicKey::new(scheme, pkcs1)
                    .verify_digest(&digest, signature)
                    .map_err(|_| SignatureError::Mismatch)
            }
        }
    }
}
