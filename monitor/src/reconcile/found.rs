//! What is told of a claim that the ledger does not explain.

use bundle::TrustRoot;
use sha2::{Digest as _, Sha256};
use store::{NewFinding, Severity};

use super::{Facts, KeyUse, NamedIdentity, Names, Proven, Verdict};
use crate::finding::{
    IdentitySeen, KeySeen, LeafSeen, LogDescription, identity_mentioned, key_used_outside, near_miss, retired_key_used,
    unexpected_identity,
};
use crate::watchlist::NearMissKind;

/// The leaf that a claim is in, and what else evidence needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) log: &'a LogDescription,
    pub(super) leaf: &'a LeafSeen<'a>,
    pub(super) claim: usize,
    pub(super) trust: &'a TrustRoot,
    pub(super) at: i64,
}

/// The finding. `None` where the verdict is none.
pub(super) fn finding(verdict: Verdict, names: &Names, facts: &Facts<'_>, scene: &Scene<'_>) -> Option<NewFinding> {
    let Scene { log, leaf, claim, at, .. } = *scene;
    let cause = cause(verdict, names, facts)?;
    let found = match verdict {
        Verdict::Counted(_) => return None,
        Verdict::KeyUsed(how) => {
            let key = names.key.as_ref();
            let spki = facts.spki.as_deref().unwrap_or_default();
            let label = key.map_or_else(|| fingerprint(facts), |key| key.label.clone());
            let seen = KeySeen { claim, spki, label: &label };
            if how == KeyUse::Unknown && key.is_some_and(|key| key.retired) {
                return Some(retired_key_used(log, leaf, &seen, &cause, at));
            }
            let words = words(how, facts);
            match how {
                // Anybody can write such an entry, and a holder of the key too: one finding, which wakes nobody.
                KeyUse::Mentioned => NewFinding {
                    severity: Severity::Warning,
                    ..key_used_outside(log, leaf, &seen, &cause, words.as_deref(), at)
                },
                _ => key_used_outside(log, leaf, &seen, &cause, words.as_deref(), at),
            }
        }
        Verdict::IdentityUsed => {
            let authorities = authorities(scene.trust);
            let who = seen(names.identity.as_ref()?, claim, &authorities);
            unexpected_identity(log, leaf, &who, &cause, at)
        }
        Verdict::IdentityMentioned => {
            let authorities = authorities(scene.trust);
            let who = seen(names.identity.as_ref()?, claim, &authorities);
            identity_mentioned(log, leaf, &who, &cause, at)
        }
        Verdict::NearMiss => {
            let (identity, how) = names.near_miss.as_ref()?;
            let authorities = authorities(scene.trust);
            near_miss(log, leaf, &seen(identity, claim, &authorities), difference(*how), &cause, at)
        }
    };
    Some(found)
}

/// What makes two claims one finding, in whichever leaves and logs they are. `None` where the verdict is none.
pub(super) fn cause(verdict: Verdict, names: &Names, facts: &Facts<'_>) -> Option<String> {
    Some(match verdict {
        Verdict::Counted(_) => return None,
        Verdict::KeyUsed(KeyUse::Mentioned) | Verdict::IdentityMentioned => {
            format!("mentioned/{}", fingerprint(facts))
        }
        Verdict::KeyUsed(_) | Verdict::IdentityUsed => use_of(facts),
        Verdict::NearMiss => {
            let (identity, how) = names.near_miss.as_ref()?;
            name_of(identity, *how)
        }
    })
}

/// What makes two uses one finding: key and signature. A certificate that stands beside somebody else's signature, or
/// beside bytes that nobody can read as one, can be written again by anybody, with any number of these: there the key
/// alone.
fn use_of(facts: &Facts<'_>) -> String {
    let shown = match facts.proven {
        Proven::Verifies => true,
        Proven::Fails => false,
        Proven::Unchecked | Proven::Absent => !facts.claim.chained && facts.readable,
    };
    match facts.signature.as_ref().filter(|_| shown) {
        Some(signature) => format!("{}/{}", fingerprint(facts), hex::encode(Sha256::digest(signature))),
        None => fingerprint(facts),
    }
}

