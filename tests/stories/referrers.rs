//! Registries with the referrers API, told by an event of our own format: the bundle is found there, and nothing else
//! is written.

use serde_json::json;

use crate::http;
use crate::peers::{Registry, shared};
use crate::scene::{Rekor, Scene, eventually, push_artifact, push_image, push_index};
use crate::verifiers::{ANOTHER_KEY, explained, kit, questions};

/// Every digest that an event must have signed: `(repository, digest)`.
fn pushed(scene: &Scene, registry: &Registry) -> Vec<(String, String)> {
    push_image(scene, &registry.host, "team/app:v1", "app");
    push_index(scene, &registry.host, "team/index:v1", "index");
    push_artifact(scene, &registry.host, "team/rules:v1", "rules");
    let mut all = Vec::new();
    for repository in ["team/app", "team/index", "team/rules"] {
        let (digest, manifest) = registry.manifest(repository, "v1").expect("it was pushed");
        // `platforms = "all"`: what an index lists is signed too.
        for child in manifest["manifests"].as_array().unwrap_or(&Vec::new()) {
            all.push((repository.to_owned(), child["digest"].as_str().expect("a digest").to_owned()));
        }
        all.push((repository.to_owned(), digest));
    }
    assert_eq!(all.len(), 5, "an image, an index and its two platforms, an artifact");
    all
}

/// What the referrers API itself says of a digest.
fn listed(registry: &Registry, repository: &str, digest: &str) -> Vec<serde_json::Value> {
    let answer =
        http::request("GET", &format!("http://{}/v2/{repository}/referrers/{digest}", registry.host), &[], b"");
    assert_eq!(answer.status, 200, "the registry has the referrers API");
    let index: serde_json::Value = serde_json::from_slice(&answer.body).expect("an index is JSON");
    index["manifests"].as_array().expect("an index lists").clone()
}

/// The whole story, the key of the sample being `key` (one made by cosign, or one of ours).
fn told_by_a_generic_event(scene: &Scene, registry: &Registry, key: &str) {
    let file = scene.config("generic.toml", &registry.host);
    let config = std::fs::read_to_string(&file).expect("a configuration");
    assert!(config.contains("key = \"release.key\""), "the sample names its key");
    std::fs::write(&file, config.replace("release.key", &format!("{key}.key"))).expect("a configuration");
    let another_key = if key == "release" { "nightly" } else { "release" };

    let sealwatch = scene.up(None);
    let all = pushed(scene, registry);
    let tell = || {
        for repository in ["team/app", "team/index", "team/rules"] {
            let status = scene.post("relay", &json!({"repository": repository, "tag": "v1"}));
            assert!((200..300).contains(&status), "the event is taken: {status}");
        }
    };
    tell();
    for (repository, digest) in &all {
        eventually(&format!("{repository}@{digest} is signed in both formats"), 60, || {
            !listed(registry, repository, digest).is_empty() && registry.legacy_layers(repository, digest) == 1
        });
    }
    // Told again, and drained: what is signed stays as it is.
    tell();
    assert_eq!(sealwatch.stop(), Some(0));
    let sealwatch = scene.up(None);
    eventually("nothing waits", 60, || {
        let status = scene.status();
        ["events_waiting", "events_leased", "jobs_ready", "jobs_leased"].iter().all(|count| status[count] == 0)
    });
    kit(scene);
    for (repository, digest) in &all {
        let referrers = listed(registry, repository, digest);
        assert_eq!(referrers.len(), 1, "{repository}@{digest}: {referrers:?}");
        // One of the two registries lists the config's media type as the artifact's: so the referrer itself is asked.
        let referrer = referrers[0]["digest"].as_str().expect("a digest");
        let (_, manifest) = registry.manifest(repository, referrer).expect("the referrer is there");
        assert_eq!(manifest["artifactType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
        assert_eq!(manifest["subject"]["digest"], digest.as_str());
        assert_eq!(registry.legacy_layers(repository, digest), 1);
        assert!(!registry.has_fallback_tag(repository, digest), "a registry with the API needs no fallback tag");
        let image = format!("{}/{repository}@{digest}", registry.host);
        for question in questions(scene.rekor) {
            question.ask(scene, key, &image).expect_accepted(true);
            question.ask(scene, another_key, &image).expect_refused(&ANOTHER_KEY);
        }
        for line in explained(scene, &image) {
            for version in line.versions() {
                line.run(scene, version).expect_accepted(true);
            }
        }
    }
    println!(
        "{key}.key: {} digests, a referrer each and no fallback tag, accepted by each of {} questions",
        all.len(),
        questions(scene.rekor).len()
    );
    assert_eq!(sealwatch.stop(), Some(0));
}

#[test]
fn a_registry_with_the_referrers_api_gets_no_fallback_tag() {
    let Some(shared) = shared("a_registry_with_the_referrers_api_gets_no_fallback_tag") else { return };
    let scene = Scene::new(shared, Rekor::V1);
    let registry = Registry::referrers(scene.path());
    told_by_a_generic_event(&scene, &registry, "release");
}

#[test]
fn a_registry_that_answers_with_oci_subject_gets_no_fallback_tag() {
    let Some(shared) = shared("a_registry_that_answers_with_oci_subject_gets_no_fallback_tag") else { return };
    let scene = Scene::new(shared, Rekor::V1);
    let registry = Registry::ferro(scene.path());
    told_by_a_generic_event(&scene, &registry, "nightly");
}
