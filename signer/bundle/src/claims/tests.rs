//! Tests of what leaves claim.
use super::*;
use crate::digest::Digest;
use crate::fixture::{Issuer, SUBJECT, TestKey, Wanted, own_leaves, pem, vectors, vectors_ending};
use crate::protojson::{decode, encode};
use crate::public_key::{HashAlgorithm, PublicKey};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tlog::ct::{CtEntry, CtLeaf};

mod mutated;

fn certificate() -> Vec<u8> {
    Issuer::new(3).issue(&Wanted::workflow(&TestKey::p256(1), SUBJECT))
}

/// What a leaf claims, in a few words.
fn told(body: &[u8]) -> Result<Vec<String>, String> {
    let mut scratch = Scratch::new();
    let claims = claims(body, &mut scratch).map_err(|error| error.to_string())?;
    Ok(claims.signatures.iter().map(by).collect())
}

fn by(claim: &Claim<'_>) -> String {
    let chained = if claim.chained { "+" } else { "" };
    match claim.by {
        ClaimedBy::Key(spki) if spki == TestKey::p256(1).spki() => format!("{chained}key 1"),
        ClaimedBy::Key(_) => format!("{chained}key"),
        ClaimedBy::Certificate(view) => format!("{chained}{}", view.subjects().next().unwrap_or_default()),
        ClaimedBy::Unreadable(_) => format!("{chained}unreadable"),
        ClaimedBy::Other(_) => format!("{chained}other"),
        ClaimedBy::Nobody => format!("{chained}nobody"),
    }
}

#[test]
fn every_known_kind_says_who_signed_what() {
    let digest = Digest::of(b"a message");
    let signature = TestKey::p256(1).sign(b"a message", HashAlgorithm::Sha256);
    let mut scratch = Scratch::new();
    let leaves = own_leaves();
    assert_eq!(leaves.len(), 14);
    for (at, leaf) in leaves.iter().enumerate() {
        let name = format!("{} {}", leaf.kind, leaf.version);
        let claims = claims(&leaf.body, &mut scratch).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((claims.kind, claims.version, claims.known), (leaf.kind, leaf.version, true));
        let [claim] = claims.signatures.as_slice() else { panic!("{name}: {claims:?}") };
        assert_eq!(by(claim), if at < 7 { "key 1" } else { SUBJECT }, "{name}");
        if matches!(leaf.kind, "hashedrekord" | "rekord") {
            assert_eq!(claim.digest, Some((LoggedHash::Sha256, &digest.as_bytes()[..])), "{name}");
            assert_eq!(claim.payload_hash, None);
        } else {
            assert_eq!((claim.digest, claim.payload_hash), (None, Some(*digest.as_bytes())), "{name}");
        }
        let expected: &[u8] = if name == "intoto 0.0.1" { &[] } else { &signature };
        assert_eq!(claim.signature, expected, "{name}");
    }
}

#[test]
fn a_key_in_any_encoding_is_one_key() {
    let TestKey::P256(key) = TestKey::p256(1) else { return };
    // The same key with a compressed point, as DER and in PEM.
    let point = key.verifying_key().to_sec1_point(true);
    let mut compressed = TestKey::p256(1).spki();
    compressed.truncate(26);
    compressed.extend_from_slice(point.as_bytes());
    compressed[1] = 0x39;
    compressed[24] = 0x22;
    for leaf in own_leaves().iter().take(7) {
        let text = String::from_utf8(leaf.body.clone()).unwrap();
        let (spki, other) = (TestKey::p256(1).spki(), &compressed);
        let text = text.replace(&encode(&spki), &encode(other));
        let text =
            text.replace(&encode(pem("PUBLIC KEY", &spki).as_bytes()), &encode(pem("PUBLIC KEY", other).as_bytes()));
        assert_ne!(text.as_bytes(), leaf.body);
        assert_eq!(told(text.as_bytes()), Ok(vec!["key 1".to_owned()]), "{} {}", leaf.kind, leaf.version);
    }
}

