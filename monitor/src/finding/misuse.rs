//! A leaf that names us, or that nobody can read.

use sha2::{Digest as _, Sha256};
use store::{FindingKind, NewFinding, Severity};
use tlog::Hash;

use super::{Draft, LogDescription, clean};
use crate::evidence::{Base64, HexHash, MAX_LEAF_BYTES, Named, Names, Proof, SeenHead};

/// A leaf as it was read, under a verified head.
#[derive(Clone, Copy, Debug)]
pub struct LeafSeen<'a> {
    /// The head.
    pub note: &'a [u8],
    /// The leaf's index within its shard.
    pub index: u64,
    /// The leaf.
    pub leaf: &'a [u8],
    /// That it is under the head's root; `None` where the log gave no proof (the compact range showed it to us).
    pub inclusion: Option<&'a [Hash]>,
}

impl LeafSeen<'_> {
    fn proof(&self, names: Option<Names>) -> Proof {
        Proof::Entry {
            head: SeenHead::of_log(self.note),
            index: self.index,
            leaf: (self.leaf.len() <= MAX_LEAF_BYTES).then(|| Base64(self.leaf.to_vec())),
            leaf_hash: HexHash(tlog::leaf_hash(self.leaf)),
            inclusion: self.inclusion.map(HexHash::of),
            names,
        }
    }

    fn occurrence(&self, log: &LogDescription) -> String {
        format!("{}/{}", log.origin, self.index)
    }

    fn place(&self, log: &LogDescription) -> String {
        format!("Entry {} of the log {}", self.index, clean(&log.origin))
    }

    /// A finding about a claim in it. Copies of one signature have one cause, in whichever log they are.
    fn names<'d>(
        &self,
        log: &'d LogDescription,
        kind: FindingKind,
        names: Names,
        cause: &'d str,
        at: i64,
    ) -> Draft<'d> {
        let mut draft = Draft::new(kind, Some(log), self.proof(Some(names)), at);
        (draft.cause, draft.across_logs) = (cause, true);
        draft.occurrence = self.occurrence(log);
        draft
    }
}

/// A claim by an identity.
#[derive(Clone, Copy, Debug)]
pub struct IdentitySeen<'a> {
    /// Its position among the leaf's claims.
    pub claim: usize,
    /// The OIDC issuer, where the certificate names one.
    pub issuer: Option<&'a str>,
    /// The subject.
    pub subject: &'a str,
    /// The watch rule that it matched, or nearly matched.
    pub rule: &'a str,
    /// The chains (DER) of the certificate authorities that we trust: one of them issued the certificate.
    pub authorities: &'a [Vec<Vec<u8>>],
}

impl IdentitySeen<'_> {
    fn names(&self) -> Names {
        Names {
            claim: self.claim as u64,
            by: Named::Identity { issuer: self.issuer.map(str::to_owned), subject: self.subject.to_owned() },
            authorities: self
                .authorities
                .iter()
                .map(|chain| chain.iter().map(|der| Base64(der.clone())).collect())
                .collect(),
        }
    }

    fn who(&self) -> String {
        match self.issuer {
            Some(issuer) => format!("{:?} (issuer {:?})", clean(self.subject), clean(issuer)),
            None => format!("{:?} (without an issuer)", clean(self.subject)),
        }
    }
}

/// A claim by a key.
#[derive(Clone, Copy, Debug)]
pub struct KeySeen<'a> {
    /// Its position among the leaf's claims.
    pub claim: usize,
    /// The key: DER SubjectPublicKeyInfo.
    pub spki: &'a [u8],
    /// What the configuration or the ledger calls it.
    pub label: &'a str,
}

impl KeySeen<'_> {
    fn names(&self) -> Names {
        Names { claim: self.claim as u64, by: Named::Key(Base64(self.spki.to_vec())), authorities: Vec::new() }
    }

    fn who(&self) -> String {
        let fingerprint = hex::encode(Sha256::digest(self.spki));
        format!("{:?} (SHA-256 of its public key {fingerprint})", clean(self.label))
    }
}

/// Someone signed as an identity of ours, with a certificate of a trusted authority, and the ledger does not know it.
///
/// `cause` makes copies of one signature one finding, in whichever log they are: key and low-s signature.
pub fn unexpected_identity(
    log: &LogDescription,
    leaf: &LeafSeen<'_>,
    who: &IdentitySeen<'_>,
    cause: &str,
    at: i64,
) -> NewFinding {
    let mut draft = leaf.names(log, FindingKind::UnexpectedIdentity, who.names(), cause, at);
    draft.title = format!("{} signed, and our ledger does not know it", who.who());
    draft.seen = format!(
        "{} names {}, which the watch {:?} says is ours; no rule expects it and our ledger has no such signature.",
        leaf.place(log),
        who.who(),
        clean(who.rule),
    );
    draft.claims = vec![("watch", clean(who.rule))];
    draft.finish()
}

