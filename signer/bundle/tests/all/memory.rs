//! How much memory documents of strangers may take: each is read in a process of its own, whose peak is measured.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;

use bundle::legacy::{LegacySignature, RekorBundle, legacy_image};
use bundle::oci::{Descriptor, Manifest, parse_referrers, referrers_index_with};
use bundle::{Bundle, EntryBody, Envelope, LogEntry, SigningConfig, TrustRoot, simple_signing, statement};

/// The size of each document in bytes.
const SIZE: usize = 1 << 20;
/// The peak may be so many times the size of the document.
const TIMES: usize = 8;
/// What a process takes besides, in bytes.
const SLACK: usize = 512 << 10;

/// Values that take a hundred times their size as a tree.
const SHAPES: [&str; 8] = [
    "tiny objects",
    "tiny arrays",
    "numbers",
    "empty strings",
    "deep nesting",
    "a long string of escapes",
    "many keys",
    "many keys with escapes",
];

fn list_of(item: &str) -> String {
    let mut text = String::with_capacity(SIZE + item.len());
    text.push('[');
    while text.len() < SIZE {
        text.push_str(item);
        text.push(',');
    }
    text.push_str(item);
    text.push(']');
    text
}

fn object_of(key: &str, value: &str) -> String {
    let mut text = String::with_capacity(SIZE + 100);
    text.push('{');
    let mut number = 0;
    while text.len() < SIZE {
        let _ = write!(text, "\"{key}{number:x}\":{value},");
        number += 1;
    }
    let _ = write!(text, "\"{key}\":{value}}}");
    text
}

