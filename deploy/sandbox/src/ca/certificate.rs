//! Certificates as Fulcio makes them, field by field and in its order.

use std::str::FromStr as _;
use std::time::{Duration, UNIX_EPOCH};

use const_oid::db::rfc5280::{ID_KP_CODE_SIGNING, ID_KP_SERVER_AUTH};
use const_oid::{AssociatedOid as _, ObjectIdentifier};
use der::asn1::{Any, Ia5String, Null, OctetString, Utf8StringRef};
use der::{Decode as _, Encode as _, Tag, TagNumber};
use signature::{Keypair, Signer};
use spki::{
    DynSignatureAlgorithmIdentifier, EncodePublicKey, SignatureBitStringEncoding, SubjectPublicKeyInfoOwned,
    SubjectPublicKeyInfoRef,
};
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder as _, CertificateBuilder, Error, Result};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

use super::identity::{Identity, Subject};

const FULCIO: &str = "1.3.6.1.4.1.57264.1";
/// The first number whose extension is a UTF8String; those below hold the bytes themselves.
const ISSUER_V2: u32 = 8;
const POISON: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.3");
const TIMESTAMPS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
const OTHER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// A certificate before it is signed.
pub(crate) struct Template<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) serial: &'a [u8],
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    pub(crate) spki: &'a [u8],
    pub(crate) identity: &'a Identity,
    /// Whether it is for servers as well.
    pub(crate) for_servers: bool,
}

/// What comes last among the extensions.
pub(crate) enum LastExtension {
    /// Nothing: what is logged.
    Nothing,
    /// The poison of a precertificate.
    Poison,
    /// A `SignedCertificateTimestampList`.
    Timestamps(Vec<u8>),
}

/// What can sign a certificate.
pub(crate) trait CaKey: Keypair<VerifyingKey: EncodePublicKey> + DynSignatureAlgorithmIdentifier {}
impl<K: Keypair<VerifyingKey: EncodePublicKey> + DynSignatureAlgorithmIdentifier> CaKey for K {}

impl Template<'_> {
    /// The `TBSCertificate`.
    pub(crate) fn tbs<K: CaKey>(&self, last: &LastExtension, key: &K) -> Result<Vec<u8>> {
        self.builder(last)?.finalize(key)
    }

    fn builder(&self, last: &LastExtension) -> Result<CertificateBuilder<Profile>> {
        let profile = Profile {
            issuer: Name::from_str(self.issuer)?,
            subject: Name::default(),
            kind: Kind::Leaf { identity: identity_extensions(self.identity, last)?, for_servers: self.for_servers },
        };
        CertificateBuilder::new(
            profile,
            SerialNumber::new(self.serial)?,
            validity(self.not_before, self.not_after)?,
            SubjectPublicKeyInfoOwned::from_der(self.spki)?,
        )
    }
}

