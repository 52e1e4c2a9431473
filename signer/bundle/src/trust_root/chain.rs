//! Whether a trusted certificate authority issued a certificate.
use super::{CertificateAuthority, TrustRoot};
use crate::certificate::{CertificateView, Reader, SEQUENCE};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use const_oid::ObjectIdentifier;
use sha2::{Digest as _, Sha256};

const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ED25519_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// DER content of 2.5.29.19.
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];
const BOOLEAN: u8 = 1;

/// Why a certificate counts as issued by nobody whom we trust.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChainError {
    /// The part of a precertificate: it has no signature; ask [`TrustRoot::is_trusted_issuer_key`].
    #[error("the certificate is not signed")]
    Unsigned,
    /// No authority that was trusted when the certificate began has that name.
    #[error("no certificate authority that was trusted at the time has the name of the certificate's issuer")]
    Unknown,
    /// An authority has the name, and did not sign this certificate.
    #[error("certificate authority {0} has the name of the certificate's issuer and did not sign it")]
    Signature(String),
    /// The authority signed it, and its own chain does not hold.
    #[error("the chain of certificate authority {0} does not reach its root at that time")]
    Broken(String),
}

impl TrustRoot {
    /// Whether a certificate authority that was trusted when the certificate began signed it: with a certificate of its
    /// chain that leads, by signatures, to the chain's root, all of them valid at that moment. What the certificate may
    /// be used for is not looked at: an identity is misused by any certificate.
    pub fn issued(&self, certificate: &CertificateView<'_>) -> Result<(), ChainError> {
        if certificate.signed().is_none() {
            return Err(ChainError::Unsigned);
        }
        let mut refused = ChainError::Unknown;
        for authority in &self.certificate_authorities {
            if !authority.valid_for.contains(certificate.not_before()) {
                continue;
            }
            match authority.issued(certificate) {
                Ok(()) => return Ok(()),
                Err(ChainError::Unknown) => {}
                Err(other) => refused = other,
            }
        }
        Err(refused)
    }

    /// Whether a key, by the SHA-256 of its SPKI, is a trusted certificate authority's: a precertificate names its
    /// issuer so. Whoever logs a precertificate is checked by the log, not by us.
    pub fn is_trusted_issuer_key(&self, issuer_key_hash: &[u8; 32]) -> bool {
        let chains = self.certificate_authorities.iter().flat_map(|authority| &authority.chain);
        chains
            .filter_map(|der| CertificateView::parse(der).ok())
            .any(|issuer| Sha256::digest(issuer.spki()).as_slice() == issuer_key_hash)
    }
}

impl CertificateAuthority {
    fn issued(&self, certificate: &CertificateView<'_>) -> Result<(), ChainError> {
        let chain: Vec<CertificateView<'_>> =
            self.chain.iter().filter_map(|der| CertificateView::parse(der).ok()).collect();
        let mut refused = ChainError::Unknown;
        for (place, issuer) in chain.iter().enumerate() {
            if issuer.subject_name() != certificate.issuer_name() {
                continue;
            }
            if !signed_by(certificate, issuer) {
                refused = ChainError::Signature(self.uri.clone());
                continue;
            }
            let path = chain.get(place..).unwrap_or_default();
            if holds(path, certificate.not_before()) {
                return Ok(());
            }
            refused = ChainError::Broken(self.uri.clone());
        }
        Err(refused)
    }
}

/// Whether each of these was a valid authority at a moment, and was issued by the next. The last is the root.
fn holds(path: &[CertificateView<'_>], at: i64) -> bool {
    let valid = |ca: &CertificateView<'_>| ca.not_before() <= at && at <= ca.not_after() && is_authority(ca);
    let linked = |pair: &[CertificateView<'_>]| match pair {
        [below, above] => below.issuer_name() == above.subject_name() && signed_by(below, above),
        _ => false,
    };
    path.iter().all(valid) && path.windows(2).all(linked)
}

/// Whether basicConstraints say that it is an authority.
fn is_authority(certificate: &CertificateView<'_>) -> bool {
    let constraints = certificate.extensions().find(|extension| extension.oid == BASIC_CONSTRAINTS);
    constraints
        .and_then(|constraints| Reader::new(constraints.value).take(SEQUENCE)?.reader().take(BOOLEAN))
        .is_some_and(|flag| flag.content != [0])
}

/// Whether the issuer's key made the signature.
fn signed_by(certificate: &CertificateView<'_>, issuer: &CertificateView<'_>) -> bool {
    let verified = || {
        let signed = certificate.signed()?;
        let scheme = scheme(signed.algorithm, issuer.spki())?;
        UnparsedPublicKey::new(scheme, issuer.spki()).verify(certificate.tbs(), signed.signature).ok()
    };
    verified().is_some()
}

/// The one scheme that goes with a signature's algorithm and a key.
fn scheme(algorithm: &[u8], spki: &[u8]) -> Option<&'static dyn VerificationAlgorithm> {
    let mut identifier = Reader::new(spki).take(SEQUENCE)?.reader().take(SEQUENCE)?.reader();
    let _kind = identifier.element()?;
    let curve = identifier.element().map(|curve| curve.content).unwrap_or_default();
    let is = |oid: &ObjectIdentifier, bytes: &[u8]| oid.as_bytes() == bytes;
    let table: [(&ObjectIdentifier, Option<&ObjectIdentifier>, &'static dyn VerificationAlgorithm); 10] = [
        (&ECDSA_SHA384, Some(&P384), &ECDSA_P384_SHA384_ASN1),
        (&ECDSA_SHA256, Some(&P256), &ECDSA_P256_SHA256_ASN1),
        (&ECDSA_SHA256, Some(&P384), &ECDSA_P384_SHA256_ASN1),
        (&ECDSA_SHA384, Some(&P256), &ECDSA_P256_SHA384_ASN1),
        (&ECDSA_SHA512, Some(&P256), &ECDSA_P256_SHA512_ASN1),
        (&ECDSA_SHA512, Some(&P384), &ECDSA_P384_SHA512_ASN1),
        (&RSA_SHA256, None, &RSA_PKCS1_2048_8192_SHA256),
        (&RSA_SHA384, None, &RSA_PKCS1_2048_8192_SHA384),
        (&RSA_SHA512, None, &RSA_PKCS1_2048_8192_SHA512),
        (&ED25519_OID, None, &ED25519),
    ];
    let fits = |(oid, on, _): &&(&ObjectIdentifier, Option<&ObjectIdentifier>, &'static dyn VerificationAlgorithm)| {
        is(oid, algorithm) && on.is_none_or(|on| is(on, curve))
    };
    table.iter().find(fits).map(|(_, _, scheme)| *scheme)
}

#[cfg(test)]
mod tests;
