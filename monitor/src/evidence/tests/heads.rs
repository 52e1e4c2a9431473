//! Heads against heads.

use tlog::{CheckpointError, Hash, WitnessKey, WitnessPolicy, checkpoint_text, cosign, leaf_hash};

use super::fixture::Log;
use super::*;
use crate::finding::*;

fn other_root() -> Hash {
    leaf_hash(b"another tree")
}

#[test]
fn two_roots_of_one_size_convince_anybody() {
    let log = Log::v2(20);
    let finding = fork(&log.described(), &log.head(20), &log.head_of(20, &other_root()), 1);
    is_attributable(&finding);
    assert_eq!(finding.fingerprint, "fork/log.example.com/");
    let pinned = verdict(&finding).log.unwrap();
    assert_eq!(pinned.origin, "log.example.com");
    assert_eq!(pinned.key_id, hex::encode(log.key().key_id()));
    assert!(verdict(&finding).says[0].contains(&pinned.public_key_sha256));
    // Whichever was seen first, it is the same occurrence.
    let turned = fork(&log.described(), &log.head_of(20, &other_root()), &log.head(20), 1);
    assert_eq!(turned.occurrence, finding.occurrence);
}

#[test]
fn a_fork_of_equal_heads_or_other_sizes_is_none() {
    let log = Log::v2(20);
    does_not_hold(&fork(&log.described(), &log.head(20), &log.head(20), 1), "the same root");
    does_not_hold(&fork(&log.described(), &log.head(20), &log.head(19), 1), "different sizes");
}

#[test]
fn a_fork_by_another_key_is_none() {
    let (log, other) = (Log::v1(5, 9), Log::v1(5, 9));
    does_not_hold(&fork(&log.described(), &log.head(9), &other.head_of(9, &other_root()), 1), "does not open");
}

#[test]
fn a_smaller_head_is_observed() {
    let log = Log::v2(20);
    is_observed(&rollback(&log.described(), &log.head(20), &log.head(12), 1, 700_000));
    does_not_hold(&rollback(&log.described(), &log.head(12), &log.head(20), 1, 2), "not smaller");
}

#[test]
fn a_subtree_that_changed_convinces_anybody() {
    let (log, mut forked) = (Log::v2(21), Log::v2(40));
    forked.leaves[17] = b"changed".to_vec();
    // 21 leaves are subtrees of 16, 4 and 1; the second one changed.
    let node = forked.node(2, 4, 40);
    let range = log.range(21);
    let how = Growth::Contradiction { old_range: &range, node: &node };
    let finding = inconsistent_growth(&log.described(), &log.head(21), &forked.head(40), how, 1);
    is_attributable(&finding);
    let split = split_view(&log.described(), &log.head(21), &forked.head(40), "witness w", Split::Growth(how), 1);
    is_attributable(&split);
    // Met elsewhere, the larger one may as well be ours.
    let split = split_view(&log.described(), &forked.head(40), &log.head(21), "ledger", Split::Growth(how), 1);
    is_attributable(&split);
}

#[test]
fn a_contradiction_needs_the_same_place_another_node_and_both_roots() {
    let (log, mut forked) = (Log::v2(21), Log::v2(40));
    forked.leaves[17] = b"changed".to_vec();
    let (old, new, described) = (log.head(21), forked.head(40), log.described());
    let judged = |range: &tlog::CompactRange, node: &tlog::NodeProof| {
        inconsistent_growth(&described, &old, &new, Growth::Contradiction { old_range: range, node }, 1)
    };
    // An unchanged subtree.
    does_not_hold(&judged(&log.range(21), &forked.node(4, 0, 40)), "the same node");
    // A place of no subtree of the smaller tree.
    does_not_hold(&judged(&log.range(21), &forked.node(0, 17, 40)), "not at a place");
    // A compact range of another tree, or another size.
    does_not_hold(&judged(&forked.range(21), &forked.node(2, 4, 40)), "smaller head's root");
    does_not_hold(&judged(&log.range(20), &forked.node(2, 4, 40)), "smaller head's root");
    // A node that is not under the larger head.
    let mut node = forked.node(2, 4, 40);
    node.node = other_root();
    does_not_hold(&judged(&log.range(21), &node), "larger head's root");
}

#[test]
fn a_refused_consistency_proof_is_observed() {
    let (log, mut forked) = (Log::v2(21), Log::v2(40));
    forked.leaves[3] = b"changed".to_vec();
    let hashes = forked.consistency(21, 40);
    let how = Growth::Refused { hashes: &hashes };
    is_observed(&inconsistent_growth(&log.described(), &log.head(21), &forked.head(40), how, 1));
    does_not_hold(&inconsistent_growth(&log.described(), &forked.head(21), &forked.head(40), how, 1), "as it should");
}

