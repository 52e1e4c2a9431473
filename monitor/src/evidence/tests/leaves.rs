//! Leaves as served, leaves that name us, and what is only told.

use sandbox::{CaOptions, Identity, SandboxCa, Subject};

use super::fixture::{Log, P256, leaf_by, leaf_by_certificate};
use super::*;
use crate::finding::*;
use crate::reconcile::tests::leaves::{Key, chained_dsse, halves, pem};

#[test]
fn served_leaves_that_are_not_the_committed_ones_are_observed() {
    let log = Log::v2(300);
    let head = log.head(300);
    let node = log.node(0, 77, 300);
    let swapped: [&[u8]; 1] = [b"swapped"];
    let finding = leaf_not_committed(&log.described(), &head, Uncommitted::Node { node: &node, leaves: &swapped }, 1);
    is_observed(&finding);
    assert_eq!(finding.occurrence, "77..78");
    let committed: [&[u8]; 1] = [&log.leaves[77]];
    let how = Uncommitted::Node { node: &node, leaves: &committed };
    does_not_hold(&leaf_not_committed(&log.described(), &head, how, 1), "are the committed ones");
    let how = Uncommitted::Node { node: &node, leaves: &[] };
    does_not_hold(&leaf_not_committed(&log.described(), &head, how, 1), "leaves below a node");
    // A whole bundle.
    let node = log.node(8, 0, 300);
    let mut leaves: Vec<&[u8]> = log.leaves[..256].iter().map(Vec::as_slice).collect();
    leaves[255] = b"swapped";
    is_observed(&leaf_not_committed(&log.described(), &head, Uncommitted::Node { node: &node, leaves: &leaves }, 1));
    // Under another head.
    let how = Uncommitted::Node { node: &node, leaves: &leaves };
    does_not_hold(&leaf_not_committed(&log.described(), &log.head(299), how, 1), "head's root");
}

#[test]
fn leaves_that_do_not_lead_to_the_signed_root_are_observed() {
    let log = Log::v2(30);
    let (verified, head, range, proof) = (log.head(13), log.head(30), log.range(13), log.consistency(13, 30));
    let mut leaves: Vec<&[u8]> = log.leaves[13..].iter().map(Vec::as_slice).collect();
    let judged = |leaves: &[&[u8]], range: &tlog::CompactRange| {
        let how = Uncommitted::Rebuilt { verified: &verified, range, consistency: &proof, leaves };
        leaf_not_committed(&log.described(), &head, how, 1)
    };
    does_not_hold(&judged(&leaves, &range), "lead to the signed root");
    does_not_hold(&judged(&leaves[1..], &range), "exactly those between");
    does_not_hold(&judged(&leaves, &log.range(12)), "verified head's root");
    leaves[4] = b"swapped";
    is_observed(&judged(&leaves, &range));
    leaves.remove(4);
    does_not_hold(&judged(&leaves, &range), "exactly those between");
}

#[test]
fn too_many_leaves_are_left_out_and_the_facts_stay() {
    let log = Log::v2(3);
    let huge = vec![b'x'; MAX_LEAF_BYTES + 1];
    let leaves: [&[u8]; 1] = [&huge];
    let node = log.node(0, 1, 3);
    let how = Uncommitted::Node { node: &node, leaves: &leaves };
    is_observed(&leaf_not_committed(&log.described(), &log.head(3), how, 1));
    let computed = tlog::leaf_hash(b"x");
    let how = Uncommitted::Root { start: 1, end: 3, computed };
    is_observed(&leaf_not_committed(&log.described(), &log.head(3), how, 1));
    let how = Uncommitted::Root { start: 1, end: 4, computed };
    does_not_hold(&leaf_not_committed(&log.described(), &log.head(3), how, 1), "not under the head");
    let computed = tlog::tree::root(&log.hashes());
    let how = Uncommitted::Root { start: 1, end: 3, computed };
    does_not_hold(&leaf_not_committed(&log.described(), &log.head(3), how, 1), "is the signed one");
}

#[test]
fn a_missing_leaf_is_observed_only_within_the_signed_size() {
    let log = Log::v2(3);
    is_observed(&missing_leaf(&log.described(), &log.head(3), 1, 2, "status 404", 1));
    does_not_hold(&missing_leaf(&log.described(), &log.head(3), 3, 4, "status 404", 1), "not under the head");
}

