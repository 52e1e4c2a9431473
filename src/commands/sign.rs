//! `sign`: one image by hand, through the same rules, ledger and worker as a push.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use bundle::ImageLocator;
use store::{JobClass, JobState, NewJob, Store, StoreError};
use watcher::{Metrics, Progress, PushStep, Step, Worker};

use super::verify::{configured, resolve};
use super::{CLEAN, FAILED};
use crate::config::Config;
use crate::ended::{Ended, OrUsage as _};
use crate::{rooms, run, say};

/// How long `sign` waits for another process.
const PATIENCE_SECONDS: u64 = 60;

/// Signs one image, and says each step.
pub(crate) async fn sign(config: &Config, image: &str) -> anyhow::Result<u8> {
    let locator: ImageLocator = image.parse().or_usage(format!("{image:?} is not an image"))?;
    let Some(tag) = locator.tag.clone() else {
        return Err(Ended::usage(format!(
            "{image}: name the image by a tag that a rule allows: a digest alone is not signed, because no rule can speak about it"
        )));
    };
    let room = rooms::worker(config, run::now_ms())?;
    let digest = resolve(configured(&room, &locator)?, &ImageLocator { digest: None, ..locator.clone() }).await?;
    if let Some(expected) = &locator.digest
        && *expected != digest
    {
        return Err(Ended::no(format!(
            "{}:{tag} points to {digest}, not to {expected}: nothing was signed",
            locator.name
        )));
    }
    let job = NewJob {
        registry: locator.name.registry.clone(),
        repository: locator.name.repository.clone(),
        digest,
        tag: Some(tag),
        class: JobClass::Hand,
        pushed_at: None,
    };
    let store = match rooms::store(config).await {
        Ok(store) => store,
        Err(error) if matches!(error.downcast_ref(), Some(StoreError::InUse { .. })) => {
            return beside(config, &job, image).await;
        }
        Err(error) => return Err(error),
    };
    let id = store.enqueue_job(&job).await?;
    let progress = Progress::new();
    let mut steps = progress.watch();
    let wake = Arc::new(tokio::sync::Notify::new());
    let events = Arc::new(watcher::intake::StoreIntake::new(store.clone(), wake.clone()));
    let worker = Worker::new(room, store.clone(), events, Metrics::new(&prometheus::Registry::new())?, progress, wake);
    loop {
        let step = worker.step_on(id).await?;
        let mut ended = None;
        while let Ok(seen) = steps.try_recv() {
            if seen.digest != Some(digest) {
                continue;
            }
            say!("{}", crate::demo::sentence(&seen.step));
            match seen.step {
                PushStep::Acknowledged => ended = ended.or(Some(CLEAN)),
                PushStep::Skipped { .. } | PushStep::Parked { .. } => {
                    say!("`sealwatch explain {image}` says why and what to do");
                    ended = Some(FAILED);
                }
                PushStep::Delayed { error } => {
                    bail!("{error}; the job is kept and is tried again by `sealwatch up`, or by this command")
                }
                _ => {}
            }
        }
        if let Some(code) = ended {
            return Ok(code);
        }
        if step == Step::Idle {
            return watch(store.as_ref(), &job, image).await;
        }
    }
}

/// `sealwatch up` holds the database, so it does the work: the job is handed to it and watched.
async fn beside(config: &Config, job: &NewJob, image: &str) -> anyhow::Result<u8> {
    let store = rooms::store_beside(config).await?;
    store.enqueue_job(job).await?;
    watch(store.as_ref(), job, image).await
}

/// Waits while another process works on the job.
async fn watch(store: &dyn Store, job: &NewJob, image: &str) -> anyhow::Result<u8> {
    say!("handed to the sealwatch that runs with this store");
    for _ in 0..PATIENCE_SECONDS * 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let Some(row) = store.job(&job.registry, &job.repository, &job.digest).await? else { continue };
        match row.state {
            JobState::Done => {
                say!("signed: `sealwatch explain {image}` shows how");
                return Ok(CLEAN);
            }
            JobState::Skipped | JobState::Parked => {
                say!("{}: {}", row.state, row.reason.or(row.last_error).unwrap_or_default());
                return Ok(FAILED);
            }
            JobState::Ready | JobState::Leased => {}
        }
    }
    bail!("not done within {PATIENCE_SECONDS} s; the job is kept: `sealwatch explain {image}` shows it")
}