fn hashedrekord_v1(material: &str) -> Vec<u8> {
    let hash = json!({"algorithm": "sha256", "value": Digest::of(b"").hex()});
    let signature = json!({"content": "MAA=", "publicKey": {"content": encode(material.as_bytes())}});
    let spec = json!({"data": {"hash": hash}, "signature": signature});
    serde_json::to_vec(&json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec})).unwrap()
}

#[test]
fn everybody_in_the_pem_is_named_and_who_comes_after_the_first_is_marked() {
    let (first, second) = (pem("CERTIFICATE", &certificate()), pem("PUBLIC KEY", &TestKey::p256(1).spki()));
    let after = format!("+{SUBJECT}");
    let cases = [
        (format!("{first}{second}"), vec![SUBJECT, "+key 1"]),
        (format!("{second}{first}"), vec!["key 1", &after]),
        (format!("text before\n{second}text after"), vec!["key 1"]),
        (second.replace('\n', "\r\n"), vec!["key 1"]),
        (second.replace("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\n\n"), vec!["key 1"]),
        (second.replace("\n-----END PUBLIC KEY-----", ""), vec!["key 1"]),
        // What Go's reader takes: a header without an empty line, a block within one that has no end.
        (second.replace("KEY-----\n", "KEY-----\nComment: x\n"), vec!["key 1"]),
        (format!("-----BEGIN NOTE-----\n{second}"), vec!["other", "key 1"]),
        (format!("-----BEGIN -----{first}"), vec!["other", SUBJECT]),
        ("untrusted comment: minisign public key\nRWQ=".to_owned(), vec!["other"]),
        (pem("PGP PUBLIC KEY BLOCK", b"whatever"), vec!["other"]),
        (String::new(), vec!["other"]),
    ];
    for (material, expected) in cases {
        let told = told(&hashedrekord_v1(&material)).unwrap();
        assert_eq!(told, expected, "{material}");
    }
    let der = String::from_utf8_lossy(&hashedrekord_v1("?")).replace(&encode(b"?"), &encode(&certificate()));
    assert_eq!(told(der.as_bytes()), Ok(vec![SUBJECT.to_owned()]));
}

#[test]
fn a_certificate_that_cannot_be_read_is_an_error_and_never_nobody() {
    let mut der = certificate();
    der.truncate(300);
    let error = told(&hashedrekord_v1(&pem("CERTIFICATE", &der))).unwrap_err();
    assert!(error.contains("not a certificate"), "{error}");
    let broken = pem("CERTIFICATE", &certificate()).replace("MI", "M!");
    assert!(told(&hashedrekord_v1(&broken)).is_err());
    // Nor is it hidden by a good one beside it, nor does it hide that one; by a kind that we do not know neither. Go's
    // reader passes over what is not base64, so that what comes after it is the first.
    let (good, bad) = (pem("CERTIFICATE", &certificate()), pem("CERTIFICATE", &der));
    let after = format!("+{SUBJECT}");
    for (material, expected) in [
        (format!("{good}{bad}"), [SUBJECT, "+unreadable"]),
        (format!("{bad}{good}"), ["unreadable", &after]),
        (format!("{broken}{good}"), ["unreadable", SUBJECT]),
    ] {
        let known = hashedrekord_v1(&material);
        let unknown = String::from_utf8(known.clone()).unwrap().replace("hashedrekord", "helm").into_bytes();
        for body in [known, unknown] {
            let mut scratch = Scratch::new();
            let claims = claims(&body, &mut scratch).unwrap();
            assert!(matches!(claims.unreadable, Some(Unreadable::Certificate(_))), "{claims:?}");
            assert_eq!(claims.signatures.iter().map(by).collect::<Vec<_>>(), expected, "{material}");
        }
    }
}