#[test]
fn a_signature_by_our_key_in_the_log_convinces_anybody() {
    let key = P256::new();
    let mut log = Log::v2(30);
    log.leaves[11] = leaf_by(&key, b"rogue");
    let (note, inclusion) = (log.head(30), log.inclusion(11, 30));
    let seen = LeafSeen { note: &note, index: 11, leaf: &log.leaves[11], inclusion: Some(&inclusion.hashes) };
    let spki = key.spki();
    let ours = KeySeen { claim: 0, spki: &spki, label: "release" };
    let finding = key_used_outside(&log.described(), &seen, &ours, "cause", None, 1);
    is_attributable(&finding);
    assert_eq!(finding.fingerprint, "key_used_outside//cause", "one finding, in whichever log");
    is_attributable(&retired_key_used(&log.described(), &seen, &ours, "cause", 1));
    // Somebody else's key, no such claim, another leaf, another index.
    let other = P256::new().spki();
    let theirs = KeySeen { claim: 0, spki: &other, label: "x" };
    does_not_hold(&key_used_outside(&log.described(), &seen, &theirs, "c", None, 1), "does not name");
    let beyond = KeySeen { claim: 1, ..ours };
    does_not_hold(&key_used_outside(&log.described(), &seen, &beyond, "c", None, 1), "no such claim");
    let moved = LeafSeen { index: 12, ..seen };
    does_not_hold(&key_used_outside(&log.described(), &moved, &ours, "c", None, 1), "not under the head");
    let far = LeafSeen { index: 30, ..seen };
    does_not_hold(&key_used_outside(&log.described(), &far, &ours, "c", None, 1), "beyond the head");
    // Without a proof it rests on our word.
    let unproved = LeafSeen { inclusion: None, ..seen };
    is_observed(&key_used_outside(&log.described(), &unproved, &ours, "c", None, 1));
}

#[test]
fn a_signature_in_halves_convinces_as_one_in_der_does() {
    use base64::Engine as _;
    let encoded = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let key = P256::new();
    let mut log = Log::v2(30);
    let leaf: serde_json::Value = serde_json::from_slice(&leaf_by(&key, b"rogue")).unwrap();
    let der = leaf["spec"]["hashedRekordV002"]["signature"]["content"].as_str().unwrap();
    let in_halves = encoded(&halves(&base64::engine::general_purpose::STANDARD.decode(der).unwrap(), 3));
    log.leaves[11] = leaf.to_string().replace(der, &in_halves).into_bytes();
    let (note, inclusion) = (log.head(30), log.inclusion(11, 30));
    let seen = LeafSeen { note: &note, index: 11, leaf: &log.leaves[11], inclusion: Some(&inclusion.hashes) };
    let spki = key.spki();
    let ours = KeySeen { claim: 0, spki: &spki, label: "release" };
    is_attributable(&key_used_outside(&log.described(), &seen, &ours, "cause", None, 1));
}

#[test]
fn a_leaf_under_our_key_with_a_signature_that_is_not_ours_convinces_nobody() {
    let (key, other) = (P256::new(), P256::new());
    let mut log = Log::v2(30);
    let forged = String::from_utf8(leaf_by(&other, b"rogue")).unwrap();
    use base64::Engine as _;
    let encoded = |spki: Vec<u8>| base64::engine::general_purpose::STANDARD.encode(spki);
    log.leaves[11] = forged.replace(&encoded(other.spki()), &encoded(key.spki())).into_bytes();
    let (note, inclusion) = (log.head(30), log.inclusion(11, 30));
    let seen = LeafSeen { note: &note, index: 11, leaf: &log.leaves[11], inclusion: Some(&inclusion.hashes) };
    let spki = key.spki();
    let ours = KeySeen { claim: 0, spki: &spki, label: "release" };
    is_observed(&key_used_outside(&log.described(), &seen, &ours, "cause", None, 1));
}

