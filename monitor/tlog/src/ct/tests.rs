//! Leaves of certificate logs: read as they are written, and refused at every cut.

use super::*;
use crate::hash::leaf_hash;

fn x509() -> CtLeaf<'static> {
    CtLeaf { timestamp_ms: 1_505_000_000_000, entry: CtEntry::X509(b"certificate"), extensions: b"" }
}

fn precert() -> CtLeaf<'static> {
    let entry = CtEntry::Precert { issuer_key_hash: [7; 32], tbs: b"to be signed" };
    CtLeaf { timestamp_ms: 2, entry, extensions: &[0, 0, 5, 0, 0, 0, 0, 9] }
}

#[test]
fn a_leaf_has_the_layout_of_the_rfc() {
    let bytes = x509().to_bytes().unwrap();
    let timestamp = 1_505_000_000_000u64.to_be_bytes();
    assert_eq!(bytes, [[0, 0].as_slice(), &timestamp, &[0, 0, 0, 0, 11], b"certificate", &[0, 0]].concat());
    assert_eq!(CtLeaf::parse(&bytes), Ok(x509()));
    let bytes = precert().to_bytes().unwrap();
    assert_eq!(&bytes[10..12], [0, 1]);
    assert_eq!(&bytes[12..44], [7; 32]);
    assert_eq!(CtLeaf::parse(&bytes), Ok(precert()));
}

#[test]
fn what_is_cut_off_or_goes_on_is_no_leaf() {
    for leaf in [x509(), precert()] {
        let bytes = leaf.to_bytes().unwrap();
        for length in 0..bytes.len() {
            assert_eq!(CtLeaf::parse(&bytes[..length]), Err(CtError::Truncated), "{length}");
        }
        assert_eq!(CtLeaf::parse(&[bytes.as_slice(), &[0]].concat()), Err(CtError::TrailingBytes));
        let changed = |at: usize, to: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = to;
            CtLeaf::parse(&bytes).map(|_| ())
        };
        assert_eq!(changed(0, 1), Err(CtError::UnknownLeaf(1, 0)));
        assert_eq!(changed(1, 2), Err(CtError::UnknownLeaf(0, 2)));
        assert_eq!(changed(11, 9), Err(CtError::UnknownEntry(9)));
        assert_eq!(changed(10, 1).map_err(|error| matches!(error, CtError::UnknownEntry(256..))), Err(true));
    }
    let mut empty = x509().to_bytes().unwrap();
    empty.truncate(12);
    empty.extend([0, 0, 0, 0, 0]);
    assert_eq!(CtLeaf::parse(&empty), Err(CtError::BadLength));
}

#[test]
fn what_no_length_can_say_is_not_written() {
    let long = vec![1; 1 << 24];
    let of = |entry, extensions| CtLeaf { timestamp_ms: 0, entry, extensions }.to_bytes();
    assert_eq!(of(CtEntry::X509(&long), b""), Err(CtError::BadLength));
    assert_eq!(of(CtEntry::X509(b""), b""), Err(CtError::BadLength));
    assert_eq!(of(CtEntry::X509(b"a"), &long[..65_536]), Err(CtError::BadLength));
    let longest = of(CtEntry::X509(&long[1..]), &long[..65_535]).unwrap();
    assert!(CtLeaf::parse(&longest).is_ok());
}