/// Signs a certificate.
pub(crate) fn issue<K>(template: &Template<'_>, last: &LastExtension, key: &K) -> Result<Vec<u8>>
where
    K: CaKey + CertificateSigner,
{
    Ok(template.builder(last)?.build::<_, K::Signature>(key)?.to_der()?)
}

/// The kind of signature in a certificate that a key signs.
pub(crate) trait CertificateSigner: Signer<Self::Signature> {
    type Signature: SignatureBitStringEncoding;
}

impl CertificateSigner for p384::ecdsa::SigningKey {
    type Signature = p384::ecdsa::DerSignature;
}

impl CertificateSigner for p256::ecdsa::SigningKey {
    type Signature = p256::ecdsa::DerSignature;
}

/// A CA's own certificate, valid between two moments in seconds since 1970, and its key's SubjectPublicKeyInfo.
pub(crate) fn issue_authority<K>(
    name: &str,
    (issuer_name, issuer_key): (&str, &K),
    key: &K,
    serial: u32,
    (not_before, not_after): (i64, i64),
) -> Result<(Vec<u8>, Vec<u8>)>
where
    K: CaKey + CertificateSigner,
{
    let spki = super::spki_of(&key.verifying_key())?;
    let profile = Profile {
        issuer: Name::from_str(issuer_name)?,
        subject: Name::from_str(name)?,
        kind: if name == issuer_name { Kind::Root } else { Kind::Intermediate },
    };
    let certificate = CertificateBuilder::new(
        profile,
        SerialNumber::from(serial),
        validity(not_before, not_after)?,
        SubjectPublicKeyInfoOwned::from_der(&spki)?,
    )?
    .build::<_, K::Signature>(issuer_key)?;
    Ok((certificate.to_der()?, spki))
}

/// The TBS of the certificate that a poisoned one stands for.
pub(crate) fn unpoisoned(precert: &[u8]) -> Option<Vec<u8>> {
    let parts: Vec<Any> = Vec::from_der(precert).ok()?;
    let mut fields: Vec<Any> = Vec::from_der(&parts.first()?.to_der().ok()?).ok()?;
    let tag = Tag::ContextSpecific { constructed: true, number: TagNumber(3) };
    let field = fields.iter_mut().find(|field| der::Tagged::tag(*field) == tag)?;
    let mut extensions: Vec<Extension> = Vec::from_der(field.value()).ok()?;
    let count = extensions.len();
    extensions.retain(|extension| ![POISON, TIMESTAMPS].contains(&extension.extn_id));
    if extensions.len() + 1 != count {
        return None;
    }
    *field = Any::new(tag, extensions.to_der().ok()?).ok()?;
    fields.to_der().ok()
}

/// Subject alternative name, identity, and what comes last.
fn identity_extensions(identity: &Identity, last: &LastExtension) -> Result<Vec<Extension>> {
    let name = match &identity.subject {
        Subject::Email(address) => GeneralName::Rfc822Name(Ia5String::new(address)?),
        Subject::Uri(uri) => GeneralName::UniformResourceIdentifier(Ia5String::new(uri)?),
        Subject::OtherName(name) => GeneralName::OtherName(OtherName {
            type_id: OTHER_NAME,
            value: Any::encode_from(&Utf8StringRef::new(name)?)?,
        }),
    };
    // SPEC: RFC 5280 4.2.1.6: critical, because the subject is empty.
    let mut extensions = vec![extension(SubjectAltName::OID, true, SubjectAltName(vec![name]).to_der()?)?];
    let number = |number: u32| {
        let base = ObjectIdentifier::new_unwrap(FULCIO);
        base.push_arc(number).map_err(|error| Error::Asn1(der::Error::from(error)))
    };
    let mut push = |arc: u32, value: &str| -> Result<()> {
        let value = if arc < ISSUER_V2 { value.as_bytes().to_vec() } else { Utf8StringRef::new(value)?.to_der()? };
        extensions.push(extension(number(arc)?, false, value)?);
        Ok(())
    };
    push(1, &identity.issuer)?;
    let (old, new): (Vec<_>, Vec<_>) = identity.extensions.iter().partition(|(arc, _)| *arc < ISSUER_V2);
    for (arc, value) in old {
        push(*arc, value)?;
    }
    push(ISSUER_V2, &identity.issuer)?;
    for (arc, value) in new {
        push(*arc, value)?;
    }
    match last {
        LastExtension::Nothing => {}
        LastExtension::Poison => extensions.push(extension(POISON, true, Null.to_der()?)?),
        LastExtension::Timestamps(list) => {
            extensions.push(extension(TIMESTAMPS, false, OctetString::new(list.as_slice())?.to_der()?)?);
        }
    }
    Ok(extensions)
}

fn extension(extn_id: ObjectIdentifier, critical: bool, value: Vec<u8>) -> Result<Extension> {
    Ok(Extension { extn_id, critical, extn_value: OctetString::new(value)? })
}

enum Kind {
    Root,
    Intermediate,
    Leaf { identity: Vec<Extension>, for_servers: bool },
}

struct Profile {
    issuer: Name,
    subject: Name,
    kind: Kind,
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
    ) -> Result<Vec<Extension>> {
        let mut extensions: Vec<Extension> = Vec::new();
        let subject = tbs.subject();
        let usage = match self.kind {
            Kind::Leaf { .. } => KeyUsage(KeyUsages::DigitalSignature.into()),
            Kind::Root | Kind::Intermediate => KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign),
        };
        extensions.push(usage.to_extension(subject, &extensions)?);
        if !matches!(self.kind, Kind::Root) {
            let mut purposes = vec![ID_KP_CODE_SIGNING];
            if matches!(self.kind, Kind::Leaf { for_servers: true, .. }) {
                purposes.push(ID_KP_SERVER_AUTH);
            }
            extensions.push(extension(ExtendedKeyUsage::OID, false, ExtendedKeyUsage(purposes).to_der()?)?);
        }
        let path_len_constraint = match self.kind {
            Kind::Root => Some(Some(1)),
            Kind::Intermediate => Some(Some(0)),
            Kind::Leaf { .. } => None,
        };
        if let Some(path_len_constraint) = path_len_constraint {
            extensions.push(BasicConstraints { ca: true, path_len_constraint }.to_extension(subject, &extensions)?);
        }
        extensions.push(SubjectKeyIdentifier::try_from(key)?.to_extension(subject, &extensions)?);
        if !matches!(self.kind, Kind::Root) {
            let identifier = AuthorityKeyIdentifier::try_from(issuer_key)?;
            extensions.push(identifier.to_extension(subject, &extensions)?);
        }
        if let Kind::Leaf { identity, .. } = &self.kind {
            extensions.extend_from_slice(identity);
        }
        Ok(extensions)
    }
}

fn validity(not_before: i64, not_after: i64) -> Result<Validity> {
    let time = |seconds: i64| Time::try_from(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    Ok(Validity::new(time(not_before)?, time(not_after)?))
}
