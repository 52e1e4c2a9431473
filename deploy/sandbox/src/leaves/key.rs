//! Keys for rogues and for whoever they copy.

use p256::ecdsa::Signature;

use super::fast_key::FastKey;

/// An ECDSA P-256 key made from a number: the same number is the same key, anywhere, and no secret.
pub struct SandboxKey(FastKey);

impl SandboxKey {
    /// The key with this number. None of the generated leaves is by one of these.
    pub fn numbered(number: u64) -> Self {
        Self(FastKey::new("numbered key", number))
    }

    /// The public key as a DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        self.0.spki()
    }

    /// The public key, as PEM.
    pub fn pem(&self) -> String {
        crate::timestamp_authority::pem("PUBLIC KEY", self.spki())
    }

    /// A signature of a SHA-256 digest, in DER. The same digest has always the same one.
    pub fn sign_digest(&self, digest: &[u8; 32]) -> Vec<u8> {
        self.0.sign_digest(digest).as_bytes().to_vec()
    }
}

impl std::fmt::Debug for SandboxKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SandboxKey").field("spki", &hex::encode(self.spki())).finish_non_exhaustive()
    }
}

/// The other signature that is as good as this one (ECDSA P-256, in DER), with `s` negated: anybody can make it.
/// `None` for bytes that are no signature.
pub fn malleated(signature: &[u8]) -> Option<Vec<u8>> {
    let signature = Signature::from_der(signature).ok()?;
    let (r, s) = signature.split_scalars();
    Some(Signature::from_scalars(*r, -*s).ok()?.to_der().as_bytes().to_vec())
}
