//! A push, a repeated webhook and a stolen key in one process, with nothing installed: a sandbox registry, log and timestamp authority on real
//! HTTP, and beside them exactly what `sealwatch up` runs, from a configuration file on disk.

mod made;
mod rogue;
pub(crate) mod sandbox_files;
mod told;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bundle::{Digest, ImageLocator};
use sandbox::{WebhookTarget, World, WorldOptions};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use watcher::{PushStep, StepSeen, WatcherConfig};

use crate::commands::{CLEAN, FAILED};
use crate::config::Config;
use crate::demo::sandbox_files::SandboxFiles;
use crate::{cli, commands, rooms, run, say};

pub(crate) use told::sentence;

/// How long any step of the story may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The image that the story pushes.
const REPOSITORY: &str = "team/app";
const TAG: &str = "v1";

/// Tells the story; with `exit` it ends there.
pub(crate) async fn demo(exit: bool, referrers_api: bool, dir: Option<PathBuf>) -> anyhow::Result<u8> {
    let clock = Clock { start: Instant::now() };
    let world = World::start(WorldOptions { referrers_api, ..WorldOptions::default() }).await?;
    let mut files = SandboxFiles::write(&world, dir).await?;
    clock.tell(
        "world",
        format_args!(
            "a registry at {}, a transparency log and a timestamp authority, all in this process",
            world.registry.host()
        ),
    );
    let config = Config::load(&files.config)?;
    let (store, origin) = (rooms::store(&config).await?, world.log.origin().to_owned());
    commands::logs::begin(&config, store, &[origin], "a sandbox of our own", cli::From::Zero).await?;
    let running = run::start(&config, run::Roles::ALL).await?;
    let hooks = running.hooks.context("the demo takes webhooks")?;
    world.registry.set_webhook(Some(WebhookTarget {
        url: format!("http://{hooks}/hooks/sandbox"),
        authorization: Some(files.authorization.clone()),
    }));
    clock.tell("up", format_args!("sealwatch takes webhooks at http://{hooks}/hooks/sandbox"));
    // The same configuration once more, to look at the result as an outsider would: with the registry and the public key.
    let outsider = rooms::worker(&config, run::now_ms())?;
    files.write_kit(&outsider)?;

    let mut steps = running.progress.watch();
    let image: ImageLocator = format!("{}/{REPOSITORY}:{TAG}", world.registry.host()).parse()?;
    let verdict = story(&clock, &world, &outsider, &config, &image, &mut steps).await;
    let stays_up = verdict.is_ok() && !exit;
    if stays_up {
        files.invitation(&world);
    }
    say!("");
    match &verdict {
        Ok(()) => say!(
            "VERDICT: all three acts ended well: the push was signed and verified, nothing was signed twice, and the stolen key was found out"
        ),
        Err(error) => say!("VERDICT: FAILED: {error:#}"),
    }
    files.next(&image.to_string(), stays_up);
    if stays_up {
        stay(&clock, &mut steps).await;
    }
    running.stop().await;
    world.shutdown();
    Ok(if verdict.is_ok() { CLEAN } else { FAILED })
}

async fn story(
    clock: &Clock,
    world: &World,
    outsider: &WatcherConfig,
    config: &Config,
    image: &ImageLocator,
    steps: &mut Receiver<StepSeen>,
) -> anyhow::Result<()> {
    act(1, "an image is pushed, and sealwatch signs it");
    let pushed = world.registry.push_image(REPOSITORY, TAG, "demo").await?;
    let digest: Digest = pushed.digest;
    clock.tell("pushed", format_args!("{image} is {digest}"));
    follow(clock, steps, digest).await.context("act 1")?;
    let first = look(clock, outsider, image, digest).await.context("act 1")?;
    let logged = world.log.size();

    act(2, "the registry tells of the same push twice, and nothing is signed twice");
    world.registry.push_image(REPOSITORY, TAG, "demo").await?;
    follow(clock, steps, digest).await.context("act 2")?;
    let second = look(clock, outsider, image, digest).await.context("act 2")?;
    if (second, world.log.size()) != (first, logged) {
        bail!(
            "act 2: the second delivery changed something: {first} signatures and {logged} log entries became {second} and {}",
            world.log.size()
        );
    }
    clock.tell("once", format_args!("still {second} signatures, still {logged} log entries"));

    act(3, "a thief signs with the stolen key, and the monitor finds it in the log");
    rogue::act(clock, world, outsider, rooms::store_beside(config).await?.as_ref()).await.context("act 3")
}

fn act(number: u8, title: &str) {
    say!("");
    say!("Act {number} of 3: {title}");
}

/// Tells each step of one digest until its job is done.
async fn follow(clock: &Clock, steps: &mut Receiver<StepSeen>, digest: Digest) -> anyhow::Result<()> {
    let told = async {
        loop {
            let seen = match steps.recv().await {
                Ok(seen) => seen,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => bail!("the worker is gone"),
            };
            if seen.digest.is_some_and(|d| d != digest) {
                continue;
            }
            told::tell(clock, &seen);
            match seen.step {
                PushStep::Acknowledged => return Ok(()),
                PushStep::Parked { error } => bail!("{error}"),
                PushStep::Skipped { reason } => bail!("it was skipped: {reason}"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, told).await.context("nothing happened for too long")?
}

/// Reads the signatures back from the registry and verifies each offline; how many there are.
async fn look(clock: &Clock, outsider: &WatcherConfig, image: &ImageLocator, digest: Digest) -> anyhow::Result<usize> {
    use bundle::sigstore_bundle::Bundle;
    use bundle::verify::{Requirements, verify_bundle, verify_legacy};

    let registry = crate::commands::verify::configured(outsider, image)?;
    let identity = outsider.identities.values().next().context("the demo has an identity")?;
    let (key, trust) = (identity.key.public_key(), &identity.services.trust);
    let bundles = registry.bundles(&image.name.repository, &digest).await?;
    for bytes in &bundles {
        let verified =
            verify_bundle(&Bundle::parse(bytes)?, &digest, key, trust, &Requirements { log: true, timestamp: true })?;
        let index = verified.entries.first().map(|(_, index)| *index).context("no log entry was verified")?;
        clock.tell("verified", format_args!("bundle, offline: the key, the digest, log index {index}, the timestamp"));
    }
    let legacy = registry.legacy_signatures(&image.name.repository, &digest).await?;
    for signature in &legacy {
        // A .sig cannot carry the proof of a Rekor v2 log; its timestamp it can.
        verify_legacy(signature, &digest, key, trust, &Requirements { log: false, timestamp: true })?;
        clock.tell("verified", format_args!("legacy .sig, offline: the key, the digest, the timestamp"));
    }
    if bundles.len() != 1 || legacy.len() != 1 {
        bail!(
            "one signature per format was expected; the registry has {} bundles and {} legacy signatures",
            bundles.len(),
            legacy.len()
        );
    }
    Ok(bundles.len() + legacy.len())
}

/// Tells of every later push, until Ctrl-C.
async fn stay(clock: &Clock, steps: &mut Receiver<StepSeen>) {
    let forever = async {
        loop {
            match steps.recv().await {
                Ok(seen) => told::tell(clock, &seen),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    };
    tokio::select! {
        () = forever => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    say!("");
    say!("the sandbox is gone");
}

/// The time since the story began.
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// One line of the story.
    pub(crate) fn tell(&self, word: &str, text: std::fmt::Arguments<'_>) {
        say!("{:8.3} s  {word:9} {text}", self.start.elapsed().as_secs_f64());
    }
}