#[tokio::test]
async fn an_identity_convinces_anybody_only_with_the_authority_that_issued_it() {
    let (ca, stranger) =
        (SandboxCa::start(CaOptions::default()).await.unwrap(), SandboxCa::start(CaOptions::default()).await.unwrap());
    let key = P256::new();
    let identity = Identity {
        issuer: "https://issuer.example".to_owned(),
        subject: Subject::Email("ci@example.com".to_owned()),
        extensions: Vec::new(),
    };
    let issued = ca.issue(&identity, &key.spki()).unwrap();
    let mut log = Log::v2(30);
    log.leaves[3] = leaf_by_certificate(&key, &issued.certificate, b"rogue");
    let (note, inclusion) = (log.head(30), log.inclusion(3, 30));
    let seen = LeafSeen { note: &note, index: 3, leaf: &log.leaves[3], inclusion: Some(&inclusion.hashes) };
    let chains = [ca.chain_der().to_vec()];
    let who = IdentitySeen {
        claim: 0,
        issuer: Some("https://issuer.example"),
        subject: "ci@example.com",
        rule: "ci",
        authorities: &chains,
    };
    is_attributable(&unexpected_identity(&log.described(), &seen, &who, "cause", 1));
    is_attributable(&near_miss(&log.described(), &seen, &who, "another branch", "cause", 1));
    // Whose authority it is, is the word of the file: the verdict names it.
    let root = hex::encode(Sha256::digest(chains[0].last().unwrap()));
    let says = verdict(&unexpected_identity(&log.described(), &seen, &who, "cause", 1)).says;
    assert!(says.iter().any(|line| line.contains(&root)), "{says:#?}");
    let chains = [stranger.chain_der().to_vec()];
    is_observed(&unexpected_identity(&log.described(), &seen, &IdentitySeen { authorities: &chains, ..who }, "c", 1));
    is_observed(&unexpected_identity(&log.described(), &seen, &IdentitySeen { authorities: &[], ..who }, "c", 1));
    for wrong in [
        IdentitySeen { subject: "other@example.com", ..who },
        IdentitySeen { issuer: Some("https://other.example"), ..who },
        IdentitySeen { issuer: None, ..who },
    ] {
        does_not_hold(&unexpected_identity(&log.described(), &seen, &wrong, "c", 1), "does not name");
    }
    // The key of a certificate is a key as well.
    let spki = key.spki();
    let ours = KeySeen { claim: 0, spki: &spki, label: "ephemeral" };
    is_attributable(&key_used_outside(&log.described(), &seen, &ours, "cause", None, 1));
}

#[test]
fn a_leaf_that_cannot_be_read_convinces_anybody_and_one_that_can_is_nothing() {
    let key = P256::new();
    let mut log = Log::v2(9);
    log.leaves[2] = b"{\"kind\":".to_vec();
    log.leaves[5] = leaf_by(&key, b"fine");
    let ours = Key::new();
    let unreadable = (&b"x"[..], pem(b"0\x03\x02\x01\x01"));
    log.leaves[7] = chained_dsse(b"", &[unreadable, (b"x", ours.public().pem())]);
    let note = log.head(9);
    let judged = |index: usize| {
        let inclusion = log.inclusion(index, 9);
        let leaf = &log.leaves[index];
        let seen = LeafSeen { note: &note, index: index as u64, leaf, inclusion: Some(&inclusion.hashes) };
        unparsable_entry(&log.described(), &seen, "not json", 1)
    };
    is_attributable(&judged(2));
    does_not_hold(&judged(5), "can read the leaf");
    is_attributable(&judged(7));
    assert_eq!(judged(2).fingerprint, judged(3).fingerprint, "one finding per log");
    assert_ne!(judged(2).occurrence, judged(3).occurrence, "one occurrence per leaf");
}

#[test]
fn what_is_only_told_is_observed() {
    let log = Log::v2(9);
    let (described, head) = (log.described(), log.head(9));
    for finding in [
        stale_log(&described, &head, 1, 1_000_000_000),
        blind(&described, 1, "connection refused", 1_000_000),
        blind_sink("pager", 1, "answered with status 503", 1_000_000),
        scan_lag(&described, &head, 3, 9, 1, 1_000_000),
        state_lost(Some(&described), "", "The database knows nothing of this log.", 1),
        state_lost(None, "ledger", "The ledger's newest row is 5, and was 9.", 1),
        matcher_never_matched("ci", 1, 1_000_000_000_000),
        trust_material_changed("log.example.com", "Its key is another one.", 1),
        clock_skew(&described, &head, "witness w", 900_000_000, 1),
    ] {
        is_observed(&finding);
    }
    let elsewhere = stale_log(&described, &Log::v1(1, 9).head(9), 1, 2);
    does_not_hold(&elsewhere, "does not open");
}
