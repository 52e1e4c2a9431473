//! Tests of legacy signatures and their images.

use proptest::prelude::*;

use super::*;
use crate::oci::{ManifestError, ManifestKind};
use crate::simple_signing;
use serde_json::Value;

fn signature(payload: &str, signature: &str) -> LegacySignature {
    LegacySignature::new(payload.as_bytes().to_vec(), signature.as_bytes())
}

fn rekor_bundle() -> RekorBundle {
    RekorBundle {
        body: b"{}".to_vec(),
        integrated_time: 1_795_291_483,
        log_index: 1,
        log_id: [0xab; 32],
        set: b"set".to_vec(),
    }
}

#[test]
fn the_first_image_is_cosigns_byte_for_byte() {
    let digest = Digest::of(b"image");
    let payload = simple_signing::payload("localhost:5000/app", &digest);
    let payload_digest = Digest::of(&payload);
    let image = legacy_image(None, None, &LegacySignature::new(payload.clone(), b"sig")).expect("an image");
    let config = format!(
        r#"{{"architecture":"","created":"0001-01-01T00:00:00Z","history":[{{"created":"0001-01-01T00:00:00Z"}}],"os":"","rootfs":{{"type":"layers","diff_ids":["{payload_digest}"]}},"config":{{}}}}"#
    );
    assert_eq!(String::from_utf8_lossy(&image.config), config);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","size":{},"digest":"{}"}},"layers":[{{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","size":{},"digest":"{payload_digest}","annotations":{{"dev.cosignproject.cosign/signature":"c2ln"}}}}]}}"#,
        config.len(),
        Digest::of(config.as_bytes()),
        payload.len(),
    );
    assert_eq!(String::from_utf8_lossy(&image.manifest), manifest);
    assert!(image.changed);
}

#[test]
fn a_second_signature_is_appended_and_the_same_one_is_not() {
    let one = legacy_image(None, None, &signature("one", "1")).expect("the first");
    let two = legacy_image(Some(&one.manifest), Some(&one.config), &signature("two", "2")).expect("the second");
    let manifest = Manifest::parse(&two.manifest, None).expect("a manifest");
    assert_eq!(
        layers(&manifest).iter().map(|layer| layer.digest).collect::<Vec<_>>(),
        [Digest::of(b"one"), Digest::of(b"two")]
    );
    let config = manifest.config.expect("a config");
    assert_eq!((config.digest, config.size), (Digest::of(&two.config).into(), two.config.len() as u64));
    let config: Value = serde_json::from_slice(&two.config).expect("json");
    assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(2));
    assert_eq!(config["history"].as_array().map(Vec::len), Some(2));

    let same = legacy_image(Some(&two.manifest), Some(&two.config), &signature("one", "1")).expect("again");
    assert!(!same.changed);
    assert_eq!(same.manifest, two.manifest);
    // The same payload signed by somebody else is another signature.
    let other = legacy_image(Some(&two.manifest), Some(&two.config), &signature("one", "3")).expect("another");
    assert!(other.changed);
    assert_eq!(Manifest::parse(&other.manifest, None).expect("a manifest").layers.len(), 3);
}

#[test]
fn a_copy_without_our_proof_is_no_reason_to_leave_the_proof_out() {
    let stripped = signature("payload", "one");
    let planted = legacy_image(None, None, &stripped).expect("an image");
    let complete = stripped.clone().with_rekor_bundle(&rekor_bundle());
    let image = legacy_image(Some(&planted.manifest), Some(&planted.config), &complete).expect("an image");
    assert!(image.changed);
    let manifest = Manifest::parse(&image.manifest, None).expect("a manifest");
    assert_eq!(manifest.layers.len(), 2);
    assert!(manifest.layers[1].annotations.contains_key("dev.sigstore.cosign/bundle"));
    let again = legacy_image(Some(&image.manifest), Some(&image.config), &complete).expect("an image");
    assert!(!again.changed);
}

