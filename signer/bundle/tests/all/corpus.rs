//! The fuzz targets over their committed corpus, in every test run.

use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, dead_code, reason = "public in the fuzz crate")]
pub(crate) mod targets;

fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 4, "the corpus of {name} is nearly empty");
    for file in files {
        target(&std::fs::read(file).unwrap());
    }
}

#[test]
fn the_manifest_corpus_replays() {
    replay("manifest", targets::manifest);
}

#[test]
fn the_simple_signing_corpus_replays() {
    replay("simple_signing", targets::simple_signing);
}

#[test]
fn the_statement_corpus_replays() {
    replay("statement", targets::statement);
}

#[test]
fn the_reference_corpus_replays() {
    replay("reference", targets::reference);
}

#[test]
fn the_dsse_corpus_replays() {
    replay("dsse", targets::dsse);
}

#[test]
fn the_bundle_corpus_replays() {
    replay("bundle", targets::bundle);
}

#[test]
fn the_log_entry_corpus_replays() {
    replay("log_entry", targets::log_entry);
}

#[test]
fn the_entry_corpus_replays() {
    replay("entry", targets::entry);
}

#[test]
fn the_trust_root_corpus_replays() {
    replay("trust_root", targets::trust_root);
}

#[test]
fn the_signing_config_corpus_replays() {
    replay("signing_config", targets::signing_config);
}

#[test]
fn the_timestamp_corpus_replays() {
    replay("timestamp", targets::timestamp);
}

#[test]
fn the_claims_corpus_replays() {
    replay("claims", targets::claims);
}

#[test]
fn the_certificate_corpus_replays() {
    replay("certificate", targets::certificate);
}
