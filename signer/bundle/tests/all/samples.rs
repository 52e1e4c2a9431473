//! What cosign wrote, where it is at hand: `SEALWATCH_VECTORS`, or `../shared/vectors` beside the workspace.

use std::io::Write as _;
use std::path::PathBuf;

use bundle::legacy::{LegacySignature, legacy_image};
use bundle::oci::classify::{self, NotSigned};
use bundle::oci::{Manifest, media_type, parse_referrers, referrer_manifest, referrers_index_with};
use bundle::{Digest, Envelope, HashAlgorithm, ImageName, PublicKey, legacy, simple_signing, statement};

/// A sample's bytes. `None`, said loudly, where it is not there.
fn sample(name: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("SEALWATCH_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"), PathBuf::from);
    let file = root.join("samples").join(name);
    let bytes = std::fs::read(&file).ok();
    if bytes.is_none() {
        // Straight to the stream: the harness would keep a passing test's output to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no sample at {}; set SEALWATCH_VECTORS", file.display());
    }
    bytes
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn our_referrer_manifest_is_that_of_cosign_3_byte_for_byte() {
    let (Some(manifest), Some(bundle)) =
        (sample("cosign-3.1.1-referrer-manifest.json"), sample("cosign-3.1.1-key-no-tlog.sigstore.json"))
    else {
        return;
    };
    let parsed = Manifest::parse(&manifest, Some(media_type::IMAGE_MANIFEST)).unwrap();
    assert_eq!(classify::manifest(&parsed), Some(NotSigned::Referrer));
    assert_eq!(classify::artifact(&parsed), Some(NotSigned::SignatureArtifact));
    let subject = parsed.subject.clone().unwrap();
    let created = &parsed.annotations["org.opencontainers.image.created"];
    assert_eq!(text(&referrer_manifest(&subject, &bundle, created)), text(manifest.trim_ascii_end()));
}

#[test]
fn the_referrers_index_of_cosign_3_is_read_and_grows() {
    let (Some(index), Some(manifest)) =
        (sample("cosign-3.1.1-referrers-tag-index.json"), sample("cosign-3.1.1-referrer-manifest.json"))
    else {
        return;
    };
    let listed = parse_referrers(&index).unwrap();
    assert_eq!(listed.unreadable, 0);
    // An older go-containerregistry gives the config's type: no reason to pass the referrer over.
    assert_eq!(listed.manifests[0].artifact_type.as_deref(), Some(media_type::EMPTY));
    let manifest = manifest.trim_ascii_end();
    let ours = Manifest::parse(manifest, None).unwrap().referrer_descriptor(manifest);
    assert_eq!(listed.manifests[0].digest, ours.digest);
    assert_eq!(referrers_index_with(Some(&index), &ours).unwrap(), None);
    let other = Manifest::parse(manifest, None).unwrap().referrer_descriptor(b"another");
    let grown = referrers_index_with(Some(index.trim_ascii_end()), &other).unwrap().unwrap();
    let theirs = text(index.trim_ascii_end());
    assert!(text(&grown).starts_with(theirs.strip_suffix("]}").unwrap()), "what cosign wrote stays as it was");
    assert_eq!(parse_referrers(&grown).unwrap().manifests.len(), 2);
}

#[test]
fn the_envelope_of_cosign_3_verifies_with_its_key() {
    let (Some(bundle), Some(key)) = (sample("cosign-3.1.1-key-no-tlog.sigstore.json"), sample("cosign-3.1.1-key.pub"))
    else {
        return;
    };
    let document = serde_json::from_slice::<serde_json::Value>(&bundle).unwrap();
    let envelope = Envelope::parse(document["dsseEnvelope"].to_string().as_bytes()).unwrap();
    let key = PublicKey::from_pem(&text(&key)).unwrap();
    assert_eq!(document["verificationMaterial"]["publicKey"]["hint"], key.hint());
    key.verify(&envelope.pae(), &envelope.signatures[0].signature, HashAlgorithm::Sha256).unwrap();
    let read = statement::parse(&envelope.payload).unwrap();
    assert_eq!(read.predicate_type, statement::SIGN_PREDICATE_TYPE);
    // cosign 3.1 adds empty annotations to the subject; the rest is what we write.
    let ours = text(&statement::statement(&read.subjects[0]));
    assert_eq!(text(&envelope.payload), ours.replace("}}],", "},\"annotations\":{}}],"));
    let envelope_json = text(&envelope.to_json());
    assert!(text(&bundle).contains(&format!("\"dsseEnvelope\":{envelope_json}")), "{envelope_json}");
}

#[test]
fn our_legacy_image_is_that_of_cosign_2_byte_for_byte() {
    let Some(manifest) = sample("cosign-2.5.0-sig-manifest.json") else { return };
    let parsed = Manifest::parse(&manifest, None).unwrap();
    assert_eq!(classify::manifest(&parsed), Some(NotSigned::SignatureArtifact));
    let layer = &legacy::layers(&parsed)[0];
    // The payload itself is not in the sample: only its digest, which the config repeats, counts.
    let made = legacy_image(None, None, &LegacySignature::new(b"payload".to_vec(), b"signature")).unwrap();
    let config = text(&made.config).replace(&Digest::of(b"payload").to_string(), &layer.digest.to_string());
    let theirs = parsed.config.as_ref().unwrap();
    assert_eq!((Digest::of(config.as_bytes()), config.len() as u64), (theirs.digest.sha256().unwrap(), theirs.size));
    let fields = [
        (Digest::of(&made.config).to_string(), theirs.digest.to_string()),
        (Digest::of(b"payload").to_string(), layer.digest.to_string()),
        ("\"size\":7,".to_owned(), format!("\"size\":{},", layer.size)),
        ("c2lnbmF0dXJl".to_owned(), layer.annotations[legacy::SIGNATURE_ANNOTATION].clone()),
    ];
    let ours = fields.iter().fold(text(&made.manifest), |text, (ours, theirs)| text.replace(ours, theirs));
    assert_eq!(ours, text(manifest.trim_ascii_end()));
}

#[test]
fn our_payload_has_the_size_and_digest_that_cosign_2_logged() {
    let Some(event) = sample("zot-main-2026-08-cosign2-7.json") else { return };
    let event = serde_json::from_slice::<serde_json::Value>(&event).unwrap();
    let manifest = Manifest::parse(event["manifest"].as_str().unwrap().as_bytes(), None).unwrap();
    let layer = &legacy::layers(&manifest)[0];
    let tag: bundle::Tag = event["reference"].as_str().unwrap().parse().unwrap();
    assert!(tag.is_signature_tag());
    let digest = Digest::from_hex(tag.as_str().trim_start_matches("sha256-").trim_end_matches(".sig")).unwrap();
    assert_eq!(bundle::Tag::legacy_signature(&digest), tag);
    // The host under which it was signed is not in the event; only its port is unknown.
    let found = (1024..=65535_u16).find_map(|port| {
        let name: ImageName = format!("127.0.0.1:{port}/team/app").parse().ok()?;
        let payload = simple_signing::payload(&name.docker_reference(), &digest);
        (Digest::of(&payload) == layer.digest).then_some(payload)
    });
    let payload = found.expect("a payload of ours with the digest that cosign logged");
    assert_eq!(payload.len() as u64, layer.size);
    let signature = LegacySignature::from_layer(layer, payload).unwrap();
    let rekor = signature.rekor_bundle().unwrap().unwrap();
    assert_eq!(rekor.to_annotation(), layer.annotations[legacy::BUNDLE_ANNOTATION]);
    assert_eq!(rekor.integrated_time, 1_795_291_483);
}
