//! The authority's certificates: a root, an intermediate and a leaf that may only stamp time.

use std::str::FromStr as _;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use const_oid::AssociatedOid as _;
use const_oid::db::rfc5280::ID_KP_TIME_STAMPING;
use der::asn1::OctetString;
use der::{Decode as _, Encode as _};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use signature::Signer as _;
use spki::SubjectPublicKeyInfoRef;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{self, Builder as _, CertificateBuilder};
use x509_cert::certificate::{Certificate, TbsCertificate};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfo;
use x509_cert::time::{Time, Validity};

use super::pem;
use crate::{SandboxError, random_seed};

const DAY: i64 = 24 * 60 * 60;

/// Root, intermediate and leaf, and the leaf's key.
pub(crate) struct Chain {
    key: SigningKey,
    leaf: Certificate,
    /// Leaf, intermediate, root.
    der: Vec<Vec<u8>>,
    valid_from: i64,
}

impl Chain {
    /// A new chain, valid from a day before `now` for ten years.
    pub(crate) fn generate(now: i64) -> Result<Self, SandboxError> {
        let certificates = |error: &dyn std::fmt::Display| SandboxError::Certificates(error.to_string());
        let valid_from = now - DAY;
        let validity = || -> Result<Validity, SandboxError> {
            Ok(Validity::new(
                time(valid_from).map_err(|e| certificates(&e))?,
                time(now + 3650 * DAY).map_err(|e| certificates(&e))?,
            ))
        };
        let (root_key, intermediate_key, leaf_key) = (new_key()?, new_key()?, new_key()?);
        let issue = |role, name, issuer: (&str, &SigningKey), key: &SigningKey, serial| {
            issue(role, name, issuer, key, serial, validity()?).map_err(|e| certificates(&e))
        };
        const ROOT: &str = "CN=sandbox timestamp root,O=sandbox";
        const INTERMEDIATE: &str = "CN=sandbox timestamp intermediate,O=sandbox";
        const LEAF: &str = "CN=sandbox timestamp authority,O=sandbox";
        let root = issue(Role::Root, ROOT, (ROOT, &root_key), &root_key, 1)?;
        let intermediate = issue(Role::Intermediate, INTERMEDIATE, (ROOT, &root_key), &intermediate_key, 2)?;
        let leaf = issue(Role::Leaf, LEAF, (INTERMEDIATE, &intermediate_key), &leaf_key, 3)?;
        let der = [&leaf, &intermediate, &root]
            .into_iter()
            .map(|certificate| certificate.to_der().map_err(|e| certificates(&e)))
            .collect::<Result<_, _>>()?;
        Ok(Self { key: leaf_key, leaf, der, valid_from })
    }

    pub(crate) fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// Leaf, intermediate, root.
    pub(crate) fn certificates(&self) -> &[Vec<u8>] {
        &self.der
    }

    pub(crate) fn pem(&self) -> String {
        self.der.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect()
    }

    pub(crate) fn valid_from(&self) -> i64 {
        self.valid_from
    }

    /// ECDSA over SHA-256 by the leaf's key.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.key.sign(message);
        signature.as_bytes().to_vec()
    }
}

/// A chain as a file keeps it. Secret: it has the private key.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedChain {
    /// The leaf's private key, 32 bytes in base64.
    key: String,
    /// Leaf, intermediate, root: DER in base64.
    certificates: Vec<String>,
    /// In seconds since 1970.
    valid_from: i64,
}

impl SavedChain {
    /// A new chain; see [`Chain::generate`].
    pub(crate) fn generate(now: i64) -> Result<Self, SandboxError> {
        let chain = Chain::generate(now)?;
        Ok(Self {
            key: STANDARD.encode(chain.key.to_bytes()),
            certificates: chain.der.iter().map(|certificate| STANDARD.encode(certificate)).collect(),
            valid_from: chain.valid_from,
        })
    }
}

impl Chain {
    /// The chain that was saved.
    pub(crate) fn restored(saved: &SavedChain) -> Result<Self, SandboxError> {
        let wrong = |what: &str| SandboxError::Certificates(format!("the saved {what} cannot be read"));
        let key = STANDARD
            .decode(&saved.key)
            .ok()
            .and_then(|bytes| SigningKey::from_slice(&bytes).ok())
            .ok_or_else(|| wrong("key"))?;
        let der: Vec<Vec<u8>> = saved
            .certificates
            .iter()
            .map(|certificate| STANDARD.decode(certificate))
            .collect::<Result<_, _>>()
            .map_err(|_| wrong("certificates"))?;
        let leaf = der.first().ok_or_else(|| wrong("certificates"))?;
        let leaf = Certificate::from_der(leaf).map_err(|_| wrong("certificates"))?;
        if SubjectPublicKeyInfo::from_key(key.verifying_key()).ok().as_ref()
            != Some(leaf.tbs_certificate().subject_public_key_info())
        {
            return Err(SandboxError::Certificates("the saved key is not that of the saved certificate".to_owned()));
        }
        Ok(Self { key, leaf, der, valid_from: saved.valid_from })
    }
}

#[derive(Clone, Copy)]
enum Role {
    Root,
    Intermediate,
    Leaf,
}

struct Profile {
    role: Role,
    subject: Name,
    issuer: Name,
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        issuer_key: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let mut extensions: Vec<Extension> = Vec::new();
        let subject = tbs.subject();
        let usage = match self.role {
            Role::Leaf => KeyUsage(KeyUsages::DigitalSignature.into()),
            Role::Root | Role::Intermediate => {
                let authority = BasicConstraints { ca: true, path_len_constraint: None };
                extensions.push(authority.to_extension(subject, &extensions)?);
                KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)
            }
        };
        extensions.push(usage.to_extension(subject, &extensions)?);
        if !matches!(self.role, Role::Root) {
            let purpose = ExtendedKeyUsage(vec![ID_KP_TIME_STAMPING]).to_der()?;
            extensions.push(Extension {
                extn_id: ExtendedKeyUsage::OID,
                // SPEC: RFC 3161 2.3: on the leaf only this purpose, and critical.
                critical: matches!(self.role, Role::Leaf),
                extn_value: OctetString::new(purpose)?,
            });
        }
        let identifier = SubjectKeyIdentifier::try_from(key)?;
        extensions.push(identifier.to_extension(subject, &extensions)?);
        if !matches!(self.role, Role::Root) {
            let identifier = AuthorityKeyIdentifier::try_from(issuer_key)?;
            extensions.push(identifier.to_extension(subject, &extensions)?);
        }
        Ok(extensions)
    }
}

fn issue(
    role: Role,
    name: &str,
    issuer: (&str, &SigningKey),
    key: &SigningKey,
    serial: u32,
    validity: Validity,
) -> Result<Certificate, builder::Error> {
    let (issuer_name, issuer_key) = issuer;
    let verifying: &VerifyingKey = key.verifying_key();
    CertificateBuilder::new(
        Profile { role, subject: Name::from_str(name)?, issuer: Name::from_str(issuer_name)? },
        SerialNumber::from(serial),
        validity,
        SubjectPublicKeyInfo::from_key(verifying)?,
    )?
    .build::<_, DerSignature>(issuer_key)
}

fn time(seconds: i64) -> der::Result<Time> {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Time::try_from(UNIX_EPOCH + since)
}

/// Nearly every 32 bytes are a key; those that are not are drawn again.
fn new_key() -> Result<SigningKey, SandboxError> {
    loop {
        if let Ok(key) = SigningKey::from_slice(&random_seed()?) {
            return Ok(key);
        }
    }
}
