//! What has gone on for too long, and what has not.

use std::time::Duration;

use sandbox::{LogOptions, SandboxLog};
use tlog::Checkpoint;

use super::*;
use crate::config::{Coverage, LogKind, LogSpec};
use crate::watchlist::{WatchKind, WatchMode};

const NOW: i64 = 10_000_000;
const MINUTE: i64 = 60_000;

fn timing() -> Timing {
    Timing {
        interval: Duration::from_secs(10),
        blind_after: Duration::from_secs(900),
        lag_after: Duration::from_secs(900),
        reproof_every: Duration::from_secs(3_600),
        ..Timing::default()
    }
}

async fn log() -> (LogSpec, Checkpoint) {
    let log = SandboxLog::start(LogOptions::default()).await.expect("a log");
    log.extend([b"a".to_vec(), b"b".to_vec()]);
    let head = Checkpoint::open(&log.checkpoint(), log.key()).expect("a head");
    let read_url = log.read_url().parse().expect("a url");
    let spec = LogSpec::new(log.origin(), LogKind::RekorV2, read_url, log.key().clone());
    (spec, head)
}

/// Read to its head a moment ago.
fn healthy(spec: &LogSpec, head: &Checkpoint) -> LogStatus {
    LogStatus {
        held: true,
        opened_at: Some(NOW - 1_000),
        looked_at: Some(NOW - 1_000),
        head: Some(head.clone()),
        head_seen_at: NOW - MINUTE,
        verified_size: 2,
        verified_at: Some(NOW - 1_000),
        ..LogStatus::new(spec, Duration::from_secs(3_600), NOW - 60 * MINUTE)
    }
}

#[tokio::test]
async fn each_condition_begins_when_it_has_lasted_and_not_before() {
    let (spec, head) = log().await;
    let well = healthy(&spec, &head);
    let failing =
        |minutes: i64| LogStatus { failing: Some((NOW - minutes * MINUTE, "no route".into())), ..well.clone() };
    let behind =
        |minutes: i64| LogStatus { behind_since: Some(NOW - minutes * MINUTE), verified_size: 1, ..well.clone() };
    let old = |minutes: i64| LogStatus { head_seen_at: NOW - minutes * MINUTE, ..well.clone() };
    for (what, status, expected) in [
        ("well", well.clone(), vec![]),
        ("failing for a moment", failing(14), vec![]),
        ("failing", failing(15), vec!["blind"]),
        ("behind for a moment", behind(14), vec![]),
        ("behind", behind(15), vec!["scan_lag"]),
        ("behind in words only", LogStatus { verified_size: 2, ..behind(15) }, vec![]),
        ("nobody else's leaves", LogStatus { coverage: Coverage::OwnEntries, ..behind(15) }, vec![]),
        ("an old head", old(59), vec![]),
        ("too old a head", old(60), vec!["stale_log"]),
        ("an old head, cosigned lately", LogStatus { signed_at: Some(NOW - MINUTE), ..old(60) }, vec![]),
        (
            "a new head that was signed long ago",
            LogStatus { signed_at: Some(NOW - 60 * MINUTE), ..well.clone() },
            vec!["stale_log"],
        ),
        ("a new head that was signed lately", LogStatus { signed_at: Some(NOW - 59 * MINUTE), ..well.clone() }, vec![]),
        // A time from the future makes nothing fresh for ever.
        ("an old head, signed tomorrow", LogStatus { signed_at: Some(NOW + 1_440 * MINUTE), ..old(60) }, vec![]),
        ("closed", LogStatus { frozen: true, ..old(60) }, vec![]),
        ("closed by announcement", LogStatus { closed: true, ..old(60) }, vec![]),
        ("old, and nobody can tell", LogStatus { failing: failing(1).failing, ..old(60) }, vec![]),
        (
            "skewed",
            LogStatus { skewed: vec![("witness w".into(), NOW + 9 * MINUTE)], ..well.clone() },
            vec!["clock_skew"],
        ),
    ] {
        let found = conditions(&status, &timing(), NOW);
        let kinds: Vec<&str> = found.iter().map(|it| it.finding(&status.log, NOW).kind.as_str()).collect();
        assert_eq!(kinds, expected, "{what}");
    }
}

