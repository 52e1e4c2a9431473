//! Leaf hashing and tree building, beside plain SHA-256 of the same bytes: `cargo bench -p tlog`.
//!
//! One item is one leaf of a full entry bundle, or one leaf of a tree.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use sha2::{Digest as _, Sha256};
use tlog::{CompactRange, Hash, tile};

/// The leaves of a full entry bundle.
const LEAVES: usize = 256;
/// Entries of Rekor v2 with a public key and with a certificate, and one of Rekor v1 with an attestation.
const LENGTHS: [usize; 3] = [600, 3175, 4416];

fn main() {
    divan::main();
}

fn bundle(length: usize) -> Vec<u8> {
    let leaves: Vec<Vec<u8>> = (0..LEAVES).map(|n| (0..length).map(|at| (n * 31 + at * 7) as u8).collect()).collect();
    tile::format_entries(&leaves).expect("no entry is too long")
}

fn slices(bundle: &[u8]) -> Vec<&[u8]> {
    let mut ranges = Vec::new();
    tile::entry_slices(bundle, &mut ranges).expect("a bundle");
    ranges.into_iter().map(|range| &bundle[range]).collect()
}

fn hashes(count: usize) -> Vec<Hash> {
    (0..count as u64).map(|n| tlog::leaf_hash(&n.to_be_bytes())).collect()
}

fn each_leaf(bencher: Bencher, length: usize, hash: impl Fn(&[u8]) + Sync) {
    let bundle = bundle(length);
    let leaves = slices(&bundle);
    bencher
        .counter(ItemsCount::new(LEAVES))
        .counter(BytesCount::new(LEAVES * length))
        .bench(|| leaves.iter().for_each(|leaf| hash(leaf)));
}

/// The floor: nothing but SHA-256.
#[divan::bench(args = LENGTHS)]
fn floor_sha2(bencher: Bencher, length: usize) {
    each_leaf(bencher, length, |leaf| {
        black_box(Sha256::digest(leaf));
    });
}

/// The floor by the other implementation.
#[divan::bench(args = LENGTHS)]
fn floor_aws_lc(bencher: Bencher, length: usize) {
    each_leaf(bencher, length, |leaf| {
        black_box(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, leaf));
    });
}

#[divan::bench(args = LENGTHS)]
fn leaf(bencher: Bencher, length: usize) {
    each_leaf(bencher, length, |leaf| {
        black_box(tlog::leaf_hash(leaf));
    });
}

/// A bundle taken apart and hashed into a compact range, as a monitor does it.
#[divan::bench(args = LENGTHS)]
fn bundle_into_range(bencher: Bencher, length: usize) {
    let bundle = bundle(length);
    let (mut ranges, mut level) = (Vec::new(), Vec::new());
    bencher.counter(ItemsCount::new(LEAVES)).counter(BytesCount::new(LEAVES * length)).bench_local(|| {
        ranges.clear();
        level.clear();
        tile::entry_slices(&bundle, &mut ranges).expect("a bundle");
        tlog::leaf_hashes(ranges.iter().map(|range| &bundle[range.clone()]), &mut level);
        let mut range = CompactRange::new();
        range.append_subtree(8, tlog::subtree_root(&mut level)).expect("the first");
        black_box(range);
    });
}

#[divan::bench]
fn node_floor_sha2(bencher: Bencher) {
    bencher.bench(|| black_box(Sha256::digest(black_box([1; 65]))));
}

#[divan::bench]
fn node_floor_aws_lc(bencher: Bencher) {
    bencher.bench(|| black_box(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &black_box([1; 65]))));
}

#[divan::bench]
fn node(bencher: Bencher) {
    let hashes = hashes(2);
    bencher.bench(|| black_box(tlog::node_hash(&black_box(hashes[0]), &hashes[1])));
}

#[divan::bench(args = [256, 65_536])]
fn root_in_place(bencher: Bencher, count: usize) {
    let hashes = hashes(count);
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| hashes.clone())
        .bench_local_values(|mut hashes| black_box(tlog::subtree_root(&mut hashes)));
}

#[divan::bench(args = [256, 65_536])]
fn root_by_range(bencher: Bencher, count: usize) {
    let hashes = hashes(count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let mut range = CompactRange::new();
        hashes.iter().for_each(|hash| range.append(*hash).expect("room"));
        black_box(range.root())
    });
}
