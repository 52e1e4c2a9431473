//! What a log can do: contradict itself, show leaves that it did not sign, withhold, go quiet.

use std::time::Duration;

use anyhow::Context as _;
use bundle::{EntryProof, LogEntry};
use sandbox::{HeadSignature, leaves};
use store::NewObservation;

use crate::drill::arena::Arena;
use crate::run;

pub(super) async fn fork(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    let other = arena.world.log.fork().await?;
    arena.world.log.append(leaves::leaf(1)).await;
    arena.caught_up().await?;
    other.extend([leaves::leaf(2), leaves::leaf(3)]);
    arena.attack();
    arena.world.log.read_from(&other);
    Ok(())
}

pub(super) async fn rollback(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    let size = arena.world.log.size();
    arena.attack();
    arena.world.log.roll_back(size - 1).await?;
    Ok(())
}

pub(super) async fn same_size_fork(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    arena.attack();
    arena.world.log.fork_last(leaves::leaf(7)).await?.context("the log has entries")?;
    Ok(())
}

pub(super) async fn leaf_swapped(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    let index = arena.world.log.size();
    arena.world.log.swap_leaf(index, leaves::leaf(8));
    arena.attack();
    arena.world.log.append(leaves::leaf(9)).await;
    Ok(())
}

pub(super) async fn leaf_omitted(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    let index = arena.world.log.size();
    arena.world.log.omit_leaf(index);
    arena.attack();
    arena.world.log.extend([leaves::leaf(10), leaves::leaf(11)]);
    Ok(())
}

pub(super) async fn entry_withheld(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    arena.world.log.withhold_writes().await?;
    arena.attack();
    arena.sign().await?;
    Ok(())
}

/// An image carries a signature whose proof is valid, under a checkpoint that the log has signed for somebody else.
pub(super) async fn shadow_tree(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    let log = arena.world.log.clone();
    let shadow = log.fork().await?;
    // It is not our key's use that is to be found here, but the tree that holds it.
    let body = leaves::leaf(12);
    let index = shadow.append(body.clone()).await;
    let size = shadow.size();
    let entry = LogEntry {
        log_index: index,
        log_id: log.key_id(),
        kind: "hashedrekord".to_owned(),
        version: "0.0.2".to_owned(),
        integrated_time: None,
        set: None,
        proof: Some(EntryProof {
            log_index: index,
            root: shadow.root(size).context("the shadow tree has a root")?,
            size,
            hashes: shadow.inclusion(index, size).context("the shadow tree has a proof")?,
            checkpoint: shadow.checkpoint(),
        }),
        body,
    };
    log.extend([leaves::leaf(13), leaves::leaf(14)]);
    arena.caught_up().await?;
    arena.attack();
    observe(arena, log.key_id(), entry.to_json()).await
}

pub(super) async fn promise(arena: &mut Arena) -> anyhow::Result<()> {
    let log = arena.world.rekor_v1.clone().context("this attack has a Rekor v1")?;
    log.extend((0..5).map(leaves::leaf_v1));
    arena.watch().await?;
    let answer = log.promise(&leaves::leaf_v1(99), 2);
    let (_, entry) = LogEntry::from_rekor_v1(&serde_json::to_vec(&answer)?)?;
    arena.attack();
    observe(arena, log.key_id(), entry.to_json()).await
}

async fn observe(arena: &Arena, log_id: [u8; 32], entry_json: Vec<u8>) -> anyhow::Result<()> {
    let image = Some(format!("{}/team/app", arena.world.registry.host()));
    let met = NewObservation { source: "verify".to_owned(), log_id, entry_json, image, at: run::now_ms() };
    Ok(arena.store.record_observation(&met).await?)
}

pub(super) async fn junk(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    arena.attack();
    arena.world.log.append(b"\xff\x00 not an entry".to_vec()).await;
    Ok(())
}

pub(super) async fn frozen(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    arena.attack();
    arena.world.log.freeze_view().await?;
    arena.world.log.extend([leaves::leaf(15)]);
    Ok(())
}

pub(super) async fn wrong_origin(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    arena.attack();
    arena.world.log.set_origin(Some("rekor.elsewhere.local"));
    arena.world.log.extend([leaves::leaf(16)]);
    Ok(())
}

pub(super) async fn bad_signature(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    arena.attack();
    arena.world.log.set_signature(HeadSignature::Broken);
    arena.world.log.extend([leaves::leaf(17)]);
    Ok(())
}

pub(super) async fn missing_witness(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    arena.world.witness.clone().context("this attack has a witness")?.set_absent(true);
    arena.attack();
    arena.world.log.append(leaves::leaf(18)).await;
    Ok(())
}

pub(super) async fn clock_skew(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    arena.world.witness.clone().context("this attack has a witness")?.set_clock_offset(3600);
    arena.attack();
    arena.world.log.append(leaves::leaf(19)).await;
    Ok(())
}

/// A monitor that looks at the newest shard only would never see it.
pub(super) async fn skipped_tail(arena: &mut Arena) -> anyhow::Result<()> {
    let log = arena.world.rekor_v1.clone().context("this attack has a Rekor v1")?;
    log.extend((0..5).map(leaves::leaf_v1));
    arena.watch().await?;
    let (_, signed, _) = arena.rogue(false).await?;
    let leaf = arena.v1_leaf(&signed)?;
    arena.attack();
    log.rotate([leaf])?;
    log.extend((5..8).map(leaves::leaf_v1));
    Ok(())
}

pub(super) async fn frozen_grows(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    arena.world.log.close();
    arena.world.log.republish();
    arena.caught_up().await?;
    wait_until_frozen(arena).await?;
    arena.attack();
    arena.world.log.extend([leaves::leaf(20)]);
    Ok(())
}

async fn wait_until_frozen(arena: &Arena) -> anyhow::Result<()> {
    for _ in 0..500 {
        let log = arena.store.followed_log(arena.world.log.origin()).await?;
        if log.is_some_and(|log| log.frozen_at.is_some()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("the monitor did not notice that the shard was closed")
}

pub(super) async fn unreachable(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    arena.attack();
    arena.world.log.shutdown();
    Ok(())
}