#[tokio::test]
async fn silence_is_good_news_only_within_the_bounds() {
    let (spec, head) = log().await;
    let well = healthy(&spec, &head);
    let long_ago = Some(NOW - 16 * MINUTE);
    for (what, status, expected) in [
        ("well", well.clone(), true),
        ("never verified", LogStatus { verified_at: None, ..well.clone() }, false),
        ("verified long ago", LogStatus { verified_at: long_ago, ..well.clone() }, false),
        (
            "closed, and verified when it was due",
            LogStatus { verified_at: long_ago, frozen: true, ..well.clone() },
            true,
        ),
        ("heads only", LogStatus { verified_at: None, coverage: Coverage::OwnEntries, ..well.clone() }, true),
        (
            "heads only, none of them consistent lately",
            LogStatus { looked_at: long_ago, coverage: Coverage::OwnEntries, ..well.clone() },
            false,
        ),
        ("skewed", LogStatus { skewed: vec![("log".into(), 0)], ..well.clone() }, false),
    ] {
        assert_eq!(is_fine(&status, &timing(), NOW), expected, "{what}");
    }
}

#[tokio::test]
async fn what_begins_is_raised_once_and_what_is_over_is_cleared_also_by_the_next_process() {
    let (spec, head) = log().await;
    let store = store::open("sqlite::memory:").await.expect("a store");
    let well = healthy(&spec, &head);
    let blind = LogStatus { failing: Some((0, "no route".into())), ..well.clone() };
    let health = || Health::new(Arc::clone(&store), Vec::new(), timing(), Vec::new());
    let open = async || store.open_counts().await.expect("counts").iter().map(|it| it.2).sum::<u64>();

    let mut first = health();
    for _ in 0..3 {
        first.look(std::slice::from_ref(&blind), NOW).await.expect("looked");
    }
    assert_eq!(open().await, 1);
    // A log that another process follows is none of ours.
    let elsewhere = LogStatus { held: false, ..well.clone() };
    first.look(&[elsewhere], NOW).await.expect("looked");
    assert_eq!(open().await, 1);
    let mut second = health();
    second.look(&[well], NOW).await.expect("looked");
    assert_eq!(open().await, 0);
    second.look(std::slice::from_ref(&blind), NOW).await.expect("looked");
    assert_eq!(open().await, 1);
    second.forget(&spec.origin, NOW).await.expect("forgotten");
    assert_eq!(open().await, 0);
}

#[tokio::test]
async fn a_watch_that_never_matched_is_told_of_unless_that_is_as_it_should_be() {
    let store = store::open("sqlite::memory:").await.expect("a store");
    let rule = |name: &str, retired: bool| WatchRule {
        name: name.into(),
        kind: WatchKind::Key { spki: vec![1], retired, label: name.into() },
        mode: WatchMode::Alert,
    };
    let watches = vec![rule("ours", false), rule("old", true)];
    let names: Vec<String> = watches.iter().map(|rule| rule.name.clone()).collect();
    store.record_matchers(&names, 0).await.expect("recorded");
    let patience = i64::try_from(timing().never_matched_after.as_millis()).expect("fits");
    let mut health = Health::new(Arc::clone(&store), Vec::new(), timing(), watches);
    health.look_at_watches(patience - 1).await.expect("looked");
    assert_eq!(store.open_counts().await.expect("counts").len(), 0);
    health.look_at_watches(patience).await.expect("looked");
    let open = store.findings(&FindingFilter::default()).await.expect("findings");
    assert_eq!(open.len(), 1);
    assert!(open[0].title.contains("ours"), "{}", open[0].title);
}