#[test]
fn a_signature_is_read_with_line_ends_at_any_width() {
    let bytes: Vec<u8> = (0..71).collect();
    let signature = LegacySignature::new(b"payload".to_vec(), &bytes);
    let text = signature.annotations[SIGNATURE_ANNOTATION].clone();
    let with = |text: String| {
        let mut changed = signature.clone();
        changed.annotations.insert(SIGNATURE_ANNOTATION.to_owned(), text);
        changed.signature().ok()
    };
    for width in [1, 7, 64, 76, 1000] {
        for end in ["\n", "\r\n"] {
            let lines: Vec<&str> = text.as_bytes().chunks(width).map(|c| std::str::from_utf8(c).unwrap()).collect();
            let wrapped = lines.join(end);
            assert_eq!(with(wrapped.clone()).as_ref(), Some(&bytes), "{width} {end:?}");
            assert_eq!(with(format!("{end}{wrapped}{end}{end}")).as_ref(), Some(&bytes), "{width} {end:?}");
        }
    }
    // What Go refuses is refused.
    for bad in
        [text.replace('=', ""), format!("{text} "), format!("{text}A"), text.replace('+', "-") + "=", "?".to_owned()]
    {
        assert_eq!(with(bad.clone()), None, "{bad:?}");
    }
    let entry = rekor_bundle();
    let promise = entry.to_annotation().replacen("\",\"Payload", "\\n\",\"Payload", 1);
    assert_eq!(RekorBundle::parse(&promise).unwrap(), entry);
}

#[test]
fn an_image_with_layers_by_another_algorithm_is_added_to() {
    let other = format!("sha512:{}", "0f".repeat(64));
    let existing = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"a/b","size":1,"digest":"{other}"}},"layers":[{{"mediaType":"a/b","size":1,"digest":"{other}"}}]}}"#,
        media_type::IMAGE_MANIFEST
    );
    let image = legacy_image(Some(existing.as_bytes()), None, &signature("ours", "sig")).expect("an image");
    let manifest = Manifest::parse(&image.manifest, None).expect("a manifest");
    assert_eq!((manifest.layers.len(), layers(&manifest).len()), (2, 1));
    assert!(String::from_utf8_lossy(&image.config).contains(&other));
}

