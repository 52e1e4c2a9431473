//! The shards of a Rekor v1 server, as `/api/v1/log` lists them.

use std::collections::BTreeSet;

use serde::Deserialize;
use tlog::{Checkpoint, HeadFormat, LogKey};

use crate::log::Fresh;
use crate::log::error::ReadError;
use crate::log::exchange::{Exchange, Question};
use crate::log::json::AtMost;

/// More shards than any server has.
const MAX_SHARDS: usize = 1024;
/// Each shard has a note of a few hundred bytes.
const MAX_BYTES: usize = 4 << 20;

/// One shard of a Rekor v1 server. What it says is a claim until `head` has been opened with the pinned key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shard {
    /// `<name of the server> - <tree id>`.
    pub origin: String,
    /// Its tree.
    pub tree_id: u64,
    /// How many leaves it has.
    pub size: u64,
    /// The server's index of its first leaf: the server counts on over its shards, from the oldest.
    pub first_index: u64,
    /// Whether new entries go there.
    pub active: bool,
    /// Its newest signed note.
    pub head: String,
}

#[derive(Deserialize)]
struct LogInfo {
    #[serde(rename = "treeID")]
    tree_id: String,
    #[serde(rename = "treeSize")]
    size: u64,
    #[serde(rename = "signedTreeHead")]
    head: String,
    #[serde(rename = "inactiveShards", default)]
    inactive: AtMost<Tree, MAX_SHARDS>,
}

#[derive(Deserialize)]
struct Tree {
    #[serde(rename = "treeID")]
    tree_id: String,
    #[serde(rename = "treeSize")]
    size: u64,
    #[serde(rename = "signedTreeHead")]
    head: String,
}

/// The shards of the server `name`, from the oldest to the active one.
pub(in crate::log) async fn shards(exchange: &Exchange, name: &str) -> Result<Vec<Shard>, ReadError> {
    let what = "the list of shards";
    let question = Question { newest: true, ..Question::get(what, "api/v1/log", MAX_BYTES, Fresh::No) };
    let body = exchange.ask(question).await?.body(what)?;
    parse(&body, name).map_err(|detail| exchange.malformed(what, detail, body.clone()))
}

impl Shard {
    /// Whether this key signed its head, for this tree and under its origin. All else that a list says is the server's
    /// word, or that of whoever is between us and it.
    pub(crate) fn is_signed(&self, key: &LogKey) -> bool {
        self.signed_origin(key).is_some_and(|origin| origin == self.origin)
    }

    /// The origin that its head bears, where this key signed it for this tree.
    pub(in crate::log) fn signed_origin(&self, key: &LogKey) -> Option<String> {
        let origin = self.head.lines().next().filter(|line| tree_id_of(line) == Some(self.tree_id))?;
        let head = Checkpoint::open_as(HeadFormat::Checkpoint, self.head.as_bytes(), origin, key).ok()?;
        Some(head.origin().to_owned())
    }
}

/// The tree id in an origin `<name of the server> - <tree id>`.
pub(crate) fn tree_id_of(origin: &str) -> Option<u64> {
    decimal(origin.rsplit_once(" - ")?.1)
}

fn parse(body: &[u8], name: &str) -> Result<Vec<Shard>, String> {
    let info: LogInfo = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let active = Tree { tree_id: info.tree_id, size: info.size, head: info.head };
    let inactive = info.inactive.0.into_iter().map(|tree| (tree, false));
    let active_id = decimal(&active.tree_id);
    let mut first_index = 0u64;
    let mut shards = Vec::new();
    let mut listed = BTreeSet::new();
    for (tree, active) in inactive.chain([(active, true)]) {
        let tree_id = decimal(&tree.tree_id).ok_or_else(|| format!("no tree has the id {:?}", tree.tree_id))?;
        // A tree is one log, however often it is listed; one that is active is not retired.
        if !active && (Some(tree_id) == active_id || !listed.insert(tree_id)) {
            continue;
        }
        let origin = format!("{name} - {tree_id}");
        shards.push(Shard { origin, tree_id, size: tree.size, first_index, active, head: tree.head });
        first_index = first_index.checked_add(tree.size).ok_or("more entries than can be counted")?;
    }
    Ok(shards)
}

/// One spelling per number, so that one tree has one origin.
fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_on_from_the_oldest() {
        let body = br#"{"rootHash":"00","signedTreeHead":"c","treeID":"30","treeSize":5,"inactiveShards":[
            {"rootHash":"00","signedTreeHead":"a","treeID":"10","treeSize":100},
            {"rootHash":"00","signedTreeHead":"b","treeID":"20","treeSize":7}]}"#;
        let found = parse(body, "rekor.test").expect("shards");
        let found: Vec<_> =
            found.iter().map(|s| (s.origin.as_str(), s.first_index, s.size, s.active, s.head.as_str())).collect();
        assert_eq!(
            found,
            [
                ("rekor.test - 10", 0, 100, false, "a"),
                ("rekor.test - 20", 100, 7, false, "b"),
                ("rekor.test - 30", 107, 5, true, "c")
            ]
        );
        let alone = br#"{"signedTreeHead":"c","treeID":"30","treeSize":5,"inactiveShards":null}"#;
        assert_eq!(parse(alone, "rekor.test").expect("one").len(), 1);
    }

    #[test]
    fn a_tree_that_is_listed_twice_is_one_shard_and_active_if_it_is_called_so_once() {
        let body = br#"{"signedTreeHead":"c","treeID":"30","treeSize":5,"inactiveShards":[
            {"signedTreeHead":"a","treeID":"10","treeSize":100},{"signedTreeHead":"x","treeID":"30","treeSize":4},
            {"signedTreeHead":"b","treeID":"10","treeSize":9}]}"#;
        let found = parse(body, "rekor.test").expect("shards");
        let found: Vec<_> = found.iter().map(|s| (s.tree_id, s.first_index, s.active, s.head.as_str())).collect();
        assert_eq!(found, [(10, 0, false, "a"), (30, 100, true, "c")]);
    }

    #[test]
    fn what_is_no_list_of_shards_is_refused() {
        let tree = |id: &str, size: &str| {
            format!(
                r#"{{"signedTreeHead":"a","treeID":{id},"treeSize":{size},"inactiveShards":[{{"signedTreeHead":"a","treeID":"1","treeSize":1}}]}}"#
            )
        };
        assert!(parse(tree("\"7\"", "1").as_bytes(), "x").is_ok());
        for (id, size) in
            [("\"07\"", "1"), ("\"-7\"", "1"), ("\"\"", "1"), ("7", "1"), ("\"7\"", "-1"), ("\"7\"", "null")]
        {
            assert!(parse(tree(id, size).as_bytes(), "x").is_err(), "{id} {size}");
        }
        let vast = br#"{"signedTreeHead":"a","treeID":"7","treeSize":18446744073709551615,"inactiveShards":[{"signedTreeHead":"a","treeID":"1","treeSize":1}]}"#;
        assert!(parse(vast, "x").is_err());
    }

    #[test]
    fn an_origin_names_its_tree() {
        assert_eq!(tree_id_of("rekor.sigstore.dev - 1193050959916656506"), Some(1_193_050_959_916_656_506));
        for none in ["rekor.sigstore.dev", "rekor.sigstore.dev - ", "rekor - x", "rekor - 07"] {
            assert_eq!(tree_id_of(none), None, "{none}");
        }
    }
}
