//! The names in a certificate's subjectAltName.
use super::der::{self, Element, Reader};
use super::extension::Extensions;
use super::{CertificateError, extension};
use core::net::{Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

/// DER content of 2.5.29.17.
pub(super) const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

const OTHER_NAME: u8 = 0xa0;
const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;

/// Walks the names of every subjectAltName of a certificate.
#[derive(Clone, Copy)]
pub struct Subjects<'a> {
    extensions: Extensions<'a>,
    names: Reader<'a>,
}

impl<'a> Subjects<'a> {
    pub(super) fn new(extensions: Extensions<'a>) -> Subjects<'a> {
        Subjects { extensions, names: Reader::new(&[]) }
    }
}

impl<'a> Iterator for Subjects<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        loop {
            while let Some(name) = self.names.element() {
                if let Some(text) = text(name) {
                    return Some(text);
                }
            }
            let another = self.extensions.find(|extension| extension.oid == SUBJECT_ALT_NAME)?;
            self.names = Reader::new(another.value).take(der::SEQUENCE)?.reader();
        }
    }
}

fn text(name: Element<'_>) -> Option<Cow<'_, str>> {
    match name.tag {
        RFC822_NAME | DNS_NAME | URI => Some(String::from_utf8_lossy(name.content)),
        IP_ADDRESS => Some(Cow::Owned(address(name.content))),
        OTHER_NAME => {
            let mut fields = name.reader();
            fields.take(der::OID)?;
            extension::text(fields.take(der::CONTEXT_0)?.content)
        }
        _ => None,
    }
}

/// An IP address; with the mask, or whatever else has another length, in hex.
fn address(bytes: &[u8]) -> String {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ipv4Addr::from(v4).to_string();
    }
    match <[u8; 16]>::try_from(bytes) {
        Ok(v6) => Ipv6Addr::from(v6).to_string(),
        Err(_) => hex::encode(bytes),
    }
}

/// Checks that every name can be read to its end.
pub(super) fn walked(value: &[u8]) -> Result<(), CertificateError> {
    let broken = CertificateError("subject alternative names");
    let mut names = Reader::new(value).take(der::SEQUENCE).ok_or(broken)?.reader();
    while !names.is_empty() {
        names.element().ok_or(broken)?;
    }
    Ok(())
}