#[test]
fn an_unreadable_certificate_hides_no_other_signature_of_its_entry() {
    let (certificate, key) = (certificate(), TestKey::p256(1).spki());
    let hash = json!({"algorithm": "sha256", "value": Digest::of(b"").hex()});
    let v1 = |der: &[u8], label: &str| json!({"signature": "MAA=", "verifier": encode(pem(label, der).as_bytes())});
    let v1 = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"envelopeHash": hash, "payloadHash": hash,
        "signatures": [v1(&certificate[..300], "CERTIFICATE"), v1(&key, "PUBLIC KEY")]}});
    let hash = json!({"algorithm": "SHA2_256", "digest": encode(Digest::of(b"").as_bytes())});
    let v2 = |der: &[u8], field: &str| json!({"content": "MAA=", "verifier": {field: {"rawBytes": encode(der)}}});
    let v2 = json!({"apiVersion": "0.0.2", "kind": "dsse", "spec": {"dsseV002": {"payloadHash": hash,
        "signatures": [v2(&certificate[..300], "x509Certificate"), v2(&key, "publicKey")]}}});
    for body in [v1, v2] {
        let (body, mut scratch) = (body.to_string(), Scratch::new());
        let claims = claims(body.as_bytes(), &mut scratch).unwrap();
        assert!(claims.known && claims.unreadable.is_some());
        assert_eq!(claims.signatures.iter().map(by).collect::<Vec<_>>(), ["unreadable", "key 1"]);
    }
}

