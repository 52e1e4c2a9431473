//! What it costs to hold a leaf against many rules, beside the floor: hashing and parsing the same bytes. No leaf
//! matches, as in a public log almost none does.
use std::hint::black_box;

use bundle::claims::{Scratch, claims};
use divan::Bencher;
use monitor::watchlist::{DigestFilter, IdentityRule, Pattern, WatchKind, WatchMode, WatchRule, Watchlist};

#[path = "../../signer/bundle/benches/claims/floor.rs"]
mod floor;

const SIZES: [usize; 4] = [1, 100, 1000, 10_000];

fn main() {
    divan::main();
}

/// Rules of every kind: exact names, patterns, expressions, extensions, issuers, keys.
fn watchlist(rules: usize) -> (Watchlist, DigestFilter) {
    let exact = |text: String| Some(Pattern::Exact(text));
    let rules: Vec<WatchRule> = (0..rules)
        .map(|number| {
            let mut identity =
                IdentityRule { issuer: exact("https://issuer.example".to_owned()), ..Default::default() };
            let mut key = None;
            let owner = format!("https://github.com/owner{number}");
            match number % 8 {
                0 | 1 => identity.subject = exact(format!("{owner}/app/.github/workflows/r.yml@refs/heads/main")),
                2 => identity.subject = Some(Pattern::Glob(format!("{owner}/*"))),
                3 => identity.subject = Some(Pattern::Glob(format!("*@mail{number}.example"))),
                4 => identity.subject = Some(Pattern::Regex(format!("^{owner}/[a-z]+/.+@refs/tags/v[0-9.]+$"))),
                5 => {
                    identity.extensions =
                        vec![("1.3.6.1.4.1.57264.1.17".to_owned(), Pattern::Exact(number.to_string()), false)]
                }
                6 => identity.subject = exact(format!("release{number}@example.com")),
                _ => key = Some([&[0x30, 0x2a][..], &number.to_be_bytes()].concat()),
            }
            let kind = match key {
                Some(spki) => WatchKind::Key { spki, retired: false, label: "a key".to_owned() },
                None => WatchKind::Identity(identity),
            };
            let mode = if number % 3 == 0 { WatchMode::Expect } else { WatchMode::Alert };
            WatchRule { name: number.to_string(), kind, mode }
        })
        .collect();
    let mut digests = DigestFilter::new();
    for number in 0..100_000_u64 {
        digests.insert(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    }
    (Watchlist::compile(&rules).unwrap(), digests)
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

#[divan::bench(args = SIZES)]
fn claimed_and_matched(bencher: Bencher<'_, '_>, rules: usize) {
    let ((watchlist, digests), mut scratch, mut out) = (watchlist(rules), Scratch::new(), Vec::new());
    floor::measure(bencher, |leaf| {
        watchlist.matches(&claims(leaf, &mut scratch).unwrap(), &digests, &mut out);
        assert!(out.is_empty());
    });
}