#[test]
fn layers_and_fields_of_others_stay_byte_for_byte() {
    let foreign = format!(r#"{{ "size":9, "x":[1,  2], "digest":"{}", "mediaType":"a/b" }}"#, Digest::of(b"foreign"));
    let config = r#"{"author":"somebody","rootfs":{"diff_ids":["sha256:00"],"type":"layers"}, "history": null}"#;
    let existing = format!(
        r#"{{"annotations":{{"z":"1","a":"2"}},"layers":[{foreign}],"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","size":{},"digest":"{}"}}}}"#,
        media_type::DOCKER_MANIFEST,
        "application/vnd.docker.container.image.v1+json",
        config.len(),
        Digest::of(config.as_bytes())
    );
    let ours = signature("ours", "sig");
    let image = legacy_image(Some(existing.as_bytes()), Some(config.as_bytes()), &ours).expect("an image");
    assert_eq!(image.media_type, media_type::DOCKER_MANIFEST);
    let text = String::from_utf8_lossy(&image.manifest);
    let layer = ours.layer().to_go_json();
    assert!(
        text.starts_with(&format!(r#"{{"annotations":{{"z":"1","a":"2"}},"layers":[{foreign},{layer}]"#)),
        "{text}"
    );
    assert!(text.contains("application/vnd.docker.container.image.v1+json"));
    assert_eq!(
        String::from_utf8_lossy(&image.config),
        format!(
            r#"{{"author":"somebody","rootfs":{{"diff_ids":["sha256:00","{}"],"type":"layers"}},"history":[{{"created":"0001-01-01T00:00:00Z"}}]}}"#,
            Digest::of(b"ours")
        )
    );
}

#[test]
fn a_lost_or_broken_config_is_made_again_from_the_layers() {
    let one = legacy_image(None, None, &signature("one", "1")).expect("the first");
    let whole = legacy_image(Some(&one.manifest), Some(&one.config), &signature("two", "2")).expect("the second");
    for config in [None, Some(b"another config".as_slice())] {
        let image = legacy_image(Some(&one.manifest), config, &signature("two", "2")).expect("the second");
        assert_eq!(image, whole);
    }
    for broken in ["7", "{}", r#"{"rootfs":{}}"#, r#"{"rootfs":7}"#, r#"{"rootfs":{"diff_ids":7}}"#] {
        let old = Digest::of(&one.config).to_string();
        let manifest = String::from_utf8_lossy(&one.manifest).replace(&old, &Digest::of(broken.as_bytes()).to_string());
        let image = legacy_image(Some(manifest.as_bytes()), Some(broken.as_bytes()), &signature("two", "2"));
        assert_eq!(image.expect("the second").config, whole.config, "{broken}");
    }
}

#[test]
fn what_is_no_image_of_signatures_is_not_overwritten() {
    let index = r#"{"schemaVersion":2,"manifests":[]}"#;
    let refused = legacy_image(Some(index.as_bytes()), None, &signature("one", "1"));
    assert!(matches!(refused, Err(ManifestError::Occupied { .. })));
    assert!(legacy_image(Some(b"junk"), None, &signature("one", "1")).is_err());
}

#[test]
fn no_layer_is_written_where_readers_have_stopped_reading() {
    let one = legacy_image(None, None, &signature("one", "1")).expect("the first");
    let manifest = Manifest::parse(&one.manifest, None).expect("a manifest");
    let layer = manifest.layers[0].to_go_json();
    let with =
        |count: usize| String::from_utf8_lossy(&one.manifest).replace(&layer, &vec![layer.as_str(); count].join(","));
    assert!(legacy_image(Some(with(999).as_bytes()), None, &signature("two", "2")).is_ok());
    let full = legacy_image(Some(with(1000).as_bytes()), None, &signature("two", "2"));
    assert!(matches!(full, Err(ManifestError::TooMany { .. })));
    let crowded = Manifest::parse(with(1200).as_bytes(), None).expect("a manifest");
    assert_eq!(layers(&crowded).len(), MAX_LAYERS);
    assert_eq!(crowded.kind, ManifestKind::Image);
}

#[test]
fn a_signature_carries_its_proofs_in_annotations_as_cosign_does() {
    let bare = signature("payload", "sig");
    assert_eq!(bare.signature().ok(), Some(b"sig".to_vec()));
    assert_eq!((bare.rekor_bundle().ok(), bare.timestamp().ok()), (Some(None), Some(None)));
    assert_eq!(bare.certificate(), None);

    let whole = bare.with_rekor_bundle(&rekor_bundle()).with_timestamp(b"stamp");
    assert_eq!(
        whole.annotations.get(BUNDLE_ANNOTATION).map(String::as_str),
        Some(&*format!(
            r#"{{"SignedEntryTimestamp":"c2V0","Payload":{{"body":"e30=","integratedTime":1795291483,"logIndex":1,"logID":"{}"}}}}"#,
            "ab".repeat(32)
        ))
    );
    assert_eq!(
        whole.annotations.get(TIMESTAMP_ANNOTATION).map(String::as_str),
        Some(r#"{"SignedRFC3161Timestamp":"c3RhbXA="}"#)
    );
    assert_eq!(whole.rekor_bundle().ok(), Some(Some(rekor_bundle())));
    assert_eq!(whole.timestamp().ok(), Some(Some(b"stamp".to_vec())));
    assert_eq!(LegacySignature::from_json(&whole.to_json()).ok(), Some(whole.clone()));

    let image = legacy_image(None, None, &whole).expect("an image");
    let manifest = Manifest::parse(&image.manifest, None).expect("a manifest");
    let read = LegacySignature::from_layer(&layers(&manifest)[0], image.payload);
    assert_eq!(read.ok(), Some(whole));
}

#[test]
fn only_an_entry_with_a_signed_timestamp_fits() {
    let mut entry = LogEntry {
        log_index: 1,
        log_id: [0xab; 32],
        kind: "hashedrekord".to_owned(),
        version: "0.0.1".to_owned(),
        integrated_time: Some(1_795_291_483),
        set: Some(b"set".to_vec()),
        proof: None,
        body: b"{}".to_vec(),
    };
    let whole = signature("payload", "sig").with_rekor_v1(&entry).expect("an entry of rekor v1");
    assert_eq!(whole.rekor_bundle().ok(), Some(Some(rekor_bundle())));
    entry.set = None;
    let refused = signature("payload", "sig").with_rekor_v1(&entry);
    assert!(matches!(refused, Err(LegacyError::NoSignedEntryTimestamp)));
}

#[test]
fn a_layer_whose_blob_is_another_is_refused() {
    let layer = signature("payload", "sig").layer();
    assert!(matches!(LegacySignature::from_layer(&layer, b"another".to_vec()), Err(LegacyError::WrongPayload { .. })));
}

#[test]
fn annotations_that_are_not_what_they_should_be_are_errors() {
    let mut odd = signature("payload", "sig");
    odd.annotations.insert(SIGNATURE_ANNOTATION.to_owned(), "*".to_owned());
    assert!(odd.signature().is_err());
    odd.annotations.clear();
    assert!(odd.signature().is_err());
    let good = rekor_bundle().to_annotation();
    for bad in [
        "null".to_owned(),
        good.replace("logIndex", "logindex"),
        good.replace("\"logIndex\":1", "\"logIndex\":-1"),
        good.replace("abab", "ABA"),
        good.replace("\"body\"", "\"body\":\"\",\"body\""),
        good.replace("c2V0", "*"),
    ] {
        odd.annotations.insert(BUNDLE_ANNOTATION.to_owned(), bad.clone());
        assert!(odd.rekor_bundle().is_err(), "{bad}");
    }
    odd.annotations.insert(TIMESTAMP_ANNOTATION.to_owned(), "{}".to_owned());
    assert!(odd.timestamp().is_err());
}

proptest! {
    #[test]
    fn each_rekor_bundle_reads_back(body: Vec<u8>, integrated_time: i64, log_index: u64, log_id: [u8; 32], set: Vec<u8>) {
        let bundle = RekorBundle { body, integrated_time, log_index, log_id, set };
        prop_assert_eq!(RekorBundle::parse(&bundle.to_annotation()).ok(), Some(bundle));
    }

    #[test]
    fn no_bytes_make_the_parsers_panic(bytes: Vec<u8>, text: String) {
        let _ = RekorBundle::parse(&text);
        let _ = LegacySignature::from_json(&bytes);
        let _ = legacy_image(Some(&bytes), Some(&bytes), &signature("payload", "sig"));
    }

    #[test]
    fn each_signature_that_was_appended_is_there(signatures in prop::collection::vec((any::<u8>(), any::<u8>()), 1..8)) {
        let mut image: Option<LegacyImage> = None;
        for (payload, sig) in &signatures {
            let one = LegacySignature::new(vec![*payload], &[*sig]);
            let (manifest, config) = (image.as_ref().map(|i| &*i.manifest), image.as_ref().map(|i| &*i.config));
            image = Some(legacy_image(manifest, config, &one).expect("an image"));
        }
        let image = image.expect("at least one");
        let manifest = Manifest::parse(&image.manifest, None).expect("a manifest");
        let distinct: std::collections::BTreeSet<_> = signatures.iter().collect();
        prop_assert_eq!(layers(&manifest).len(), distinct.len());
        let config: Value = serde_json::from_slice(&image.config).expect("json");
        prop_assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(distinct.len()));
    }
}
