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
