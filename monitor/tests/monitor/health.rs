//! Silence is never good news by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use monitor::{LogSpec, Monitor};
use sandbox::{AlertReceiver, LogOptions, SandboxLog, SandboxWitness, WitnessOptions};
use secrecy::SecretString;
use store::{FindingKind, FindingState};
use tlog::WitnessPolicy;

use crate::rig::{Rig, eventually, foreign, log_with, spec};

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_of_reach_is_a_finding_that_ends_when_it_answers_again() {
    let log = log_with(300).await;
    let proxy = sandbox::SandboxProxy::start(0, log.addr()).await.expect("a proxy");
    let mut rig = Rig::new(vec![LogSpec { read_url: proxy.url().parse().expect("a url"), ..spec(&log) }]).await;
    rig.config.timing.blind_after = Duration::from_millis(500);
    let receiver = AlertReceiver::start(0).await.expect("a receiver");
    rig.config.heartbeat = Some(SecretString::from(receiver.url().to_owned()));
    rig.config.timing.heartbeat_every = Duration::from_millis(50);
    rig.trust(log.origin(), monitor::From::Zero).await;
    let running = rig.start();
    rig.verified(log.origin(), 300).await;
    eventually("the heart beats", async || !receiver.received().is_empty()).await;

    let down = sandbox::Fault::Refuse { status: http::StatusCode::BAD_GATEWAY, retry_after: None };
    proxy.faults().plan(http::Method::GET, "", down, u32::MAX);
    let found = rig.finds(FindingKind::Blind).await;
    rig.evidence_holds(&found).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let beats = receiver.received().len();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(receiver.received().len() <= beats + 1, "no heartbeat while a log is out of reach");

    proxy.faults().clear();
    eventually("it is over", async || rig.of_kind(FindingKind::Blind).await[0].state == FindingState::Cleared).await;
    eventually("the heart beats again", async || receiver.received().len() > beats + 1).await;
    running.stop().await.expect("a clean end");
    rig.only(&[FindingKind::Blind]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_of_reach_that_a_restart_names_no_more_is_no_finding_any_more() {
    let log = log_with(10).await;
    let options = LogOptions { origin: "dead.example.com".to_owned(), ..LogOptions::default() };
    let dead = SandboxLog::start(options).await.expect("a log");
    dead.extend(foreign(0..10));
    let mut rig = Rig::new(vec![spec(&log), spec(&dead)]).await;
    rig.config.timing.blind_after = Duration::from_millis(500);
    for it in [&log, &dead] {
        rig.trust(it.origin(), monitor::From::Zero).await;
    }
    let running = rig.start();
    rig.verified(dead.origin(), 10).await;
    dead.shutdown();
    rig.finds(FindingKind::Blind).await;
    running.stop().await.expect("a clean end");
    rig.config.material.logs.pop();
    let running = rig.start();
    eventually("it is over", async || rig.of_kind(FindingKind::Blind).await[0].state == FindingState::Cleared).await;
    running.stop().await.expect("a clean end");
    rig.only(&[FindingKind::Blind]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_stops_or_has_another_clock_is_told_of() {
    let log = log_with(10).await;
    let witness = SandboxWitness::start(WitnessOptions::default()).await.expect("a witness");
    log.set_witnesses(std::slice::from_ref(&witness));
    log.extend(foreign(10..20));
    let policy = format!("witness w {}\ngroup all all w\nquorum all\n", witness.vkey());
    let policy = WitnessPolicy::parse(&policy).expect("a policy");
    let rig = Rig::new(vec![LogSpec { witnesses: Some(policy), ..spec(&log) }]).await;
    rig.trust(log.origin(), monitor::From::Zero).await;
    let running = rig.start();
    eventually("it is cosigned", async || log.checkpoint().contains(witness.name())).await;
    rig.verified(log.origin(), 20).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.only(&[]).await;

    witness.set_absent(true);
    log.extend(foreign(20..30));
    let found = rig.finds(FindingKind::WitnessQuorumLost).await;
    rig.evidence_holds(&found).await;
    witness.set_absent(false);
    log.extend(foreign(30..40));
    let is_over = async || rig.of_kind(FindingKind::WitnessQuorumLost).await[0].state == FindingState::Cleared;
    eventually("the quorum is back", is_over).await;

    witness.set_clock_offset(3_600);
    log.extend(foreign(40..50));
    let found = rig.finds(FindingKind::ClockSkew).await;
    assert!(found.title.contains("ahead"), "{}", found.title);
    witness.set_clock_offset(0);
    log.extend(foreign(50..60));
    let is_over = async || rig.of_kind(FindingKind::ClockSkew).await[0].state == FindingState::Cleared;
    eventually("the clocks agree", is_over).await;
    witness.set_clock_offset(-3_600);
    log.extend(foreign(60..70));
    eventually("behind is told too", async || rig.of_kind(FindingKind::ClockSkew).await[0].title.contains("behind"))
        .await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let state = rig.of_kind(FindingKind::ClockSkew).await[0].state;
    assert_eq!(state, FindingState::Open, "it is so until a newer head says otherwise");
    witness.set_clock_offset(0);
    log.extend(foreign(70..80));
    eventually("the clocks agree", is_over).await;
    running.stop().await.expect("a clean end");
    rig.only(&[FindingKind::WitnessQuorumLost, FindingKind::ClockSkew]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_tell_where_each_log_stands() {
    let log = log_with(600).await;
    let rig = Rig::following(&log).await;
    let exposition = prometheus::Registry::new();
    let monitor = Monitor::new(rig.config.clone(), rig.store.clone(), &exposition).expect("a monitor");
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(monitor.run(stopped));
    rig.verified(log.origin(), 600).await;
    let value = |name: &str| -> Option<f64> {
        let text = prometheus::TextEncoder::new().encode_to_string(&exposition.gather()).expect("text");
        let line = text.lines().find(|line| line.starts_with(name) && !line.starts_with(&format!("{name}_")))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    eventually("all is up to date", async || value("sealwatch_monitor_up_to_date") == Some(1.0)).await;
    for (name, expected) in [
        ("sealwatch_log_checkpoint_size", 600.0),
        ("sealwatch_log_verified_size", 600.0),
        ("sealwatch_log_scan_lag_leaves", 0.0),
        ("sealwatch_log_leaves_verified_total", 600.0),
        ("sealwatch_log_followed", 1.0),
        ("sealwatch_log_failing", 0.0),
    ] {
        assert_eq!(value(name), Some(expected), "{name}");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    for name in ["sealwatch_log_verified_timestamp_seconds", "sealwatch_monitor_up_to_date_timestamp_seconds"] {
        assert!(value(name).is_some_and(|time| (now - time).abs() < 60.0), "{name}");
    }
    stop.send_replace(true);
    running.await.expect("no panic").expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_material_that_cannot_be_read_for_long_is_a_finding_that_ends() {
    let log = log_with(20).await;
    let mut rig = Rig::following(&log).await;
    rig.config.timing.blind_after = Duration::from_millis(500);
    let broken = Arc::new(AtomicBool::new(true));
    let (is_broken, material) = (Arc::clone(&broken), rig.config.material.clone());
    rig.config.refresh = Some(Arc::new(move || {
        if is_broken.load(Ordering::Relaxed) { Err("no route to the mirror".to_owned()) } else { Ok(material.clone()) }
    }));
    let running = rig.start();
    let found = rig.finds(FindingKind::Blind).await;
    assert!(found.detail.contains("no route to the mirror"), "{}", found.detail);
    rig.evidence_holds(&found).await;
    broken.store(false, Ordering::Relaxed);
    eventually("it is over", async || rig.of_kind(FindingKind::Blind).await[0].state == FindingState::Cleared).await;
    running.stop().await.expect("a clean end");
    rig.only(&[FindingKind::Blind]).await;
}