#[test]
fn a_tree_that_nobody_announced_is_observed() {
    let log = Log::v1(5, 9);
    let unknown = log.sign(&checkpoint_text("rekor.example.com - 6", 3, &other_root()));
    is_observed(&split_view(&log.described(), &log.head(9), &unknown, "ledger", Split::UnknownTree, 1));
    let fork = split_view(&log.described(), &log.head(9), &log.head_of(9, &other_root()), "ledger", Split::SameSize, 1);
    is_attributable(&fork);
}

#[test]
fn a_head_that_does_not_open_is_observed() {
    let (log, other) = (Log::v2(4), Log::v1(1, 4));
    let mut broken = log.head(4);
    let last = broken.len() - 4;
    broken[last] ^= 1;
    for served in [broken, other.head(4), b"<html>".to_vec(), vec![0xff, 0xfe], Vec::new()] {
        is_observed(&bad_signature(&log.described(), &served, &CheckpointError::NoSignature, "log", 1));
    }
    let sound = bad_signature(&log.described(), &log.head(4), &CheckpointError::NoSignature, "log", 1);
    does_not_hold(&sound, "is signed by the log's key");
}

#[test]
fn a_bad_head_that_is_signed_anew_is_the_same_occurrence() {
    let (log, other) = (Log::v2(4), Log::v1(1, 4));
    let seen =
        |served: &[u8]| bad_signature(&log.described(), served, &CheckpointError::NoSignature, "log", 1).occurrence;
    let (one, two) = (other.head(4), other.head(4));
    assert_ne!(one, two, "ECDSA signatures are random");
    assert_eq!(seen(&one), seen(&two));
    assert_ne!(seen(&one), seen(&other.head(3)));
}

#[test]
fn another_origin_by_the_same_key_convinces_anybody_but_not_of_v1() {
    let log = Log::v2(4);
    let elsewhere = log.sign(&checkpoint_text("other.example.com", 3, &other_root()));
    is_attributable(&wrong_origin(&log.described(), &elsewhere, "other.example.com", "log", 1));
    does_not_hold(&wrong_origin(&log.described(), &log.head(4), "x", "log", 1), "of the log that it should be of");
    let shards = Log::v1(5, 4);
    let other = shards.sign(&checkpoint_text("rekor.example.com - 6", 3, &other_root()));
    is_observed(&wrong_origin(&shards.described(), &other, "rekor.example.com - 6", "log", 1));
}

#[test]
fn a_frozen_log_that_grew_convinces_anybody_if_it_said_so() {
    let log = Log::v2(8);
    let text = checkpoint_text(&log.origin, 5, &tlog::tree::root(&log.hashes()[..5]));
    let frozen = log.sign(&format!("{text}Log frozen — Sat Nov 21 2026\n"));
    is_attributable(&frozen_shard_grew(&log.described(), &frozen, &log.head(8), 1));
    is_observed(&frozen_shard_grew(&log.described(), &log.head(5), &log.head(8), 1));
    is_observed(&frozen_shard_grew(&log.described(), &frozen, &log.head(4), 1));
    does_not_hold(&frozen_shard_grew(&log.described(), &frozen, &log.head(5), 1), "the same tree");
}

#[test]
fn a_head_without_its_witnesses_is_observed_and_one_with_them_is_nothing() {
    let log = Log::v2(8);
    let note = String::from_utf8(log.head(8)).unwrap();
    let text = checkpoint_text(&log.origin, 8, &tlog::tree::root(&log.hashes()));
    let seed = [9; 32];
    let key = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let raw = aws_lc_rs::signature::KeyPair::public_key(&key).as_ref().try_into().unwrap();
    let vkey = WitnessKey::from_raw("witness.example", &raw).unwrap().to_vkey();
    let policy = WitnessPolicy::parse(&format!("witness w {vkey}\nquorum w\n")).unwrap();
    let finding = witness_quorum_lost(&log.described(), note.as_bytes(), &policy, 1);
    is_observed(&finding);
    assert!(finding.detail.contains("without a valid one: w."), "{}", finding.detail);
    let cosignature = cosign(&text, "witness.example", &seed, 1_700_000_000);
    let line = tlog::format_note("", &[cosignature]).trim_start().to_owned();
    let cosigned = format!("{note}{line}");
    does_not_hold(&witness_quorum_lost(&log.described(), cosigned.as_bytes(), &policy, 1), "every cosignature");
}
