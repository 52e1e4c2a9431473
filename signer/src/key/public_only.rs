//! The public half alone, for looking: explaining, verifying, writing a verifier's kit.

use bundle::{HashAlgorithm, PublicKey};

use super::{KeyBackend, KeyError};

/// A key that cannot sign, because its private half is not here.
#[derive(Clone, Debug)]
pub struct PublicOnly(pub PublicKey);

#[async_trait::async_trait]
impl KeyBackend for PublicOnly {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    async fn sign(&self, _message: &[u8], _hash: HashAlgorithm) -> Result<Vec<u8>, KeyError> {
        Err(KeyError::Signing("only its public half was read"))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[tokio::test]
    async fn it_shows_its_key_and_never_signs() {
        let pair = crate::key::file::generate(&SecretString::from("secret")).unwrap();
        let public = PublicKey::from_pem(&pair.public_pem).unwrap();
        let key = PublicOnly(public.clone());
        assert_eq!(key.public_key().spki(), public.spki());
        assert!(matches!(key.sign(b"x", HashAlgorithm::Sha256).await, Err(KeyError::Signing(_))));
    }
}
