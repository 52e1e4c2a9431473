//! The last act: the key is used behind our back, and the monitor says so.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bundle::{Digest, Format, ImageReference};
use sandbox::World;
use signer::sign::{Subject, sign};
use store::{FindingFilter, FindingKind, FindingRow, FindingState, Store};
use watcher::WatcherConfig;

use super::{Clock, PATIENCE};

/// Signs with the key of the demo, but not through sealwatch; returns once the monitor has found it and its evidence
/// has verified offline.
pub(super) async fn act(
    clock: &Clock,
    world: &World,
    outsider: &WatcherConfig,
    store: &dyn Store,
) -> anyhow::Result<()> {
    let identity = outsider.identities.values().next().context("the demo has an identity")?;
    let name = format!("{}/team/app", world.registry.host());
    let image: ImageReference =
        ImageReference { name: name.parse::<bundle::ImageLocator>()?.name, digest: Digest::of(b"nobody pushed this") };
    let subject = Subject { image: &image, docker_reference: name };
    let signed = sign(identity.key.as_ref(), &subject, Format::Bundle).await?;
    let entry = signed.new_entry(identity.key.public_key());
    let index = world.log.append(entry.rekor_v2_body()?).await;
    clock.tell(
        "rogue",
        format_args!("a signature by our key that sealwatch did not make is in the log, at index {index}"),
    );

    let found = wait(store, &format!("{}/{index}", world.log.origin())).await?;
    clock.tell(
        "FOUND",
        format_args!("{}: our key was used outside of our signer (finding {})", found.severity.as_str(), found.id),
    );
    let evidence = store.evidence(found.id).await?.into_iter().find_map(|piece| piece.evidence);
    let verdict = monitor::evidence::verify(&evidence.context("the finding has no evidence")?)?;
    if !verdict.holds {
        bail!("the evidence of the finding does not verify");
    }
    clock.tell(
        "evidence",
        format_args!("replayed offline: the log's signed head, the leaf under it, our key's signature"),
    );
    Ok(())
}

/// The finding about this very entry (`ORIGIN/INDEX`), once it is there; one of another kind is told as a failure.
async fn wait(store: &dyn Store, entry: &str) -> anyhow::Result<FindingRow> {
    let filter = FindingFilter { states: vec![FindingState::Open], limit: 100, ..FindingFilter::default() };
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        for row in store.findings(&filter).await? {
            if row.kind != FindingKind::KeyUsedOutside {
                bail!("the monitor found something else: {}", row.title);
            }
            if store.evidence(row.id).await?.iter().any(|piece| piece.occurrence == entry) {
                return Ok(row);
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the monitor did not find it in {} s", PATIENCE.as_secs())
}
