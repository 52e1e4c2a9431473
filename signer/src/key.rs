//! Port to what holds a private key: a file now, a KMS or a token by a file of its own later.

pub mod file;
mod public_only;

use bundle::{HashAlgorithm, PublicKey};

pub use public_only::PublicOnly;

/// Signs with one key. Implementations transport bytes; each signature is verified here before anybody sees it, so a
/// faulty or lying backend costs a signature and never publishes a wrong one.
#[async_trait::async_trait]
pub trait KeyBackend: Send + Sync {
    /// The public half of the key that `sign` signs with.
    fn public_key(&self) -> &PublicKey;

    /// Signs the hash of `message`: ECDSA in DER with low s, RSA PKCS#1 v1.5, or Ed25519 over the message itself.
    /// The signature has been verified with [`KeyBackend::public_key`] when it returns (see [`checked`]).
    async fn sign(&self, message: &[u8], hash: HashAlgorithm) -> Result<Vec<u8>, KeyError>;
}

/// Why a key could not be loaded, made or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No PEM block in the file.
    #[error("no PEM block in the private key: it should begin with `-----BEGIN`")]
    NoPem,
    /// A PEM block that is not a private key that we read.
    #[error(
        "`{label}` is not a private key that can be read: give a cosign key file, PKCS#8 (`PRIVATE KEY`), `EC PRIVATE KEY` or `RSA PRIVATE KEY`"
    )]
    UnknownPem {
        /// The PEM label.
        label: String,
    },
    /// Several private keys in one file.
    #[error("the file holds several private keys ({keys}): keep the one that signs")]
    SeveralKeys {
        /// Which: their fingerprints, as far as they are not encrypted.
        keys: String,
    },
    /// Encrypted by PKCS#5 or OpenSSL's older way, neither of which cosign reads either.
    #[error(
        "the private key is encrypted by openssl: run `cosign import-key-pair --key FILE`, or decrypt it by `openssl pkcs8 -topk8 -nocrypt -in FILE`"
    )]
    OpensslEncrypted,
    /// The file is encrypted and no password was given.
    #[error("the private key is encrypted: set the identity's `password_file`, or COSIGN_PASSWORD")]
    PasswordNeeded,
    /// The password does not open the box. An altered file looks the same.
    #[error(
        "wrong password for the private key (or the file was altered): check the identity's `password_file`, or COSIGN_PASSWORD"
    )]
    WrongPassword,
    /// Work factors that cosign does not write.
    #[error(
        "unsupported scrypt parameters N={n} r={r} p={p} in the private key: cosign writes N 32768, 65536 or 131072 with r 8 and p 1"
    )]
    UnsupportedScrypt {
        /// Cost.
        n: u64,
        /// Block size.
        r: u64,
        /// Parallelism.
        p: u64,
    },
    /// A key derivation or cipher that cosign does not write.
    #[error("unsupported `{name}` in the private key: cosign writes scrypt and nacl/secretbox")]
    UnsupportedEncryption {
        /// What the file names.
        name: String,
    },
    /// A kind of key that no format of ours can carry.
    #[error("unsupported kind of private key ({what}): use ECDSA P-256, P-384, Ed25519 or RSA")]
    UnsupportedAlgorithm {
        /// Its object identifier.
        what: String,
    },
    /// An RSA key of a size that verifiers refuse.
    #[error("an RSA key of {bits} bits cannot be used: make one of 2048, 3072 or 4096 bits, or better ECDSA P-256")]
    RsaSize {
        /// Bits of the modulus.
        bits: usize,
    },
    /// The bytes are not what their label says.
    #[error("the private key cannot be read: {0}")]
    Malformed(&'static str),
    /// The public half could not be read back.
    #[error("the public key of the private key cannot be read: {0}")]
    PublicKey(String),
    /// No randomness from the operating system.
    #[error("the operating system gave no randomness: {0}")]
    Randomness(String),
    /// The backend could not sign.
    #[error("the key could not sign: {0}")]
    Signing(&'static str),
    /// The backend answered a signature that its own public key refuses.
    #[error("the key returned a signature that its public key refuses: the signature was thrown away")]
    Unverified,
}

impl KeyError {
    /// Whether the same call may succeed later, with nobody doing anything. A file never changes its mind.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Randomness(_))
    }
}

/// Normalises a raw signature to low s and verifies it. Every backend's `sign` ends here.
pub fn checked(key: &PublicKey, message: &[u8], signature: &[u8], hash: HashAlgorithm) -> Result<Vec<u8>, KeyError> {
    let signature = key.low_s(signature).map_err(|_| KeyError::Unverified)?;
    key.verify(message, &signature, hash).map_err(|_| KeyError::Unverified)?;
    Ok(signature)
}
