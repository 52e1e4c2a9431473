//! Leaves by the hundred thousand: real `hashedrekord` entries, as Rekor's logs hold them, made from a number.
//!
//! The same number is the same leaf, anywhere. Each signature is one of its digest, each certificate chains to
//! [`authority_chain_der`] and carries a signed timestamp of the log with the key [`ct_log_spki`].

mod body;
mod certificates;
mod fast_key;
mod key;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::ca::Identity;
pub use body::{By, hashed_rekord_v1, hashed_rekord_v2, rekor_v2_request};
use fast_key::FastKey;
pub use key::{SandboxKey, malleated};

/// How many keys [`key_leaf`] signs with.
pub const KEYS: u64 = 16;

static SIGNERS: LazyLock<Vec<FastKey>> =
    LazyLock::new(|| (0..KEYS).map(|number| FastKey::new("key", number)).collect());

/// A `hashedrekord` 0.0.2 entry, signed with a key.
pub fn key_leaf(number: u64) -> Vec<u8> {
    let (digest, key) = (digest(number), &SIGNERS[(number % KEYS) as usize]);
    hashed_rekord_v2(&digest, key.sign_digest(&digest).as_bytes(), &By::Key(key.spki().to_vec()))
}

/// A `hashedrekord` 0.0.2 entry, signed with the key in a certificate; each number has a certificate of its own.
pub fn certificate_leaf(number: u64) -> Vec<u8> {
    let (digest, certificate) = (digest(number), certificate(number));
    let signature = certificates::holder(number).sign_digest(&digest);
    hashed_rekord_v2(&digest, signature.as_bytes(), &By::Certificate(certificate))
}

/// One with a certificate where the number is odd, and one with a key where it is even.
pub fn leaf(number: u64) -> Vec<u8> {
    if number.is_multiple_of(2) { key_leaf(number) } else { certificate_leaf(number) }
}

/// The same as Rekor v1 holds it: a `hashedrekord` 0.0.1.
pub fn leaf_v1(number: u64) -> Vec<u8> {
    let digest = digest(number);
    if number.is_multiple_of(2) {
        let key = &SIGNERS[(number % KEYS) as usize];
        return hashed_rekord_v1(&digest, key.sign_digest(&digest).as_bytes(), &By::Key(key.spki().to_vec()));
    }
    let signature = certificates::holder(number).sign_digest(&digest);
    hashed_rekord_v1(&digest, signature.as_bytes(), &By::Certificate(certificate(number)))
}

/// What the leaf of this number is a signature of.
pub fn digest(number: u64) -> [u8; 32] {
    Sha256::digest(format!("sandbox artifact {number}")).into()
}

/// The key of [`key_leaf`]'s signature, as DER.
pub fn key_spki(number: u64) -> Vec<u8> {
    SIGNERS[(number % KEYS) as usize].spki().to_vec()
}

/// The certificate in [`certificate_leaf`], as DER.
pub fn certificate(number: u64) -> Vec<u8> {
    certificates::certificate(number)
}

/// The identity in that certificate.
pub fn identity(number: u64) -> Identity {
    certificates::identity(number)
}

/// The certificates above it, as DER: intermediate, root.
pub fn authority_chain_der() -> &'static [Vec<u8>] {
    certificates::chain_der()
}

/// The key of the log that its signed timestamp is of, as DER. There is no such log.
pub fn ct_log_spki() -> &'static [u8] {
    certificates::ct_log_spki()
}

/// That log's id: SHA-256 of its key.
pub fn ct_log_id() -> [u8; 32] {
    Sha256::digest(ct_log_spki()).into()
}

/// Leaves of these numbers, made on every core.
pub fn many(numbers: Range<u64>, make: impl Fn(u64) -> Vec<u8> + Sync) -> Vec<Vec<u8>> {
    let numbers: Vec<u64> = numbers.collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let make = &make;
        let parts: Vec<_> = numbers
            .chunks(numbers.len().div_ceil(cores).max(1))
            .map(|part| scope.spawn(move || part.iter().map(|number| make(*number)).collect::<Vec<_>>()))
            .collect();
        // Unwrap safety: making a leaf does not panic.
        parts.into_iter().flat_map(|part| part.join().expect("a leaf")).collect()
    })
}
