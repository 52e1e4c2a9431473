//! What is done to the ledger, to the monitor's own state, and to whoever is to be told.

use std::time::Duration;

use anyhow::{Context as _, bail};
use monitor::Monitor;
use sandbox::leaves;
use store::FindingKind;

use crate::drill::PATIENCE;
use crate::drill::arena::{Arena, database};
use crate::run;

/// With the signer's database role: our key is used outside, and a row is written that would explain it, as of an hour
/// ago.
pub(super) async fn back_dated(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    // The monitor has looked at the ledger before.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (image, signed, leaf) = arena.rogue(false).await?;
    arena.attack();
    arena.record(&image, &signed, run::now_ms() - 3_600_000).await?;
    arena.world.log.append(leaf).await;
    Ok(())
}

pub(super) async fn wiped(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    arena.stop().await;
    let empty = arena.folder.join("empty");
    std::fs::create_dir_all(&empty).with_context(|| format!("{}", empty.display()))?;
    arena.store = store::open(&database(&empty)).await?;
    refused(arena).await
}

pub(super) async fn rolled_back(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    arena.stop().await;
    // The database as it is now comes back later, when the log and the monitor have gone on.
    let old = arena.folder.join("old");
    std::fs::create_dir_all(&old).with_context(|| format!("{}", old.display()))?;
    for file in ["sealwatch.db", "sealwatch.db-wal"] {
        let from = arena.folder.join(file);
        if from.exists() {
            std::fs::copy(&from, old.join(file)).with_context(|| format!("{}", from.display()))?;
        }
    }
    arena.world.log.extend((0..20).map(leaves::leaf));
    let monitor = Monitor::new(arena.config()?, arena.store.clone(), &prometheus::Registry::new())?;
    arena.start(monitor);
    arena.caught_up().await?;
    arena.stop().await;
    arena.store = store::open(&database(&old)).await?;
    refused(arena).await
}

/// The monitor must not start over: it raises the finding, tells somebody, and follows nothing.
async fn refused(arena: &mut Arena) -> anyhow::Result<()> {
    arena.attack();
    let monitor = Monitor::new(arena.config()?, arena.store.clone(), &prometheus::Registry::new())?;
    arena.start(monitor);
    for _ in 0..500 {
        if arena.findings().await?.iter().any(|row| row.kind == FindingKind::StateLost) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the monitor started over without a word")
}

/// The first sink is down: the second is told on time, also of that; the first gets its alert late.
pub(super) async fn sink_down(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    arena.receiver.set_down(true);
    let (_, _, leaf) = arena.rogue(false).await?;
    arena.attack();
    arena.world.log.append(leaf).await;
    for _ in 0..1500 {
        let rows = arena.findings().await?;
        let dead = rows.iter().any(|row| row.kind == FindingKind::Blind && row.title.contains("\"first\""));
        if let Some(row) = rows.iter().find(|row| row.kind == FindingKind::KeyUsedOutside && dead) {
            arena.told(row, Duration::from_secs(5)).await?;
            arena.receiver.set_down(false);
            if arena.receiver.wait_for(1, PATIENCE).await.is_empty() {
                bail!("the sink that was down never got its alert");
            }
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("a dead sink was not noticed")
}
