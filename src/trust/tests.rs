//! What trust material and signing configs give, and what is said of their parts that count for nothing.

use std::path::Path;

use bundle::trust_root::{TrustRoot, ValidFor};
use serde_json::json;
use tempfile::TempDir;
use tlog::LogKey;

use super::{Sigstore, only_public_key, sigstore};
use crate::config::Config;

const V1: &str = "https://rekor1.example.com";
const V2: &str = "https://rekor2.example.com";

fn public_pem() -> String {
    signer::key::file::generate(&"x".into()).expect("a key").public_pem
}

fn trust_root() -> TrustRoot {
    let mut trust = TrustRoot::empty();
    for url in [V1, V2] {
        let der = only_public_key(public_pem().as_bytes()).expect("one key").expect("a key");
        let key = LogKey::from_spki(&der, None).expect("the key of a log");
        trust.add_log(url, key, ValidFor { start: Some(0), end: None }).expect("a log");
    }
    trust
}

/// The services of a signing config that lists these logs, or else the first problem; and the warnings.
fn built(folder: &TempDir, logs: &[(&str, u32)], trust: &[u8]) -> (Result<Sigstore, String>, Vec<String>) {
    let logs: Vec<_> = logs
        .iter()
        .map(|(url, version)| {
            json!({"url": url, "majorApiVersion": version, "validFor": {"start": "2020-01-01T00:00:00Z"}, "operator": url})
        })
        .collect();
    // As `cosign signing-config create` writes it.
    let signing = json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "rekorTlogUrls": logs, "rekorTlogConfig": {"selector": "ANY"}, "tsaConfig": {},
    });
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path.display().to_string()
    };
    let (root, signing) = (file("root.json", trust), file("signing.json", signing.to_string().as_bytes()));
    let text = format!("[sigstore.own]\ntrusted_root = {root:?}\nsigning_config = {signing:?}\n");
    let config = Config::parse(Path::new("t.toml"), text).expect("a configuration");
    let mut problems = config.problems();
    let built = sigstore(&config, "own", &config.file.sigstore["own"], 1_800_000_000_000, &mut problems);
    let result = built.filter(|_| problems.is_empty()).ok_or_else(|| problems.to_string());
    (result, config.warnings.lines(&config.path))
}

#[test]
fn without_a_timestamp_authority_a_rekor_v1_is_chosen_and_a_v2_alone_is_refused_with_the_fix() {
    let folder = tempfile::tempdir().expect("a folder");
    let trust = trust_root().to_json();
    for logs in [&[(V1, 1)][..], &[(V2, 2), (V1, 1)], &[(V1, 1), (V2, 2)]] {
        let (sigstore, warnings) = built(&folder, logs, &trust);
        let sigstore = sigstore.unwrap_or_else(|problem| panic!("{logs:?}: {problem}"));
        let log = sigstore.log.expect("a log");
        assert_eq!((log.version, log.origin.as_str()), (1, "rekor1.example.com"), "{logs:?}");
        assert!(sigstore.timestamp_authorities.is_empty() && warnings.is_empty(), "{warnings:?}");
    }
    let problem = built(&folder, &[(V2, 2)], &trust).0.err().expect("a problem");
    assert!(problem.contains("gives no time") && problem.contains("cosign signing-config create --tsa="), "{problem}");
    let problem = built(&folder, &[], &trust).0.err().expect("a problem");
    assert!(problem.contains("names no log"), "{problem}");
}

#[test]
fn a_part_of_a_trusted_root_that_does_not_count_is_warned_of_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut root: serde_json::Value = serde_json::from_slice(&trust_root().to_json()).expect("JSON");
    root["certificateAuthorities"] = serde_json::Value::Null;
    root["timestampAuthorities"] =
        json!([{"uri": "https://tsa.example.com", "certChain": {"certificates": [{"rawBytes": "AAAA"}]}}]);
    let (sigstore, warnings) = built(&folder, &[(V1, 1)], root.to_string().as_bytes());
    assert_eq!(sigstore.map(|sigstore| sigstore.trust.logs.len()), Ok(2));
    assert!(
        matches!(warnings.as_slice(), [one] if one.starts_with("t.toml:2: [sigstore.own] trusted_root ")
            && one.contains("timestamp authority \"https://tsa.example.com\" does not count: needs its certificate chain")),
        "{warnings:?}"
    );
}

#[test]
fn a_log_has_one_key() {
    let (one, two) = (public_pem(), public_pem());
    let der = bundle::pem::blocks(&one).next().and_then(|block| block.decode());
    assert_eq!(only_public_key(one.as_bytes()), Ok(der.clone()));
    let certificate = bundle::pem::encode("CERTIFICATE", b"x");
    assert_eq!(only_public_key(format!("a key\r\n{certificate}{one}{one}").as_bytes()), Ok(der));
    let error = only_public_key(format!("{one}{two}").as_bytes()).expect_err("two keys");
    for pem in [one, two] {
        let fingerprint = bundle::PublicKey::from_pem(&pem).expect("a key").fingerprint();
        assert!(error.contains(&fingerprint), "{error}");
    }
    assert_eq!(only_public_key(b"no key"), Ok(None));
    assert_eq!(only_public_key(b"-----BEGIN PUBLIC KEY-----\n?\n-----END PUBLIC KEY-----\n"), Ok(None));
}
