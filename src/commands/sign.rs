//! `sign`: one image by hand, through the same rules, ledger and worker as a push.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use bundle::ImageLocator;
use store::{JobClass, NewJob};
use watcher::{Metrics, Progress, PushStep, Step, Worker};

use super::verify::{configured, resolve};
use super::{CLEAN, FAILED};
use crate::config::Config;
use crate::{rooms, run, say};

/// Signs one image, and says each step.
pub(crate) async fn sign(config: &Config, image: &str) -> anyhow::Result<u8> {
    let locator: ImageLocator = image.parse().with_context(|| format!("{image:?} is not an image"))?;
    let Some(tag) = locator.tag.clone() else {
        bail!("{image}: name the image by a tag that a rule allows: a digest alone is not signed, because no rule can speak about it");
    };
    let room = rooms::worker(config, run::now_ms(), run::random()?)?;
    let digest = resolve(configured(&room, &locator)?, &ImageLocator { digest: None, ..locator.clone() }).await?;
    if let Some(expected) = &locator.digest
        && *expected != digest
    {
        bail!("{}:{tag} points to {digest}, not to {expected}: nothing was signed", locator.name);
    }
    let store = rooms::store(config).await?;
    let job = NewJob {
        registry: locator.name.registry.clone(),
        repository: locator.name.repository.clone(),
        digest,
        tag: Some(tag),
        class: JobClass::Hand,
    };
    store.enqueue_job(&job).await?;
    let progress = Progress::new();
    let mut steps = progress.watch();
    let wake = Arc::new(tokio::sync::Notify::new());
    let events = Arc::new(watcher::intake::StoreIntake::new(store.clone(), wake.clone()));
    let worker = Worker::new(room, store.clone(), events, Metrics::new(&prometheus::Registry::new())?, progress, wake);
    loop {
        let step = worker.step().await?;
        let mut ended = None;
        while let Ok(seen) = steps.try_recv() {
            if seen.digest != Some(digest) {
                continue;
            }
            say!("{}", crate::demo::sentence(&seen.step));
            match seen.step {
                PushStep::Acknowledged => ended = ended.or(Some(CLEAN)),
                PushStep::Skipped { .. } | PushStep::Parked { .. } => ended = Some(FAILED),
                PushStep::Delayed { error } => bail!("{error}; the job is kept and is tried again by `sealwatch up`, or by this command"),
                _ => {}
            }
        }
        if let Some(code) = ended {
            return Ok(code);
        }
        if step == Step::Idle {
            bail!("another process works on {}@{digest}: `sealwatch explain {image}` shows it", locator.name);
        }
    }
}
