//! The public keys of keyless certificates, recorded before a certificate is asked for: so that our own certificates in
//! a CT log are known for ours.

use async_trait::async_trait;

use crate::StoreError;

/// A key for which a certificate is about to be asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateKey {
    /// The public key, SPKI in DER.
    pub public_key_spki: Vec<u8>,
    /// The identity's name in the configuration.
    pub identity_name: String,
    /// The token's issuer.
    pub issuer: String,
    /// The token's subject as the certificate will name it.
    pub subject: String,
    /// When, in unix milliseconds.
    pub requested_at: i64,
}

/// Takes the keys of certificates; [`crate::LedgerKeysSeen`] lists them.
#[async_trait]
pub trait CertificateKeys: Send + Sync {
    /// Records a key before its certificate is asked for; the first time stays.
    async fn record_certificate_key(&self, key: &CertificateKey) -> Result<(), StoreError>;
}

pub(crate) const INSERT: &str = "-- certificate_keys::record_certificate_key
INSERT INTO certificate_keys (public_key_spki_hash, public_key_spki, identity_name, issuer, subject, requested_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (public_key_spki_hash) DO NOTHING";

macro_rules! stamp_certificate_keys {
    ($Store:ty) => {
        #[async_trait::async_trait]
        impl crate::CertificateKeys for $Store {
            async fn record_certificate_key(&self, key: &crate::CertificateKey) -> Result<(), crate::StoreError> {
                use crate::column::{key_of, text};
                let mut tx = self.begin().await?;
                sqlx::query(crate::certificate_keys::INSERT)
                    .bind(key_of(&[&key.public_key_spki]))
                    .bind(&key.public_key_spki)
                    .bind(text(&key.identity_name))
                    .bind(text(&key.issuer))
                    .bind(text(&key.subject))
                    .bind(key.requested_at)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(())
            }
        }
    };
}
pub(crate) use stamp_certificate_keys;
