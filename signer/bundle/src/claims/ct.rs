//! What a leaf of a certificate transparency log claims.
use super::{Claim, ClaimedBy, Claims, ClaimsError, Unreadable};
use crate::certificate::CertificateView;
use tlog::ct::{CtEntry, CtLeaf};

/// What a `MerkleTreeLeaf` (RFC 6962, 3.4) claims: one certificate, or the part of it that is to be signed, without a
/// signature of anything else.
pub fn ct_claims(leaf: &[u8]) -> Result<Claims<'_>, ClaimsError> {
    let leaf = CtLeaf::parse(leaf)?;
    let (version, certificate, precert_issuer) = match leaf.entry {
        CtEntry::X509(certificate) => ("x509", CertificateView::parse(certificate).map_err(Unreadable::from)?, None),
        CtEntry::Precert { issuer_key_hash, tbs } => {
            ("precert", CertificateView::parse_tbs(tbs).map_err(Unreadable::from)?, Some(issuer_key_hash))
        }
    };
    let claim = Claim {
        digest: None,
        payload_hash: None,
        signature: &[],
        by: ClaimedBy::Certificate(certificate),
        chained: false,
    };
    Ok(Claims { kind: "ct", version, known: true, precert_issuer, signatures: vec![claim], unreadable: None })
}
