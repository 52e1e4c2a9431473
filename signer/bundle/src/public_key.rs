//! Public keys: read from PEM or DER, held in one canonical encoding, and verified with.
mod canonical;
mod logged;
mod prehash;

pub use canonical::canonical_spki;
pub(crate) use canonical::pkcs1_spki;

use std::fmt;

use crate::pem;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::{Decode as _, Encode as _};
use sha2::{Digest as _, Sha256, Sha384};
use signature::hazmat::PrehashVerifier as _;
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const NIST_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const NIST_P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// No key that we accept is longer than this in DER.
const MAX_SPKI: usize = 4096;

/// What kind of key it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on NIST P-256: the only one that every reader of our signatures accepts.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// Pure Ed25519.
    Ed25519,
    /// RSA, PKCS #1 v1.5.
    Rsa {
        /// Size of the modulus.
        bits: u32,
    },
}

impl KeyAlgorithm {
    /// A short name for reports; RSA by its size.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Ed25519 => "ed25519",
            Self::Rsa { bits: 2048 } => "rsa-2048",
            Self::Rsa { bits: 3072 } => "rsa-3072",
            Self::Rsa { bits: 4096 } => "rsa-4096",
            Self::Rsa { .. } => "rsa",
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a message is hashed before it is signed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
}

impl HashAlgorithm {
    /// The hash of a message.
    pub fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha384 => Sha384::digest(message).to_vec(),
        }
    }

    /// The name in Rekor v1 bodies and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
        }
    }
}

/// Why something is not a public key that we can use.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PublicKeyError {
    /// Not PEM at all.
    #[error("not a pem public key; expected a \"-----BEGIN PUBLIC KEY-----\" block")]
    NotPem,
    /// PEM of something else.
    #[error("expected a pem block \"PUBLIC KEY\", found {0:?}")]
    WrongLabel(String),
    /// Not a SubjectPublicKeyInfo.
    #[error("not a der subject public key info")]
    NotSpki,
    /// An algorithm, curve or size that is not supported.
    #[error("unsupported public key: {0}; use ecdsa p-256, p-384, ed25519 or rsa of 2048 to 8192 bits")]
    Unsupported(&'static str),
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignatureError {
    /// Not in the encoding of the key's algorithm.
    #[error("malformed signature")]
    Malformed,
    /// Well formed, and not by this key over this message.
    #[error("the signature is not by this key over these bytes")]
    Mismatch,
    /// Only the message would do, or another hash: Ed25519 signs messages, not digests.
    #[error("a signature of this kind cannot be checked from the digest alone")]
    NeedsMessage,
}

/// A public key. Two keys are equal exactly when they verify the same signatures: whatever
/// encoding came in, the one held and printed is canonical (uncompressed points, explicit NULL
/// for RSA), so that nobody gets a second name for our key by re-encoding it.
#[derive(Clone)]
pub struct PublicKey {
    spki: Vec<u8>,
    verifier: Verifier,
}

#[derive(Clone)]
enum Verifier {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
    /// The PKCS #1 encoding.
    Rsa {
        pkcs1: Vec<u8>,
        bits: u32,
    },
}

/// The public keys of one PEM text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PemKeys {
    /// The first: the one that every verifier uses.
    pub first: PublicKey,
    /// Those after it that are other keys.
    pub others: Vec<PublicKey>,
}

impl PemKeys {
    /// That there are others, with every fingerprint; `None` if there are none.
    pub fn several(&self) -> Option<String> {
        if self.others.is_empty() {
            return None;
        }
        let others: Vec<String> = self.others.iter().map(PublicKey::fingerprint).collect();
        Some(format!("holds several keys: the first, {}, and {}", self.first.fingerprint(), others.join(", ")))
    }
}

/// `RSAPublicKey` of RFC 8017.
#[derive(der::Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

impl PublicKey {
    /// Reads the first `PUBLIC KEY` or `RSA PUBLIC KEY` block of a text, whatever is around it.
    ///
    /// # Errors
    /// No such block, or one that holds no key that we can use.
    pub fn from_pem(pem: &str) -> Result<Self, PublicKeyError> {
        Self::all_from_pem(pem).map(|keys| keys.first)
    }

