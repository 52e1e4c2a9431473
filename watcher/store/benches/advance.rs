//! What a step along a log costs on SQLite, flush included, and with it how long intake waits behind one.

use store::{Advance, FindingKind, NewFinding, NewTrust, Severity, Sink, Store, VerifiedPosition};

fn main() {
    divan::main();
}

/// A position that moves, with as many new findings.
#[divan::bench(args = [0, 10, 100, 1_000], sample_count = 20, sample_size = 1)]
fn step_with_findings(bencher: divan::Bencher<'_, '_>, findings: u64) {
    run(bencher, |step, index| finding(&format!("cause {step} {index}"), ""), findings);
}

/// A position that moves, with as many occurrences of one finding: a log full of junk.
#[divan::bench(args = [100, 10_000], sample_count = 20, sample_size = 1)]
fn step_with_occurrences(bencher: divan::Bencher<'_, '_>, findings: u64) {
    run(bencher, |step, index| finding("junk", &format!("log/{step}/{index}")), findings);
}

fn run(bencher: divan::Bencher<'_, '_>, make: impl Fn(u64, u64) -> NewFinding, findings: u64) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", directory.path().join("bench.db").display());
    let store = runtime.block_on(store::open(&url)).expect("a store");
    let lease = runtime.block_on(trusted(&*store));
    let mut size = 0;
    bencher.bench_local(|| {
        size += 1;
        let step = Advance {
            verified: Some(VerifiedPosition { size, root: [1; 32], range: vec![0; 512] }),
            findings: (0..findings).map(|index| make(size, index)).collect(),
            sinks: vec![Sink { name: "pager".to_owned(), min_severity: Severity::Info }],
            ..Advance::default()
        };
        assert!(runtime.block_on(store.advance(&lease, &step)).expect("a step"));
    });
}

async fn trusted(store: &dyn Store) -> store::LogLease {
    let trust = NewTrust {
        origin: "log.example.com".to_owned(),
        kind: "rekor_v2".to_owned(),
        key_id: [1; 32],
        public_key: vec![2; 44],
        coverage: "exhaustive".to_owned(),
        size: 0,
        root: [0; 32],
        range: Vec::new(),
        note: Vec::new(),
        keep_head: false,
        because: "a bench".to_owned(),
        by: "bench".to_owned(),
        at: 0,
    };
    store.trust_log(&trust).await.expect("trusted");
    store.lease_log("log.example.com", "bench", 3_600_000).await.expect("asked").expect("leased")
}

fn finding(fingerprint: &str, occurrence: &str) -> NewFinding {
    NewFinding {
        kind: FindingKind::UnparsableEntry,
        severity: Severity::Warning,
        fingerprint: fingerprint.to_owned(),
        log_origin: Some("log.example.com".to_owned()),
        title: "a leaf that cannot be read".to_owned(),
        detail: "look at it".to_owned(),
        occurrence: occurrence.to_owned(),
        evidence: Some(vec![7; 4_096]),
        at: 1,
    }
}
