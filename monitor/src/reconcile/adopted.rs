//! Signatures that a person has said are ours.

use bundle::TrustRoot;
use bundle::claims::Scratch;
use sha2::{Digest as _, Sha256};

use super::judge::read;
use super::{Facts, LedgerError, LedgerSide, Reason, Verdict};
use crate::log::LeafFormat;

impl Facts<'_> {
    /// By what an adopted signature is known: its key, and itself with low s. The content is not a part of it: a
    /// signature beside another content does not verify, and is counted as that.
    pub(crate) fn adopted_hash(&self) -> Option<[u8; 32]> {
        let (spki, signature) = (self.spki.as_ref()?, self.signature.as_ref()?);
        let mut hash = Sha256::new();
        for field in [spki, signature] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        Some(hash.finalize().into())
    }
}

impl LedgerSide {
    /// The verdict, unless somebody has adopted the signature that it is about.
    pub(super) async fn unless_adopted(&self, verdict: Verdict, facts: &Facts<'_>) -> Result<Verdict, LedgerError> {
        match (verdict, facts.adopted_hash()) {
            (Verdict::Counted(_), _) | (_, None) => Ok(verdict),
            (_, Some(hash)) if self.store.adopted(&[hash]).await?.is_empty() => Ok(verdict),
            (_, Some(_)) => Ok(Verdict::Counted(Reason::Adopted)),
        }
    }
}

/// The hashes of a leaf's signatures: of one of its claims, or of all that are not of a certificate beside somebody
/// else's signature.
pub(crate) fn adopted_hashes<'a>(
    format: LeafFormat,
    leaf: &'a [u8],
    claim: Option<u64>,
    scratch: &'a mut Scratch,
) -> Vec<[u8; 32]> {
    let Ok(claims) = read(format, leaf, scratch) else { return Vec::new() };
    let trust = TrustRoot::empty();
    (0..claims.signatures.len())
        .filter(|position| claim.is_none_or(|claim| *position as u64 == claim))
        .filter_map(|position| Facts::of(&claims, position, &trust))
        .filter(|facts| claim.is_some() || !facts.claim.chained)
        .filter_map(|facts| facts.adopted_hash())
        .collect()
}
