//! One encoding for each key, found without touching the curve where the key is in it already.
use super::{PublicKey, RsaPublicKey, Verifier, canonical, rsa};
use der::Decode as _;
use std::borrow::Cow;

/// DER before an uncompressed point on P-256, its leading 4 included.
const P256: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// DER before an uncompressed point on P-384, its leading 4 included.
const P384: [u8; 24] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00,
    0x22, 0x03, 0x62, 0x00, 0x04,
];
/// DER before an Ed25519 key.
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The encoding in which [`PublicKey`] holds this key: compressed points are expanded, RSA gets its NULL. Keys of kinds
/// that we do not verify stay as they are. Cheap for keys that are canonical already; whether their point is on the
/// curve is not looked at, since two encodings of that form are never one key.
pub fn canonical_spki(spki: &[u8]) -> Cow<'_, [u8]> {
    let is = |prefix: &[u8], key: usize| spki.len() == prefix.len() + key && spki.starts_with(prefix);
    if is(&P256, 64) || is(&P384, 96) || is(&ED25519, 32) {
        return Cow::Borrowed(spki);
    }
    PublicKey::from_spki(spki).map_or(Cow::Borrowed(spki), |key| Cow::Owned(key.spki))
}

/// The SPKI of an RSA key that came bare (PKCS #1).
pub(crate) fn pkcs1_spki(pkcs1: &[u8]) -> Option<Vec<u8>> {
    RsaPublicKey::from_der(pkcs1).ok()?;
    let verifier: Verifier = rsa(pkcs1).ok()?;
    canonical(&verifier).ok()
}
