//! The main job: what a person pushes with the tools they have, stock cosign and podman accept a moment later.

use crate::peers::{Registry, shared};
use crate::scene::{Rekor, Scene, eventually, push_artifact, push_image, push_index};
use crate::verifiers::{ANOTHER_KEY, explained, kit, kit_lines, podman, podman_with, questions};

/// What is pushed: an image, an index of two platforms and an artifact that is no image, under each key.
struct Pushed {
    repository: String,
    key: &'static str,
    another_key: &'static str,
    digest: String,
    /// `host/repository@digest`
    image: String,
}

/// Starts the registry and sealwatch, pushes, and waits until all are signed in both formats.
fn signed(scene: &Scene, registry: &Registry) -> Vec<Pushed> {
    let mut pushed = Vec::new();
    for (zone, key, another_key) in [("team", "release", "nightly"), ("nightly", "nightly", "release")] {
        let name = |what: &str| format!("{zone}/{what}:v1");
        push_image(scene, &registry.host, &name("app"), &format!("{zone} app"));
        push_index(scene, &registry.host, &name("index"), &format!("{zone} index"));
        push_artifact(scene, &registry.host, &name("rules"), &format!("{zone} rules"));
        for what in ["app", "index", "rules"] {
            let repository = format!("{zone}/{what}");
            let digest = registry.digest(&repository, "v1");
            let image = format!("{}/{repository}@{digest}", registry.host);
            pushed.push(Pushed { repository, key, another_key, digest, image });
        }
    }
    for p in &pushed {
        eventually(&format!("{} is signed in both formats", p.image), 60, || {
            registry.referrers_of(&p.repository, &p.digest) == 1
                && registry.legacy_layers(&p.repository, &p.digest) == 1
        });
    }
    pushed
}

/// Every line of the issue and every line of `explain` accepts, and refuses the other key.
fn judged_by_stock_cosign(scene: &Scene) {
    let registry = scene.distribution();
    scene.distribution_config();
    let sealwatch = scene.up(None);
    let pushed = signed(scene, &registry);
    let kit = kit(scene);
    for p in &pushed {
        for question in questions(scene.rekor) {
            question.ask(scene, p.key, &p.image).expect_accepted(question.log_checked);
            question.ask(scene, p.another_key, &p.image).expect_refused(&ANOTHER_KEY);
        }
        let mut told = Vec::new();
        let in_the_kit = kit_lines(&kit, &p.image);
        for line in explained(scene, &p.image) {
            assert!(in_the_kit.contains(&line), "the kit says the same: {line:?}, {in_the_kit:?}");
            for version in line.versions() {
                let log_checked = !line.command.contains("--insecure-ignore-tlog");
                line.run(scene, version).expect_accepted(log_checked);
                let another = line.but(&format!("--key {}.pub", p.key), &format!("--key {}.pub", p.another_key));
                another.run(scene, version).expect_refused(&ANOTHER_KEY);
                told.push((*version, line.legacy(), log_checked));
            }
        }
        for question in questions(scene.rekor) {
            let asked = (question.version, question.legacy, question.log_checked);
            assert!(told.contains(&asked), "explain has a line for {asked:?}: {told:?}");
        }
    }
    // What an index lists is not signed on its own: the rule says nothing of platforms.
    let (_, index) = registry.manifest("team/index", "v1").expect("the index is there");
    for child in index["manifests"].as_array().expect("an index lists") {
        let digest = child["digest"].as_str().expect("a digest");
        assert_eq!((registry.referrers_of("team/index", digest), registry.legacy_layers("team/index", digest)), (0, 0));
    }
    println!(
        "{:?}: {} images accepted by each of {} questions",
        scene.rekor,
        pushed.len(),
        questions(scene.rekor).len()
    );
    assert_eq!(sealwatch.stop(), Some(0));
}

#[test]
fn stock_cosign_accepts_what_was_pushed_with_the_proof_of_a_rekor_v1() {
    let Some(shared) = shared("stock_cosign_accepts_what_was_pushed_with_the_proof_of_a_rekor_v1") else { return };
    judged_by_stock_cosign(&Scene::new(shared, Rekor::V1));
}

