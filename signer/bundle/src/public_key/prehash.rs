//! Signatures checked from the digest that was signed: all that a log's leaf holds.
use super::{PublicKey, SignatureError, Verifier};
use crate::entry::LoggedHash;
use aws_lc_rs::digest::{Digest, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
};
use signature::hazmat::PrehashVerifier as _;

impl PublicKey {
    /// Verifies a signature over a digest, made with this hash: ECDSA in DER with any s, or RSA PKCS #1 v1.5.
    /// [`SignatureError::NeedsMessage`] for Ed25519.
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
                let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| SignatureError::Malformed)?;
                key.verify_prehash(digest, &signature).map_err(|_| SignatureError::Mismatch)
            }
            Verifier::P384(key) => {
                let signature = p384::ecdsa::Signature::from_der(signature).map_err(|_| SignatureError::Malformed)?;
                key.verify_prehash(digest, &signature).map_err(|_| SignatureError::Mismatch)
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
