//! From what a leaf names to whom it names.
use super::scratch::{Arena, NotDecoded};
use super::{Claim, ClaimedBy, Claims, ClaimsError, Unreadable, pem};
use crate::certificate::{CertificateView, Reader, SEQUENCE, is_spki};
use crate::public_key::{canonical_spki, pkcs1_spki};
use std::borrow::Cow;

/// Why a leaf is not what its kind says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    /// A field is missing, or one too many, or holds what it must not.
    Field(&'static str),
    /// There is no room left.
    TooDeep,
}

/// Collects claims.
pub(super) struct Collector<'a> {
    pub(super) arena: Arena<'a>,
    pub(super) claims: Vec<Claim<'a>>,
    /// The first thing that could not be read. It hides nothing that is beside it.
    unreadable: Option<Unreadable>,
}

/// A claim by nobody yet, over nothing known.
pub(super) const BLANK: Claim<'static> =
    Claim { digest: None, payload_hash: None, signature: &[], by: ClaimedBy::Nobody, chained: false };

impl<'a> Collector<'a> {
    pub(super) fn new(arena: Arena<'a>) -> Collector<'a> {
        Collector { arena, claims: Vec::with_capacity(1), unreadable: None }
    }

    /// All that was collected, of an entry of this kind. What could not be read is an error where nothing else names
    /// anybody.
    pub(super) fn claimed(self, kind: &'a str, version: &'a str, known: bool) -> Result<Claims<'a>, ClaimsError> {
        match self.unreadable {
            Some(unreadable) if !self.names_anybody() => Err(unreadable.into()),
            unreadable => {
                Ok(Claims { kind, version, known, precert_issuer: None, signatures: self.claims, unreadable })
            }
        }
    }

    /// Whether a key or a certificate was found.
    pub(super) fn names_anybody(&self) -> bool {
        self.claims.iter().any(|claim| matches!(claim.by, ClaimedBy::Key(_) | ClaimedBy::Certificate(_)))
    }

    pub(super) fn cannot_read(&mut self, what: Unreadable) {
        self.unreadable.get_or_insert(what);
    }

    pub(super) fn unreadable(&self) -> Option<Unreadable> {
        self.unreadable
    }

    /// The certificate that must be here.
    pub(super) fn certificate(&mut self, der: &'a [u8]) -> ClaimedBy<'a> {
        match CertificateView::parse(der) {
            Ok(view) => ClaimedBy::Certificate(view),
            // What a reader elsewhere may take for a certificate, and we cannot, might name us.
            Err(error) => {
                self.cannot_read(error.into());
                ClaimedBy::Unreadable(der)
            }
        }
    }

    pub(super) fn base64(&mut self, text: &str, field: &'static str) -> Result<&'a [u8], Failure> {
        self.arena.base64(text.as_bytes()).map_err(|error| match error {
            NotDecoded::NotBase64 => Failure::Field(field),
            NotDecoded::Full => Failure::TooDeep,
        })
    }

    /// The claim once for every key and certificate in the PEM; as it is where there is none.
    pub(super) fn by_pem(&mut self, claim: Claim<'a>, material: &'a [u8]) -> Result<(), Failure> {
        let before = self.claims.len();
        for block in pem::blocks(material) {
            let by = self.by_block(block, material)?;
            self.push_chained(before, Claim { by, ..claim });
        }
        if self.claims.len() == before {
            let by = match named_by_der(material) {
                Some(ClaimedBy::Key(key)) => self.key(key)?,
                Some(by) => by,
                None => ClaimedBy::Other(material),
            };
            self.claims.push(Claim { by, ..claim });
        }
        Ok(())
    }

    /// A claim of a list that begins at `before`: chained if a key or certificate is before it, though it be one that we
    /// cannot read. What is neither is passed over by readers who look for one, as is what is not base64.
    pub(super) fn push_chained(&mut self, before: usize, claim: Claim<'a>) {
        let named = |claim: &Claim<'_>| match claim.by {
            ClaimedBy::Key(_) | ClaimedBy::Certificate(_) => true,
            ClaimedBy::Unreadable(der) => !der.is_empty(),
            ClaimedBy::Other(_) | ClaimedBy::Nobody => false,
        };
        let chained = self.claims.iter().skip(before).any(named);
        self.claims.push(Claim { chained, ..claim });
    }

    /// Whom one block of PEM names; `material` is what is kept of another kind of block.
    pub(super) fn by_block(&mut self, block: pem::Block<'_>, material: &'a [u8]) -> Result<ClaimedBy<'a>, Failure> {
        let certificate = block.label.ends_with(b"CERTIFICATE");
        if !certificate && !block.label.ends_with(b"PUBLIC KEY") {
            return Ok(ClaimedBy::Other(material));
        }
        let joined = self.arena.joined(block.lines).map_err(|_| Failure::TooDeep)?;
        let der = match self.arena.base64(joined) {
            Ok(der) => der,
            Err(NotDecoded::Full) => return Err(Failure::TooDeep),
            // As a certificate it cannot be read; as a key it is none.
            Err(NotDecoded::NotBase64) => &[],
        };
        if certificate {
            return Ok(self.certificate(der));
        }
        self.key(der)
    }

    /// A key in its one encoding.
    pub(super) fn key(&mut self, der: &'a [u8]) -> Result<ClaimedBy<'a>, Failure> {
        let element = Reader::new(der).take(SEQUENCE).map(|element| element.whole);
        let spki = match element {
            Some(spki) if is_spki(spki) => canonical_spki(spki),
            Some(pkcs1) => match pkcs1_spki(pkcs1) {
                Some(spki) => Cow::Owned(spki),
                None => return Ok(ClaimedBy::Other(der)),
            },
            None => return Ok(ClaimedBy::Other(der)),
        };
        match spki {
            Cow::Borrowed(spki) => Ok(ClaimedBy::Key(spki)),
            Cow::Owned(spki) => self.arena.copy(&spki).map(ClaimedBy::Key).map_err(|_| Failure::TooDeep),
        }
    }
}

/// The certificate or key that a DER element is, if it is one. The key as it is written.
pub(super) fn named_by_der(der: &[u8]) -> Option<ClaimedBy<'_>> {
    let whole = Reader::new(der).take(SEQUENCE)?.whole;
    if is_spki(whole) {
        return Some(ClaimedBy::Key(whole));
    }
    CertificateView::parse(whole).ok().map(ClaimedBy::Certificate)
}
