//! While one registry drips, one log is silent and one pusher sends poison, everybody else is signed as usual.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bundle::Format;
use http::Method;
use sandbox::{Fault, LogOptions, World, WorldOptions};
use serde_json::json;
use tokio::sync::watch;

use crate::http::post;
use crate::stage::{AUTHORIZATION, Options, Stage};

/// Pushes to the others; 500 at the full size.
fn pushes() -> u32 {
    if std::env::var_os("SEALWATCH_FULL").is_some() { 500 } else { 40 }
}

/// Manifests that take long to read, or cannot be read, and events about none: as much as one pusher can do.
async fn poison(stage: &Stage, number: u32) {
    let registry = &stage.world.registry;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let blob = registry.push_raw_blob("team/evil", b"{}".to_vec()).await.expect("a blob");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{blob}","size":2}},"layers":[],"x":[{}{number}]}}"#,
        r#"{"":0},"#.repeat(40_000)
    );
    let tag = format!("v{number}");
    registry.push_raw_manifest("team/evil", &tag, media_type, manifest.into_bytes()).await.expect("a push");
    stage.tell(json!({"repository": "team/evil", "tag": format!("v{number}")})).await;
    let missing = json!({"repository": "team/evil", "digest": format!("sha256:{number:064x}")});
    stage.tell(missing).await;
}

#[allow(clippy::print_stdout, reason = "a figure is watched only where it is shown")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_signed_within_seconds_and_none_is_lost() {
    let log = LogOptions { origin: "silent.sandbox.local".to_owned(), ..LogOptions::default() };
    let neighbour = Arc::new(World::start(WorldOptions { log, ..WorldOptions::default() }).await.expect("a world"));
    let stage = Stage::start(Options {
        webhooks: false,
        formats: vec![Format::Bundle],
        neighbour: Some(Arc::clone(&neighbour)),
        ..Options::default()
    })
    .await;
    neighbour.log.set_delay(Duration::from_secs(3600));
    neighbour.registry.faults().plan(Method::GET, "/manifests/", Fault::Trickle(Duration::from_secs(2)), u32::MAX);
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(Arc::clone(&stage.worker).run(stopped));

    let mut waiting = Vec::new();
    let mut took: Vec<Duration> = Vec::new();
    for number in 0..pushes() {
        let tag = format!("v{number}");
        if number % 2 == 0 {
            neighbour.registry.push_image("drip/app", &tag, &tag).await.expect("a push");
            let event = json!({"repository": "drip/app", "tag": tag}).to_string();
            post(stage.hooks, "/hooks/neighbour", &[("authorization", AUTHORIZATION)], event.as_bytes()).await;
            stage.world.registry.push_image("silent/app", &tag, &tag).await.expect("a push");
            stage.tell(json!({"repository": "silent/app", "tag": tag})).await;
        }
        if number % 4 == 0 {
            poison(&stage, number).await;
        }
        let repository = format!("team/app{}", number % 7);
        let digest = stage.world.registry.push_image(&repository, &tag, &tag).await.expect("a push").digest;
        stage.tell(json!({"repository": repository, "tag": tag})).await;
        waiting.push((repository, digest, Instant::now()));
        let until = Instant::now() + Duration::from_millis(200);
        while Instant::now() < until {
            settle(&stage, &mut waiting, &mut took);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while !waiting.is_empty() {
        if Instant::now() > deadline {
            let counts = stage.store.counts().await;
            let parked = stage.store.parked(20).await;
            panic!("{} of {} are lost: {waiting:?}; {counts:?}; {parked:#?}", waiting.len(), pushes());
        }
        settle(&stage, &mut waiting, &mut took);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    took.sort();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    println!(
        "{} pushes beside a dripping registry, a silent log and poison: median {:?}, p99 {:?}",
        took.len(),
        at(50),
        at(99)
    );
    // A bound for a machine that is busy with other tests; without bulkheads it is minutes.
    assert!(at(99) < Duration::from_secs(20), "p99 {:?}", at(99));
    assert!(stage.worker.pulses().late().is_empty());
    running.abort();
    drop(stop);
}

/// Notes which of the waiting pushes are signed by now.
fn settle(stage: &Stage, waiting: &mut Vec<(String, bundle::Digest, Instant)>, took: &mut Vec<Duration>) {
    waiting.retain(|(repository, digest, since)| {
        let signed = stage.good_bundles(repository, digest) == 1;
        if signed {
            took.push(since.elapsed());
        }
        !signed
    });
}
