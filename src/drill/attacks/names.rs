//! What somebody else can do with our keys and our names.

use anyhow::Context as _;
use sandbox::{Identity, leaves};

use crate::drill::arena::Arena;
use crate::drill::{ISSUER, REPOSITORY};

pub(super) async fn rogue_key(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    let (_, _, leaf) = arena.rogue(false).await?;
    arena.attack();
    arena.world.log.append(leaf).await;
    Ok(())
}

pub(super) async fn retired_key(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    let (_, _, leaf) = arena.rogue(true).await?;
    arena.attack();
    arena.world.log.append(leaf).await;
    Ok(())
}

/// Our repository, and a workflow that nobody expects.
pub(super) async fn rogue_identity(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    let identity = Identity::github(ISSUER, REPOSITORY, "exfiltrate.yml", "refs/heads/main");
    arena.attack();
    issue(arena, &identity)
}

/// `rn` for the `m` in the owner's name.
pub(super) async fn look_alike(arena: &mut Arena) -> anyhow::Result<()> {
    arena.watch().await?;
    let repository = REPOSITORY.replacen('m', "rn", 1);
    let identity = Identity::github(ISSUER, &repository, "release.yml", "refs/heads/main");
    arena.attack();
    issue(arena, &identity)
}

fn issue(arena: &Arena, identity: &Identity) -> anyhow::Result<()> {
    let keyless = arena.world.keyless.as_ref().context("this attack has a certificate authority")?;
    keyless.ca.issue(identity, &leaves::key_spki(3))?;
    Ok(())
}