    /// The same, with the other public keys of the text: verifiers use the first alone, so a second one is a mistake.
    ///
    /// # Errors
    /// As [`PublicKey::from_pem`]; what is wrong with a further block is none.
    pub fn all_from_pem(pem: &str) -> Result<PemKeys, PublicKeyError> {
        let mut keys = pem::blocks(pem).filter_map(|block| {
            let read: fn(&[u8]) -> Result<Self, PublicKeyError> = match block.label {
                "PUBLIC KEY" => Self::from_spki,
                "RSA PUBLIC KEY" => Self::from_pkcs1,
                _ => return None,
            };
            Some(block.decode().ok_or(PublicKeyError::NotPem).and_then(|der| read(&der)))
        });
        let Some(first) = keys.next() else {
            let other = pem::blocks(pem).next();
            return Err(
                other.map_or(PublicKeyError::NotPem, |block| PublicKeyError::WrongLabel(block.label.to_owned()))
            );
        };
        let first = first?;
        let others = keys.filter_map(Result::ok).filter(|other| *other != first).collect();
        Ok(PemKeys { first, others })
    }

    /// Reads an RSA key that came bare: the DER of PKCS #1's `RSAPublicKey`.
    ///
    /// # Errors
    /// Anything else, and sizes that are not supported.
    pub fn from_pkcs1(der: &[u8]) -> Result<Self, PublicKeyError> {
        if der.len() > MAX_SPKI {
            return Err(PublicKeyError::NotSpki);
        }
        let verifier = rsa(der)?;
        let spki = canonical(&verifier).map_err(|_| PublicKeyError::NotSpki)?;
        Ok(Self { spki, verifier })
    }

    /// Reads a DER SubjectPublicKeyInfo.
    pub fn from_spki(spki: &[u8]) -> Result<Self, PublicKeyError> {
        if spki.len() > MAX_SPKI {
            return Err(PublicKeyError::NotSpki);
        }
        let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| PublicKeyError::NotSpki)?;
        let key = info.subject_public_key.as_bytes().ok_or(PublicKeyError::NotSpki)?;
        let verifier = match info.algorithm.oid {
            EC_PUBLIC_KEY => elliptic(&info.algorithm, key)?,
            RSA_ENCRYPTION => rsa(key)?,
            ED25519 => {
                let bytes = key.try_into().map_err(|_| PublicKeyError::NotSpki)?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| PublicKeyError::NotSpki)?;
                // Anybody can sign for a key of small order.
                if key.is_weak() {
                    return Err(PublicKeyError::Unsupported("a weak ed25519 key"));
                }
                Verifier::Ed25519(key)
            }
            _ => return Err(PublicKeyError::Unsupported("an unknown algorithm")),
        };
        let spki = canonical(&verifier).map_err(|_| PublicKeyError::NotSpki)?;
        Ok(Self { spki, verifier })
    }

    /// The canonical DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The canonical PEM, byte for byte as Go and OpenSSL write it.
    pub fn pem(&self) -> String {
        pem::encode("PUBLIC KEY", &self.spki)
    }

    /// What kind of key it is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        match &self.verifier {
            Verifier::P256(_) => KeyAlgorithm::EcdsaP256,
            Verifier::P384(_) => KeyAlgorithm::EcdsaP384,
            Verifier::Ed25519(_) => KeyAlgorithm::Ed25519,
            Verifier::Rsa { bits, .. } => KeyAlgorithm::Rsa { bits: *bits },
        }
    }

    /// The key's name in the ledger: lowercase hex of the SHA-256 of its SPKI.
    pub fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(&self.spki))
    }

    /// The key's hint in bundles: base64 of the SHA-256 of its SPKI.
    pub fn hint(&self) -> String {
        STANDARD.encode(Sha256::digest(&self.spki))
    }

    /// The hash that a bundle's signature by this key is over; the legacy format always has
    /// SHA-256.
    pub fn bundle_hash(&self) -> HashAlgorithm {
        match self.verifier {
            Verifier::P384(_) => HashAlgorithm::Sha384,
            _ => HashAlgorithm::Sha256,
        }
    }

    /// Verifies a signature over a message: ECDSA in DER with any s, RSA PKCS #1 v1.5, or pure
    /// Ed25519, which ignores `hash`.
    pub fn verify(&self, message: &[u8], signature: &[u8], hash: HashAlgorithm) -> Result<(), SignatureError> {
        match &self.verifier {
            Verifier::P256(key) => {
                let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| SignatureError::Malformed)?;
                key.verify_prehash(&hash.digest(message), &signature).map_err(|_| SignatureError::Mismatch)
            }
            Verifier::P384(key) => {
                let signature = p384::ecdsa::Signature::from_der(signature).map_err(|_| SignatureError::Malformed)?;
                key.verify_prehash(&hash.digest(message), &signature).map_err(|_| SignatureError::Mismatch)
            }
            Verifier::Ed25519(key) => {
                let signature =
                    ed25519_dalek::Signature::from_slice(signature).map_err(|_| SignatureError::Malformed)?;
                key.verify_strict(message, &signature).map_err(|_| SignatureError::Mismatch)
            }
            Verifier::Rsa { pkcs1, bits } => {
                if signature.len() != (*bits as usize).div_ceil(8) {
                    return Err(SignatureError::Malformed);
                }
                let scheme = match hash {
                    HashAlgorithm::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                    HashAlgorithm::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
                };
                UnparsedPublicKey::new(scheme, pkcs1).verify(message, signature).map_err(|_| SignatureError::Mismatch)
            }
        }
    }

    /// The one spelling of a signature. Whoever sees an ECDSA signature can negate its s and hold
    /// a second valid one, so signatures are compared and stored with the low s.
    pub fn low_s(&self, signature: &[u8]) -> Result<Vec<u8>, SignatureError> {
        match &self.verifier {
            Verifier::P256(_) => {
                let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| SignatureError::Malformed)?;
                Ok(signature.normalize_s().to_der().as_bytes().to_vec())
            }
            Verifier::P384(_) => {
                let signature = p384::ecdsa::Signature::from_der(signature).map_err(|_| SignatureError::Malformed)?;
                Ok(signature.normalize_s().to_der().as_bytes().to_vec())
            }
            Verifier::Ed25519(_) | Verifier::Rsa { .. } => Ok(signature.to_vec()),
        }
    }
}

