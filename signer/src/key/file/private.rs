//! The secret half, by algorithm. Every variant wipes its secret when it is dropped.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384};
use bundle::{HashAlgorithm, PublicKey};
use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use pkcs8::der::asn1::ObjectIdentifier;
use pkcs8::{DecodePrivateKey as _, PrivateKeyInfoRef};
use sec1::EcPrivateKey;
use spki::EncodePublicKey as _;

use crate::key::KeyError;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A private key. ECDSA nonces are deterministic (RFC 6979): a poor source of randomness cannot leak the key.
pub(super) enum PrivateKey {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
    Rsa(aws_lc_rs::rsa::KeyPair),
}

impl PrivateKey {
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| KeyError::Malformed("it is not PKCS#8"))?;
        let algorithm = info.algorithm.oid;
        if algorithm == EC {
            let curve = info.algorithm.parameters_oid().map_err(|_| KeyError::Malformed("its curve is not named"))?;
            return if curve == P256 {
                p256::ecdsa::SigningKey::from_pkcs8_der(der)
                    .map(Self::P256)
                    .map_err(|_| KeyError::Malformed("it is not a P-256 key"))
            } else if curve == P384 {
                p384::ecdsa::SigningKey::from_pkcs8_der(der)
                    .map(Self::P384)
                    .map_err(|_| KeyError::Malformed("it is not a P-384 key"))
            } else {
                Err(unsupported_curve(curve))
            };
        }
        if algorithm == ED25519 {
            return ed25519_dalek::SigningKey::from_pkcs8_der(der)
                .map(Self::Ed25519)
                .map_err(|_| KeyError::Malformed("it is not an Ed25519 key"));
        }
        if algorithm == RSA {
            return rsa(aws_lc_rs::rsa::KeyPair::from_pkcs8(der));
        }
        Err(KeyError::UnsupportedAlgorithm { what: algorithm.to_string() })
    }

    pub(super) fn from_sec1(der: &[u8]) -> Result<Self, KeyError> {
        let key = EcPrivateKey::try_from(der).map_err(|_| KeyError::Malformed("it is not an EC private key"))?;
        let curve = key
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.named_curve())
            .ok_or(KeyError::Malformed("its curve is not named"))?;
        if curve == P256 {
            p256::SecretKey::from_sec1_der(der)
                .map(|secret| Self::P256(secret.into()))
                .map_err(|_| KeyError::Malformed("it is not a P-256 key"))
        } else if curve == P384 {
            p384::SecretKey::from_sec1_der(der)
                .map(|secret| Self::P384(secret.into()))
                .map_err(|_| KeyError::Malformed("it is not a P-384 key"))
        } else {
            Err(unsupported_curve(curve))
        }
    }

    pub(super) fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        rsa(aws_lc_rs::rsa::KeyPair::from_der(der))
    }

    pub(super) fn public_key(&self) -> Result<PublicKey, KeyError> {
        let encoding = |_| KeyError::Malformed("its public key cannot be encoded");
        let spki = match self {
            Self::P256(key) => key.verifying_key().to_public_key_der().map_err(encoding)?.into_vec(),
            Self::P384(key) => key.verifying_key().to_public_key_der().map_err(encoding)?.into_vec(),
            Self::Ed25519(key) => key.verifying_key().to_public_key_der().map_err(encoding)?.into_vec(),
            Self::Rsa(key) => {
                let der: PublicKeyX509Der<'_> =
                    key.public_key().as_der().map_err(|_| KeyError::Malformed("its public key cannot be encoded"))?;
                der.as_ref().to_vec()
            }
        };
        PublicKey::from_spki(&spki).map_err(|error| KeyError::PublicKey(error.to_string()))
    }

    pub(super) fn sign(&self, message: &[u8], hash: HashAlgorithm) -> Result<Vec<u8>, KeyError> {
        match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    key.sign_prehash(&hash.digest(message)).map_err(|_| KeyError::Signing("ECDSA P-256 failed"))?;
                Ok(signature.normalize_s().to_der().as_bytes().to_vec())
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature =
                    key.sign_prehash(&hash.digest(message)).map_err(|_| KeyError::Signing("ECDSA P-384 failed"))?;
                Ok(signature.normalize_s().to_der().as_bytes().to_vec())
            }
            Self::Ed25519(key) => Ok(key.sign(message).to_bytes().to_vec()),
            Self::Rsa(key) => {
                let padding = match hash {
                    HashAlgorithm::Sha256 => &RSA_PKCS1_SHA256,
                    HashAlgorithm::Sha384 => &RSA_PKCS1_SHA384,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| KeyError::Signing("RSA failed"))?;
                Ok(signature)
            }
        }
    }
}

fn rsa<E>(key: Result<aws_lc_rs::rsa::KeyPair, E>) -> Result<PrivateKey, KeyError> {
    let key = key.map_err(|_| KeyError::Malformed("it is not an RSA key that can be used"))?;
    let bits = key.public_modulus_len() * 8;
    if !(2048..=4096).contains(&bits) {
        return Err(KeyError::RsaSize { bits });
    }
    Ok(PrivateKey::Rsa(key))
}

fn unsupported_curve(curve: ObjectIdentifier) -> KeyError {
    KeyError::UnsupportedAlgorithm { what: format!("elliptic curve {curve}") }
}
