//! ECDSA P-256 at the cost of a multiplication: real signatures for fixtures, by keys that protect nothing.

use p256::ecdsa::{DerSignature, Signature, SigningKey, VerifyingKey};
use p256::elliptic_curve::ops::Reduce;
use p256::{FieldBytes, Scalar};
use sha2::{Digest as _, Sha256};
use signature::hazmat::PrehashSigner as _;
use signature::{Error, Keypair, Signer};
use spki::{AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey as _};

use crate::ca::certificate::CertificateSigner;

/// How many nonces a key has.
const NONCES: u8 = 16;

/// A signing key that uses its few nonces again and again. Whoever sees two of its signatures can compute the key,
/// which everybody has anyway: it is made from a number.
pub(super) struct FastKey {
    key: SigningKey,
    secret: Scalar,
    /// The inverse of each nonce, and the first half of the signatures made with it.
    nonces: Vec<(Scalar, Scalar)>,
    spki: Vec<u8>,
}

impl FastKey {
    pub(super) fn new(purpose: &str, number: u64) -> Self {
        let seed = Sha256::digest(format!("sandbox leaves, {purpose} {number}"));
        // Unwrap safety, here and below: of these fixed inputs, which a test goes through, all are accepted.
        let key = SigningKey::from_slice(&seed).expect("a key");
        let secret: Scalar = *key.as_nonzero_scalar().as_ref();
        let nonces = (0..NONCES).map(|nonce| Self::nonce(&key, secret, nonce)).collect();
        let spki = key.verifying_key().to_public_key_der().expect("a public key is DER").into_vec();
        Self { key, secret, nonces, spki }
    }

    /// From one ordinary signature `s = (z + r·d) / k`: the inverse of `k`, and `r`.
    fn nonce(key: &SigningKey, secret: Scalar, number: u8) -> (Scalar, Scalar) {
        let digest = Sha256::digest([number]);
        let signature: Signature = key.sign_prehash(&digest).expect("a signature");
        let (r, s): (Scalar, Scalar) = (*signature.r().as_ref(), *signature.s().as_ref());
        let inverse = Option::from((scalar(&digest.into()) + r * secret).invert());
        (s * inverse.unwrap_or(Scalar::ONE), r)
    }

    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// A signature of this SHA-256 digest, in DER. The same digest has always the same one.
    pub(super) fn sign_digest(&self, digest: &[u8; 32]) -> DerSignature {
        let (inverse, r) = self.nonces[usize::from(digest[0] % NONCES)];
        let s = inverse * (scalar(digest) + r * self.secret);
        Signature::from_scalars(r, s).map_or_else(|_| self.key.sign(digest), |signature| signature.to_der())
    }
}

fn scalar(digest: &[u8; 32]) -> Scalar {
    Scalar::reduce(&FieldBytes::from(*digest))
}

impl Signer<DerSignature> for FastKey {
    fn try_sign(&self, message: &[u8]) -> Result<DerSignature, Error> {
        Ok(self.sign_digest(&Sha256::digest(message).into()))
    }
}

impl Keypair for FastKey {
    type VerifyingKey = VerifyingKey;

    fn verifying_key(&self) -> VerifyingKey {
        *self.key.verifying_key()
    }
}

impl DynSignatureAlgorithmIdentifier for FastKey {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        self.key.signature_algorithm_identifier()
    }
}

impl CertificateSigner for FastKey {
    type Signature = DerSignature;
}
