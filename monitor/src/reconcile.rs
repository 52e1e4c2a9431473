//! Leaf and ledger: did we do this? [`reconcile`] decides, purely; [`LedgerSide`] asks the ledger and tells.
//!
//! A signature is known by (public key, signed digest, signature with low s). Whoever reads a log can write our public
//! signatures into it again: under another kind, with s negated, in a certificate of his own, into another log. None of
//! that is news. What only a holder of our key or identity can make is never counted away: nothing but a row of the
//! ledger explains it, and only a row that was there before the leaf.

mod adopted;
mod error;
mod facts;
mod found;
mod judge;
mod lookup;
mod names;
mod reason;
mod settle;
pub(crate) mod side;
mod storm;
mod suspected;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use adopted::adopted_hashes;
pub use error::LedgerError;
pub use facts::{Chain, Facts, Proven};
pub use judge::{Hit, Judged};
pub use names::{NamedIdentity, NamedKey, Names};
pub use reason::Reason;
pub use settle::Settled;
pub use side::{LedgerSide, LedgerTiming};

use sha2::{Digest as _, Sha256};
use store::LedgerRow;

/// A row of the ledger that may explain a claim.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The row.
    pub row: &'a LedgerRow,
    /// It was written after the leaf, or dated back: it explains nothing.
    pub written_afterwards: bool,
}

/// What a claim comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Nobody has to hear of it. Counted.
    Counted(Reason),
    /// A key of ours was used, and the ledger does not explain it.
    KeyUsed(KeyUse),
    /// An identity of ours was used, and the ledger does not explain it.
    IdentityUsed,
    /// A certificate of an identity of ours stands where no log checks what it stands beside.
    IdentityMentioned,
    /// An identity that is close to one of ours was used.
    NearMiss,
}

/// How a key of ours was used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyUse {
    /// The ledger has no such signature.
    Unknown,
    /// The ledger has this signature, over another content.
    OtherContent,
    /// The ledger has it in a row that was written afterwards.
    WrittenAfterwards,
    /// A certificate authority that we trust certified the key: somebody proved to it that he has it.
    Certified,
    /// It is named in an entry that does not hold what it signed, or if it did, or where no log looks: that cannot be
    /// told.
    Mentioned,
}

/// Decides what a claim comes to: who it names, what it shows by itself, and the rows of the ledger that have its
/// signature (or, where it shows none, its digest or payload).
///
/// The ledger is asked first: a signature that it explains is ours whatever else is written around it.
pub fn reconcile(names: &Names, facts: &Facts<'_>, rows: &[Row<'_>]) -> Verdict {
    let ours = names.key.is_some() || names.identity.is_some() || names.near_miss.is_some();
    if ours && let Some(verdict) = explained(facts, rows) {
        return verdict;
    }
    if let Some(key) = &names.key {
        if let Some(verdict) = key_used(key, facts) {
            return verdict;
        }
        // A certificate of ours, which is public, beside somebody else's signature.
        if key.asked_for {
            return Verdict::Counted(Reason::Derived);
        }
    }
    if facts.chain == Chain::Trusted {
        match (&names.identity, &names.near_miss) {
            (Some(_), _) if facts.is_unchecked_behind_another() => return Verdict::IdentityMentioned,
            (Some(_), _) => return Verdict::IdentityUsed,
            (None, Some(_)) => return Verdict::NearMiss,
            (None, None) if names.expected => return Verdict::Counted(Reason::Expected),
            (None, None) if names.observed => return Verdict::Counted(Reason::Observed),
            (None, None) => {}
        }
    }
    Verdict::Counted(match facts.chain {
        _ if names.key.is_some() && facts.proven == Proven::Fails => Reason::DoesNotVerify,
        // A key that a rule expects to be used elsewhere.
        Chain::NoCertificate if names.expected => Reason::Expected,
        _ if *names != Names::default() => Reason::UntrustedChain,
        _ => Reason::ThirdParty,
    })
}

