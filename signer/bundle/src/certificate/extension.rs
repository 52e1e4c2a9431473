//! A certificate's extensions.
use super::der::{self, Reader};
use super::{CertificateError, IssuerForm};
use std::borrow::Cow;

/// DER content of 1.3.6.1.4.1.57264.1, below which Fulcio's extensions are.
const FULCIO: [u8; 9] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01];
const ISSUER: u8 = 1;
const ISSUER_V2: u8 = 8;

/// One extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extension<'a> {
    /// Its object identifier, DER content.
    pub oid: &'a [u8],
    /// Whether who does not know it must refuse the certificate.
    pub critical: bool,
    /// Its value, as in the certificate.
    pub value: &'a [u8],
}

impl<'a> Extension<'a> {
    /// The value as text: of Fulcio's older ones (1 to 6) the bytes themselves, of others the string that the DER
    /// holds, or the bytes where it holds none.
    pub fn text(&self) -> Cow<'a, str> {
        if matches!(self.fulcio(), Some(1..=6)) {
            return String::from_utf8_lossy(self.value);
        }
        text(self.value).unwrap_or_else(|| String::from_utf8_lossy(self.value))
    }

    /// The last part of the object identifier, if it is one of Fulcio's.
    fn fulcio(&self) -> Option<u8> {
        match self.oid.split_at_checked(FULCIO.len()) {
            Some((arc, [last])) if *arc == FULCIO => Some(*last),
            _ => None,
        }
    }
}

/// Walks a certificate's extensions.
#[derive(Clone, Copy)]
pub struct Extensions<'a> {
    list: Reader<'a>,
}

impl<'a> Extensions<'a> {
    pub(super) fn new(list: &'a [u8]) -> Extensions<'a> {
        Extensions { list: Reader::new(list) }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    #[inline]
    fn next(&mut self) -> Option<Extension<'a>> {
        let mut fields = self.list.take(der::SEQUENCE)?.reader();
        let oid = fields.take(der::OID)?.content;
        let critical = fields.take(der::BOOLEAN).is_some_and(|flag| flag.content != [0]);
        Some(Extension { oid, critical, value: fields.take(der::OCTET_STRING)?.content })
    }
}

/// Checks that every extension, and every name in them, can be read; and finds the OIDC issuer on the way.
pub(super) fn walked(list: &[u8]) -> Result<Option<(IssuerForm, &[u8])>, CertificateError> {
    let mut extensions = Extensions::new(list);
    let (mut newer, mut older) = (None, None);
    for extension in extensions.by_ref() {
        match extension.fulcio() {
            Some(ISSUER_V2) if newer.is_none() => newer = string(extension.value).map(|_| extension.value),
            Some(ISSUER) if older.is_none() => older = Some(extension.value),
            _ if extension.oid == super::names::SUBJECT_ALT_NAME => super::names::walked(extension.value)?,
            _ => {}
        }
    }
    if !extensions.list.is_empty() {
        return Err(CertificateError("extensions"));
    }
    Ok(newer.map(|value| (IssuerForm::Der, value)).or(older.map(|value| (IssuerForm::Raw, value))))
}

/// The string that a DER element holds, if it is nothing else.
pub(super) fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    string(value).map(String::from_utf8_lossy)
}

fn string(value: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(value);
    let element = reader.element()?;
    let is_string = matches!(element.tag, der::UTF8_STRING | der::PRINTABLE_STRING | der::IA5_STRING);
    (is_string && reader.is_empty()).then_some(element.content)
}
