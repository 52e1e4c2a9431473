//! Tiles on disk: what a log may drop, and what it may not.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tlog::ct::{CtEntry, CtLeaf, data_tile_path};
use tlog::tile::{entries_path, format_entries, tiles_of};
use tlog::{InclusionProof, leaf_hash, tree, verify_consistency};
use url::Url;

use super::super::{Fresh, LeafFormat, LogReader, ReadError, Readers};
use super::{hashes, leaf, reader, spec};
use crate::config::{Limits, LogKind};

/// A log of `size` leaves as its server would leave it on disk.
fn log(size: u64) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), size);
    folder
}

fn write(root: &Path, size: u64) {
    put(root, "checkpoint", format!("log.test\n{size}\nroot\n").as_bytes());
    for (coord, bytes) in tiles_of(&hashes(size)) {
        put(root, &coord.path(), &bytes);
    }
    for index in 0..size.div_ceil(256) {
        let leaves: Vec<_> = (index * 256..size.min((index + 1) * 256)).map(leaf).collect();
        put(root, &entries_path(index, leaves.len() as u16), &format_entries(&leaves).expect("a bundle"));
    }
}

fn put(root: &Path, path: &str, bytes: &[u8]) {
    let file = root.join(path);
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    fs::write(file, bytes).expect("written");
}

fn of(folder: &TempDir) -> Arc<dyn LogReader> {
    reader(LogKind::RekorV2, "log.test", Url::from_directory_path(folder.path()).expect("a path"))
}

async fn check(reader: &dyn LogReader, start: u64, end: u64, size: u64) {
    let batch = reader.leaves(start, end, size, Fresh::No).await.expect("the leaves");
    let expected: Vec<_> = (start..end).map(|index| (index, leaf(index))).collect();
    let got: Vec<_> = batch.iter().map(|(index, leaf)| (index, leaf.to_vec())).collect();
    assert_eq!(got, expected, "{start}..{end} of {size}");
}

#[tokio::test]
async fn exactly_the_asked_leaves_are_read() {
    for size in [1, 255, 256, 257, 700] {
        let folder = log(size);
        let reader = of(&folder);
        for start in [0, 1, 255, 256, 300, 512, size - 1] {
            for end in [start, start + 1, reader.batch_end(start, size), 513, size] {
                if start <= end && end <= size {
                    check(&*reader, start, end, size).await;
                }
            }
        }
    }
}

#[test]
fn units_end_with_a_bundle_or_the_tree() {
    let folder = tempfile::tempdir().expect("a folder");
    let reader = of(&folder);
    for (start, size, end) in [(0, 700, 256), (255, 700, 256), (256, 700, 512), (600, 700, 700), (0, 3, 3)] {
        assert_eq!(reader.batch_end(start, size), end);
    }
    assert_eq!(reader.batch_end(u64::MAX - 1, u64::MAX), u64::MAX);
    assert_eq!(reader.leaf_format(), LeafFormat::Rekor);
}