#[test]
fn stock_cosign_accepts_what_was_pushed_with_the_proof_of_a_rekor_v2() {
    let Some(shared) = shared("stock_cosign_accepts_what_was_pushed_with_the_proof_of_a_rekor_v2") else { return };
    judged_by_stock_cosign(&Scene::new(shared, Rekor::V2));
}

/// The proof is there and is looked at: with the key of another log each of them refuses.
#[test]
fn stock_cosign_refuses_our_signatures_where_another_log_is_trusted() {
    let Some(shared) = shared("stock_cosign_refuses_our_signatures_where_another_log_is_trusted") else { return };
    for rekor in [Rekor::V1, Rekor::V2] {
        let scene = Scene::new(shared.clone(), rekor);
        let registry = scene.distribution();
        scene.distribution_config();
        let _sealwatch = scene.up(None);
        push_image(&scene, &registry.host, "team/app:v1", "log");
        let digest = registry.digest("team/app", "v1");
        eventually("it is signed", 60, || {
            registry.referrers_of("team/app", &digest) == 1 && registry.legacy_layers("team/app", &digest) == 1
        });
        let image = format!("{}/team/app@{digest}", registry.host);
        keep_only_the_other_log(&scene);
        for question in questions(rekor).iter().filter(|q| q.log_checked) {
            // Any P-256 key that is not the log's.
            let verdict = question.ask_with(&scene, "release", &image, &scene.path().join("nightly.pub"));
            verdict.expect_refused(&[
                "no valid tlog entries",
                "not enough verified log entries",
                "rekor log public key not found",
                "unable to find key",
                "transparency log",
            ]);
        }
    }
}

/// Takes the scene's own log out of its trusted root.
fn keep_only_the_other_log(scene: &Scene) {
    let file = scene.path().join("trusted_root.json");
    let mut root: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("a trusted root")).expect("JSON");
    let logs = root["tlogs"].as_array_mut().expect("it has logs");
    logs.retain(|log| (log["baseUrl"] == "https://rekor2.test") == (scene.rekor == Rekor::V1));
    assert_eq!(logs.len(), 1, "one log is left");
    std::fs::write(&file, root.to_string()).expect("a trusted root");
}

#[test]
fn podman_accepts_the_legacy_signature_and_refuses_an_unsigned_image_and_another_key() {
    let Some(shared) = shared("podman_accepts_the_legacy_signature_and_refuses_an_unsigned_image_and_another_key")
    else {
        return;
    };
    for rekor in [Rekor::V1, Rekor::V2] {
        let scene = Scene::new(shared.clone(), rekor);
        let registry = scene.distribution();
        scene.distribution_config();
        let _sealwatch = scene.up(None);
        let pushed = signed(&scene, &registry);
        kit(&scene);
        let log_key = scene.shared.folder.join("rekor1.pub");
        for p in &pushed {
            // As people name it, by tag; with Rekor v1 it can check the log as well.
            let by_tag = p.image.replace(&format!("@{}", p.digest), ":v1");
            podman(&scene, p.key, &by_tag, None).expect_accepted(false);
            podman_with(&scene, p.key, p.another_key, &by_tag, None)
                .expect_refused(&["cryptographic signature verification failed"]);
            let with_log = podman(&scene, p.key, &by_tag, Some(&log_key));
            match rekor {
                Rekor::V1 => with_log.expect_accepted(false),
                Rekor::V2 => with_log.expect_refused(&["missing dev.sigstore.cosign/bundle annotation"]),
            }
        }
        // No rule speaks about this tag, so nobody signed it; the policy speaks about the repository.
        push_image(&scene, &registry.host, "team/app:unsigned", "unsigned");
        podman(&scene, "release", &format!("{}/team/app:unsigned", registry.host), None)
            .expect_refused(&["no signature exists"]);
        // Elsewhere the policy demands nothing.
        push_image(&scene, &registry.host, "other/app:v1", "unsigned");
        podman(&scene, "release", &format!("{}/other/app:v1", registry.host), None).expect_accepted(false);
    }
}
