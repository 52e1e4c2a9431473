//! What is slow, silent or poisonous holds up only what needs it.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use sandbox::Fault;
use serde_json::json;
use store::ConditionCause;
use tokio::sync::watch;

use crate::stage::{Options, Stage};

async fn tell(stage: &Stage, repository: &str, tag: &str) {
    assert_eq!(stage.tell(json!({"repository": repository, "tag": tag})).await.status, 202);
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !done().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} does not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_log_is_silent_events_are_looked_at_all_the_same() {
    let stage = Stage::start(Options { webhooks: false, concurrency: 2, ..Options::default() }).await;
    stage.world.log.set_delay(Duration::from_secs(3600));
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(std::sync::Arc::clone(&stage.worker).run(stopped));
    for number in 0..12 {
        let tag = format!("v{number}");
        stage.world.registry.push_image("team/app", &tag, &tag).await.expect("a push");
        tell(&stage, "team/app", &tag).await;
    }
    until("the pushes become jobs", async || stage.store.counts().await.expect("counts").events_waiting == 0).await;
    // All that needs the silent log is on its way to it; another push is looked at within moments.
    let begun = Instant::now();
    let other = stage.world.registry.push_image("team/other", "v1", "other").await.expect("a push").digest;
    tell(&stage, "team/other", "v1").await;
    let name = stage.name("team/other");
    until("the other push becomes a job", async || {
        stage.store.job(&name.registry, &name.repository, &other).await.expect("a job").is_some()
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(stage.worker.pulses().late().is_empty());
    running.abort();
    drop(stop);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_process_holds_waits_for_what_it_holds_and_is_signed_then() {
    let stage = Stage::start(Options { concurrency: 1, ..Options::default() }).await;
    stage.world.log.set_delay(Duration::from_millis(500));
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(std::sync::Arc::clone(&stage.worker).run(stopped));
    let mut digests = Vec::new();
    for number in 0..24 {
        let (repository, tag) = (format!("team/app{}", number % 6), format!("v{number}"));
        let pushed = stage.world.registry.push_image(&repository, &tag, &tag).await.expect("a push");
        digests.push((repository, pushed.digest));
    }
    tokio::time::sleep(Duration::from_millis(800)).await;
    stage.world.log.set_delay(Duration::ZERO);
    until("all are signed", async || {
        digests.iter().all(|(repository, digest)| stage.good_bundles(repository, digest) == 1)
    })
    .await;
    stop.send(true).expect("the worker listens");
    running.await.expect("the worker stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_trouble_parks_nothing_and_everything_goes_on_by_itself() {
    for status in [404, 405, 401, 503] {
        let stage = Stage::start(Options::default()).await;
        let status = StatusCode::from_u16(status).expect("a status");
        stage.world.log.faults().plan(Method::POST, "/", refuse(status), 10_000);
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(std::sync::Arc::clone(&stage.worker).run(stopped));
        let mut digests = Vec::new();
        for number in 0..6 {
            let tag = format!("v{number}");
            digests.push(stage.world.registry.push_image("team/app", &tag, &tag).await.expect("a push").digest);
        }
        until("the trouble is noted", async || {
            let open = stage.store.open_conditions(9).await.expect("conditions");
            open.iter().any(|open| open.cause == ConditionCause::EndpointTrouble)
        })
        .await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let counts = stage.store.counts().await.expect("counts");
        assert_eq!((counts.jobs_parked, counts.events_parked, counts.jobs_done), (0, 0, 0), "{status}");
        stage.world.log.faults().clear();
        until("all are signed", async || stage.store.counts().await.expect("counts").jobs_done >= 6).await;
        for digest in &digests {
            assert_eq!(stage.good_bundles("team/app", digest), 1, "{status}");
        }
        assert!(stage.store.open_conditions(9).await.expect("conditions").is_empty(), "{status}");
        stop.send(true).expect("the worker listens");
        running.await.expect("the worker stops");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_repository_that_fails_shuts_nothing_for_the_others() {
    let retry_after = |status| Fault::Refuse { status, retry_after: Some("3600".to_owned()) };
    for fault in [
        refuse(StatusCode::INTERNAL_SERVER_ERROR),
        refuse(StatusCode::TOO_MANY_REQUESTS),
        retry_after(StatusCode::TOO_MANY_REQUESTS),
        retry_after(StatusCode::SERVICE_UNAVAILABLE),
        Fault::HangUp,
    ] {
        one_repository_fails(fault).await;
    }
}

async fn one_repository_fails(fault: Fault) {
    let stage = Stage::start(Options::default()).await;
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(std::sync::Arc::clone(&stage.worker).run(stopped));
    stage.world.registry.faults().plan(Method::HEAD, "/team/evil/", fault.clone(), 10_000);
    stage.world.registry.faults().plan(Method::GET, "/team/evil/", fault, 10_000);
    for number in 0..8 {
        let tag = format!("v{number}");
        stage.world.registry.push_image("team/evil", &tag, &tag).await.expect("a push");
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut digests = Vec::new();
    for number in 0..4 {
        let tag = format!("v{number}");
        digests.push(stage.world.registry.push_image("team/app", &tag, &tag).await.expect("a push").digest);
    }
    until("the others are signed", async || digests.iter().all(|digest| stage.good_bundles("team/app", digest) == 1))
        .await;
    let open = stage.store.open_conditions(9).await.expect("conditions");
    assert!(open.iter().all(|open| open.cause != ConditionCause::EndpointTrouble), "{open:?}");
    stop.send(true).expect("the worker listens");
    running.await.expect("the worker stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_for_an_endpoint_is_taken_up_by_the_next_process() {
    let stage = Stage::start(Options { formats: vec![bundle::Format::Bundle], ..Options::default() }).await;
    stage.world.log.faults().plan(Method::POST, "/", refuse(StatusCode::NOT_FOUND), 10_000);
    let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(std::sync::Arc::clone(&stage.worker).run(stopped));
    until("the trouble is noted", async || !stage.store.open_conditions(9).await.expect("conditions").is_empty()).await;
    stop.send(true).expect("the worker listens");
    running.await.expect("the worker stops");
    stage.world.log.faults().clear();
    let next = stage.another_worker();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(std::sync::Arc::clone(&next).run(stopped));
    until("it is signed", async || stage.good_bundles("team/app", &pushed.digest) == 1).await;
    until("the trouble is over", async || stage.store.open_conditions(9).await.expect("conditions").is_empty()).await;
    stop.send(true).expect("the worker listens");
    running.await.expect("the worker stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_one_repository_takes_slowly_hold_up_no_other() {
    let stage = Stage::start(Options { formats: vec![bundle::Format::Bundle], ..Options::default() }).await;
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(std::sync::Arc::clone(&stage.worker).run(stopped));
    for number in 0..30 {
        let tag = format!("v{number}");
        stage.world.registry.push_image("team/evil", &tag, &tag).await.expect("a push");
    }
    for method in [Method::POST, Method::PUT] {
        let slow = Fault::Delay(Duration::from_secs(20));
        stage.world.registry.faults().plan(method, "/team/evil/", slow, u32::MAX);
    }
    let good = stage.world.registry.push_image("team/app", "v1", "good").await.expect("a push");
    let begun = Instant::now();
    until("the other is signed", async || stage.good_bundles("team/app", &good.digest) == 1).await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    running.abort();
    drop(stop);
}

fn refuse(status: StatusCode) -> Fault {
    Fault::Refuse { status, retry_after: None }
}
