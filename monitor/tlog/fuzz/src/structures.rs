//! What the fuzz targets assert of proofs, certificate logs' leaves and tree heads.

use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::EncodePublicKey as _;
use tlog::ct::{self, CtLeaf};
use tlog::{
    Checkpoint, CompactRange, Hash, HeadFormat, InclusionProof, LogKey, NodeProof, SignedTreeHead,
    digitally_signed_ecdsa, leaf_hash, parse_sth, tile, tree_head_message, verify_consistency,
};

/// Takes eight bytes off the front.
fn number(bytes: &mut &[u8]) -> u64 {
    let Some((number, rest)) = bytes.split_first_chunk() else { return 0 };
    *bytes = rest;
    u64::from_be_bytes(*number)
}

/// Index, size, another size and hashes: whatever a proof leads to, it proves, and nothing else.
pub fn proof(bytes: &[u8]) {
    if let Ok(range) = CompactRange::from_bytes(bytes) {
        assert_eq!(range.to_bytes(), bytes);
        assert_eq!(range.node_ranges().count(), range.hashes().len());
        let mut grown = range.clone();
        if grown.append(leaf_hash(b"")).is_ok() {
            assert_eq!(grown.size(), range.size() + 1);
        }
    }
    let mut rest = bytes;
    let [index, size, old_size] = [(); 3].map(|()| number(&mut rest));
    let hashes: Vec<Hash> = rest.chunks_exact(Hash::LEN).filter_map(Hash::from_slice).collect();
    let leaf = leaf_hash(b"leaf");
    let other = leaf_hash(b"other");
    let inclusion = InclusionProof { index, size, hashes: hashes.clone() };
    let node = NodeProof { level: 0, index, node: leaf, size, path: hashes.clone() };
    assert_eq!(inclusion.root(&leaf), node.root());
    if let Ok(root) = inclusion.root(&leaf) {
        assert_eq!(inclusion.verify(&leaf, &root), Ok(()));
        assert!(inclusion.verify(&other, &root).is_err());
        let range = CompactRange::from_inclusion(&inclusion, &leaf, &root).expect("a proof that holds");
        assert_eq!(range.size(), index + 1);
        // The proof of the last leaf is the whole tree.
        assert!(range.size() != size || range.root() == root);
    }
    let level = (old_size % 70) as u32;
    let _ = NodeProof { level, index, node: leaf, size, path: hashes.clone() }.root();
    assert!(tile::tiles_for_node(level, index, size).len() <= 17);
    let both = verify_consistency(old_size, &leaf, size, &other, &hashes);
    let swapped = verify_consistency(old_size, &other, size, &leaf, &hashes);
    assert!(both.is_err() || swapped.is_err());
}

/// Leaves, data tiles and answers: what is read is written as it was, and each leaf of a tile is a leaf.
pub fn ct(bytes: &[u8]) {
    if let Ok(leaf) = CtLeaf::parse(bytes) {
        assert_eq!(leaf.to_bytes().as_deref(), Ok(bytes));
    }
    let mut buffer = Vec::new();
    if let Ok(leaves) = ct::parse_data_tile(bytes, &mut buffer) {
        let mut read = 0;
        for leaf in &leaves {
            let parsed = CtLeaf::parse(buffer.get(leaf.leaf.clone()).expect("in the buffer")).expect("a leaf");
            assert_eq!(matches!(parsed.entry, ct::CtEntry::Precert { .. }), leaf.pre_certificate.is_some());
            read +=
                leaf.leaf.len() - 2 + leaf.pre_certificate.map_or(0, |der| der.len() + 3) + leaf.chain.len() * 32 + 2;
        }
        assert_eq!(read, bytes.len());
    }
    if let Ok(entries) = ct::parse_get_entries(bytes) {
        let mut buffer = Vec::new();
        for entry in &entries {
            if let Ok(range) = entry.decode_leaf(&mut buffer) {
                let _ = CtLeaf::parse(buffer.get(range).expect("in the buffer"));
            }
            let _ = entry.decode_extra_data();
        }
    }
    let _ = ct::parse_consistency(bytes);
    let _ = ct::parse_proof_by_hash(bytes);
    if let Ok(head) = parse_sth(bytes) {
        assert_eq!(parse_sth(head.to_json().as_bytes()), Ok(head));
    }
}

/// A tree head that a log signed, with one byte changed: it says the same, or it is not opened.
pub fn tree_head(bytes: &[u8]) {
    let mut rest = bytes;
    let [size, time, at] = [(); 3].map(|()| number(&mut rest));
    let change = rest.first().copied().unwrap_or(0);
    let timestamp_ms = (time >> 1) as i64;
    let root = if size == 0 { Hash::empty_root() } else { leaf_hash(bytes) };
    let (signer, key) = certificate_log();
    let signature: p256::ecdsa::Signature = signer.sign(&tree_head_message(timestamp_ms, size, &root));
    let signature = digitally_signed_ecdsa(signature.to_der().as_bytes()).expect("a short signature");
    let mut json = SignedTreeHead { size, timestamp_ms, root, signature }.to_json().into_bytes();
    let open = |json: &[u8]| Checkpoint::open_as(HeadFormat::TreeHead, json, "ct.example", &key);
    assert!(open(&json).is_ok());
    let at = (at % json.len() as u64) as usize;
    if let Some(byte) = json.get_mut(at) {
        *byte ^= change;
    }
    if let Ok(opened) = open(&json) {
        assert_eq!((opened.size(), opened.root(), opened.timestamp_ms()), (size, root, Some(timestamp_ms)));
    }
}

/// A certificate log with a fixed key.
pub(crate) fn certificate_log() -> (p256::ecdsa::SigningKey, LogKey) {
    let signer = p256::ecdsa::SigningKey::from_slice(&[42; 32]).expect("a fixed key");
    let spki = signer.verifying_key().to_public_key_der().expect("a fixed key");
    let key = LogKey::from_spki(spki.as_bytes(), None).expect("a fixed key");
    (signer, key)
}
