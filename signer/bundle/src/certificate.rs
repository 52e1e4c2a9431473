//! Certificates as leaves carry them: a walk over the DER that copies nothing, calm about whatever is no identity.
mod der;
mod extension;
mod moment;
mod names;
mod oids;

pub use extension::{Extension, Extensions};
pub use names::Subjects;
pub use oids::{extension_name, extension_oid, oid_der};

pub(crate) use der::{Reader, SEQUENCE};

use std::borrow::Cow;

/// Why bytes are not a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a certificate: its {0} cannot be read")]
pub struct CertificateError(&'static str);

/// An X.509 certificate, borrowed from its DER. Nothing in it is verified: anybody can write any name into one.
///
/// Lengths need not be minimal, and algorithms, times and keys may be anything: a certificate that a reader somewhere
/// might take must not hide its names from us. What cannot be walked to the end is an error, never an empty view.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CertificateView<'a> {
    raw: &'a [u8],
    tbs: &'a [u8],
    signed: Option<Signed<'a>>,
    issuer_name: &'a [u8],
    subject_name: &'a [u8],
    not_before: Option<i64>,
    not_after: Option<i64>,
    spki: &'a [u8],
    extensions: &'a [u8],
    issuer: Option<(IssuerForm, &'a [u8])>,
}

/// The issuer's signature over the rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Signed<'a> {
    /// The object identifier of the algorithm, DER content.
    pub(crate) algorithm: &'a [u8],
    /// The signature's bytes.
    pub(crate) signature: &'a [u8],
}

/// Which of Fulcio's two extensions names the OIDC issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum IssuerForm {
    Raw,
    Der,
}

impl<'a> CertificateView<'a> {
    /// Reads a certificate. Bytes after it are not looked at.
    pub fn parse(der: &'a [u8]) -> Result<CertificateView<'a>, CertificateError> {
        let whole = Reader::new(der).take(der::SEQUENCE).ok_or(CertificateError("outer sequence"))?;
        let mut fields = whole.reader();
        let tbs = fields.take(der::SEQUENCE).ok_or(CertificateError("signed part"))?;
        let algorithm = fields.take(der::SEQUENCE).and_then(|a| a.reader().take(der::OID));
        let signature = fields.take(der::BIT_STRING).and_then(|bits| bits.content.split_first());
        let mut view = Self::parse_tbs(tbs.whole)?;
        view.raw = whole.whole;
        view.signed = match (algorithm, signature) {
            (Some(algorithm), Some((0, signature))) => Some(Signed { algorithm: algorithm.content, signature }),
            _ => None,
        };
        Ok(view)
    }

    /// Reads the part of a certificate that is signed; a CT log's precertificates have no more.
    pub fn parse_tbs(der: &'a [u8]) -> Result<CertificateView<'a>, CertificateError> {
        let tbs = Reader::new(der).take(der::SEQUENCE).ok_or(CertificateError("signed part"))?;
        let mut fields = tbs.reader();
        let _version = fields.take(der::CONTEXT_0);
        fields.take(der::INTEGER).ok_or(CertificateError("serial number"))?;
        fields.take(der::SEQUENCE).ok_or(CertificateError("algorithm"))?;
        let issuer_name = fields.take(der::SEQUENCE).ok_or(CertificateError("issuer name"))?.whole;
        let mut validity = fields.take(der::SEQUENCE).ok_or(CertificateError("validity"))?.reader();
        let (not_before, not_after) = (moment::read(validity.element()), moment::read(validity.element()));
        let subject_name = fields.take(der::SEQUENCE).ok_or(CertificateError("subject name"))?.whole;
        let spki = fields.take(der::SEQUENCE).ok_or(CertificateError("public key"))?.whole;
        let mut extensions: &[u8] = &[];
        while !fields.is_empty() {
            let field = fields.element().ok_or(CertificateError("extensions"))?;
            if field.tag == der::CONTEXT_3 {
                let list = field.reader().take(der::SEQUENCE).ok_or(CertificateError("extensions"))?;
                extensions = list.content;
            }
        }
        let view = CertificateView {
            raw: tbs.whole,
            tbs: tbs.whole,
            signed: None,
            issuer_name,
            subject_name,
            not_before,
            not_after,
            spki,
            extensions,
            issuer: extension::walked(extensions)?,
        };
        Ok(view)
    }

    /// Every name in every subjectAltName, in order: mail addresses, URIs, DNS names, IP addresses, and other names
    /// that are strings (Fulcio's user names). Whole as written, NUL bytes too; what is not UTF-8 is replaced.
    pub fn subjects(&self) -> Subjects<'a> {
        Subjects::new(self.extensions())
    }

    /// The OIDC issuer that Fulcio wrote: extension 1.3.6.1.4.1.57264.1.8 where it is readable, else
    /// 1.3.6.1.4.1.57264.1.1.
    pub fn issuer(&self) -> Option<Cow<'a, str>> {
        self.issuer.map(|(form, value)| match form {
            IssuerForm::Raw => String::from_utf8_lossy(value),
            IssuerForm::Der => extension::text(value).unwrap_or_default(),
        })
    }

    /// An extension's value as text, by its dotted object identifier; the first of several.
    pub fn extension(&self, oid: &str) -> Option<Cow<'a, str>> {
        self.extension_der(&oid_der(oid)?)
    }

    /// Like [`CertificateView::extension`], by the object identifier's DER content (see [`oid_der`]).
    pub fn extension_der(&self, oid: &[u8]) -> Option<Cow<'a, str>> {
        self.extensions().find(|extension| extension.oid == oid).map(|extension| extension.text())
    }

    /// All extensions, in order.
    pub fn extensions(&self) -> Extensions<'a> {
        Extensions::new(self.extensions)
    }

    /// The public key, as written: DER of a SubjectPublicKeyInfo, maybe not the canonical one
    /// (see [`crate::public_key::canonical_spki`]).
    pub fn spki(&self) -> &'a [u8] {
        self.spki
    }

    /// The first moment of validity, in unix seconds; the end of time where it cannot be read.
    pub fn not_before(&self) -> i64 {
        self.not_before.unwrap_or(i64::MAX)
    }

    /// The last moment of validity, in unix seconds; the beginning of time where it cannot be read.
    pub fn not_after(&self) -> i64 {
        self.not_after.unwrap_or(i64::MIN)
    }

    /// The DER: the certificate, or of a precertificate the part that is to be signed.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The DER of the part that is signed.
    pub fn tbs(&self) -> &'a [u8] {
        self.tbs
    }

    /// The DER of the certificate authority's name.
    pub fn issuer_name(&self) -> &'a [u8] {
        self.issuer_name
    }

    /// The DER of the subject's distinguished name; empty in Fulcio's certificates.
    pub fn subject_name(&self) -> &'a [u8] {
        self.subject_name
    }

    pub(crate) fn signed(&self) -> Option<Signed<'a>> {
        self.signed
    }
}

/// Whether an element has the shape of a SubjectPublicKeyInfo, of whatever algorithm.
pub(crate) fn is_spki(der: &[u8]) -> bool {
    let spki = || {
        let mut fields = Reader::new(der).take(der::SEQUENCE)?.reader();
        fields.take(der::SEQUENCE)?.reader().take(der::OID)?;
        fields.take(der::BIT_STRING)?;
        Some(fields.is_empty())
    };
    spki() == Some(true)
}

#[cfg(test)]
mod tests;
