//! Real logs that are made to lie: each lie is found, and its evidence replays on its own.

use std::path::Path;
use std::process::Command;

use crate::own_log::OwnRekor2;
use crate::peers::{must, shared};
use crate::scene::eventually;
use crate::watched::{Key, Watched, scale, write};

/// Entries of somebody else.
fn others(log: &OwnRekor2, count: u64, what: &str) {
    let key = Key::new();
    let entries: Vec<_> = (0..count).map(|n| key.entry(&format!("{what} {n}"))).collect();
    write(log, &entries);
}

fn caught_up(watched: &Watched, log: &OwnRekor2) {
    eventually("the monitor is at the head", 60, || watched.verified() == log.size() && log.size() > 0);
}

#[test]
fn two_logs_with_one_key_are_a_split_view() {
    let Some(shared) = shared("two_logs_with_one_key_are_a_split_view") else { return };
    let mut one = OwnRekor2::start(&shared);
    others(&one, 20, "both");
    let mut two = OwnRekor2::start(&shared);
    one.stop();
    two.stop();
    two.replace_with(&one.storage);
    one.start_again(&[]);
    two.start_again(&[]);
    others(&one, 5, "one");
    others(&two, 9, "two");
    let watched = Watched::new(&shared);
    watched.configure(&one.tiles);
    watched.trust();
    let monitor = watched.serve();
    caught_up(&watched, &one);
    let at = watched.verified();
    monitor.stop();
    // The same name now leads to the other log, as it does for whoever is shown the other view.
    watched.configure(&two.tiles);
    let _monitor = watched.serve();
    let (finding, after) = watched.found("inconsistent_growth", 30);
    let verdict = watched.replay(&finding);
    assert!(verdict.contains("attributable"), "{verdict}");
    assert_eq!(watched.verified(), at, "the position stays");
    println!("split view: {} after {after:.1?}; {verdict}", finding["title"]);
}

#[test]
fn a_restored_old_directory_is_a_rollback() {
    let Some(shared) = shared("a_restored_old_directory_is_a_rollback") else { return };
    let mut log = OwnRekor2::start(&shared);
    others(&log, 10, "early");
    let backup = tempfile::tempdir().expect("a folder");
    log.copy_to(backup.path());
    others(&log, 10, "late");
    let watched = Watched::new(&shared);
    watched.configure(&log.tiles);
    watched.trust();
    let _monitor = watched.serve();
    caught_up(&watched, &log);
    log.stop();
    log.replace_with(backup.path());
    log.start_again(&[]);
    let (finding, after) = watched.found("rollback", 30);
    let verdict = watched.replay(&finding);
    println!("rollback: {} after {after:.1?}; {verdict}", finding["title"]);
}

#[test]
fn a_read_only_log_goes_stale() {
    let Some(shared) = shared("a_read_only_log_goes_stale") else { return };
    let mut log = OwnRekor2::start(&shared);
    others(&log, 10, "early");
    let mut watched = Watched::new(&shared);
    watched.log_lines = "stale_after = \"3s\"".to_owned();
    watched.configure(&log.tiles);
    watched.trust();
    let _monitor = watched.serve();
    caught_up(&watched, &log);
    log.stop();
    log.start_again(&["--read-only"]);
    let (finding, after) = watched.found("stale_log", 30);
    let verdict = watched.replay(&finding);
    println!("freeze: {} after {after:.1?}; {verdict}", finding["title"]);
}

/// A full bundle, so that it is one file with its place in the tree.
fn with_full_bundle(watched: &Watched, log: &OwnRekor2) {
    others(log, 300, "many");
    watched.configure(&log.tiles);
    watched.trust();
}

fn change(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    bytes[at] ^= 1;
    std::fs::write(file, bytes).expect("the file is ours");
}

#[test]
fn a_changed_byte_in_an_entry_bundle_is_a_leaf_that_is_not_committed() {
    let Some(shared) = shared("a_changed_byte_in_an_entry_bundle_is_a_leaf_that_is_not_committed") else { return };
    let mut log = OwnRekor2::start(&shared);
    let watched = Watched::new(&shared);
    with_full_bundle(&watched, &log);
    log.stop();
    change(&log.storage.join("tile/entries/000"), 5_000);
    let _monitor = watched.serve();
    let (finding, after) = watched.found("leaf_not_committed", 60);
    let verdict = watched.replay(&finding);
    assert_eq!(watched.verified(), 0, "nothing of it is believed");
    println!("changed byte: {} after {after:.1?}; {verdict}", finding["title"]);
}

#[test]
fn a_removed_tile_is_a_missing_leaf() {
    let Some(shared) = shared("a_removed_tile_is_a_missing_leaf") else { return };
    let mut log = OwnRekor2::start(&shared);
    let watched = Watched::new(&shared);
    with_full_bundle(&watched, &log);
    log.stop();
    std::fs::remove_file(log.storage.join("tile/entries/000")).expect("the bundle is there");
    let _monitor = watched.serve();
    let (finding, after) = watched.found("missing_leaf", 60);
    let verdict = watched.replay(&finding);
    println!("removed bundle: {} after {after:.1?}; {verdict}", finding["title"]);
}

#[test]
fn a_checkpoint_of_another_key_is_a_bad_signature() {
    let Some(shared) = shared("a_checkpoint_of_another_key_is_a_bad_signature") else { return };
    let mut log = OwnRekor2::start(&shared);
    others(&log, scale(100), "early");
    let watched = Watched::new(&shared);
    watched.configure(&log.tiles);
    watched.trust();
    let _monitor = watched.serve();
    caught_up(&watched, &log);
    log.stop();
    let stranger = tempfile::tempdir().expect("a folder");
    let key = stranger.path().join("rekor2.key");
    must(Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&key));
    let other = OwnRekor2::start(&crate::peers::Shared { folder: stranger.path().to_owned(), ..shared });
    others(&other, 3, "elsewhere");
    std::fs::copy(other.storage.join("checkpoint"), log.storage.join("checkpoint")).expect("a checkpoint");
    let (finding, after) = watched.found("bad_signature", 30);
    let verdict = watched.replay(&finding);
    println!("another key: {} after {after:.1?}; {verdict}", finding["title"]);
}