#[tokio::test]
async fn what_is_no_log_and_cannot_be_looked_at_is_told_of_and_ends() {
    let store = store::open("sqlite::memory:").await.expect("a store");
    let mut health = Health::new(Arc::clone(&store), Vec::new(), timing(), Vec::new());
    let since = |minutes: i64| Some((NOW - minutes * MINUTE, "no such table".to_owned()));
    let open = async || {
        let filter = FindingFilter { states: vec![FindingState::Open], limit: 10, ..FindingFilter::default() };
        let rows = store.findings(&filter).await.expect("findings");
        rows.into_iter().map(|row| row.fingerprint).collect::<Vec<_>>()
    };
    assert!(health.look_within(Within::Ledger, since(14), NOW).await.expect("looked"));
    assert!(open().await.is_empty());
    for what in [Within::Ledger, Within::TrustMaterial] {
        assert!(!health.look_within(what, since(15), NOW).await.expect("looked"));
    }
    let mut both = open().await;
    both.sort();
    assert_eq!(both, ["blind//ledger", "blind//trust material"]);
    assert!(health.look_within(Within::Ledger, since(0), NOW).await.expect("looked"));
    assert!(health.look_within(Within::TrustMaterial, None, NOW).await.expect("looked"));
    assert!(open().await.is_empty());
}

#[tokio::test]
async fn what_another_process_has_cleared_or_raised_is_known_when_the_log_comes_back_and_after_a_minute() {
    let (spec, head) = log().await;
    let store = store::open("sqlite::memory:").await.expect("a store");
    let well = healthy(&spec, &head);
    let blind = LogStatus { failing: Some((0, "no route".into())), ..well.clone() };
    let elsewhere = LogStatus { held: false, ..well.clone() };
    let health = || Health::new(Arc::clone(&store), Vec::new(), timing(), Vec::new());
    let open = async || store.open_counts().await.expect("counts").iter().map(|it| it.2).sum::<u64>();
    let (mut one, mut two) = (health(), health());
    two.look(std::slice::from_ref(&elsewhere), NOW).await.expect("looked");
    one.look(std::slice::from_ref(&blind), NOW).await.expect("looked");
    assert_eq!(open().await, 1);
    // The log goes to the second one, which reads it; and back to the first one, which is still blind.
    one.look(std::slice::from_ref(&elsewhere), NOW + 1).await.expect("looked");
    two.look(std::slice::from_ref(&well), NOW + 1).await.expect("looked");
    assert_eq!(open().await, 0, "what the first one raised is cleared by the second one");
    two.look(std::slice::from_ref(&elsewhere), NOW + 2).await.expect("looked");
    one.look(std::slice::from_ref(&blind), NOW + 2).await.expect("looked");
    assert_eq!(open().await, 1, "it is so again, and said again");
    // Somebody clears it although it is still so: a minute later it is told again.
    let print = fingerprint(FindingKind::Blind, Some(&spec.origin), "");
    assert!(store.clear_finding(&print, NOW + 3, &[]).await.expect("cleared"));
    one.look(std::slice::from_ref(&blind), NOW + 4).await.expect("looked");
    assert_eq!(open().await, 0);
    one.look(std::slice::from_ref(&blind), NOW + 2 + MINUTE).await.expect("looked");
    assert_eq!(open().await, 1);
}

/// A log that is followed by nobody, or that was leased until a time.
async fn followed(store: &Arc<dyn Store>, origin: &str, lease_ms: Option<i64>) -> Option<store::LogLease> {
    let trust = store::NewTrust {
        origin: origin.to_owned(),
        kind: "rekor_v2".to_owned(),
        key_id: [1; 32],
        public_key: vec![1],
        coverage: "exhaustive".to_owned(),
        size: 0,
        root: *tlog::CompactRange::new().root().as_bytes(),
        range: tlog::CompactRange::new().to_bytes(),
        note: Vec::new(),
        keep_head: false,
        because: "test".to_owned(),
        by: "test".to_owned(),
        at: 0,
    };
    store.trust_log(&trust).await.expect("trusted");
    store.lease_log(origin, "another", lease_ms?).await.expect("asked")
}