#[test]
fn an_answer_of_get_entries_is_decoded_into_one_buffer() {
    let leaves = [x509().to_bytes().unwrap(), precert().to_bytes().unwrap()];
    let [first, second] = leaves.each_ref().map(|leaf| STANDARD.encode(leaf));
    let json = format!(r#"{{"entries":[{{"leaf_input":"{first}","extra_data":"AQI="}},{{"leaf_input":"{second}"}}]}}"#);
    let entries = parse_get_entries(json.as_bytes()).unwrap();
    assert!(matches!(entries[0].leaf_input, Cow::Borrowed(_)));
    let mut buffer = b"before".to_vec();
    let ranges: Vec<_> = entries.iter().map(|entry| entry.decode_leaf(&mut buffer).unwrap()).collect();
    assert_eq!([&buffer[ranges[0].clone()], &buffer[ranges[1].clone()]], [leaves[0].as_slice(), &leaves[1]]);
    assert_eq!(entries[0].decode_extra_data(), Ok(vec![1, 2]));
    assert_eq!(entries[1].decode_extra_data(), Ok(vec![]));
    // A slash may be escaped in JSON.
    let escaped = br#"{"entries":[{"leaf_input":"\/\/8=","extra_data":""}]}"#;
    let mut buffer = Vec::new();
    assert_eq!(parse_get_entries(escaped).unwrap()[0].decode_leaf(&mut buffer), Ok(0..2));
    assert_eq!(buffer, [0xff, 0xff]);

    for bad in ["", "[]", "{}", r#"{"entries":{}}"#, r#"{"entries":[{}]}"#, r#"{"entries":[]} x"#] {
        assert_eq!(parse_get_entries(bad.as_bytes()), Err(CtError::Json("get-entries")), "{bad}");
    }
    let entries = parse_get_entries(br#"{"entries":[{"leaf_input":"*","extra_data":"*"}]}"#).unwrap();
    assert_eq!(entries[0].decode_leaf(&mut buffer), Err(CtError::Base64("leaf_input")));
    assert_eq!(entries[0].decode_extra_data(), Err(CtError::Base64("extra_data")));
}

#[test]
fn proofs_are_read_from_json() {
    let hash = leaf_hash(b"x");
    let text = STANDARD.encode(hash.as_bytes());
    assert_eq!(parse_consistency(format!(r#"{{"consistency":["{text}"]}}"#).as_bytes()), Ok(vec![hash]));
    assert_eq!(parse_consistency(br#"{"consistency":[]}"#), Ok(vec![]));
    assert_eq!(parse_consistency(br#"{"consistency":["AAAA"]}"#), Err(CtError::BadHash));
    assert_eq!(parse_consistency(br#"{"consistency":["A"]}"#), Err(CtError::Base64("a hash")));
    assert_eq!(parse_consistency(b"null"), Err(CtError::Json("get-sth-consistency")));
    let json = format!(r#"{{"leaf_index":7,"audit_path":["{text}","{text}"]}}"#);
    assert_eq!(parse_proof_by_hash(json.as_bytes()), Ok((7, vec![hash, hash])));
    assert_eq!(parse_proof_by_hash(br#"{"leaf_index":-1,"audit_path":[]}"#), Err(CtError::Json("get-proof-by-hash")));
}

/// A data tile of both kinds, as c2sp.org/static-ct-api lays it out.
fn data_tile() -> (Vec<u8>, Vec<Vec<u8>>) {
    let leaves = vec![x509().to_bytes().unwrap(), precert().to_bytes().unwrap()];
    let mut tile = leaves[0][2..].to_vec();
    tile.extend([0, 64]);
    tile.extend([[1; 32], [2; 32]].concat());
    tile.extend(&leaves[1][2..]);
    tile.extend([0, 0, 3]);
    tile.extend(b"pre");
    tile.extend([0, 0]);
    (tile, leaves)
}

#[test]
fn a_data_tile_gives_the_leaves_that_the_tree_is_over() {
    let (tile, leaves) = data_tile();
    let mut buffer = b"before".to_vec();
    let parsed = parse_data_tile(&tile, &mut buffer).unwrap();
    assert_eq!(parsed.len(), 2);
    for (leaf, expected) in parsed.iter().zip(&leaves) {
        assert_eq!(&buffer[leaf.leaf.clone()], expected);
    }
    assert_eq!((parsed[0].pre_certificate, parsed[0].chain), (None, [[1; 32], [2; 32]].as_slice()));
    assert_eq!((parsed[1].pre_certificate, parsed[1].chain.len()), (Some(b"pre".as_slice()), 0));
    assert_eq!(data_tile_path(1234, 5), "tile/data/x001/234.p/5");
}

#[test]
fn a_data_tile_is_refused_where_it_is_cut() {
    let (tile, leaves) = data_tile();
    let first = leaves[0].len() - 2 + 66;
    for length in 0..tile.len() {
        let parsed = parse_data_tile(&tile[..length], &mut Vec::new()).map(|leaves| leaves.len());
        let whole = [(0, 0), (first, 1)].into_iter().find(|(end, _)| *end == length);
        assert_eq!(parsed, whole.map_or(Err(CtError::Truncated), |(_, count)| Ok(count)), "{length}");
    }
    let mut odd = leaves[0][2..].to_vec();
    odd.extend([0, 1, 9]);
    assert_eq!(parse_data_tile(&odd, &mut Vec::new()), Err(CtError::BadLength));
    let mut one = leaves[0][2..].to_vec();
    one.extend([0, 0]);
    assert_eq!(parse_data_tile(&one.repeat(256), &mut Vec::new()).unwrap().len(), 256);
    assert_eq!(parse_data_tile(&one.repeat(257), &mut Vec::new()), Err(CtError::TooManyLeaves));
}
