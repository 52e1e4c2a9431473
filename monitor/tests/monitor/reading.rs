//! Logs that are honest: every leaf verified, ours found, each once.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use monitor::watchlist::{IdentityRule, Pattern, WatchKind, WatchMode, WatchRule};
use monitor::{Coverage, From, LogSpec};
use sandbox::Fault;
use store::FindingKind;
use tlog::Hash;

use crate::rig::{Rig, foreign, log_with, rogue, spec};

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_verified_to_its_head_and_rogue_signatures_are_found_once_each() {
    let log = log_with(1_500).await;
    let planted: Vec<u64> = log.extend((0..5).map(rogue)).collect();
    log.extend(foreign(1_500..3_000));
    let rig = Rig::following(&log).await;
    let running = rig.start();
    rig.verified(log.origin(), log.size()).await;
    // While it is written to.
    for number in 0..20 {
        log.extend(foreign(3_000 + number * 37..3_037 + number * 37));
        if number % 5 == 0 {
            log.extend([rogue(100 + number)]);
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    rig.verified(log.origin(), log.size()).await;
    let stored = rig.log(log.origin()).await;
    assert_eq!(stored.verified_size, log.size());
    assert_eq!(Some(Hash::new(stored.verified_root)), log.root(log.size()));
    crate::rig::eventually("nine findings", async || {
        rig.of_kind(FindingKind::KeyUsedOutside).await.len() == planted.len() + 4
    })
    .await;
    running.stop().await.expect("a clean end");
    let found = rig.of_kind(FindingKind::KeyUsedOutside).await;
    let fingerprints: BTreeSet<&str> = found.iter().map(|row| row.fingerprint.as_str()).collect();
    assert_eq!(fingerprints.len(), 9);
    assert!(found.iter().all(|row| row.occurrences == 1));
    assert!(rig.evidence_holds(&found[0]).await, "a leaf under a signed root convinces anybody");
    rig.only(&[FindingKind::KeyUsedOutside]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_entries_are_findings_with_their_bytes_and_stop_nothing() {
    let log = log_with(300).await;
    for junk in [b"{".as_slice(), b"", b"\xff\xfe", b"[1,2,3]"] {
        log.append(junk.to_vec()).await;
    }
    log.extend(foreign(300..700));
    let rig = Rig::following(&log).await;
    let running = rig.start();
    rig.verified(log.origin(), log.size()).await;
    running.stop().await.expect("a clean end");
    let found = rig.of_kind(FindingKind::UnparsableEntry).await;
    assert_eq!((found.len(), found[0].occurrences), (1, 4), "one cause, four leaves");
    assert!(rig.evidence_holds(&found[0]).await);
    rig.only(&[FindingKind::UnparsableEntry]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_trusted_from_now_on_is_covered_from_there() {
    let log = log_with(777).await;
    log.extend([rogue(1)]);
    let rig = Rig::new(vec![spec(&log)]).await;
    let trusted = rig.trust(log.origin(), From::Now).await;
    assert_eq!((trusted.len(), trusted[0].first_size), (1, 778));
    log.extend(foreign(0..500));
    log.extend([rogue(2)]);
    let running = rig.start();
    rig.verified(log.origin(), log.size()).await;
    rig.finds(FindingKind::KeyUsedOutside).await;
    running.stop().await.expect("a clean end");
    assert_eq!(rig.of_kind(FindingKind::KeyUsedOutside).await.len(), 1, "what is before is not covered");
}

#[tokio::test(flavor = "multi_thread")]
async fn own_entries_coverage_checks_heads_and_reads_nobody_elses_leaves() {
    let log = log_with(600).await;
    log.extend([rogue(1)]);
    let rig = Rig::new(vec![LogSpec { coverage: Coverage::OwnEntries, ..spec(&log) }]).await;
    rig.trust(log.origin(), From::Zero).await;
    let report = rig.monitor().once(None).await.expect("a pass");
    log.extend(foreign(600..900));
    let again = rig.monitor().once(None).await.expect("a pass");
    assert!(report.is_complete() && again.is_complete(), "{again:?}");
    let covered = &again.logs[0];
    assert_eq!((covered.coverage, covered.covered_from, covered.covered_to), ("own_entries", 0, 0));
    assert_eq!((covered.head_size, covered.verified_size), (Some(901), 0));
    assert!(!again.has_findings());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pass_reports_exactly_what_was_hashed() {
    let log = log_with(2_345).await;
    let rig = Rig::following(&log).await;
    let report = rig.monitor().once(None).await.expect("a pass");
    assert!(report.is_complete() && !report.has_findings(), "{report:?}");
    let covered = &report.logs[0];
    assert_eq!((covered.covered_from, covered.covered_to, covered.head_size), (0, 2_345, Some(2_345)));

    log.extend([rogue(7)]);
    let report = rig.monitor().once(None).await.expect("a pass");
    assert!(report.is_complete() && report.has_findings(), "{report:?}");

    log.shutdown();
    let report = rig.monitor().once(None).await.expect("a pass");
    assert!(!report.is_complete(), "{report:?}");
    assert!(report.logs[0].error.is_some());
    assert_eq!(report.logs[0].covered_to, 2_346);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_added_later_says_from_where_it_looks_until_the_log_is_read_again() {
    let log = log_with(300).await;
    let mut rig = Rig::following(&log).await;
    let first = rig.monitor().once(None).await.expect("a pass");
    assert!(first.logs[0].matchers.iter().all(|it| (it.covered_from, it.covered_to) == (0, 300)), "{first:?}");
    let rules = first.logs[0].matchers.len();
    let late = IdentityRule { subject: Some(Pattern::Exact("late@example.com".to_owned())), ..IdentityRule::default() };
    let kind = WatchKind::Identity(late);
    rig.config.watches.push(WatchRule { name: "late".to_owned(), kind, mode: WatchMode::Alert });
    log.extend(foreign(300..400));
    let later = rig.monitor().once(None).await.expect("a pass");
    let intervals = |report: &monitor::OnceReport| {
        let matchers = &report.logs[0].matchers;
        matchers.iter().map(|it| (it.covered_from, it.covered_to)).collect::<Vec<_>>()
    };
    assert_eq!(intervals(&later)[..rules], vec![(0, 400); rules]);
    assert_eq!(intervals(&later)[rules..], [(300, 400)], "it never saw the older leaves");

    // Read again: every leaf, and under the head that was known before.
    let head = rig.log(log.origin()).await.head;
    let again = rig.trust(log.origin(), From::Again).await;
    assert_eq!((again[0].first_size, again[0].verified_size, &again[0].head), (0, 0, &head));
    let reread = rig.monitor().once(None).await.expect("a pass");
    assert_eq!(intervals(&reread), vec![(0, 400); rules + 1]);
    rig.only(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bundle_is_asked_for_once_however_often_the_head_is_looked_at_meanwhile() {
    let log = log_with(20_000).await;
    log.faults().plan(Method::GET, "tile/entries/", Fault::Delay(Duration::from_millis(2)), u32::MAX);
    let mut rig = Rig::following(&log).await;
    // A round is one segment of four bundles.
    rig.config.timing.interval = Duration::from_millis(1);
    let running = rig.start();
    rig.verified(log.origin(), log.size()).await;
    assert_eq!(u32::MAX - log.faults().remaining(), 20_000_u32.div_ceil(256));
    running.stop().await.expect("a clean end");
    rig.only(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_that_are_larger_than_all_before_are_asked_for_again_when_there_is_memory_for_them() {
    let log = log_with(10_000).await;
    // 4 MiB in a bundle, of a kind that nobody knows.
    let padding = "A".repeat(16_000);
    let large = |n| format!(r#"{{"apiVersion":"0.0.1","kind":"padding","spec":{{"n":{n},"of":"{padding}"}}}}"#);
    log.extend((0..2_000).map(|n| large(n).into_bytes()));
    log.extend(foreign(10_000..12_000));
    let (bundles, faults) = (14_000_u32.div_ceil(256), log.faults());
    faults.plan(Method::GET, "tile/entries/", Fault::Delay(Duration::from_millis(1)), u32::MAX);
    let mut rig = Rig::following(&log).await;
    rig.config.limits.asked_bytes = 6 << 20;
    let running = rig.start();
    rig.verified(log.origin(), log.size()).await;
    let asked = u32::MAX - faults.remaining();
    assert!((bundles + 1..bundles * 3).contains(&asked), "{asked} questions for {bundles} bundles");
    running.stop().await.expect("a clean end");
    rig.only(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_logs_trouble_never_delays_another() {
    let (good, bad) = (log_with(600).await, {
        let options = sandbox::LogOptions { origin: "bad.sandbox.local".into(), ..sandbox::LogOptions::default() };
        let log = sandbox::SandboxLog::start(options).await.expect("a log");
        log.extend(foreign(0..600));
        log
    });
    bad.lose_file("tile/entries/001");
    let rig = Rig::new(vec![spec(&good), spec(&bad)]).await;
    for log in [&good, &bad] {
        rig.trust(log.origin(), From::Zero).await;
    }
    let running = rig.start();
    rig.verified(good.origin(), 600).await;
    let missing = rig.finds(FindingKind::MissingLeaf).await;
    assert_eq!(missing.log_origin.as_deref(), Some(bad.origin()));
    good.extend(foreign(600..1_300));
    rig.verified(good.origin(), 1_300).await;
    assert!(rig.log(bad.origin()).await.verified_size < 600);
    // And it goes on where it stopped.
    bad.be_honest();
    rig.verified(bad.origin(), 600).await;
    running.stop().await.expect("a clean end");
    rig.only(&[FindingKind::MissingLeaf]).await;
}
