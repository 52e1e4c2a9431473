//! What a leaf claims: which signatures, over what, by whom. Lenient where somebody could be named, and proof of
//! nothing.
mod collect;
mod ct;
mod head;
mod pem;
mod rekor;
mod rekor_v1;
mod rekor_v2;
mod scan;
mod scratch;

pub use ct::ct_claims;
pub use scratch::Scratch;

use crate::certificate::{CertificateError, CertificateView};
use crate::entry::LoggedHash;

/// What a leaf claims. It borrows from the leaf and from the [`Scratch`] that it was decoded into.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claims<'a> {
    /// The entry's kind, such as `hashedrekord`; `ct` for leaves of certificate transparency logs.
    pub kind: &'a str,
    /// The kind's version, such as `0.0.2`; of `ct`: `x509` or `precert`.
    pub version: &'a str,
    /// It was read field by field. Otherwise (another kind, or fields that its kind does not have) whatever in it could
    /// be a key or a certificate was collected.
    pub known: bool,
    /// SHA-256 of the public key of the certificate authority that will issue, of `ct` `precert` only
    /// (see [`crate::TrustRoot::is_trusted_issuer_key`]).
    pub precert_issuer: Option<[u8; 32]>,
    /// The signatures, in the leaf's order; one for each certificate or key that is named beside each.
    pub signatures: Vec<Claim<'a>>,
    /// What of the leaf could not be read beside these: whoever it could name must hear of it, as of a [`ClaimsError`].
    pub unreadable: Option<Unreadable>,
}

/// What of a leaf cannot be read, though the rest can.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// Where a certificate must be there is none that can be read.
    #[error("leaf holds {0}")]
    Certificate(#[from] CertificateError),
    /// Encodings within encodings, deeper than any entry has them.
    #[error("leaf nests encodings deeper than can be followed")]
    TooDeep,
}

/// One signature, as claimed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Claim<'a> {
    /// The digest that was signed, and the hash that made it, where the leaf says so.
    pub digest: Option<(LoggedHash, &'a [u8])>,
    /// SHA-256 of the payload, where the leaf says so (`dsse`, `intoto`): not the digest that was signed.
    pub payload_hash: Option<[u8; 32]>,
    /// The signature; empty where the leaf holds none.
    pub signature: &'a [u8],
    /// Whose it is said to be.
    pub by: ClaimedBy<'a>,
    /// Named behind another in one list (a certificate's chain): no log checks the signature against this one.
    pub chained: bool,
}

/// Whose a signature is said to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClaimedBy<'a> {
    /// A public key: its SPKI in DER, in the canonical encoding if it is of a kind that we verify.
    Key(&'a [u8]),
    /// A certificate, or the part of one that a precertificate has.
    Certificate(CertificateView<'a>),
    /// A certificate that we cannot read, and somebody else may: its DER; empty where it is not even base64.
    Unreadable(&'a [u8]),
    /// Something else (PGP, SSH, minisign): the bytes as logged.
    Other(&'a [u8]),
    /// The leaf does not say.
    Nobody,
}

/// Why nothing can be said about what a leaf claims. Whoever it could name must hear of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// Not JSON.
    #[error("leaf is not json: {0}")]
    Json(#[from] serde_json::Error),
    /// Not an entry: no kind, or no version.
    #[error("leaf has no kind and version")]
    NoKind,
    /// An entry of a kind that we know, without its fields, that names no key and no certificate anywhere.
    #[error("leaf of kind {kind} {version} has no valid {field}")]
    Field {
        /// Its kind.
        kind: &'static str,
        /// Its version.
        version: &'static str,
        /// What is missing.
        field: &'static str,
    },
    /// What could name somebody cannot be read, and nothing else in the leaf does.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Not the leaf of a certificate transparency log.
    #[error("not a leaf of a certificate log: {0}")]
    Ct(#[from] tlog::ct::CtError),
}

/// What the body of a Rekor leaf claims. Known are, of v1, `hashedrekord` 0.0.1, `dsse` 0.0.1, `intoto` 0.0.1 and 0.0.2
/// and `rekord` 0.0.1; of v2 `hashedrekord` 0.0.2 and `dsse` 0.0.2. All others, and those with repeated or further
/// fields, are searched through for keys and certificates (PEM, DER, in base64 or JSON within them).
pub fn claims<'a>(body: &'a [u8], scratch: &'a mut Scratch) -> Result<Claims<'a>, ClaimsError> {
    rekor::claims(body, scratch)
}

#[cfg(test)]
mod tests;