#[test]
fn repeated_further_and_escaped_fields_hide_nobody() {
    let v2 = String::from_utf8(own_leaves().remove(12).body).unwrap();
    let key = format!(r#""publicKey":{{"rawBytes":"{}"}}"#, encode(&TestKey::p256(1).spki()));
    let names = |body: &str| told(body.as_bytes()).map(|names| names.into_iter().collect::<BTreeSet<_>>());
    let both = Ok(BTreeSet::from(["key 1".to_owned(), SUBJECT.to_owned()]));
    // A key beside the certificate; the verifier twice; a field that nobody knows; in another case.
    assert_eq!(names(&v2.replace(r#""x509"#, &format!(r#"{key},"x509"#))), both);
    assert_eq!(names(&v2.replace(r#""verifier":"#, &format!(r#""verifier":{{{key}}},"verifier":"#))), both);
    assert_eq!(names(&v2.replace(r#""verifier":"#, &format!(r#""note":{{{key}}},"verifier":"#))), both);
    assert_eq!(names(&v2.replace(r#""verifier":"#, &format!(r#""Verifier":{{{key}}},"verifier":"#))), both);
    assert_eq!(names(&v2.replace(r#""spec":"#, &format!(r#""spec":{{"a":{{{key}}}}},"spec":"#))), both);
    let escaped = v2.replace("hashedrekord", "hashed\\u0072ekord").replace("rawBytes\":\"M", "rawBytes\":\"\\u004d");
    assert_eq!(told(escaped.as_bytes()), Ok(vec![SUBJECT.to_owned()]));
    let spaced = v2.replace(',', " ,\n ");
    assert_eq!(told(spaced.as_bytes()), Ok(vec![SUBJECT.to_owned()]));
    // Base64 as other readers take it.
    let unpadded = v2.replace("=\"", "\"");
    assert_ne!(unpadded, v2);
    assert_eq!(told(unpadded.as_bytes()), Ok(vec![SUBJECT.to_owned()]));
    let der = encode(&certificate());
    assert_eq!(
        told(v2.replace(&der, &der.replace('+', "-").replace('/', "_")).as_bytes()),
        Ok(vec![SUBJECT.to_owned()])
    );
}

#[test]
fn kinds_that_nobody_knows_yet_are_searched_through() {
    let pem = pem("CERTIFICATE", &certificate());
    let nested = json!({"deep": [{"er": encode(pem.as_bytes())}]});
    let places = [
        json!({"rawBytes": encode(&certificate())}),
        json!({"content": encode(pem.as_bytes())}),
        json!(["text", pem]),
        json!({"json": encode(nested.to_string().as_bytes())}),
        json!({"json": nested.to_string()}),
        json!({"twice": encode(encode(&certificate()).as_bytes())}),
        // As a field's name.
        Value::Object([(encode(&certificate()), Value::Null)].into_iter().collect()),
    ];
    for place in places {
        let body = serde_json::to_vec(&json!({"apiVersion": "0.0.9", "kind": "identity", "spec": place})).unwrap();
        let mut scratch = Scratch::new();
        let claims = claims(&body, &mut scratch).unwrap();
        assert_eq!((claims.kind, claims.version, claims.known), ("identity", "0.0.9", false));
        assert_eq!(claims.signatures.iter().map(by).collect::<Vec<_>>(), [SUBJECT], "{place}");
    }
    let body = json!({"apiVersion": "1", "kind": "k", "spec": encode(&TestKey::p256(1).spki())});
    assert_eq!(told(body.to_string().as_bytes()), Ok(vec!["key 1".to_owned()]));
    let nothing =
        json!({"apiVersion": "1", "kind": "k", "spec": [1, -1, 1.5, true, null, "x", {"a": "b".repeat(100)}]});
    assert_eq!(told(nothing.to_string().as_bytes()), Ok(vec![]));
}

#[test]
fn nothing_beside_a_certificate_hides_it_in_a_kind_that_we_do_not_know() {
    let (der, note) = (certificate(), "-----BEGIN NOTE-----\nTm90ZQ==\n-----END NOTE-----\n");
    let binary = [b"\xff\xfe".as_slice(), pem("CERTIFICATE", &der).as_bytes()].concat();
    let places = [
        json!({"note": note, "by": encode(&der)}).to_string(),
        json!({"by": pem("CERTIFICATE", &der)}).to_string(),
        format!("[{note}{}", pem("CERTIFICATE", &der)),
        encode(&binary),
    ];
    for place in places {
        let body = json!({"apiVersion": "1", "kind": "k", "spec": place}).to_string();
        let told = told(body.as_bytes()).unwrap();
        assert!(told.iter().any(|name| name == SUBJECT), "{place}: {told:?}");
    }
}

#[test]
fn encodings_without_an_end_are_an_error() {
    let mut text = "a text that is long enough to hold a key, if it were one, which it is not".to_owned();
    for _ in 0..8 {
        text = encode(text.as_bytes());
    }
    let body = json!({"apiVersion": "1", "kind": "k", "spec": text});
    assert!(told(body.to_string().as_bytes()).unwrap_err().contains("deeper"));
    // Who is named beside them is named.
    let body = json!({"apiVersion": "1", "kind": "k", "spec": [text, encode(&TestKey::p256(1).spki())]}).to_string();
    let mut scratch = Scratch::new();
    let beside = claims(body.as_bytes(), &mut scratch).unwrap();
    assert_eq!(beside.unreadable, Some(Unreadable::TooDeep));
    assert_eq!(beside.signatures.iter().map(by).collect::<Vec<_>>(), ["key 1"]);
    let deep = format!(r#"{{"apiVersion":"1","kind":"k","spec":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    assert!(told(deep.as_bytes()).is_err());
}

#[test]
fn what_is_no_entry_is_an_error_that_says_so() {
    for (body, expected) in [
        ("", "not json"),
        ("{", "not json"),
        ("[]", "not json"),
        ("\u{fffd}", "not json"),
        ("{}", "no kind"),
        (r#"{"kind":"hashedrekord"}"#, "no kind"),
        (r#"{"apiVersion":"0.0.1","kind":"a b"}"#, "no kind"),
        (r#"{"apiVersion":1,"kind":"x"}"#, "not json"),
        (r#"{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{}}"#, "no valid set of fields"),
        (r#"{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{}} x"#, "not json"),
    ] {
        let error = told(body.as_bytes()).unwrap_err();
        assert!(error.contains(expected), "{body}: {error}");
    }
    let leaves = own_leaves();
    let body = String::from_utf8_lossy(&leaves[0].body).into_owned();
    let short = body.replace(&Digest::of(b"a message").hex(), "00");
    // The key is found all the same; but it is not what its kind says.
    let mut scratch = Scratch::new();
    let claims = claims(short.as_bytes(), &mut scratch).unwrap();
    assert_eq!((claims.known, claims.signatures.len()), (false, 1));
}

#[test]
fn a_leaf_of_a_certificate_log_claims_its_certificate() {
    let der = certificate();
    let tbs = Issuer::new(3).tbs(&Wanted::workflow(&TestKey::p256(1), SUBJECT));
    let cases = [
        (CtEntry::X509(&der), "x509", None),
        (CtEntry::Precert { issuer_key_hash: [7; 32], tbs: &tbs }, "precert", Some([7; 32])),
    ];
    for (entry, version, precert_issuer) in cases {
        let leaf = CtLeaf { timestamp_ms: 1, entry, extensions: &[] }.to_bytes().unwrap();
        let claims = ct_claims(&leaf).unwrap();
        assert_eq!((claims.kind, claims.version, claims.known), ("ct", version, true));
        assert_eq!(claims.precert_issuer, precert_issuer);
        assert_eq!(claims.signatures.iter().map(by).collect::<Vec<_>>(), [SUBJECT]);
        for length in 0..leaf.len() {
            assert!(ct_claims(&leaf[..length]).is_err());
        }
    }
}

/// Every log entry's body in the vectors, each once.
fn real_bodies() -> BTreeSet<Vec<u8>> {
    fn collect(value: &Value, found: &mut BTreeSet<Vec<u8>>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Object(fields) => {
                for (key, field) in fields {
                    if let (true, Some(text)) = (matches!(key.as_str(), "canonicalizedBody" | "body"), field.as_str()) {
                        let is_entry =
                            |body: &Vec<u8>| serde_json::from_slice::<Value>(body).is_ok_and(|v| !v["kind"].is_null());
                        found.extend(decode(text).into_iter().filter(is_entry));
                    }
                    collect(field, found);
                }
            }
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    for suffix in [".json", ".sigstore", ".attestation", ".provenance", ".bundle"] {
        for (_, bytes) in vectors_ending(suffix) {
            if let Ok(value) = serde_json::from_slice(&bytes) {
                collect(&value, &mut found);
            }
        }
    }
    found
}

#[test]
fn real_entries_are_read_field_by_field_and_their_signatures_verify() {
    let mut scratch = Scratch::new();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let (mut verified, mut refused, mut identities, mut errors) = (0, 0, 0, Vec::new());
    for body in real_bodies() {
        let claims = match claims(&body, &mut scratch) {
            Ok(claims) => claims,
            Err(error) => {
                errors.push(error.to_string());
                continue;
            }
        };
        assert!(claims.known, "{}", String::from_utf8_lossy(&body));
        *kinds.entry(format!("{} {}", claims.kind, claims.version)).or_default() += 1;
        assert!(!claims.signatures.is_empty());
        for claim in &claims.signatures {
            assert!(!claim.signature.is_empty());
            let spki = match claim.by {
                ClaimedBy::Certificate(view) => {
                    assert!(view.issuer().is_some() == (view.subjects().count() == 1) || view.issuer().is_none());
                    identities += usize::from(view.issuer().is_some());
                    view.spki()
                }
                ClaimedBy::Key(spki) => spki,
                other => panic!("{other:?}"),
            };
            if let (Some((hash, digest)), Ok(key)) = (claim.digest, PublicKey::from_spki(spki)) {
                match key.verify_digest(digest, claim.signature, hash) {
                    Ok(()) => verified += 1,
                    Err(_) => refused += 1,
                }
            }
        }
    }
    if vectors().is_some() {
        // One entry of the conformance suite was made to hold base64 that nobody decodes.
        assert!(errors.len() <= 1);
        assert!(kinds.len() >= 4 && verified > 30 && refused <= 1 && identities > 40);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, text: String) {
        let mut scratch = Scratch::new();
        let _ = claims(&bytes, &mut scratch);
        let _ = claims(text.as_bytes(), &mut scratch);
        let _ = ct_claims(&bytes);
        let body = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": encode(&bytes)}).to_string();
        let _ = claims(body.as_bytes(), &mut scratch);
        let _ = claims(&hashedrekord_v1(&text), &mut scratch);
    }

    #[test]
    fn a_scratch_that_was_used_changes_nothing(first in 0_usize..14, second in 0_usize..14) {
        let leaves = own_leaves();
        let mut used = Scratch::new();
        drop(claims(&leaves[first].body, &mut used));
        let mut fresh = Scratch::new();
        prop_assert_eq!(
            claims(&leaves[second].body, &mut used).unwrap(),
            claims(&leaves[second].body, &mut fresh).unwrap()
        );
    }
}
