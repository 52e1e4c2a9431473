//! Each lie, as a reader or a writer meets it.

use super::*;
use crate::HeadSignature;
use tlog::{CheckpointError, HeadFormat, SignedNote};

/// A log with entries `leaf 0` to `leaf <size - 1>`.
async fn grown(size: u64) -> SandboxLog {
    let log = start().await;
    assert_eq!(log.extend(leaves(0..size)), 0..size);
    log
}

fn leaves(numbers: Range<u64>) -> Vec<Vec<u8>> {
    numbers.map(|number| format!("leaf {number}").into_bytes()).collect()
}

async fn checkpoint(log: &SandboxLog) -> Checkpoint {
    Checkpoint::open(&get(log.addr(), "/checkpoint").await.text(), log.key()).unwrap()
}

/// What entry bundles, level 0 tiles and the checkpoint say about a small log.
async fn served(log: &SandboxLog) -> (Vec<Vec<u8>>, Vec<Hash>, Checkpoint) {
    let checkpoint = checkpoint(log).await;
    let size = checkpoint.size();
    let bundle = get(log.addr(), &format!("/{}", tile::entries_path(0, size as u16))).await;
    assert_eq!(bundle.status, StatusCode::OK);
    let coord = tile::TileCoord { level: 0, index: 0, width: size as u16 };
    let hashes = get(log.addr(), &format!("/{}", coord.path())).await.body;
    (tile::parse_entries(&bundle.body).unwrap(), tile::tile_hashes(&coord, &hashes).unwrap(), checkpoint)
}

/// What the product finds wrong with the checkpoint that is served.
async fn fault(log: &SandboxLog) -> CheckpointError {
    let note = get(log.addr(), "/checkpoint").await.body;
    Checkpoint::open_as(HeadFormat::Checkpoint, &note, log.origin(), log.key()).unwrap_err()
}

fn hashed(leaves: &[Vec<u8>]) -> Vec<Hash> {
    leaves.iter().map(|leaf| leaf_hash(leaf)).collect()
}

fn root(leaves: &[Vec<u8>]) -> Hash {
    tlog::tree::root(&hashed(leaves))
}

#[tokio::test]
async fn an_honest_log_is_what_it_says() {
    let log = grown(10).await;
    let (entries, tile, checkpoint) = served(&log).await;
    assert_eq!(entries, leaves(0..10));
    assert_eq!(tile, hashed(&entries));
    assert_eq!(checkpoint.root(), root(&entries));
}

