//! What the fuzz targets assert of any bytes. The crate's tests replay the corpus through these functions too.

use bundle::certificate::CertificateView;
use bundle::claims::{ClaimedBy, Scratch};
use bundle::legacy::{LegacySignature, legacy_image};
use bundle::oci::{Descriptor, Manifest, classify, parse_referrers, referrers_index_with};
use bundle::{
    Bundle, Digest, EntryBody, Envelope, Format, ImageLocator, ImageName, ImageReference, LogEntry, NewEntry,
    PublicKey, RegistryHost, Repository, Requirements, SigningConfig, Tag, TrustRoot, ValidFor, simple_signing,
    statement, timestamp, verify_bundle, verify_entry,
};

/// A manifest that parses can be classified, listed and merged, and what was merged is there.
pub fn manifest(bytes: &[u8]) {
    if let Ok(parsed) = Manifest::parse(bytes, None) {
        let _ = classify::manifest(&parsed);
        assert!(classify::signable_children(&parsed).count() <= parsed.manifests.len());
        let described = parsed.referrer_descriptor(bytes);
        assert_eq!(described.size, bytes.len() as u64);
    }
    let referrer = Descriptor::of("application/vnd.oci.image.manifest.v1+json", b"a referrer");
    if let Ok(Some(index)) = referrers_index_with(Some(bytes), &referrer) {
        let listed = parse_referrers(&index).expect("what we wrote");
        assert_eq!(listed.manifests.last(), Some(&referrer));
        let again = referrers_index_with(Some(&index), &referrer).expect("what we wrote");
        assert!(again.is_none());
    }
    let signature = LegacySignature::new(b"a payload".to_vec(), b"a signature");
    if let Ok(image) = legacy_image(Some(bytes), Some(bytes), &signature) {
        let written = Manifest::parse(&image.manifest, None).expect("what we wrote");
        let again = legacy_image(Some(&image.manifest), Some(&image.config), &signature).expect("what we wrote");
        assert!(!again.changed);
        assert_eq!(written.layers.iter().filter(|layer| layer.fetchable() == Some(signature.layer())).count(), 1);
    }
}

/// A payload that parses says what the payload written from it says.
pub fn simple_signing(bytes: &[u8]) {
    if let Ok(parsed) = simple_signing::parse(bytes) {
        let written = simple_signing::payload(&parsed.docker_reference, &parsed.digest);
        assert_eq!(simple_signing::parse(&written).ok(), Some(parsed));
    }
}

/// A statement that parses has a type, and no more subjects than it has bytes for.
pub fn statement(bytes: &[u8]) {
    if let Ok(parsed) = statement::parse(bytes) {
        assert!(parsed.subjects.len() * 64 <= bytes.len());
    }
}

/// A name prints as it was read, but for the other names of Docker Hub.
pub fn reference(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let printed = [
        text.parse::<RegistryHost>().map(|name| name.to_string()),
        text.parse::<Repository>().map(|name| name.to_string()),
        text.parse::<Tag>().map(|name| name.to_string()),
        text.parse::<ImageName>().map(|name| name.to_string()),
        text.parse::<ImageReference>().map(|name| name.to_string()),
    ];
    assert!(printed.into_iter().flatten().all(|printed| printed == text || printed.starts_with("docker.io")));
    // A locator has short forms: what it prints is the long one.
    if let Ok(locator) = text.parse::<ImageLocator>() {
        assert_eq!(locator.to_string().parse(), Ok(locator));
    }
}

/// An envelope that parses means the same after it is written.
pub fn dsse(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::parse(bytes) {
        assert_eq!(Envelope::parse(&envelope.to_json()).ok(), Some(envelope));
    }
}

/// A bundle that parses means the same after it is written, and verifies for no key that is not its own.
pub fn bundle(bytes: &[u8]) {
    if let Ok(parsed) = Bundle::parse(bytes) {
        assert_eq!(Bundle::parse(&parsed.to_json()).ok().as_ref(), Some(&parsed));
        let digest = Digest::of(b"an image");
        let requirements = Requirements { log: false, timestamp: false };
        let verified = verify_bundle(&parsed, &digest, &stranger(), &TrustRoot::empty(), &requirements);
        assert!(verified.is_err());
    }
}