/// A certificate of an identity of ours stands behind another's in a leaf, where no log checks that it signed. Anybody can
/// write such a leaf, and a holder of its key too: it is told, and wakes nobody.
pub fn identity_mentioned(
    log: &LogDescription,
    leaf: &LeafSeen<'_>,
    who: &IdentitySeen<'_>,
    cause: &str,
    at: i64,
) -> NewFinding {
    let mut draft = leaf.names(log, FindingKind::UnexpectedIdentity, who.names(), cause, at);
    draft.title = format!("{} stands behind another's signature", who.who());
    draft.seen = format!(
        "{} holds a certificate of {}, which the watch {:?} says is ours, behind another key: no log \
         checks that it signed, so that anybody can write such an entry. No rule expects the certificate and our ledger \
         does not know its key.",
        leaf.place(log),
        who.who(),
        clean(who.rule),
    );
    draft.claims = vec![("watch", clean(who.rule))];
    NewFinding { severity: Severity::Warning, ..draft.finish() }
}

/// A signature by a key of ours that the ledger does not explain. `words`, a whole sentence, says more where the usual
/// does not fit: another content than the ledger's, a ledger row written afterwards.
pub fn key_used_outside(
    log: &LogDescription,
    leaf: &LeafSeen<'_>,
    key: &KeySeen<'_>,
    cause: &str,
    words: Option<&str>,
    at: i64,
) -> NewFinding {
    let mut draft = leaf.names(log, FindingKind::KeyUsedOutside, key.names(), cause, at);
    draft.title = format!("our key {:?} was used outside of our signer", clean(key.label));
    draft.seen = format!(
        "{} is signed by our key {}. {}",
        leaf.place(log),
        key.who(),
        words.unwrap_or("Our ledger has no such signature, after the grace period."),
    );
    draft.claims = vec![("key", clean(key.label))];
    draft.finish()
}

/// A signature by a key that we have retired.
pub fn retired_key_used(
    log: &LogDescription,
    leaf: &LeafSeen<'_>,
    key: &KeySeen<'_>,
    cause: &str,
    at: i64,
) -> NewFinding {
    let mut draft = leaf.names(log, FindingKind::RetiredKeyUsed, key.names(), cause, at);
    draft.title = format!("our retired key {:?} was used", clean(key.label));
    draft.seen = format!(
        "{} is signed by our key {}, which is retired; our ledger has no such signature.",
        leaf.place(log),
        key.who(),
    );
    draft.claims = vec![("key", clean(key.label))];
    draft.finish()
}

/// An identity that is nearly one of ours. `how` says what differs.
pub fn near_miss(
    log: &LogDescription,
    leaf: &LeafSeen<'_>,
    who: &IdentitySeen<'_>,
    how: &str,
    cause: &str,
    at: i64,
) -> NewFinding {
    let mut draft = leaf.names(log, FindingKind::NearMiss, who.names(), cause, at);
    draft.title = format!("{} is nearly ours", who.who());
    draft.seen = format!(
        "{} names {}, which is close to the watch {:?}: {}.",
        leaf.place(log),
        who.who(),
        clean(who.rule),
        clean(how),
    );
    draft.claims = vec![("watch", clean(who.rule)), ("difference", clean(how))];
    draft.finish()
}

/// A leaf that cannot be read, so that it may name anybody. One finding per log, one occurrence per leaf.
pub fn unparsable_entry(log: &LogDescription, leaf: &LeafSeen<'_>, reason: &str, at: i64) -> NewFinding {
    let mut draft = Draft::new(FindingKind::UnparsableEntry, Some(log), leaf.proof(None), at);
    draft.occurrence = leaf.occurrence(log);
    draft.title = format!("{} has entries that cannot be read", clean(&log.origin));
    draft.seen = format!(
        "{} ({} bytes) cannot be read, so it may name us: {}.",
        leaf.place(log),
        leaf.leaf.len(),
        clean(reason),
    );
    draft.claims = vec![("reason", clean(reason)), ("bytes", leaf.leaf.len().to_string())];
    draft.finish()
}