#[tokio::test]
async fn another_last_entry_is_another_root_at_the_same_size() {
    let log = grown(10).await;
    let before = checkpoint(&log).await;
    let fork = log.fork_last(b"instead".to_vec()).await.unwrap().unwrap();
    let (entries, _, after) = served(&log).await;
    assert_eq!((before.size(), before.origin()), (after.size(), after.origin()));
    assert_ne!(before.root(), after.root());
    assert_eq!(after.root(), root(&entries));
    assert_eq!(entries[9], b"instead");
    assert_eq!(fork.key_id(), log.key_id());
    log.be_honest();
    assert_eq!(checkpoint(&log).await, before);
    assert!(start().await.fork_last(b"x".to_vec()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_fork_that_grows_is_no_continuation() {
    let log = grown(10).await;
    let before = checkpoint(&log).await;
    let fork = log.fork_at(7).await.unwrap();
    fork.extend(leaves(100..110));
    log.read_from(&fork);
    let after = checkpoint(&log).await;
    assert_eq!(after.size(), 17);
    let proof = fork.consistency(10, 17).unwrap();
    assert!(verify_consistency(10, &before.root(), 17, &after.root(), &proof).is_err());
    // Both sides of the split view have the same beginning.
    assert_eq!(fork.root(7), log.root(7));
    // Writers are where they were.
    log.append(b"new".to_vec()).await;
    assert_eq!((log.size(), fork.size()), (11, 17));
}

#[tokio::test]
async fn a_log_that_is_rolled_back_has_nothing_beyond() {
    let log = grown(300).await;
    log.roll_back(200).await.unwrap();
    let checkpoint = checkpoint(&log).await;
    assert_eq!((checkpoint.size(), Some(checkpoint.root())), (200, log.root(200)));
    assert_eq!(get(log.addr(), "/tile/entries/000").await.status, StatusCode::NOT_FOUND);
    assert_eq!(get(log.addr(), "/tile/0/000.p/200").await.status, StatusCode::OK);
    log.be_honest();
    assert_eq!(get(log.addr(), "/tile/entries/000").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_frozen_view_does_not_grow_while_writes_go_on() {
    let log = grown(3).await;
    log.freeze_view().await.unwrap();
    let before = checkpoint(&log).await;
    assert_eq!(write(&log, "message").await.status, StatusCode::CREATED);
    assert_eq!(checkpoint(&log).await, before);
    assert_eq!(log.size(), 4);
}

#[tokio::test]
async fn a_withheld_write_has_a_valid_proof_and_is_not_in_the_log() {
    let log = grown(3).await;
    let shadow = log.withhold_writes().await.unwrap();
    let answer = write(&log, "message").await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let entry = LogEntry::from_rekor_v2(&answer.body).unwrap();
    let proof = entry.proof.unwrap();
    let signed = Checkpoint::open(&proof.checkpoint, log.key()).unwrap();
    InclusionProof { index: 3, size: proof.size, hashes: proof.hashes }
        .verify(&leaf_hash(&entry.body), &signed.root())
        .unwrap();
    log.append(b"another".to_vec()).await;
    let (entries, _, public) = served(&log).await;
    assert!(!entries.contains(&entry.body));
    assert_eq!(public.size(), signed.size());
    assert_ne!(public.root(), signed.root());
    assert_eq!(shadow.size(), 4);
}

#[tokio::test]
async fn a_swapped_leaf_leaves_tile_and_root_alone() {
    let log = grown(10).await;
    log.swap_leaf(4, b"swapped".to_vec());
    let (entries, tile, checkpoint) = served(&log).await;
    assert_eq!(entries[4], b"swapped");
    assert_eq!(tile, hashed(&leaves(0..10)));
    assert_eq!(checkpoint.root(), root(&leaves(0..10)));
    assert_eq!(log.entry(4), Some(b"leaf 4".to_vec()));
    log.swap_leaf_hash(4, leaf_hash(b"swapped"));
    let (entries, tile, checkpoint) = served(&log).await;
    assert_eq!(tile, hashed(&entries));
    assert_ne!(checkpoint.root(), root(&entries));
}

#[tokio::test]
async fn an_omitted_leaf_makes_a_bundle_that_is_short() {
    let log = grown(10).await;
    log.omit_leaf(4);
    let (entries, tile, _) = served(&log).await;
    assert_eq!(entries, [leaves(0..4), leaves(5..10)].concat());
    assert_eq!(tile.len(), 10);
}

#[tokio::test]
async fn a_lost_file_is_not_found_until_the_log_is_honest() {
    let log = grown(300).await;
    log.lose_file("tile/entries/000");
    for path in ["/tile/entries/000", "/api/v2/tile/entries/000"] {
        assert_eq!(get(log.addr(), path).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(get(log.addr(), "/tile/entries/001.p/44").await.status, StatusCode::OK);
    log.be_honest();
    assert_eq!(get(log.addr(), "/tile/entries/000").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_origin_is_signed_by_the_right_key() {
    let log = grown(3).await;
    log.set_origin(Some("another.example"));
    assert!(matches!(fault(&log).await, CheckpointError::WrongOrigin { .. }));
    let note = get(log.addr(), "/checkpoint").await.text();
    let parsed = SignedNote::parse(&note).unwrap();
    assert!(parsed.text().starts_with("another.example\n3\n"));
    let line = &parsed.signatures()[0];
    assert_eq!(line.name, log.origin());
    log.key().verify(parsed.text().as_bytes(), &line.signature).unwrap();
}

#[tokio::test]
async fn a_broken_signature_names_the_key_and_a_strangers_does_not() {
    let log = grown(3).await;
    for (how, names_key) in [(HeadSignature::Broken, true), (HeadSignature::Stranger, false)] {
        log.set_signature(how);
        match fault(&log).await {
            CheckpointError::BadSignature(_) => assert!(names_key),
            CheckpointError::NoSignature => assert!(!names_key),
            other => panic!("{other}"),
        }
        let note = get(log.addr(), "/checkpoint").await.text();
        let parsed = SignedNote::parse(&note).unwrap();
        let line = &parsed.signatures()[0];
        assert_eq!(line.name, log.origin());
        assert_eq!(line.key_hash == log.key().note_hash(), names_key);
        assert!(log.key().verify(parsed.text().as_bytes(), &line.signature).is_err());
    }
    log.set_signature(HeadSignature::Good);
    assert_eq!(checkpoint(&log).await.size(), 3);
}

#[tokio::test]
async fn any_checkpoint_can_be_made_up_and_shown() {
    let log = grown(3).await;
    let made_up = log.sign_checkpoint(1_000, &leaf_hash(b"nothing"));
    log.serve_checkpoint(Some(made_up.clone()));
    log.append(b"more".to_vec()).await;
    assert_eq!(get(log.addr(), "/checkpoint").await.text(), made_up);
    assert_eq!(checkpoint(&log).await.size(), 1_000);
    log.serve_checkpoint(None);
    assert_eq!(checkpoint(&log).await.size(), 4);
}

#[tokio::test]
async fn a_closed_shard_says_so_refuses_writes_and_can_still_be_made_to_grow() {
    let log = grown(3).await;
    log.close();
    assert_eq!(write(&log, "message").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let closed = checkpoint(&log).await;
    let lines: Vec<_> = closed.extension_lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("Log frozen — "), "{lines:?}");
    log.append(b"too late".to_vec()).await;
    let grown = checkpoint(&log).await;
    assert_eq!(grown.size(), 4);
    assert_eq!(grown.extension_lines().collect::<Vec<_>>(), lines);
    let fork = log.fork_at(2).await.unwrap();
    assert!(fork.is_closed() && fork.is_frozen());
}

#[tokio::test]
async fn equal_and_junk_leaves_come_in_at_once() {
    let log = start().await;
    let waiting = tokio::spawn({
        let log = log.clone();
        async move { log.append(b"waits".to_vec()).await }
    });
    let range = log.extend([b"same".to_vec(), b"same".to_vec(), b"{\"not\": an entry".to_vec(), Vec::new()]);
    assert_eq!(range.end - range.start, 4);
    let waited = waiting.await.unwrap();
    assert!(!range.contains(&waited));
    assert_eq!(log.size(), 5);
    assert_eq!(log.entry(range.start), log.entry(range.start + 1));
    let (entries, tile, checkpoint) = served(&log).await;
    assert_eq!((tile, checkpoint.root()), (hashed(&entries), root(&entries)));
}

#[tokio::test]
async fn a_log_that_is_down_answers_nobody() {
    let log = grown(3).await;
    log.faults().set_down(true);
    assert!(ask(log.addr(), Method::GET, "/checkpoint", &[], "").await.is_none());
    log.be_honest();
    assert_eq!(checkpoint(&log).await.size(), 3);
}
