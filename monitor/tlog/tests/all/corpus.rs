//! The fuzz targets over their committed corpus, in every test run.

use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "public in the fuzz crate")]
pub(crate) mod targets;

fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 4, "the corpus of {name} is nearly empty");
    for file in files {
        target(&std::fs::read(file).unwrap());
    }
}

#[test]
fn the_note_corpus_replays() {
    replay("note", targets::note);
}

#[test]
fn the_checkpoint_corpus_replays() {
    replay("checkpoint", targets::checkpoint);
}

#[test]
fn the_entries_corpus_replays() {
    replay("entries", targets::entries);
}

#[test]
fn the_proof_corpus_replays() {
    replay("proof", targets::proof);
}

#[test]
fn the_policy_corpus_replays() {
    replay("policy", targets::policy);
}

#[test]
fn the_ct_corpus_replays() {
    replay("ct", targets::ct);
}

#[test]
fn the_tree_head_corpus_replays() {
    replay("tree_head", targets::tree_head);
}
