//! Tests of timestamps.
use super::*;
use crate::fixture::{Authority, vector};
use crate::trust_root::ValidFor;
use proptest::prelude::*;

const AT: i64 = 2_650_000_000;

fn trusting(authorities: &[&Authority]) -> TrustRoot {
    let mut trust = TrustRoot::empty();
    for authority in authorities {
        trust.add_timestamp_authority("https://tsa.example.com", authority.chain(), ValidFor::default()).unwrap();
    }
    trust
}

#[test]
fn a_request_is_der_and_carries_the_hash_of_the_signature() {
    let hash = hex::encode(Sha256::digest(b"signature"));
    let imprint = format!("3031300d060960864801650304020105000420{hash}");
    for (nonce, tail) in [
        (None, ""),
        (Some(0), "020100"),
        (Some(1), "020101"),
        (Some(0x80), "02020080"),
        (Some(0x0100), "02020100"),
        (Some(u64::MAX), "020900ffffffffffffffff"),
    ] {
        let body = format!("020101{imprint}{tail}");
        let expected = format!("30{:02x}{body}", body.len() / 2);
        assert_eq!(hex::encode(request(b"signature", nonce)), expected, "{nonce:?}");
    }
}

#[test]
fn the_authority_that_made_it_is_found_among_several() {
    let [first, second] = [Authority::new(20), Authority::new(30)];
    let response = second.stamp(b"signature", AT);
    assert_eq!(verify(&response, b"signature", &trusting(&[&first, &second])).unwrap(), AT);
    assert!(matches!(verify(&response, b"signature", &trusting(&[&first])), Err(TimestampError::Unverified(_))));
    assert!(matches!(verify(&response, b"signature", &trusting(&[])), Err(TimestampError::NoAuthority)));
}

#[test]
fn an_authority_trusted_in_two_periods_may_have_made_it_in_either() {
    let authority = Authority::new(20);
    let mut trust = trusting(&[&authority, &authority]);
    trust.timestamp_authorities.push(trust.timestamp_authorities[0].clone());
    trust.timestamp_authorities[0].valid_for.end = Some(AT * 1000 - 1000);
    trust.timestamp_authorities[1].valid_for.start = Some(AT * 1000);
    assert_eq!(verify(&authority.stamp(b"signature", AT), b"signature", &trust).unwrap(), AT);
}

#[test]
fn a_long_response_is_not_even_read() {
    let trust = trusting(&[&Authority::new(20)]);
    let response = vec![0; MAX_RESPONSE + 1];
    assert!(matches!(verify(&response, b"signature", &trust), Err(TimestampError::TooLong(_))));
}

#[test]
fn other_programs_timestamps_without_a_certificate_inside_are_read() {
    let Some(response) = vector("sigstore-python/tsa/issue1482-timestamp-with-no-cert") else { return };
    let message = vector("sigstore-python/tsa/issue1482-message").unwrap();
    let trust = TrustRoot::parse(&vector("sigstore-embedded-2026-10/sigstage.dev/trusted_root.json").unwrap()).unwrap();
    // 2025-07-25T19:53:04Z, by openssl.
    assert_eq!(verify(&response, &message, &trust).unwrap(), 1_753_473_184);
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = if length < 0x80 { vec![tag, length as u8] } else { vec![tag, 0x82, (length >> 8) as u8, length as u8] };
    [head, content.to_vec()].concat()
}

/// A response whose list of digest algorithms has so many members, in the order that is the worst for a sort.
fn crowded(members: u16) -> Vec<u8> {
    let algorithm = |n: u16| der(0x30, &der(0x06, &[0x2a, 0x80 | (n >> 7) as u8, n as u8 & 0x7f]));
    let algorithms = der(0x31, &(0..members).rev().flat_map(algorithm).collect::<Vec<_>>());
    let signed_data = der(0x30, &[vec![2, 1, 3], algorithms].concat());
    let kind = der(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2]);
    let token = der(0x30, &[kind, der(0xa0, &signed_data)].concat());
    der(0x30, &[der(0x30, &[2, 1, 0]), token].concat())
}

#[test]
fn a_crowded_or_deep_response_is_not_even_parsed() {
    let trust = trusting(&[&Authority::new(20)]);
    let error_of = |response: &[u8]| verify(response, b"signature", &trust).unwrap_err();
    assert!(matches!(error_of(&crowded(64)), TimestampError::Unverified(_)));
    assert!(matches!(error_of(&crowded(65)), TimestampError::Malformed));
    // The same within an octet string, where the parser looks for what was stamped.
    assert!(matches!(error_of(&der(0x30, &der(0x04, &crowded(65)))), TimestampError::Malformed));
    let deep = (0..200).fold(Vec::new(), |inner, _| der(0x30, &inner));
    assert!(matches!(error_of(&deep), TimestampError::Malformed));
    for junk in [&[0x30][..], &[0x30, 0x80, 0, 0], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 5, 0]] {
        assert!(matches!(error_of(junk), TimestampError::Malformed), "{junk:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let trust = trusting(&[&Authority::new(20)]);
        prop_assert!(verify(&bytes, b"signature", &trust).is_err());
    }

    #[test]
    fn a_changed_byte_never_moves_the_time(at: prop::sample::Index, to: u8) {
        let authority = Authority::new(20);
        let mut response = authority.stamp(b"signature", AT);
        let at = at.index(response.len());
        response[at] = to;
        if let Ok(time) = verify(&response, b"signature", &trusting(&[&authority])) {
            prop_assert_eq!(time, AT);
        }
    }
}