#[tokio::test]
async fn what_was_found_about_a_log_or_a_sink_that_left_with_a_restart_ends() {
    let (spec, _) = log().await;
    let store = store::open("sqlite::memory:").await.expect("a store");
    let about = |origin: &str| crate::finding::LogDescription::new(origin.to_owned(), spec.kind, &spec.key);
    let mut leases = Vec::new();
    for (origin, lease_ms) in [("named", None), ("left", None), ("led", Some(60_000)), ("died", Some(50_000))] {
        leases.push(followed(&store, origin, lease_ms).await);
        let found = [finding::blind(&about(origin), 0, "no route", 1), finding::stale_log(&about(origin), b"", 0, 1)];
        store.raise(&found, &[]).await.expect("raised");
    }
    let others = [
        finding::blind(&about("never followed"), 0, "no route", 1),
        finding::scan_lag(&about("server - 7"), b"", 1, 2, 0, 1),
        finding::clock_skew(&about("left"), b"", "witness w", 0, 1),
        finding::blind_sink("pager", 0, "no route", 1),
        finding::blind_sink("sold", 0, "no route", 1),
        finding::blind_within(Within::Ledger, 0, "no table", 1),
        finding::blind_entries("log.example.com", "Nobody proves them.", 0, 1),
        // These do not end by themselves, whoever left.
        finding::state_lost(Some(&about("left")), "", "It is gone.", 1),
    ];
    store.raise(&others, &[]).await.expect("raised");
    let open = async || {
        let filter = FindingFilter { states: vec![FindingState::Open], limit: 100, ..FindingFilter::default() };
        let rows = store.findings(&filter).await.expect("findings");
        let mut open: Vec<_> = rows.into_iter().map(|row| row.fingerprint).collect();
        open.sort();
        open
    };
    let sinks = vec![Sink { name: "pager".into(), min_severity: store::Severity::Info }];
    let mut health = Health::new(Arc::clone(&store), sinks, timing(), Vec::new());
    let named = |origin: &str| ["named", "server - 7"].contains(&origin);
    let now = crate::follow::now_ms();
    health.forget_left(named, now).await.expect("looked");
    let stay = [
        "blind//ledger",
        "blind//own entries/log.example.com",
        "blind//sink/pager",
        "blind/died/",
        "blind/led/",
        "blind/named/",
        "scan_lag/server - 7/",
        "stale_log/died/",
        "stale_log/led/",
        "stale_log/named/",
        "state_lost/left/",
    ];
    assert_eq!(open().await, stay);

    // What another monitor finds from now on is its matter, and so is what it follows. The one that died renews nothing.
    store.raise(&[finding::blind(&about("left"), 0, "no route", now)], &[]).await.expect("raised");
    let led = leases[2].as_ref().expect("leased");
    assert!(store.renew_log(led, 70_000, 0).await.expect("renewed"));
    health.forget_left(named, now + 50_000 + 130_000).await.expect("looked");
    let stay: Vec<_> = stay.iter().filter(|print| !print.contains("/died/")).copied().collect();
    let mut with = stay.clone();
    with.push("blind/left/");
    with.sort_unstable();
    assert_eq!(open().await, with);
}

/// Before anything was asked of the store.
#[tokio::test]
async fn a_log_that_is_left_before_the_first_look_is_forgotten() {
    let (spec, head) = log().await;
    let store = store::open("sqlite::memory:").await.expect("a store");
    let blind = LogStatus { failing: Some((0, "no route".into())), ..healthy(&spec, &head) };
    let health = || Health::new(Arc::clone(&store), Vec::new(), timing(), Vec::new());
    health().look(std::slice::from_ref(&blind), NOW).await.expect("looked");
    assert_eq!(store.open_counts().await.expect("counts").len(), 1);
    health().forget(&spec.origin, NOW).await.expect("forgotten");
    assert_eq!(store.open_counts().await.expect("counts").len(), 0);
}
