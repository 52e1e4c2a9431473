//! `kill -9` right after each step of a push: whatever was lost is made good, and nothing is made twice.
//!
//! Each step is killed after ten times, five with each Rekor, at its first passing or at its second (which is the
//! second format's, or another image's). A killed process's work waits for the next one, which is killed as well:
//! only after the last kill of a step may one run to the end.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use crate::images;
use crate::logs::Log;
use crate::once::signed_exactly_once;
use crate::own_log::OwnRekor2;
use crate::peers::{Process, Registry, Shared, must, shared};
use crate::scene::{Rekor, Scene, eventually};

/// Every step after which a push can be killed, and how often the push of one image passes it at least.
const STEPS: [(&str, u64); 11] = [
    ("accepted", 1),
    ("resolved", 1),
    ("intent", 2),
    ("signature", 2),
    ("log_answered", 2),
    ("entry", 2),
    ("material", 2),
    ("attached_bundle", 1),
    ("attached_legacy", 1),
    ("attached", 2),
    ("acknowledged", 1),
];
/// Kills after each step, with each Rekor.
const KILLS: u64 = 5;
/// Scenes at work at the same time: most of what they do is wait for the log.
const SCENES: usize = 3;

#[test]
fn a_kill_right_after_any_step_is_made_good_with_rekor_v1() {
    let Some(shared) = shared("a_kill_right_after_any_step_is_made_good_with_rekor_v1") else { return };
    kill_after_each_step(&shared, Rekor::V1);
}

#[test]
fn a_kill_right_after_any_step_is_made_good_with_rekor_v2() {
    let Some(shared) = shared("a_kill_right_after_any_step_is_made_good_with_rekor_v2") else { return };
    kill_after_each_step(&shared, Rekor::V2);
}

fn kill_after_each_step(shared: &Shared, rekor: Rekor) {
    let steps = Mutex::new(VecDeque::from(STEPS));
    let own = (rekor == Rekor::V2).then(|| OwnRekor2::start(shared));
    std::thread::scope(|scope| {
        for _ in 0..SCENES {
            scope.spawn(|| {
                let mut stage = Stage::new(shared.clone(), rekor, own.as_ref());
                loop {
                    let Some((step, passings)) = steps.lock().expect("the steps").pop_front() else { break };
                    stage.kill_after(step, passings);
                }
            });
        }
    });
}

/// A scene, and what was pushed in it so far.
struct Stage {
    scene: Scene,
    registry: Registry,
    log: Log,
    images: Vec<(String, String)>,
}

impl Stage {
    fn new(shared: Shared, rekor: Rekor, own: Option<&OwnRekor2>) -> Self {
        let mut scene = Scene::new(shared, rekor);
        if let Some(log) = own {
            scene.log_to(log);
        }
        let config = scene.distribution_config();
        keys_without_a_password(scene.path(), &config);
        let (registry, log) = (scene.distribution(), Log::of(&scene));
        Self { scene, registry, log, images: Vec::new() }
    }

    /// Kills after one step, again and again; then lets one process make it all good.
    fn kill_after(&mut self, step: &str, passings: u64) {
        let before = self.images.len();
        for kill in 1..=KILLS {
            let passing: u64 = if (kill % 2 == 0) == (self.scene.rekor == Rekor::V1) { 2 } else { 1 };
            let mut process = self.start(&format!("{step}:{passing}"));
            for number in 1..=passing.div_ceil(passings) {
                self.push(&format!("team/killed-{}-{kill}-{number}", step.replace('_', "-")));
            }
            let signal = process.end_within(Duration::from_secs(40)).signal();
            assert_eq!(signal, Some(9), "after {step}:{passing}, kill {kill}: {}", process.output());
        }
        let sealwatch = self.scene.up(None);
        let all = self.images.len() as f64;
        eventually(&format!("every image is signed in spite of kills after {step}"), 60, || self.at_rest(all));
        assert_eq!(sealwatch.stop(), Some(0));
        let leaves = self.log.leaves_of(&self.scene.path().join("release.pub"));
        let (signatures, attached) = (2 * self.images.len(), &self.scene.status()["signatures_attached"]);
        assert_eq!(leaves.len(), signatures, "nothing was logged twice, or in vain, by kills after {step}");
        assert_eq!(*attached, signatures, "the ledger knows of each in spite of kills after {step}");
        for (repository, digest) in &self.images[before..] {
            signed_exactly_once(&self.registry, &leaves, repository, digest);
        }
        let images = self.images.len() - before;
        println!("{:?}: killed {KILLS} times after {step}: {images} images are signed, each once", self.scene.rekor);
    }

    /// Starts a process that will be killed, perhaps before it listens: for what another one left behind.
    fn start(&self, crash_at: &str) -> Process {
        let mut command = self.scene.sealwatch(&["up", "-c", "sealwatch.toml"]);
        command.env("SEALWATCH_CRASH_AT", crash_at);
        Process::start(&mut command, &self.scene.path().join("sealwatch.log"))
    }

    /// Each image has a repository of its own, so that none can be mistaken for another.
    fn push(&mut self, repository: &str) {
        let digest = images::push(&self.registry.host, repository, "v1", repository);
        self.images.push((repository.to_owned(), digest));
    }

    /// Nothing waits, nothing is parked, and so many jobs are done.
    fn at_rest(&self, images: f64) -> bool {
        let count = |words: &[&str]| self.scene.metric(words);
        let busy = ["\"waiting\"", "\"ready\"", "\"leased\"", "\"parked\""];
        busy.iter().all(|state| count(&["watcher_jobs", state]) == 0.0)
            && busy.iter().all(|state| count(&["watcher_queued_events", state]) == 0.0)
            && self.scene.status()["jobs_done"].as_f64() == Some(images)
    }
}

/// A password would cost each of the many starts half a second.
fn keys_without_a_password(folder: &Path, config: &Path) {
    for name in ["release", "nightly"] {
        let make = format!(
            "openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out {name}.key && \
             openssl pkey -in {name}.key -pubout -out {name}.pub"
        );
        must(Command::new("sh").current_dir(folder).args(["-c", &make]));
    }
    let text = std::fs::read_to_string(config).expect("a configuration");
    let lines = text.lines().filter(|line| !line.starts_with("password_file"));
    std::fs::write(config, lines.collect::<Vec<_>>().join("\n")).expect("a configuration");
}
