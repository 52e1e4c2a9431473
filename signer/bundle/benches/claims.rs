//! What it costs to know what a leaf claims, beside the floor: hashing and parsing the same bytes.
use std::hint::black_box;

use bundle::claims::{ClaimedBy, Scratch, claims};
use divan::Bencher;

#[path = "claims/floor.rs"]
mod floor;

fn main() {
    divan::main();
}

#[divan::bench]
fn floor_hash(bencher: Bencher<'_, '_>) {
    floor::measure(bencher, |leaf| {
        black_box(tlog::leaf_hash(leaf));
    });
}

#[divan::bench]
fn floor_parse(bencher: Bencher<'_, '_>) {
    floor::measure(bencher, floor::parse);
}

#[divan::bench]
fn claimed(bencher: Bencher<'_, '_>) {
    let mut scratch = Scratch::new();
    floor::measure(bencher, |leaf| {
        black_box(claims(leaf, &mut scratch).unwrap());
    });
}

#[divan::bench]
fn claimed_and_named(bencher: Bencher<'_, '_>) {
    let mut scratch = Scratch::new();
    floor::measure(bencher, |leaf| {
        for claim in &claims(leaf, &mut scratch).unwrap().signatures {
            if let ClaimedBy::Certificate(view) = claim.by {
                black_box((view.issuer(), view.subjects().count(), view.spki()));
            }
        }
    });
}
