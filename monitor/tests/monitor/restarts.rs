//! Killed at any moment: no leaf skipped, no finding twice, none lost.

use std::sync::Arc;
use std::time::Duration;

use monitor::{From, Monitor};
use sandbox::SandboxLog;
use store::{FindingFilter, FindingKind};
use tokio::sync::watch;

use crate::rig::{Rig, config, foreign, log_with, rogue, spec};

/// Runs a monitor in a process-like runtime of its own, and kills it after a while.
fn killed_after(folder: &std::path::Path, log: &SandboxLog, time: Duration) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let url = format!("sqlite:{}", folder.join("monitor.db").display());
    let config = config(&folder.join("trusted"), vec![spec(log)]);
    let work = async move {
        let store = store::open(&url).await.expect("the store");
        let (_stop, stopped) = watch::channel(false);
        let monitor = Monitor::new(config, Arc::clone(&store), &prometheus::Registry::new()).expect("a monitor");
        let _killed = tokio::time::timeout(time, monitor.run(stopped)).await;
    };
    runtime.block_on(work);
    // Nothing is awaited: whatever is in flight ends where it is.
    runtime.shutdown_timeout(Duration::from_secs(5));
}

#[test]
fn killed_again_and_again_it_skips_no_leaf_and_finds_each_rogue_signature_once() {
    let outside =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let log = outside.block_on(log_with(0));
    let mut planted = 0;
    for part in 0..20u64 {
        log.extend(foreign(part * 700..(part + 1) * 700));
        log.extend([rogue(part)]);
        planted += 1;
    }
    outside.block_on(async {
        let url = format!("sqlite:{}", folder.path().join("monitor.db").display());
        let store = store::open(&url).await.expect("the store");
        let config = config(&folder.path().join("trusted"), vec![spec(&log)]);
        let monitor = Monitor::new(config, store, &prometheus::Registry::new()).expect("a monitor");
        monitor.trust(log.origin(), From::Zero, "a test", "tests").await.expect("trusted");
    });
    for kill in 0..25u64 {
        killed_after(folder.path(), &log, Duration::from_millis(20 + (kill * 53) % 280));
        log.extend(foreign(100_000 + kill * 10..100_010 + kill * 10));
    }
    outside.block_on(async {
        let url = format!("sqlite:{}", folder.path().join("monitor.db").display());
        let store = store::open(&url).await.expect("the store");
        let rig = Rig { store, config: config(&folder.path().join("trusted"), vec![spec(&log)]), folder };
        let running = rig.start();
        rig.verified(log.origin(), log.size()).await;
        crate::rig::eventually("every rogue signature", async || {
            rig.of_kind(FindingKind::KeyUsedOutside).await.len() == planted
        })
        .await;
        running.stop().await.expect("a clean end");
        let found =
            rig.store.findings(&FindingFilter { limit: 1_000, ..FindingFilter::default() }).await.expect("them");
        assert_eq!(found.len(), planted);
        assert!(found.iter().all(|row| row.occurrences == 1 && row.alerts == 1), "{found:?}");
        let stored = rig.log(log.origin()).await;
        assert_eq!(Some(tlog::Hash::new(stored.verified_root)), log.root(log.size()));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_monitors_one_follows_and_the_other_takes_over() {
    let log = log_with(300).await;
    let rig = Rig::following(&log).await;
    let first = rig.start();
    rig.verified(log.origin(), 300).await;
    let holder = rig.log(log.origin()).await.holder;
    let second = Monitor::new(
        monitor::MonitorConfig { holder: "the other".into(), ..rig.config.clone() },
        Arc::clone(&rig.store),
        &prometheus::Registry::new(),
    )
    .expect("a monitor");
    let (stop, stopped) = watch::channel(false);
    let second = tokio::spawn(second.run(stopped));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(rig.log(log.origin()).await.holder, holder);
    first.stop().await.expect("a clean end");
    log.extend(foreign(300..600));
    rig.verified(log.origin(), 600).await;
    assert_eq!(rig.log(log.origin()).await.holder.as_deref(), Some("the other"));
    stop.send_replace(true);
    second.await.expect("no panic").expect("a clean end");
    rig.only(&[]).await;
}

#[test]
fn a_monitor_that_dies_is_taken_over_within_fifteen_seconds() {
    let outside =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (log, rig) = outside.block_on(async {
        let log = log_with(300).await;
        let rig = Rig::following(&log).await;
        (log, rig)
    });
    let (_stop, stopped) = watch::channel(false);
    doomed.spawn(rig.monitor().run(stopped));
    outside.block_on(rig.verified(log.origin(), 300));
    // No lease is given back.
    doomed.shutdown_background();
    outside.block_on(async {
        let died = std::time::Instant::now();
        log.extend(foreign(300..600));
        let running = rig.start();
        rig.verified(log.origin(), 600).await;
        assert!(died.elapsed() > Duration::from_secs(4), "the lease was still held: {:?}", died.elapsed());
        assert!(died.elapsed() < Duration::from_secs(15), "{:?}", died.elapsed());
        running.stop().await.expect("a clean end");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_stops_the_work_at_once() {
    let log = log_with(300).await;
    let rig = Rig::following(&log).await;
    let running = rig.start();
    rig.verified(log.origin(), 300).await;
    // Trusted anew by somebody: whoever follows the log loses its lease, and starts from there.
    rig.trust(log.origin(), From::Now).await;
    log.extend(foreign(300..800));
    rig.verified(log.origin(), 800).await;
    assert_eq!(rig.log(log.origin()).await.first_size, 300);
    running.stop().await.expect("a clean end");
    rig.only(&[]).await;
}