/// Under which name of ours a finding is, where one name can have any number of findings: a key, or a watch rule.
pub(super) fn name(verdict: Verdict, names: &Names, facts: &Facts<'_>) -> Option<String> {
    match verdict {
        Verdict::KeyUsed(KeyUse::Mentioned) | Verdict::IdentityMentioned | Verdict::Counted(_) | Verdict::NearMiss => {
            None
        }
        Verdict::KeyUsed(_) => Some(format!("key/{}", fingerprint(facts))),
        Verdict::IdentityUsed => names.identity.as_ref().map(|identity| format!("watch/{}", identity.rule)),
    }
}

/// What makes two near misses one finding: the name. Whoever has one may sign with it as often as he likes, each time with
/// another key.
fn name_of(identity: &NamedIdentity, how: NearMissKind) -> String {
    let issuer = identity.issuer.as_deref().unwrap_or_default();
    let mut hash = Sha256::new();
    for field in [&*identity.rule, issuer, &*identity.subject, difference(how)] {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    hex::encode(hash.finalize())
}

fn fingerprint(facts: &Facts<'_>) -> String {
    hex::encode(Sha256::digest(facts.spki.as_deref().unwrap_or_default()))
}

fn words(how: KeyUse, facts: &Facts<'_>) -> Option<String> {
    let words = match how {
        KeyUse::Unknown if !facts.readable => {
            "What the entry holds as its signature is in no encoding that we can read: whose it is cannot be told, and a log \
             that checked it has read it. Our ledger has no such signature."
                .to_owned()
        }
        KeyUse::Unknown => {
            let (_, digest) = facts.claim.digest?;
            format!(
                "Our ledger has no such signature, after the grace period. It is over the digest {}; if nothing has that \
                 digest, it may have been computed from the public key alone, which ECDSA allows and which signs nothing.",
                hex::encode(digest)
            )
        }
        KeyUse::OtherContent => {
            "Our ledger has this signature, over another content than the entry names.".to_owned()
        }
        KeyUse::WrittenAfterwards => {
            "The row of our ledger that would explain it was written afterwards: somebody writes into the ledger, or the \
             signer's clock is wrong."
                .to_owned()
        }
        KeyUse::Certified => {
            "A certificate authority that we trust certified this key for somebody, who proved to it that he can sign with \
             it; our ledger asked for no such certificate."
                .to_owned()
        }
        KeyUse::Mentioned if facts.claim.chained => {
            "It stands behind another key in the entry, and no log checks that it signed: anybody can write such an entry. \
             Its holder can, too, behind a key that is made to fit: look what has the digest that the entry names."
                .to_owned()
        }
        KeyUse::Mentioned => {
            "The entry does not say what was signed with it, if anything: anybody can write such an entry. Look whether \
             the log's rules for this kind ask for a signature by the key."
                .to_owned()
        }
    };
    Some(words)
}

fn authorities(trust: &TrustRoot) -> Vec<Vec<Vec<u8>>> {
    trust.certificate_authorities.iter().map(|authority| authority.chain.clone()).collect()
}

fn seen<'a>(identity: &'a NamedIdentity, claim: usize, authorities: &'a [Vec<Vec<u8>>]) -> IdentitySeen<'a> {
    IdentitySeen {
        claim,
        issuer: identity.issuer.as_deref(),
        subject: &identity.subject,
        rule: &identity.rule,
        authorities,
    }
}

fn difference(how: NearMissKind) -> &'static str {
    match how {
        NearMissKind::OtherRef => "the same workflow at another ref",
        NearMissKind::OtherWorkflow => "the same repository in another workflow, or under other circumstances",
        NearMissKind::Homoglyph => "a name that only looks the same",
        NearMissKind::RenamedOwner => {
            "the same name with another numeric id of its owner or repository, or the other way round"
        }
        NearMissKind::OtherIssuer => "the same name, vouched for by another issuer",
    }
}