fn elliptic(algorithm: &AlgorithmIdentifierRef<'_>, point: &[u8]) -> Result<Verifier, PublicKeyError> {
    let curve = algorithm.parameters_oid().map_err(|_| PublicKeyError::NotSpki)?;
    match curve {
        NIST_P256 => {
            p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Verifier::P256).map_err(|_| PublicKeyError::NotSpki)
        }
        NIST_P384 => {
            p384::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Verifier::P384).map_err(|_| PublicKeyError::NotSpki)
        }
        _ => Err(PublicKeyError::Unsupported("another elliptic curve")),
    }
}

fn rsa(pkcs1: &[u8]) -> Result<Verifier, PublicKeyError> {
    let key = RsaPublicKey::from_der(pkcs1).map_err(|_| PublicKeyError::NotSpki)?;
    let modulus = key.modulus.as_bytes();
    let leading = modulus.first().map_or(8, |byte| byte.leading_zeros());
    let bits = u32::try_from(modulus.len() * 8).unwrap_or(u32::MAX).saturating_sub(leading);
    if !(2048..=8192).contains(&bits) {
        return Err(PublicKeyError::Unsupported("an rsa key of that size"));
    }
    let pkcs1 = key.to_der().map_err(|_| PublicKeyError::NotSpki)?;
    Ok(Verifier::Rsa { pkcs1, bits })
}

fn canonical(verifier: &Verifier) -> der::Result<Vec<u8>> {
    let encode = |oid, parameters: Option<AnyRef<'_>>, key: &[u8]| {
        SubjectPublicKeyInfoRef {
            algorithm: AlgorithmIdentifierRef { oid, parameters },
            subject_public_key: BitStringRef::from_bytes(key)?,
        }
        .to_der()
    };
    match verifier {
        Verifier::P256(key) => encode(EC_PUBLIC_KEY, Some((&NIST_P256).into()), key.to_sec1_point(false).as_bytes()),
        Verifier::P384(key) => encode(EC_PUBLIC_KEY, Some((&NIST_P384).into()), key.to_sec1_point(false).as_bytes()),
        Verifier::Ed25519(key) => encode(ED25519, None, key.as_bytes()),
        Verifier::Rsa { pkcs1, .. } => encode(RSA_ENCRYPTION, Some(AnyRef::NULL), pkcs1),
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.spki.hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.algorithm(), self.fingerprint())
    }
}

#[cfg(test)]
mod tests;