fn shape(name: &str) -> String {
    match name {
        "tiny objects" => list_of(r#"{"":0}"#),
        "tiny arrays" => list_of("[]"),
        "numbers" => list_of("0"),
        "empty strings" => list_of("\"\""),
        "deep nesting" => list_of(&format!("{}{}", "[".repeat(100), "]".repeat(100))),
        "a long string of escapes" => format!("\"{}\"", "\\n".repeat(SIZE / 2)),
        "many keys" => object_of("", "0"),
        "many keys with escapes" => object_of("\\n", "0"),
        "many strings" => object_of("", "\"\""),
        other => panic!("no shape {other:?}"),
    }
}

const IMAGE: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#;
const INDEX: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","#;
const ZEROS: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn descriptor(more: &str) -> String {
    format!(r#"{{"mediaType":"x","size":0,"digest":"{ZEROS}"{more}}}"#)
}

/// A document that is read, by name, with the poison in it.
fn document(name: &str, poison: &str) -> String {
    let one = descriptor("");
    match name {
        "manifest" => format!(r#"{IMAGE}"config":{one},"layers":[{one}],"x":{poison}}}"#),
        "layers" => format!(r#"{IMAGE}"config":{one},"layers":{poison}}}"#),
        "annotations" => format!(r#"{IMAGE}"config":{one},"layers":[],"annotations":{poison}}}"#),
        "annotations of a layer" => {
            format!(r#"{IMAGE}"config":{one},"layers":[{}]}}"#, descriptor(&format!(r#","annotations":{poison}"#)))
        }
        "children" => format!(r#"{INDEX}"manifests":{poison}}}"#),
        "referrers" | "fallback index" => format!(r#"{INDEX}"manifests":{poison},"x":{poison}}}"#),
        "legacy image" => format!(
            r#"{IMAGE}"config":{{"mediaType":"x","size":2,"digest":"{}"}},"layers":[],"x":{poison}}}"#,
            bundle::Digest::of(&legacy_config(poison))
        ),
        "bundle" => format!(
            r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{{"publicKey":{{"hint":""}},"tlogEntries":{poison}}},"x":{poison}}}"#
        ),
        "bundle's timestamps" => format!(
            r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{{"publicKey":{{"hint":""}},"timestampVerificationData":{{"rfc3161Timestamps":{poison}}}}},"x":{poison}}}"#
        ),
        "envelope" => format!(r#"{{"payloadType":"","payload":"","signatures":{poison},"x":{poison}}}"#),
        "statement" => format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","predicateType":"","subject":{poison},"predicate":{poison}}}"#
        ),
        "payload" => format!(r#"{{"critical":{{"type":"cosign container image signature"}},"optional":{poison}}}"#),
        "rekor v1's answer" => format!(
            r#"{{"a":{{"body":"e30=","integratedTime":0,"logID":"","logIndex":0,"verification":{{"inclusionProof":{{"checkpoint":"","hashes":{poison},"logIndex":0,"rootHash":"","treeSize":0}}}}}},"b":{poison}}}"#
        ),
        "rekor v2's answer" => format!(
            r#"{{"logId":{{"keyId":""}},"kindVersion":{{"kind":"","version":""}},"inclusionProof":{{"rootHash":"","hashes":{poison}}},"canonicalizedBody":"","x":{poison}}}"#
        ),
        "leaf" => format!(
            r#"{{"apiVersion":"0.0.1","kind":"dsse","spec":{{"envelopeHash":{{"algorithm":"","value":""}},"payloadHash":{{"algorithm":"","value":""}},"signatures":{poison},"x":{poison}}}}}"#
        ),
        "rekor's promise" => format!(r#"{{"SignedEntryTimestamp":"","Payload":{poison}}}"#),
        "timestamp annotation" => format!(r#"{{"SignedRFC3161Timestamp":{poison}}}"#),
        "signing config" => format!(
            r#"{{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogUrls":{poison},"x":{poison}}}"#
        ),
        "trusted root" => format!(
            r#"{{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[{poison}],"ctlogs":{poison},"x":{poison}}}"#
        ),
        "tree" => poison.to_owned(),
        other => panic!("no document {other:?}"),
    }
}

fn legacy_config(poison: &str) -> Vec<u8> {
    format!(r#"{{"rootfs":{{"type":"layers","diff_ids":[]}},"history":{poison}}}"#).into_bytes()
}

fn read(name: &str, text: &str, config: &[u8]) {
    let bytes = text.as_bytes();
    let referrer = Descriptor::of("application/x", b"a referrer");
    let signature = LegacySignature::new(b"a payload".to_vec(), b"a signature");
    match name {
        "manifest" | "layers" | "annotations" | "annotations of a layer" | "children" => {
            drop(std::hint::black_box(Manifest::parse(bytes, None)));
        }
        "referrers" => drop(std::hint::black_box(parse_referrers(bytes))),
        "fallback index" => drop(std::hint::black_box(referrers_index_with(Some(bytes), &referrer))),
        "legacy image" => {
            let image = legacy_image(Some(bytes), Some(config), &signature).expect("an image that is added to");
            assert!(image.changed);
        }
        "bundle" | "bundle's timestamps" => drop(std::hint::black_box(Bundle::parse(bytes))),
        "envelope" => drop(std::hint::black_box(Envelope::parse(bytes))),
        "statement" => drop(std::hint::black_box(statement::parse(bytes))),
        "payload" => drop(std::hint::black_box(simple_signing::parse(bytes))),
        "rekor v1's answer" => drop(std::hint::black_box(LogEntry::from_rekor_v1(bytes))),
        "rekor v2's answer" => drop(std::hint::black_box(LogEntry::from_rekor_v2(bytes))),
        "leaf" => drop(std::hint::black_box(EntryBody::parse(bytes))),
        "rekor's promise" => drop(std::hint::black_box(RekorBundle::parse(text))),
        "timestamp annotation" => {
            let mut annotated = signature;
            annotated.annotations.insert(bundle::legacy::TIMESTAMP_ANNOTATION.to_owned(), text.to_owned());
            drop(std::hint::black_box(annotated.timestamp()));
        }
        "signing config" => drop(std::hint::black_box(SigningConfig::parse(bytes))),
        "trusted root" => drop(std::hint::black_box(TrustRoot::parse(bytes))),
        "tree" => drop(std::hint::black_box(serde_json::from_slice::<serde_json::Value>(bytes))),
        other => panic!("no document {other:?}"),
    }
}

/// A figure of this process in bytes.
fn status(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with(field)).expect("the figure");
    line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("a number") * 1024
}

/// The half that runs in a process of its own reads one document and says how far its peak was above what it had; the other
/// half starts it.
#[test]
fn a_document_is_read_in_a_process_of_its_own() {
    let (Ok(name), Ok(poison)) = (std::env::var("SEALWATCH_TEST_DOCUMENT"), std::env::var("SEALWATCH_TEST_SHAPE"))
    else {
        return measure("manifest", "tiny objects");
    };
    let poison = match poison.strip_prefix("items ") {
        Some(item) => list_of(item),
        None => shape(&poison),
    };
    let text = document(&name, &poison);
    let config = legacy_config(&poison);
    drop(poison);
    // The peak so far is forgotten.
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
    let before = status("VmRSS:");
    read(&name, &text, &config);
    let took = status("VmHWM:").saturating_sub(before);
    writeln!(std::io::stdout(), "took {took} of {}", text.len()).expect("an output");
}

/// What reading a document took, and its size.
fn measured(name: &str, poison: &str) -> (usize, usize) {
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["memory::a_document_is_read_in_a_process_of_its_own", "--exact", "--nocapture"])
        .env("SEALWATCH_TEST_DOCUMENT", name)
        .env("SEALWATCH_TEST_SHAPE", poison)
        .output()
        .expect("a process");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.split_once("took ")).and_then(|(_, line)| line.split_once(" of "));
    let (took, size) = line.unwrap_or_else(|| panic!("{name}, {poison}: {text}"));
    (took.parse().expect("a number"), size.parse().expect("a number"))
}

fn measure(name: &str, poison: &str) {
    let (took, size) = measured(name, poison);
    assert!(size > SIZE, "{name}, {poison}: only {size} bytes");
    assert!(took < size * TIMES + SLACK, "{name}, {poison}: {took} bytes of memory for {size}");
}

#[test]
fn the_measure_sees_what_a_tree_takes() {
    for shape in ["tiny objects", "many keys"] {
        let (took, size) = measured("tree", shape);
        assert!(took > size * TIMES, "{shape}: {took} bytes of memory for {size}");
    }
}

#[test]
fn a_manifest_takes_a_small_multiple_of_its_size_whatever_is_in_a_field_that_nobody_reads() {
    for shape in SHAPES {
        measure("manifest", shape);
    }
}

#[test]
fn a_manifest_takes_a_small_multiple_of_its_size_whatever_is_in_a_field_that_is_read() {
    let layer = descriptor("");
    let annotated = descriptor(r#","annotations":{"a":""},"platform":{"os":"","architecture":""}"#);
    for (document, poison) in [
        ("layers", "tiny objects".to_owned()),
        ("layers", format!("items {layer}")),
        ("layers", format!("items {annotated}")),
        ("children", format!("items {annotated}")),
        ("annotations", "many strings".to_owned()),
        ("annotations", "a long string of escapes".to_owned()),
        ("annotations of a layer", "many strings".to_owned()),
        ("referrers", "tiny objects".to_owned()),
        ("referrers", "numbers".to_owned()),
        ("referrers", format!("items {layer}")),
        ("referrers", format!("items {annotated}")),
        ("fallback index", "numbers".to_owned()),
        ("fallback index", format!("items {annotated}")),
        ("legacy image", "tiny objects".to_owned()),
        ("legacy image", "numbers".to_owned()),
    ] {
        measure(document, &poison);
    }
}

#[test]
fn every_other_document_takes_a_small_multiple_of_its_size() {
    let entry = r#"{"logId":{"keyId":""},"kindVersion":{"kind":"","version":""},"canonicalizedBody":""}"#;
    for (document, item) in [
        ("bundle", entry),
        ("bundle's timestamps", r#"{"signedTimestamp":""}"#),
        ("envelope", r#"{"sig":""}"#),
        ("statement", r#"{"digest":{"x":0}}"#),
        ("payload", "{\"\":0}"),
        ("rekor v1's answer", "\"\""),
        ("rekor v2's answer", "\"\""),
        ("leaf", r#"{"signature":"","verifier":""}"#),
        ("rekor's promise", "{\"\":0}"),
        ("timestamp annotation", "{\"\":0}"),
        ("signing config", r#"{"url":""}"#),
        ("trusted root", "{}"),
    ] {
        measure(document, "tiny objects");
        measure(document, "many keys");
        measure(document, &format!("items {item}"));
    }
}
