//! Our own signatures never trigger us, although the registry tells us of each as of any other push.

use crate::logs::Log;
use crate::once::signed_exactly_once;
use crate::peers::shared;
use crate::scene::{Rekor, Scene, eventually};
use crate::{images, peers};

/// How many images are pushed.
const PUSHES: usize = 50;

#[test]
fn of_50_pushes_exactly_50_images_are_signed_although_the_registry_tells_us_of_each_signature() {
    let Some(shared) =
        shared("of_50_pushes_exactly_50_images_are_signed_although_the_registry_tells_us_of_each_signature")
    else {
        return;
    };
    let scene = Scene::new(shared, Rekor::V1);
    scene.distribution_config();
    let registry = scene.distribution();
    let log = Log::of(&scene);
    let sealwatch = scene.up(None);

    let digests: Vec<(String, String)> = (0..PUSHES)
        .map(|n| {
            let repository = format!("team/app{}", n % 5);
            let digest = images::push(&registry.host, &repository, &format!("v{n}"), &format!("loop {n}"));
            (repository, digest)
        })
        .collect();

    let told = |outcome: &str| scene.metric(&["watcher_events_total", &format!("\"{outcome}\"")]);
    let skipped = |reason: &str| scene.metric(&["watcher_skips_total", &format!("\"{reason}\"")]);
    let pushes = PUSHES as f64;
    eventually("the registry has told us of all that we attached, and each was dropped", 120, || {
        // By tag: the `.sig` image and the fallback index. By digest: the manifest that carries the bundle.
        told("signature_tag") >= 2.0 * pushes && skipped("own_artifact") >= pushes
    });
    eventually("nothing is left to do", 30, || {
        let queue =
            |state: &str| scene.metric(&["watcher_queued_events", state]) + scene.metric(&["watcher_jobs", state]);
        ["\"waiting\"", "\"ready\"", "\"leased\"", "\"parked\""].iter().all(|state| queue(state) == 0.0)
    });

    println!(
        "accepted {}, dropped as signature_tag {}, skipped as own_artifact {}",
        told("accepted"),
        told("signature_tag"),
        skipped("own_artifact")
    );
    assert!(told("accepted") >= 2.0 * pushes, "the pushes, and the bundles' manifests");
    assert_eq!(scene.metric(&["watcher_skips_total"]), skipped("own_artifact"), "nothing else was left out");

    let status = scene.status();
    println!("{status}");
    assert_eq!(status["signatures_attached"], 2 * PUSHES, "two formats for each image");
    assert_eq!(status["jobs_done"], PUSHES, "a job for each image");
    let others = ["jobs_ready", "jobs_leased", "jobs_skipped", "jobs_parked", "signatures_intended", "signatures_made"];
    assert!(
        others.iter().all(|count| status[count] == 0),
        "no job, and no line of the ledger, is about our own: {status}"
    );

    let leaves = log.leaves_of(&scene.path().join("release.pub"));
    assert_eq!(leaves.len(), 2 * PUSHES);
    for (repository, digest) in &digests {
        signed_exactly_once(&registry, &leaves, repository, digest);
        let manifest = registry.manifest(repository, &digest.replace(':', "-")).expect("the fallback index").1;
        let bundle = manifest["manifests"][0]["digest"].as_str().expect("the bundle's manifest");
        let explain = ["explain", "--json", "-c", "sealwatch.toml"];
        if repository == "team/app0" {
            let image = format!("{}/{repository}@{bundle}", registry.host);
            let explained = peers::run(scene.sealwatch(&explain).arg(image));
            let explained: serde_json::Value =
                serde_json::from_slice(&explained.stdout).expect("explain --json is JSON");
            assert!(explained["job"].is_null(), "{explained}");
            assert_eq!(explained["skips"][0]["reason"], "own_artifact", "{explained}");
        }
        assert_eq!(registry.referrers_of(repository, bundle), 0, "a signature is not signed");
        assert_eq!(registry.legacy_layers(repository, bundle), 0, "a signature is not signed");
    }
    assert_eq!(sealwatch.stop(), Some(0));
}
