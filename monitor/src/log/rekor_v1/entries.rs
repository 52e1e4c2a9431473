//! Entries as `/api/v1/log/entries/retrieve` answers: in any order, with what is not found left out.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tlog::{Hash, leaf_hash};

use crate::log::batch::BatchBuilder;
use crate::log::json::{AtMost, OneMember};

/// What one question may ask for.
const MOST: usize = 10;
/// A tree id in an entry's id, in hexadecimal digits.
const TREE_DIGITS: usize = 16;

/// Why an answer is not the entries that were asked for.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Unusable {
    /// One is left out: its place among those that were asked for.
    Absent(usize),
    /// Something else is there.
    Wrong(String),
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    body: Cow<'a, str>,
    #[serde(rename = "logIndex")]
    log_index: u64,
}

/// Appends the `count` entries from the server's index `first` on, in order. Each must be in the tree, and be what its
/// id says: the hash of its body.
pub(super) fn append(
    json: &[u8],
    tree_id: u64,
    first: u64,
    count: usize,
    batch: &mut BatchBuilder,
) -> Result<(), Unusable> {
    let wrong = |detail: String| Unusable::Wrong(detail);
    let answer: AtMost<OneMember<Entry<'_>>, MOST> =
        serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
    let mut entries: Vec<Option<OneMember<Entry<'_>>>> = (0..count).map(|_| None).collect();
    for entry in answer.0 {
        let index = entry.value.log_index;
        let place = index.checked_sub(first).and_then(|nth| entries.get_mut(usize::try_from(nth).ok()?));
        match place {
            Some(free @ None) => *free = Some(entry),
            Some(Some(_)) => return Err(wrong(format!("entry {index} twice"))),
            None => return Err(wrong(format!("entry {index}, which was not asked for"))),
        }
    }
    // All or none: what has been appended before stays as it is.
    if let Some(absent) = entries.iter().position(Option::is_none) {
        return Err(Unusable::Absent(absent));
    }
    let mut decoded = BatchBuilder::default();
    for OneMember { name, value } in entries.into_iter().flatten() {
        let written = decoded.push_with(|bytes| STANDARD.decode_vec(value.body.as_bytes(), bytes).ok());
        written.ok_or_else(|| wrong(format!("entry {} has a body that is not base64", value.log_index)))?;
        if tree_of(&name) != Some(tree_id) {
            return Err(wrong(format!("entry {} is of another shard: {name:.80}", value.log_index)));
        }
        if hash_of(&name) != Some(leaf_hash(decoded.last())) {
            return Err(wrong(format!("entry {} is not what its id says", value.log_index)));
        }
    }
    batch.append(&decoded.finish(0)).map_err(|error| wrong(error.to_string()))
}

/// The tree that an entry's id names: 16 hexadecimal digits before the 64 of its leaf hash.
pub(super) fn tree_of(id: &str) -> Option<u64> {
    let (tree, hash) = id.split_at_checked(TREE_DIGITS)?;
    let plain = tree.bytes().all(|byte| byte.is_ascii_hexdigit()) && hash.len() == 2 * Hash::LEN;
    if plain { u64::from_str_radix(tree, 16).ok() } else { None }
}

fn hash_of(id: &str) -> Option<Hash> {
    id.get(TREE_DIGITS..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: u64 = 1_193_050_959_916_656_506;

    fn entry(tree: u64, index: u64, body: &[u8]) -> String {
        let id = format!("{tree:016x}{}", leaf_hash(body));
        format!(r#"{{"{id}":{{"body":"{}","integratedTime":1,"logIndex":{index}}}}}"#, STANDARD.encode(body))
    }

    fn read(entries: &[String], first: u64, count: usize) -> Result<Vec<Vec<u8>>, Unusable> {
        let mut batch = BatchBuilder::default();
        append(format!("[{}]", entries.join(",")).as_bytes(), TREE, first, count, &mut batch)?;
        Ok(batch.finish(0).leaves().map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn entries_are_put_in_order() {
        let served = [entry(TREE, 102, b"c"), entry(TREE, 100, b"a"), entry(TREE, 101, b"b")];
        assert_eq!(read(&served, 100, 3), Ok(vec![b"a".to_vec(), b"b".to_vec(), b"c".to_vec()]));
    }

    #[test]
    fn an_entry_that_is_left_out_is_named_by_its_place() {
        let served = [entry(TREE, 102, b"c"), entry(TREE, 100, b"a")];
        assert_eq!(read(&served, 100, 3), Err(Unusable::Absent(1)));
        assert_eq!(read(&[], 100, 1), Err(Unusable::Absent(0)));
    }

    #[test]
    fn entries_of_others_and_bodies_that_are_not_what_their_id_says_are_refused() {
        let swapped = entry(TREE, 100, b"a").replace(&STANDARD.encode(b"a"), &STANDARD.encode(b"b"));
        let short_id = entry(TREE, 100, b"a").replace(&format!("{TREE:016x}"), "");
        let not_base64 = entry(TREE, 100, b"a").replace(&STANDARD.encode(b"a"), "%%%%");
        for (served, why) in [
            (vec![entry(TREE, 99, b"a")], "entry 99, which was not asked for"),
            (vec![entry(TREE, 101, b"a")], "entry 101, which was not asked for"),
            (vec![entry(TREE, 100, b"a"), entry(TREE, 100, b"a")], "entry 100 twice"),
            (vec![entry(TREE + 1, 100, b"a")], "another shard"),
            (vec![swapped], "not what its id says"),
            (vec![short_id], "another shard"),
            (vec![not_base64], "not base64"),
            (vec!["{}".to_owned()], "one member"),
            ((0..11).map(|nth| entry(TREE, 100 + nth, b"a")).collect(), "at most 10"),
        ] {
            match read(&served, 100, 1) {
                Err(Unusable::Wrong(detail)) => assert!(detail.contains(why), "{detail}"),
                other => panic!("{why}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_id_names_tree_and_hash() {
        let hash = leaf_hash(b"a");
        assert_eq!(tree_of(&format!("{TREE:016x}{hash}")), Some(TREE));
        for wrong in [hash.to_string(), format!("+{:015x}{hash}", 7), format!("{TREE:016x}"), "é".repeat(40)] {
            assert_eq!(tree_of(&wrong), None, "{wrong}");
        }
    }
}
