//! Tests of bundles.
use super::*;
use crate::digest::Digest;
use crate::fixture::{TestKey, TestLog};
use proptest::prelude::*;
use serde_json::Value;

fn bundle() -> Bundle {
    let signed = TestKey::p256(1).sign_statement(&Digest::of(b"an image"));
    Bundle {
        key: VerificationKey::Hint(signed.key.hint()),
        entries: vec![TestLog::v1(2).log(&signed, 1_700_000_000)],
        timestamps: vec![b"a response".to_vec()],
        content: BundleContent::Dsse(signed.envelope.unwrap()),
    }
}

fn changed(change: impl Fn(&mut Value)) -> Result<Bundle, BundleError> {
    let mut value = serde_json::from_slice(&bundle().to_json()).unwrap();
    change(&mut value);
    Bundle::parse(&serde_json::to_vec(&value).unwrap())
}

#[test]
fn the_fields_stand_in_the_order_in_which_cosign_writes_them() {
    let json = String::from_utf8(bundle().to_json()).unwrap();
    let order = [
        "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\"",
        "\"verificationMaterial\":{\"publicKey\":{\"hint\":\"",
        "\"tlogEntries\":[{\"logIndex\":",
        "\"timestampVerificationData\":{\"rfc3161Timestamps\":[{\"signedTimestamp\":\"",
        "\"dsseEnvelope\":{\"payload\":\"",
        "\"payloadType\":\"application/vnd.in-toto+json\"",
        "\"signatures\":[{\"sig\":\"",
    ];
    let places: Vec<usize> = order.iter().map(|part| json.find(part).unwrap_or_else(|| panic!("{part}"))).collect();
    assert!(places.is_sorted(), "{json}");
}

#[test]
fn every_kind_of_bundle_survives_its_json() {
    let plain = bundle();
    let message =
        BundleContent::Message { algorithm: "SHA2_256".to_owned(), digest: vec![1; 32], signature: vec![2; 70] };
    for bundle in [
        plain.clone(),
        Bundle { key: VerificationKey::Certificate(vec![0x30, 0]), ..plain.clone() },
        Bundle { entries: Vec::new(), timestamps: Vec::new(), ..plain.clone() },
        Bundle { content: message, ..plain },
    ] {
        assert_eq!(Bundle::parse(&bundle.to_json()).unwrap(), bundle);
    }
}

#[test]
fn older_media_types_are_read_and_others_are_not() {
    for (media_type, known) in [
        ("application/vnd.dev.sigstore.bundle.v0.3+json", true),
        ("application/vnd.dev.sigstore.bundle+json;version=0.3", true),
        ("application/vnd.dev.sigstore.bundle+json;version=0.2", true),
        ("application/vnd.dev.sigstore.bundle+json;version=0.1", true),
        ("application/vnd.dev.sigstore.bundle.v0.4+json", false),
        ("application/json", false),
        ("", false),
    ] {
        assert_eq!(changed(|v| v["mediaType"] = media_type.into()).is_ok(), known, "{media_type}");
    }
}

#[test]
fn only_the_oldest_bundles_may_lack_an_inclusion_proof() {
    let without = |media_type: &str| {
        changed(|v| {
            v["mediaType"] = media_type.into();
            v["verificationMaterial"]["tlogEntries"][0].as_object_mut().unwrap().remove("inclusionProof");
        })
    };
    assert!(without(VERSION_0_1).unwrap().entries[0].proof.is_none());
    for media_type in [BUNDLE_MEDIA_TYPE, OLDER_MEDIA_TYPES[0], OLDER_MEDIA_TYPES[1]] {
        assert!(matches!(without(media_type), Err(BundleError::NoInclusionProof)), "{media_type}");
    }
}

#[test]
fn a_certificate_chain_of_an_older_bundle_names_its_leaf() {
    let chain = |certificates: Value| {
        changed(|v| {
            let material = v["verificationMaterial"].as_object_mut().unwrap();
            material.remove("publicKey");
            material.insert("x509CertificateChain".to_owned(), serde_json::json!({ "certificates": certificates }));
        })
    };
    let read = chain(serde_json::json!([{"rawBytes": "MAA="}, {"rawBytes": "MAE="}])).unwrap();
    assert_eq!(read.key, VerificationKey::Certificate(vec![0x30, 0]));
    assert!(matches!(chain(serde_json::json!([])), Err(BundleError::Key)));
}

#[test]
fn a_bundle_names_one_key_and_holds_one_content() {
    let certificate = serde_json::json!({"rawBytes": "MAA="});
    let both = changed(|v| v["verificationMaterial"]["certificate"] = certificate.clone());
    assert!(matches!(both, Err(BundleError::Key)));
    let neither = changed(|v| v["verificationMaterial"]["publicKey"] = Value::Null);
    assert!(matches!(neither, Err(BundleError::Key)));
    let message = serde_json::json!({"signature": "AAAA"});
    let both = changed(|v| v["messageSignature"] = message.clone());
    assert!(matches!(both, Err(BundleError::Content)));
    let neither = changed(|v| v["dsseEnvelope"] = Value::Null);
    assert!(matches!(neither, Err(BundleError::Content)));
}

#[test]
fn more_entries_or_timestamps_than_a_reader_should_look_at_are_refused() {
    for (list, limit) in [
        ("/verificationMaterial/tlogEntries", MAX_ENTRIES),
        ("/verificationMaterial/timestampVerificationData/rfc3161Timestamps", MAX_TIMESTAMPS),
    ] {
        let with = |count: usize| {
            changed(|v| {
                let items = v.pointer_mut(list).unwrap().as_array_mut().unwrap();
                *items = vec![items[0].clone(); count];
            })
        };
        assert!(with(limit).is_ok(), "{list}");
        assert!(matches!(with(limit + 1), Err(BundleError::TooMany { .. })), "{list}");
    }
}

#[test]
fn a_repeated_key_is_refused() {
    let json = String::from_utf8(bundle().to_json()).unwrap();
    let twice = json.replacen('{', "{\"dsseEnvelope\":null,", 1);
    assert!(matches!(Bundle::parse(twice.as_bytes()), Err(BundleError::Ambiguous(_))));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = Bundle::parse(&bytes);
    }

    #[test]
    fn a_changed_bundle_never_panics(at: prop::sample::Index, to: u8) {
        let mut json = bundle().to_json();
        let at = at.index(json.len());
        json[at] = to;
        if let Ok(read) = Bundle::parse(&json) {
            prop_assert_eq!(Bundle::parse(&read.to_json()).unwrap(), read);
        }
    }
}
