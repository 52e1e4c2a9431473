//! No file makes the check panic, however it was made.

use proptest::prelude::*;
use tlog::{CheckpointError, leaf_hash};

use super::fixture::{Log, P256, leaf_by};
use super::*;
use crate::finding::*;

/// One file of each shape.
fn samples() -> Vec<Vec<u8>> {
    let (log, mut forked, key) = (Log::v2(21), Log::v2(40), P256::new());
    forked.leaves[17] = leaf_by(&key, b"rogue");
    let (described, head, new) = (log.described(), log.head(21), forked.head(40));
    let (range, node, proof) = (log.range(21), forked.node(2, 4, 40), forked.inclusion(17, 40));
    let contradiction = Growth::Contradiction { old_range: &range, node: &node };
    let seen = LeafSeen { note: &new, index: 17, leaf: &forked.leaves[17], inclusion: Some(&proof.hashes) };
    let (spki, swapped) = (key.spki(), [b"a".as_slice(), b"b", b"c", b"d"]);
    let ours = KeySeen { claim: 0, spki: &spki, label: "k" };
    let longer = Log::v2(25);
    let (longer_head, consistency) = (longer.head(25), longer.consistency(21, 25));
    let rebuilt = Uncommitted::Rebuilt { verified: &head, range: &range, consistency: &consistency, leaves: &swapped };
    [
        fork(&described, &head, &log.head_of(21, &leaf_hash(b"x")), 1),
        inconsistent_growth(&described, &head, &new, contradiction, 1),
        inconsistent_growth(&described, &head, &new, Growth::Refused { hashes: &proof.hashes }, 1),
        bad_signature(&described, &[0xff, 1, 2], &CheckpointError::NoSignature, "log", 1),
        leaf_not_committed(&described, &new, Uncommitted::Node { node: &node, leaves: &swapped }, 1),
        leaf_not_committed(&described, &longer_head, rebuilt, 1),
        key_used_outside(&described, &seen, &ours, "c", None, 1),
        stale_log(&described, &head, 1, 2),
    ]
    .into_iter()
    .map(|finding| finding.evidence.unwrap())
    .collect()
}

/// The same content with one value replaced, sealed again: it passes the digest and reaches the checks.
fn resealed(file: &[u8], choice: usize, value: &serde_json::Value) -> Option<Vec<u8>> {
    let mut json: serde_json::Value = serde_json::from_slice(file).ok()?;
    let mut places = Vec::new();
    pointers(&json, String::new(), &mut places);
    *json.pointer_mut(places.get(choice % places.len())?)? = value.clone();
    let mut evidence: Evidence = serde_json::from_value(json).ok()?;
    evidence.sha256 = evidence.digest();
    evidence.to_bytes()
}

fn pointers(value: &serde_json::Value, at: String, out: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(key, v)| pointers(v, format!("{at}/{key}"), out)),
        serde_json::Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, v)| pointers(v, format!("{at}/{n}"), out));
            out.push(at);
        }
        _ => out.push(at),
    }
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        any::<u64>().prop_map(Into::into),
        (0..70u64).prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<bool>().prop_map(Into::into),
        Just(serde_json::Value::Null),
        Just(serde_json::json!([])),
        Just(serde_json::json!({})),
        "\\PC{0,40}".prop_map(Into::into),
        "[A-Za-z0-9+/]{0,64}={0,2}".prop_map(Into::into),
        "[0-9a-f]{64}".prop_map(Into::into),
        Just("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".into()),
        prop::sample::select(store::FindingKind::ALL.to_vec()).prop_map(|kind| kind.as_str().into()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_are_no_file(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(verify(&bytes).is_err());
    }

    #[test]
    fn a_mutated_file_is_refused_or_does_not_hold(
        sample in 0..8usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let original = samples().swap_remove(sample);
        let mut file = original.clone();
        for (position, byte) in edits {
            let position = position.index(file.trim_ascii_end().len());
            file[position] = byte;
        }
        if file != original {
            prop_assert!(verify(&file).is_err());
        }
    }
}

#[test]
fn a_file_with_any_value_replaced_and_sealed_again_never_panics_nor_gains_strength() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut judged, mut held) = (0, 0);
    for file in samples() {
        let before = verify(&file).unwrap();
        assert!(before.holds, "{:?}", before.says);
        for choice in 0..600 {
            let value = values().new_tree(&mut runner).unwrap().current();
            let Some(forged) = resealed(&file, choice, &value) else { continue };
            judged += 1;
            if let Ok(verdict) = verify(&forged) {
                held += u32::from(verdict.holds);
                assert!(before.attributable || !verdict.attributable, "{}", String::from_utf8_lossy(&forged));
            }
        }
    }
    assert!(judged > 1_000 && held > 0, "{judged} judged, {held} held");
}
