//! What a claim shows by itself, without the ledger: whose key, whether its signature verifies, who issued its
//! certificate.

use bundle::public_key::canonical_spki;
use bundle::{Claim, ClaimedBy, Claims, KeyAlgorithm, PublicKey, SignatureError, TrustRoot};

/// Whether the claim's signature is by the key that it names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proven {
    /// It is, over the digest that the leaf gives.
    ///
    /// For ECDSA that is less than it seems: from a public key alone anybody can compute a digest and a signature that
    /// fit, though not for a content of his choice.
    Verifies,
    /// It is not.
    Fails,
    /// It cannot be told. The leaf does not hold what was signed; the log had it, and checked. Or the signature is in an
    /// encoding that we cannot read: a log that took it may have read it.
    Unchecked,
    /// The leaf holds no signature.
    Absent,
}

/// Who vouches for the certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Chain {
    /// The claim is by a bare key.
    NoCertificate,
    /// A certificate authority that we trust issued it.
    Trusted,
    /// Nobody whom we trust.
    Untrusted,
}

/// What a claim shows by itself.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The claim.
    pub claim: Claim<'a>,
    /// The entry is of a kind that we read field by field.
    pub known_kind: bool,
    /// It is a leaf of a certificate transparency log.
    pub certificate_log: bool,
    /// The key that it names, SPKI in its one encoding.
    pub spki: Option<Vec<u8>>,
    /// The signature, where the key is ECDSA with low s and as the ledger has it, however it was encoded; `None` where
    /// there is none.
    pub signature: Option<Vec<u8>>,
    /// The signature, if there is one, is in an encoding that the key's algorithm has.
    pub readable: bool,
    /// Whether it is by that key.
    pub proven: Proven,
    /// Who vouches for the certificate.
    pub chain: Chain,
    /// How many bytes of a digest the key's algorithm looks at; `None`: all.
    field_bytes: Option<usize>,
}

impl<'a> Facts<'a> {
    /// Looks at one claim of a leaf. `None` where there is no such claim.
    pub fn of(claims: &Claims<'a>, position: usize, trust: &TrustRoot) -> Option<Facts<'a>> {
        let claim = *claims.signatures.get(position)?;
        let spki = match claim.by {
            ClaimedBy::Key(spki) => Some(spki),
            ClaimedBy::Certificate(certificate) => Some(certificate.spki()),
            ClaimedBy::Unreadable(_) | ClaimedBy::Other(_) | ClaimedBy::Nobody => None,
        };
        let key = spki.and_then(|spki| PublicKey::from_spki(spki).ok());
        let chain = match (claim.by, claims.precert_issuer) {
            (ClaimedBy::Certificate(_), Some(issuer)) if trust.is_trusted_issuer_key(&issuer) => Chain::Trusted,
            (ClaimedBy::Certificate(view), None) if trust.issued(&view).is_ok() => Chain::Trusted,
            (ClaimedBy::Certificate(_), _) => Chain::Untrusted,
            _ => Chain::NoCertificate,
        };
        let low = key.as_ref().map(|key| key.low_s_of_logged(claim.signature));
        Some(Facts {
            known_kind: claims.known,
            certificate_log: claims.kind == "ct" && claims.known,
            spki: spki.map(|spki| canonical_spki(spki).into_owned()),
            readable: claim.signature.is_empty() || !matches!(low, Some(Err(_))),
            signature: (!claim.signature.is_empty())
                .then(|| low.and_then(Result::ok).unwrap_or_else(|| claim.signature.to_vec())),
            proven: proven(&claim, key.as_ref()),
            chain,
            field_bytes: match key.as_ref().map(PublicKey::algorithm) {
                Some(KeyAlgorithm::EcdsaP256) => Some(32),
                Some(KeyAlgorithm::EcdsaP384) => Some(48),
                _ => None,
            },
            claim,
        })
    }

    /// Whether two digests are one to the key. ECDSA takes the leftmost bytes of its field as a number, so that anybody
    /// can write our signature beside a longer digest that begins as ours, or a shorter one behind zeros.
    pub(super) fn same_digest(&self, a: &[u8], b: &[u8]) -> bool {
        let Some(field) = self.field_bytes else { return a == b };
        let number = |digest: &'_ [u8]| -> Vec<u8> {
            let leftmost = digest.get(..field).unwrap_or(digest);
            leftmost.iter().copied().skip_while(|byte| *byte == 0).collect()
        };
        number(a) == number(b)
    }
}

fn proven(claim: &Claim<'_>, key: Option<&PublicKey>) -> Proven {
    if claim.signature.is_empty() {
        return Proven::Absent;
    }
    let (Some(key), Some((hash, digest))) = (key, claim.digest) else { return Proven::Unchecked };
    match key.verify_digest(digest, claim.signature, hash) {
        Ok(()) => Proven::Verifies,
        Err(SignatureError::NeedsMessage | SignatureError::Malformed) => Proven::Unchecked,
        Err(SignatureError::Mismatch) => Proven::Fails,
    }
}
