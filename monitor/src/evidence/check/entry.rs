//! A leaf under a signed root, and what it names.

use bundle::certificate::CertificateView;
use bundle::claims::{Claim, ClaimedBy, Claims, ClaimsError, Scratch, claims, ct_claims};
use bundle::entry::LoggedHash;
use bundle::{KeyAlgorithm, PublicKey, TrustRoot, ValidFor};
use sha2::{Digest as _, Sha256};
use tlog::{InclusionProof, leaf_hash};

use super::{Case, Refuted, Strength};
use crate::config::LogKind;
use crate::evidence::{Base64, HexHash, Named, Names, SeenHead};

/// The fields of a [`crate::evidence::Proof::Entry`].
pub(super) struct EntryParts<'a> {
    pub(super) head: &'a SeenHead,
    pub(super) index: u64,
    pub(super) leaf: &'a Option<Base64>,
    pub(super) leaf_hash: &'a HexHash,
    pub(super) inclusion: &'a Option<Vec<HexHash>>,
    pub(super) names: &'a Option<Names>,
}

impl Case<'_> {
    pub(super) fn entry(&mut self, parts: &EntryParts<'_>) -> Result<Strength, Refuted> {
        let committed = self.committed(parts)?;
        let Some(leaf) = parts.leaf else {
            self.say("the leaf is too large for the file, which has its hash only");
            return Ok(Strength::Observed);
        };
        if leaf_hash(&leaf.0) != parts.leaf_hash.0 {
            return Err(Refuted::because("the leaf does not have the hash that it should have"));
        }
        let (log, _) = self.log()?;
        let kind = log.kind;
        let mut scratch = Scratch::default();
        let read = read(kind, &leaf.0, &mut scratch);
        let unreadable = self.kind == store::FindingKind::UnparsableEntry;
        let shown = match (read, parts.names) {
            (Err(error), None) if unreadable => {
                self.say(format!("the leaf cannot be read: {error}"));
                true
            }
            (Ok(Claims { unreadable: Some(what), .. }), None) if unreadable => {
                self.say(format!("of the leaf not all can be read: {what}"));
                true
            }
            (Ok(_), None) if unreadable => return Err(Refuted::because("this sealwatch can read the leaf")),
            (Ok(claims), Some(names)) if !unreadable => self.named(&claims, names)?,
            (Err(error), Some(_)) => return Err(Refuted::because(format!("the leaf cannot be read: {error}"))),
            _ => return Err(Refuted::because("the file does not say whom the leaf names")),
        };
        Ok(Strength::attributable_if(committed && shown))
    }

    /// Whether the leaf's hash is proved to be under the head.
    fn committed(&mut self, parts: &EntryParts<'_>) -> Result<bool, Refuted> {
        let head = self.open("head", parts.head)?;
        if parts.index >= head.size() {
            return Err(Refuted::because("the leaf's index is beyond the head"));
        }
        let Some(inclusion) = parts.inclusion else {
            self.say("no inclusion proof: that the leaf is under the head is the word of whoever wrote the file");
            return Ok(false);
        };
        let proof = InclusionProof { index: parts.index, size: head.size(), hashes: HexHash::bare(inclusion) };
        proof
            .verify(&parts.leaf_hash.0, &head.root())
            .map_err(|error| Refuted::because(format!("the leaf is not under the head: {error}")))?;
        self.say(format!("leaf {} is under the head", parts.index));
        Ok(true)
    }

    /// Whether what the claim names is more than the leaf's word.
    fn named(&mut self, claims: &Claims<'_>, names: &Names) -> Result<bool, Refuted> {
        let claim = usize::try_from(names.claim).ok().and_then(|position| claims.signatures.get(position));
        let claim = claim.ok_or_else(|| Refuted::because("the leaf has no such claim"))?;
        let spki = match (&names.by, claim.by) {
            (Named::Key(ours), ClaimedBy::Key(spki)) if same_key(&ours.0, spki) => {
                self.say(format!("the leaf names the key of SHA-256 {}, which the file pins", sha256(spki)));
                spki
            }
            (Named::Key(ours), ClaimedBy::Certificate(view)) if same_key(&ours.0, view.spki()) => {
                let key = sha256(view.spki());
                self.say(format!("the leaf names the key of SHA-256 {key}, which the file pins, in a certificate"));
                view.spki()
            }
            (Named::Identity { issuer, subject }, ClaimedBy::Certificate(view))
                if view.issuer().as_deref() == issuer.as_deref() && view.subjects().any(|name| name == *subject) =>
            {
                self.say(format!("the leaf's certificate names {subject:?}, issuer {issuer:?}"));
                if !self.issued(claims, &view, &names.authorities) {
                    return Ok(false);
                }
                if claims.kind == "ct" {
                    return Ok(true);
                }
                view.spki()
            }
            _ => return Err(Refuted::because("the leaf does not name what the file says that it does")),
        };
        Ok(self.signed(claim, spki))
    }

    /// Whether a certificate authority that the file pins stands behind a certificate.
    fn issued(&mut self, claims: &Claims<'_>, view: &CertificateView<'_>, chains: &[Vec<Base64>]) -> bool {
        if chains.is_empty() {
            self.say("no certificate authority: that it is a real certificate is the word of whoever wrote the file");
            return false;
        }
        let roots: Vec<String> = chains.iter().filter_map(|chain| Some(sha256(&chain.last()?.0))).collect();
        self.say(format!(
            "certificate authorities that the file pins, by the SHA-256 of their root certificates: {}; compare them with \
             those that you trust",
            roots.join(", "),
        ));
        let trust = trust_of(chains);
        if let Some(issuer) = &claims.precert_issuer {
            let issued = trust.is_trusted_issuer_key(issuer);
            self.say(if issued {
                "the log took it in as a precertificate of a certificate authority that the file pins"
            } else {
                "the precertificate is of another certificate authority than those that the file pins"
            });
            return issued;
        }
        match trust.issued(view) {
            Ok(()) => {
                self.say("a certificate authority that the file pins issued the certificate");
                true
            }
            Err(error) => {
                self.say(format!("no certificate authority that the file pins issued the certificate: {error}"));
                false
            }
        }
    }

    /// Whether the claim's signature is by the key, as far as the leaf allows to tell.
    fn signed(&mut self, claim: &Claim<'_>, spki: &[u8]) -> bool {
        let (Some((hash, digest)), false) = (claim.digest, claim.signature.is_empty()) else {
            self.say("the leaf does not hold the digest that was signed: whose signature it is cannot be checked");
            return false;
        };
        let verified = PublicKey::from_spki(spki).map_err(|error| error.to_string()).and_then(|key| {
            let verified = key.verify_digest(digest, claim.signature, hash).map_err(|error| error.to_string());
            verified.map(|()| key.algorithm())
        });
        match verified {
            Ok(algorithm) => {
                self.say(format!(
                    "its signature is by that key, over the {} digest {}",
                    word(hash),
                    hex::encode(digest)
                ));
                if matches!(algorithm, KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384) {
                    self.say(
                        "of an ECDSA key anybody can compute a digest and a signature that fit, from its public part alone: \
                         the key was used if something has that digest",
                    );
                }
                true
            }
            Err(error) => {
                self.say(format!("whose signature it is cannot be checked: {error}"));
                false
            }
        }
    }
}

/// Reads a leaf as its kind of log writes it.
fn read<'a>(kind: LogKind, leaf: &'a [u8], scratch: &'a mut Scratch) -> Result<Claims<'a>, ClaimsError> {
    match kind {
        LogKind::RekorV1 | LogKind::RekorV2 => claims(leaf, scratch),
        LogKind::Rfc6962 | LogKind::StaticCt => ct_claims(leaf),
    }
}

/// Whether two encodings are of one key.
fn same_key(a: &[u8], b: &[u8]) -> bool {
    a == b
        || match (PublicKey::from_spki(a), PublicKey::from_spki(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        }
}

fn word(hash: LoggedHash) -> &'static str {
    match hash {
        LoggedHash::Sha256 => "SHA-256",
        LoggedHash::Sha384 => "SHA-384",
        LoggedHash::Sha512 => "SHA-512",
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A trust root of these authorities only.
fn trust_of(chains: &[Vec<Base64>]) -> TrustRoot {
    let mut trust = TrustRoot::empty();
    for chain in chains {
        let chain = chain.iter().map(|der| der.0.clone()).collect();
        trust.add_certificate_authority("", chain, ValidFor { start: None, end: None });
    }
    trust
}