/// What the ledger says of a claim under one of its keys. `None`: nothing.
fn explained(facts: &Facts<'_>, rows: &[Row<'_>]) -> Option<Verdict> {
    let mut other_content = false;
    let mut afterwards = false;
    for Row { row, written_afterwards } in rows {
        match facts.compare(row) {
            Same::Not => {}
            Same::OtherContent => other_content = true,
            // Which content we shall sign can be guessed, and be written beside our key where no log checks it.
            Same::Entirely if *written_afterwards => {
                afterwards |= !facts.is_unchecked_behind_another() || facts.signature.is_some();
            }
            Same::Entirely => {
                let as_made = row.signature.as_ref().is_some_and(|it| it.signature == facts.claim.signature);
                let ours = as_made && facts.chain != Chain::Untrusted && !facts.claim.chained;
                return Some(Verdict::Counted(if ours { Reason::Ours } else { Reason::Derived }));
            }
        }
    }
    if afterwards {
        return Some(Verdict::KeyUsed(KeyUse::WrittenAfterwards));
    }
    match facts.proven {
        _ if !other_content => None,
        // Anybody can write our signature beside another digest.
        Proven::Fails => Some(Verdict::Counted(Reason::DoesNotVerify)),
        // Also behind a key, made to fit, under which it is a signature over that.
        _ if facts.is_unchecked_behind_another() => Some(Verdict::Counted(Reason::Derived)),
        Proven::Verifies | Proven::Unchecked | Proven::Absent => Some(Verdict::KeyUsed(KeyUse::OtherContent)),
    }
}

/// A use of our key that the ledger does not explain. `None`: it is not shown to be a use of the key at all.
fn key_used(key: &NamedKey, facts: &Facts<'_>) -> Option<Verdict> {
    let used = |how| Some(Verdict::KeyUsed(how));
    match facts.proven {
        Proven::Verifies => used(KeyUse::Unknown),
        Proven::Fails => None,
        // The log checked the signature against another key than this one: anybody can write our key, or a certificate of
        // it, which is public, behind his own. But so can its holder, with a first key that is made to fit his signature.
        Proven::Unchecked | Proven::Absent if facts.claim.chained && key.asked_for => None,
        Proven::Unchecked | Proven::Absent if facts.claim.chained => used(KeyUse::Mentioned),
        // Whoever writes an entry of an unknown kind may name anybody in it.
        Proven::Unchecked | Proven::Absent if !facts.known_kind => used(KeyUse::Mentioned),
        // The log has seen the content, and checked.
        Proven::Unchecked => used(KeyUse::Unknown),
        Proven::Absent if facts.claim.payload_hash.is_some() => used(KeyUse::Unknown),
        Proven::Absent if !facts.certificate_log => used(KeyUse::Mentioned),
        Proven::Absent => match facts.chain {
            Chain::Trusted if key.asked_for => Some(Verdict::Counted(Reason::Ours)),
            Chain::Trusted => used(KeyUse::Certified),
            Chain::Untrusted | Chain::NoCertificate => None,
        },
    }
}

/// How a claim compares with a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Same {
    /// It is about something else.
    Not,
    /// The same key and signature, over another content.
    OtherContent,
    /// The same key and content, and the same signature where it shows one.
    Entirely,
}

impl Facts<'_> {
    /// Named behind another, and not shown to have signed.
    fn is_unchecked_behind_another(&self) -> bool {
        self.claim.chained && self.proven != Proven::Verifies
    }

    fn compare(&self, row: &LedgerRow) -> Same {
        let Some(recorded) = &row.signature else { return Same::Not };
        if self.spki.as_deref() != Some(&*bundle::public_key::canonical_spki(&row.public_key_spki)) {
            return Same::Not;
        }
        let payload = |hash: [u8; 32]| Sha256::digest(&recorded.payload).as_slice() == hash;
        let content = match (self.claim.digest, self.claim.payload_hash) {
            (Some((_, digest)), _) => Some(self.same_digest(digest, &recorded.signed_digest)),
            (None, Some(hash)) => Some(payload(hash)),
            (None, None) => None,
        };
        match (&self.signature, content) {
            (None, Some(true)) => Same::Entirely,
            (None, _) => Same::Not,
            (Some(signature), _) if *signature != recorded.signature => Same::Not,
            (Some(_), Some(false)) => Same::OtherContent,
            // A leaf that says nothing about the content adds nothing to the signature.
            (Some(_), Some(true) | None) => Same::Entirely,
        }
    }
}
