//! A private key in a PEM file: cosign's encrypted form, or plain PKCS#8, SEC1 and PKCS#1.

mod encrypted;
mod pem;
mod private;

#[cfg(test)]
mod tests;

use bundle::{HashAlgorithm, PublicKey};
use p256::elliptic_curve::Generate;
use pkcs8::EncodePrivateKey;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use self::private::PrivateKey;
use super::{KeyBackend, KeyError, checked};

/// What cosign writes today.
const SIGSTORE_LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// What cosign wrote before version 2.
const COSIGN_LABEL: &str = "ENCRYPTED COSIGN PRIVATE KEY";

/// A private key that was read from a file. Its secret is wiped when it is dropped.
pub struct FileKey {
    private: PrivateKey,
    public: PublicKey,
}

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileKey").field("public", &self.public.fingerprint()).finish_non_exhaustive()
    }
}

/// A new key pair, as two files.
pub struct GeneratedKey {
    /// The encrypted private key, as cosign would have written it (`cosign.key`).
    pub private_pem: String,
    /// The public key (`cosign.pub`).
    pub public_pem: String,
}

impl std::fmt::Debug for GeneratedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GeneratedKey").field("public_pem", &self.public_pem).finish_non_exhaustive()
    }
}

/// Reads a private key file. `password` is needed for cosign's encrypted form only, and may be empty there.
///
/// Takes about a fifth of a second and up to 128 MiB for an encrypted key: scrypt is meant to.
pub fn load(pem: &[u8], password: Option<&SecretString>) -> Result<FileKey, KeyError> {
    let blocks = pem::private_key_blocks(pem)?;
    let [block] = blocks.as_slice() else {
        let keys: Vec<String> = blocks.iter().map(described).collect();
        return Err(KeyError::SeveralKeys { keys: keys.join(" and ") });
    };
    let private = match block.label.as_str() {
        SIGSTORE_LABEL | COSIGN_LABEL => {
            let password = password.ok_or(KeyError::PasswordNeeded)?;
            let pkcs8 = encrypted::open(&block.body, password.expose_secret().as_bytes())?;
            PrivateKey::from_pkcs8(&pkcs8)?
        }
        _ => plain(block)?,
    };
    let public = private.public_key()?;
    Ok(FileKey { private, public })
}

fn plain(block: &pem::Block) -> Result<PrivateKey, KeyError> {
    match block.label.as_str() {
        "PRIVATE KEY" => PrivateKey::from_pkcs8(&block.body),
        "EC PRIVATE KEY" => PrivateKey::from_sec1(&block.body),
        "RSA PRIVATE KEY" => PrivateKey::from_pkcs1(&block.body),
        "ENCRYPTED PRIVATE KEY" => Err(KeyError::OpensslEncrypted),
        label => Err(KeyError::UnknownPem { label: label.to_owned() }),
    }
}

/// A key for a message: by its fingerprint where it is not encrypted.
fn described(block: &pem::Block) -> String {
    match plain(block).and_then(|key| key.public_key()) {
        Ok(public) => public.fingerprint(),
        Err(_) => format!("one that is {}", block.label),
    }
}

/// Makes an ECDSA P-256 key, the one kind that every verifier reads, in cosign's encrypted form.
pub fn generate(password: &SecretString) -> Result<GeneratedKey, KeyError> {
    let secret = p256::SecretKey::try_generate().map_err(|error| KeyError::Randomness(error.to_string()))?;
    let pkcs8 = secret.to_pkcs8_der().map_err(|_| KeyError::Malformed("a new key could not be encoded"))?;
    let public = PrivateKey::from_pkcs8(pkcs8.as_bytes())?.public_key()?;
    let sealed = Zeroizing::new(encrypted::seal(pkcs8.as_bytes(), password.expose_secret().as_bytes())?);
    Ok(GeneratedKey { private_pem: bundle::pem::encode(SIGSTORE_LABEL, &sealed), public_pem: public.pem() })
}

#[async_trait::async_trait]
impl KeyBackend for FileKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    async fn sign(&self, message: &[u8], hash: HashAlgorithm) -> Result<Vec<u8>, KeyError> {
        let signature = self.private.sign(message, hash)?;
        checked(&self.public, message, &signature, hash)
    }
}
