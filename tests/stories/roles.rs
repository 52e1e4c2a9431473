//! Two processes on PostgreSQL: one that takes webhooks and has neither key nor registry credential, one that signs.

use std::process::Command;

use crate::peers::{Process, cosign, must, shared};
use crate::scene::{Rekor, Scene, eventually, push_image};

#[test]
fn intake_and_worker_share_postgresql_and_intake_has_no_key() {
    let Some(shared) = shared("intake_and_worker_share_postgresql_and_intake_has_no_key") else { return };
    let server = shared.postgres.clone();
    let scene = Scene::new(shared, Rekor::V1);
    let database = format!("story_{}", scene.hooks);
    must(Command::new("psql").args([&server, "-q", "-c", &format!("create database {database}")]));
    let url = format!("{}/{database}", server.rsplit_once('/').expect("a database in the URL").0);

    let config = scene.distribution_config();
    let text = std::fs::read_to_string(&config).expect("a configuration").replace("sqlite:sealwatch.db", &url);
    std::fs::write(&config, &text).expect("a configuration");
    let other_ports = text
        .replace(&format!("127.0.0.1:{}", scene.metrics), &format!("127.0.0.1:{}", scene.spare))
        .replace(&format!("hooks = \"127.0.0.1:{}\"", scene.hooks), "hooks = \"127.0.0.1:0\"");
    std::fs::write(scene.path().join("worker.toml"), other_ports).expect("a configuration");

    // What intake does not need is not there: it would say so if it looked.
    let hidden = scene.path().join("hidden");
    std::fs::create_dir(&hidden).expect("a folder");
    for name in [
        "release.key",
        "nightly.key",
        "release.password",
        "nightly.password",
        "trusted_root.json",
        "signing_config.json",
    ] {
        std::fs::rename(scene.path().join(name), hidden.join(name)).expect("a file");
    }
    let mut intake = scene.sealwatch(&["serve", "--role", "intake", "-c", "sealwatch.toml"]);
    let intake = Process::start(&mut intake, &scene.path().join("intake.log")).ready(scene.metrics);
    let registry = scene.distribution();
    push_image(&scene, &registry.host, "team/app:v1", "roles");
    eventually("the event is durable", 20, || scene.metric(&["watcher_events_total", "accepted"]) >= 1.0);

    for name in [
        "release.key",
        "nightly.key",
        "release.password",
        "nightly.password",
        "trusted_root.json",
        "signing_config.json",
    ] {
        std::fs::rename(hidden.join(name), scene.path().join(name)).expect("a file");
    }
    let mut worker = scene.sealwatch(&["serve", "--role", "worker", "-c", "worker.toml"]);
    let worker = Process::start(&mut worker, &scene.path().join("worker.log")).ready(scene.spare);
    let digest = registry.digest("team/app", "v1");
    eventually("the image is signed", 30, || {
        registry.legacy_layers("team/app", &digest) == 1 && registry.referrers_of("team/app", &digest) == 1
    });
    must(
        cosign("cosign-3", scene.path())
            .args(["verify", "--key", "release.pub", "--trusted-root", "trusted_root.json", "--allow-http-registry"])
            .arg(format!("{}/team/app@{digest}", registry.host)),
    );
    assert_eq!(worker.stop(), Some(0));
    assert_eq!(intake.stop(), Some(0));
}
