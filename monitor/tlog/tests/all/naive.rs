//! RFC 6962 2.1 word for word, over leaves: slow, and too short to be wrong.

use sha2::{Digest as _, Sha256};
use tlog::Hash;

fn sha256(parts: &[&[u8]]) -> Hash {
    Hash::new(Sha256::digest(parts.concat()).into())
}

fn split(leaves: &[Vec<u8>]) -> usize {
    let mut k = 1;
    while k * 2 < leaves.len() {
        k *= 2;
    }
    k
}

/// MTH(D[n])
pub(crate) fn root(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [leaf] => sha256(&[&[0], leaf]),
        _ => {
            let (left, right) = leaves.split_at(split(leaves));
            sha256(&[&[1], root(left).as_bytes(), root(right).as_bytes()])
        }
    }
}

/// PATH(m, D[n])
pub(crate) fn path(m: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return vec![];
    }
    let k = split(leaves);
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = if m < k { (path(m, left), root(right)) } else { (path(m - k, right), root(left)) };
    path.push(sibling);
    path
}

/// PROOF(m, D[n]), for 0 < m < n
pub(crate) fn proof(m: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    subproof(m, leaves, true)
}

fn subproof(m: usize, leaves: &[Vec<u8>], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole { vec![] } else { vec![root(leaves)] };
    }
    let k = split(leaves);
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) =
        if m <= k { (subproof(m, left, whole), root(right)) } else { (subproof(m - k, right, false), root(left)) };
    path.push(sibling);
    path
}