#[tokio::test]
async fn leaves_beyond_the_tree_are_the_askers_mistake() {
    let folder = log(3);
    for (start, end) in [(0, 4), (2, 1)] {
        let refused = of(&folder).leaves(start, end, 3, Fresh::No).await.expect_err("beyond");
        assert!(matches!(refused, ReadError::OutOfRange { .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_partial_bundle_that_is_outgrown_is_cut_from_the_full_one() {
    let folder = log(512);
    check(&*of(&folder), 256, 300, 300).await;
    check(&*of(&folder), 290, 300, 300).await;
    let proof = of(&folder).inclusion(299, 300, Fresh::No).await.expect("a proof");
    let leaves = hashes(512);
    let proof = InclusionProof { index: 299, size: 300, hashes: proof };
    assert_eq!(proof.verify(&leaves[299], &tree::root(&leaves[..300])), Ok(()));
}

#[tokio::test]
async fn a_partial_bundle_that_is_outgrown_is_cut_from_a_fuller_partial_one() {
    let folder = log(400);
    check(&*of(&folder), 256, 300, 300).await;
    let proof = of(&folder).consistency(256, 300, Fresh::No).await.expect("a proof");
    let leaves = hashes(400);
    let (old, new) = (tree::root(&leaves[..256]), tree::root(&leaves[..300]));
    assert_eq!(verify_consistency(256, &old, 300, &new, &proof), Ok(()));
}

#[tokio::test]
async fn what_is_gone_is_missing_and_a_log_that_is_gone_is_not() {
    let folder = log(300);
    for gone in [entries_path(0, 256), entries_path(1, 44)] {
        fs::remove_file(folder.path().join(gone)).expect("removed");
    }
    for start in [0, 256] {
        let error = of(&folder).leaves(start, start + 1, 300, Fresh::No).await.expect_err("gone");
        assert!(error.is_missing() && !error.is_wrong() && !error.is_transient(), "{error}");
    }
    // One leaf more, and a hash tile that nobody can have had.
    let error = of(&folder).inclusion(0, 301, Fresh::No).await.expect_err("never there");
    assert!(error.is_missing(), "{error}");
    fs::remove_file(folder.path().join("checkpoint")).expect("removed");
    let error = of(&folder).leaves(0, 1, 300, Fresh::No).await.expect_err("all gone");
    assert!(!error.is_missing() && !error.is_wrong(), "{error}");
}

#[tokio::test]
async fn a_bundle_has_as_many_leaves_as_its_path_says() {
    let folder = log(300);
    let bundle = |count: u64| format_entries(&(256..256 + count).map(leaf).collect::<Vec<_>>()).expect("a bundle");
    let path = entries_path(1, 44);
    put(folder.path(), &path, &bundle(43));
    let short = of(&folder).leaves(256, 257, 300, Fresh::No).await.expect_err("one less");
    assert!(matches!(short, ReadError::Short { asked: 44, got: 43, .. }) && short.is_missing(), "{short}");
    put(folder.path(), &path, &bundle(45));
    let surplus = of(&folder).leaves(256, 257, 300, Fresh::No).await.expect_err("one more");
    assert!(surplus.is_wrong(), "{surplus}");
    let cut = &bundle(44)[..100];
    put(folder.path(), &path, cut);
    let error = of(&folder).leaves(256, 257, 300, Fresh::No).await.expect_err("cut off");
    assert!(error.is_wrong() && error.served().is_some_and(|served| served[..] == *cut), "{error}");
}

#[tokio::test]
async fn a_bundle_above_what_256_leaves_can_be_is_not_read() {
    let folder = log(256);
    let file = fs::File::create(folder.path().join(entries_path(0, 256))).expect("a file");
    file.set_len(1 << 40).expect("a sparse file");
    let error = of(&folder).leaves(0, 1, 256, Fresh::No).await.expect_err("a terabyte");
    assert!(matches!(error, ReadError::TooLarge { limit: 16_777_472, .. }), "{error}");
    // Nor one for which there is no memory.
    write(folder.path(), 256);
    let length = fs::metadata(folder.path().join(entries_path(0, 256))).expect("a bundle").len() as usize;
    let within = async |most| of(&folder).leaves_within(0, 256, 256, Fresh::No, most).await;
    assert_eq!(within(length).await.expect("as much as it is").cost(), length);
    let error = within(length - 1).await.expect_err("one byte more than there is room for");
    assert!(matches!(error, ReadError::TooLarge { limit, .. } if limit == length - 1), "{error}");
}

#[tokio::test]
async fn what_is_no_file_is_not_opened() {
    let folder = log(256);
    let path = folder.path().join(entries_path(0, 256));
    fs::remove_file(&path).expect("a file");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
    assert!(made.success());
    let error = of(&folder).leaves(0, 1, 256, Fresh::No).await.expect_err("nobody writes to it");
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

#[tokio::test]
async fn proofs_are_made_of_tiles_and_fresh_ones_of_fresh_tiles() {
    let folder = log(700);
    let (reader, leaves) = (of(&folder), hashes(700));
    let root = tree::root(&leaves);
    for index in [0, 255, 256, 511, 512, 699] {
        let hashes = reader.inclusion(index, 700, Fresh::No).await.expect("a proof");
        assert_eq!(InclusionProof { index, size: 700, hashes }.verify(&leaves[index as usize], &root), Ok(()));
    }
    for old in [1, 255, 256, 600, 700] {
        let proof = reader.consistency(old, 700, Fresh::No).await.expect("a proof");
        let old_root = tree::root(&leaves[..old as usize]);
        assert_eq!(verify_consistency(old, &old_root, 700, &root, &proof), Ok(()), "{old}");
    }
    let node = reader.node(4, 3, 700).await.expect("a node").expect("tiles have nodes");
    assert_eq!(node.root(), Ok(root));
    put(folder.path(), "tile/0/000", &[9; 8192]);
    assert_eq!(reader.inclusion(0, 700, Fresh::No).await.expect("kept").len(), 10);
    let hashes = reader.inclusion(0, 700, Fresh::Yes).await.expect("a proof");
    assert!(InclusionProof { index: 0, size: 700, hashes }.verify(&leaves[0], &root).is_err());
    put(folder.path(), "tile/0/000", &[9; 8191]);
    let error = reader.inclusion(0, 700, Fresh::Yes).await.expect_err("a byte less");
    assert!(error.is_wrong(), "{error}");
}

#[tokio::test]
async fn when_the_bytes_for_partial_bundles_are_spent_only_full_ones_are_read() {
    let folder = log(300);
    let url = Url::from_directory_path(folder.path()).expect("a path");
    let limits = Limits { partial_bytes_per_hour: 10, ..Limits::default() };
    let reader = Readers::new(limits).reader(&spec(LogKind::RekorV2, "log.test", url)).expect("a reader");
    assert_eq!(reader.readable_end(300), 300);
    check(&*reader, 256, 300, 300).await;
    assert_eq!((reader.readable_end(300), reader.readable_end(256)), (256, 256));
    let refused = reader.leaves(256, 300, 300, Fresh::No).await.expect_err("spent");
    assert!(refused.retry_after().is_some() && refused.is_transient(), "{refused}");
    check(&*reader, 0, 256, 300).await;
    assert!(reader.leaves(256, 300, 300, Fresh::Yes).await.is_ok(), "a second look is always had");
}

#[tokio::test]
async fn static_ct_leaves_are_what_the_tree_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let leaf = |index: u64| {
        let certificate = format!("certificate {index}");
        let precert = CtEntry::Precert { issuer_key_hash: [3; 32], tbs: certificate.as_bytes() };
        let entry = if index.is_multiple_of(2) { CtEntry::X509(certificate.as_bytes()) } else { precert };
        CtLeaf { timestamp_ms: index, entry, extensions: b"ext" }.to_bytes().expect("a leaf")
    };
    let tile = |range: std::ops::Range<u64>| {
        let mut bytes = Vec::new();
        for index in range {
            bytes.extend_from_slice(&leaf(index)[2..]);
            if !index.is_multiple_of(2) {
                bytes.extend_from_slice(&[0, 0, 3, b'p', b'r', b'e']);
            }
            bytes.extend_from_slice(&[0, 32]);
            bytes.extend_from_slice(&[5; 32]);
        }
        bytes
    };
    put(root, "checkpoint", b"log.test\n300\nroot\n");
    put(root, &data_tile_path(0, 256), &tile(0..256));
    put(root, &data_tile_path(1, 44), &tile(256..300));
    let reader = reader(LogKind::StaticCt, "log.test", Url::from_directory_path(root).expect("a path"));
    for (start, end) in [(0, 256), (7, 8), (250, 300)] {
        let batch = reader.leaves(start, end, 300, Fresh::No).await.expect("leaves");
        assert_eq!(batch.len() as u64, end - start);
        for (index, found) in batch.iter() {
            assert_eq!(leaf_hash(found), leaf_hash(&leaf(index)), "{index}");
        }
    }
    assert_eq!(reader.leaf_format(), LeafFormat::Ct);
    // As sunlight keeps them on its disk.
    let gzip = |plain: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).and_then(|()| encoder.finish()).expect("gzip")
    };
    let compressed = gzip(&tile(256..300));
    put(root, &data_tile_path(1, 44), &compressed);
    let batch = reader.leaves(256, 300, 300, Fresh::No).await.expect("leaves");
    assert!(batch.iter().all(|(index, found)| found == leaf(index)) && batch.len() == 44);
    put(root, &data_tile_path(1, 44), &compressed[..compressed.len() - 9]);
    let cut = reader.leaves(256, 300, 300, Fresh::No).await.expect_err("cut off");
    assert!(cut.to_string().contains("broken gzip"), "{cut}");
    put(root, &data_tile_path(1, 44), &gzip(&vec![0; (32 << 20) + 1]));
    let long = reader.leaves(256, 300, 300, Fresh::No).await.expect_err("a gzip bomb");
    assert!(long.to_string().contains("decompressed"), "{long}");
    put(root, &data_tile_path(1, 44), &tile(256..299));
    let short = reader.leaves(256, 300, 300, Fresh::No).await.expect_err("one less");
    assert!(short.is_missing(), "{short}");
}