/// A log entry that parses means the same after it is written, and counts in no log that nobody trusts.
pub fn log_entry(bytes: &[u8]) {
    let read = LogEntry::from_json(bytes);
    for entry in read.into_iter().chain(LogEntry::from_rekor_v1(bytes).map(|(_, entry)| entry)) {
        assert_eq!(LogEntry::from_json(&entry.to_json()).ok().as_ref(), Some(&entry));
        assert!(verify_entry(&entry, &TrustRoot::empty()).is_err());
    }
}

/// A body that parses has the kind that it names, and is about no signature that it does not hold.
pub fn entry(bytes: &[u8]) {
    if let Ok(body) = EntryBody::parse(bytes) {
        let (kind, version) = body.kind_version();
        assert!(!matches!(body, EntryBody::Other { .. }) || (kind, version) != ("dsse", "0.0.1"));
        let key = stranger();
        let entry = NewEntry {
            format: Format::Legacy,
            message: b"a payload".to_vec(),
            envelope: None,
            signature: b"a signature".to_vec(),
            hash: key.bundle_hash(),
            key,
        };
        assert!(entry.matches(bytes).is_err());
    }
}

/// What a leaf claims lies within it or was decoded from it; each certificate reads the same alone.
pub fn claims(bytes: &[u8]) {
    let mut scratch = Scratch::new();
    let of_rekor = bundle::claims::claims(bytes, &mut scratch);
    for claims in of_rekor.into_iter().chain(bundle::claims::ct_claims(bytes)) {
        for claim in &claims.signatures {
            assert!(claim.signature.len() <= bytes.len());
            if let ClaimedBy::Certificate(view) = claim.by {
                let again = if claims.version == "precert" {
                    CertificateView::parse_tbs(view.raw())
                } else {
                    CertificateView::parse(view.raw())
                };
                assert_eq!(again, Ok(view));
            }
        }
    }
}

/// A certificate that parses can be walked to its end, and names nobody whom its bytes do not.
pub fn certificate(bytes: &[u8]) {
    for view in [CertificateView::parse(bytes), CertificateView::parse_tbs(bytes)].into_iter().flatten() {
        // Each byte that is no UTF-8 is shown as three, an IPv6 address at twice its length or more.
        let names: usize = view.subjects().map(|name| name.len()).sum();
        assert!(names <= bytes.len() * 3);
        let values: usize = view.extensions().map(|extension| extension.text().len()).sum();
        assert!(values <= bytes.len() * 3);
        let _ = (view.issuer(), view.not_before(), view.not_after(), view.extension("1.3.6.1.4.1.57264.1.12"));
        assert!(TrustRoot::empty().issued(&view).is_err());
    }
}

/// A trust root that parses means the same after it is written, where its times can be written.
pub fn trust_root(bytes: &[u8]) {
    if let Ok(parsed) = TrustRoot::parse(bytes) {
        let again = TrustRoot::parse(&parsed.to_json()).expect("what we wrote");
        assert_eq!(again, parsed);
    }
}

/// Whatever a configuration selects is on offer and was valid.
pub fn signing_config(bytes: &[u8]) {
    let now = 1_795_219_200_000;
    if let Ok(config) = SigningConfig::parse(bytes) {
        let chosen = config.rekor_services(now, 7).into_iter().chain(config.tsa_services(now, 7)).flatten();
        for service in chosen {
            assert!(service.valid_for.contains_ms(now));
        }
    }
}

/// No bytes are a timestamp by an authority that nobody has.
pub fn timestamp(bytes: &[u8]) {
    let mut trust = TrustRoot::empty();
    let chain = vec![bytes.to_vec(), bytes.to_vec()];
    if trust.add_timestamp_authority("https://tsa.example.com", chain, ValidFor::default()).is_ok() {
        assert!(timestamp::verify(bytes, b"a signature", &trust).is_err());
    }
    if let Ok(root) = TrustRoot::parse(include_bytes!("../corpus/trust_root/private")) {
        assert!(timestamp::verify(bytes, b"a signature", &root).is_err());
    }
}

/// A key under which nothing of the corpus is signed.
fn stranger() -> PublicKey {
    PublicKey::from_pem(
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n",
    )
    .expect("the first key of RFC 8032")
}
