//! Entries that were promised and are not there.

use bundle::{EntryProof, LogEntry};
use store::NewFinding;
use tlog::{Hash, set_payload};

use super::fixture::{Log, P256, leaf_by};
use super::*;
use crate::finding::*;

const TIME: i64 = 1_700_000_000;

fn entry(log: &Log, index: u64, body: &[u8]) -> LogEntry {
    let version = if log.origin.contains(" - ") { "0.0.1" } else { "0.0.2" };
    LogEntry {
        log_index: index,
        log_id: log.key().key_id(),
        kind: "hashedrekord".to_owned(),
        version: version.to_owned(),
        integrated_time: None,
        set: None,
        proof: None,
        body: body.to_vec(),
    }
}

/// The entry at an index of this log, with its proof under the head of `size`.
fn proved(log: &Log, index: usize, size: usize) -> LogEntry {
    let proof = log.inclusion(index, size);
    let checkpoint = String::from_utf8(log.head(size)).unwrap();
    let root = tlog::tree::root(&log.hashes()[..size]);
    let mut entry = entry(log, index as u64, &log.leaves[index]);
    entry.proof =
        Some(EntryProof { log_index: index as u64, root, size: size as u64, hashes: proof.hashes, checkpoint });
    entry
}

/// An entry that the log took in under its timestamp, at an index over all shards.
fn stamped(log: &Log, index: u64, body: &[u8]) -> LogEntry {
    use base64::Engine as _;
    let mut entry = entry(log, index, body);
    let encoded = base64::engine::general_purpose::STANDARD.encode(body);
    let payload = set_payload(&encoded, TIME, &hex::encode(entry.log_id), index);
    entry.integrated_time = Some(TIME);
    entry.set = Some(log.sign_bytes(&payload));
    entry
}

fn judged(
    log: &Log,
    size: usize,
    entry: &LogEntry,
    (index, offset): (usize, u64),
    earlier: &[&[u8]],
    other: Option<(Hash, &[Hash])>,
) -> NewFinding {
    let (note, json) = (log.head(size), entry.to_json());
    let what = Withheld { note: &note, entry: &json, index: index as u64, offset, earlier, other };
    let finding = withheld_entry(&log.described(), &what, 1, 2_000_000);
    // A promise that was met elsewhere is as good or bad.
    let split = split_view_entry(&log.described(), &what, "registry", 1);
    assert_eq!(
        (verdict(&split).holds, verdict(&split).attributable),
        (verdict(&finding).holds, verdict(&finding).attributable)
    );
    finding
}

#[test]
fn an_entry_that_was_proved_and_replaced_convinces_anybody() {
    let mut then = Log::v2(20);
    then.leaves[7] = leaf_by(&P256::new(), b"ours");
    let now = Log::v2(40);
    let proof = now.inclusion(7, 40);
    let other = Some((now.hashes()[7], proof.hashes.as_slice()));
    is_attributable(&judged(&now, 40, &proved(&then, 7, 20), (7, 0), &[], other));
    // The same leaf is in its place.
    then.leaves[7] = now.leaves[7].clone();
    does_not_hold(&judged(&now, 40, &proved(&then, 7, 20), (7, 0), &[], other), "is the promised one");
}

#[test]
fn a_promise_whose_own_proof_fails_is_none() {
    let mut then = Log::v2(20);
    then.leaves[7] = leaf_by(&P256::new(), b"ours");
    let now = Log::v2(40);
    let proof = now.inclusion(7, 40);
    let other = Some((now.hashes()[7], proof.hashes.as_slice()));
    let mut entry = proved(&then, 7, 20);
    entry.body.push(b' ');
    does_not_hold(&judged(&now, 40, &entry, (7, 0), &[], other), "not under its own head");
    let mut entry = proved(&then, 7, 20);
    entry.proof.as_mut().unwrap().checkpoint = String::from_utf8(Log::v1(1, 20).head(20)).unwrap();
    does_not_hold(&judged(&now, 40, &entry, (7, 0), &[], other), "own head does not open");
    // The leaf in its place is proved at another index.
    let proof = now.inclusion(8, 40);
    let other = Some((now.hashes()[8], proof.hashes.as_slice()));
    does_not_hold(&judged(&now, 40, &proved(&then, 7, 20), (7, 0), &[], other), "not under the head");
}

#[test]
fn an_entry_that_the_tree_is_too_small_for_is_observed() {
    let log = Log::v2(20);
    is_observed(&judged(&log, 15, &proved(&log, 17, 20), (17, 0), &[], None));
    does_not_hold(&judged(&log, 18, &proved(&log, 17, 20), (17, 0), &[], None), "does not show which");
}

#[test]
fn a_timestamp_without_its_entry_is_observed_because_nothing_signs_where_a_shard_begins() {
    let log = Log::v1(9, 30);
    let body = leaf_by(&P256::new(), b"ours");
    let proof = log.inclusion(4, 30);
    let other = Some((log.hashes()[4], proof.hashes.as_slice()));
    // Of a later shard the same file could be made out of an honest timestamp of the first.
    is_observed(&judged(&log, 30, &stamped(&log, 4, &body), (4, 0), &[], other));
    let stamp = stamped(&log, 104, &body);
    is_observed(&judged(&log, 30, &stamp, (4, 100), &[], other));
    let earlier = [("rekor.example.com - 7", 60), ("rekor.example.com - 8", 40)]
        .map(|(origin, size)| log.sign(&tlog::checkpoint_text(origin, size, &tlog::leaf_hash(b"x"))));
    let notes = [earlier[0].as_slice(), &earlier[1]];
    // Any two older heads of these shards whose sizes fit would do as well.
    is_observed(&judged(&log, 30, &stamp, (4, 100), &notes, other));
    does_not_hold(&judged(&log, 30, &stamp, (4, 100), &notes[..1], other), "do not make up the offset");
    does_not_hold(&judged(&log, 30, &stamp, (4, 100), &[notes[0], notes[0]], other), "named twice");
    does_not_hold(&judged(&log, 30, &stamp, (4, 105), &[], other), "before its shard");
}

#[test]
fn a_timestamp_of_another_body_index_or_key_is_none() {
    let log = Log::v1(9, 30);
    let body = leaf_by(&P256::new(), b"ours");
    let proof = log.inclusion(4, 30);
    let other = Some((log.hashes()[4], proof.hashes.as_slice()));
    let mut moved = stamped(&log, 4, &body);
    moved.integrated_time = Some(TIME + 1);
    does_not_hold(&judged(&log, 30, &moved, (4, 0), &[], other), "signed entry timestamp");
    let mut moved = stamped(&log, 5, &body);
    moved.log_index = 4;
    does_not_hold(&judged(&log, 30, &moved, (4, 0), &[], other), "signed entry timestamp");
    let mut foreign = stamped(&Log::v1(9, 1), 4, &body);
    foreign.log_id = log.key().key_id();
    does_not_hold(&judged(&log, 30, &foreign, (4, 0), &[], other), "signed entry timestamp");
}

#[test]
fn an_entry_without_any_promise_is_observed() {
    let log = Log::v2(20);
    let body = leaf_by(&P256::new(), b"ours");
    let proof = log.inclusion(4, 20);
    let other = Some((log.hashes()[4], proof.hashes.as_slice()));
    is_observed(&judged(&log, 20, &entry(&log, 4, &body), (4, 0), &[], other));
}
