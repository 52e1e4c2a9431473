//! `evidence`: the bytes that prove a finding, to files, and back from them offline.

use std::path::Path;

use anyhow::Context as _;
use monitor::evidence;

use super::findings::unknown;
use super::{CLEAN, FAILED};
use crate::config::Config;
use crate::ended::{Ended, OrUsage as _};
use crate::{rooms, say};

/// Writes every piece of evidence of a finding into a folder.
pub(crate) async fn export(config: &Config, id: i64, out: &Path) -> anyhow::Result<u8> {
    let store = rooms::store_beside(config).await?;
    let row = store.finding(id).await?.ok_or_else(|| unknown(id))?;
    let pieces: Vec<_> = store.evidence(id).await?.into_iter().filter_map(|piece| piece.evidence).collect();
    if pieces.is_empty() {
        return Err(Ended::no(format!("finding {id} ({}) has no evidence that can be replayed", row.kind.as_str())));
    }
    std::fs::create_dir_all(out).with_context(|| format!("the folder {}", out.display()))?;
    for (n, piece) in pieces.iter().enumerate() {
        let file = out.join(format!("finding-{id}-{}-{}.evidence.json", row.kind.as_str(), n + 1));
        std::fs::write(&file, piece).with_context(|| format!("{}", file.display()))?;
        say!("{}", file.display());
    }
    Ok(CLEAN)
}

/// Replays a file.
pub(crate) fn verify(file: &Path, json: bool) -> anyhow::Result<u8> {
    let bytes = std::fs::read(file).or_usage(format!("{}", file.display()))?;
    let verdict = match evidence::verify(&bytes) {
        Ok(verdict) => verdict,
        Err(error) => return Err(Ended::no(format!("{}: {error}", file.display()))),
    };
    if json {
        say!(
            "{}",
            serde_json::json!({
                "kind": verdict.kind.as_str(),
                "holds": verdict.holds,
                "attributable": verdict.attributable,
                "says": verdict.says,
            })
        );
    } else {
        for line in &verdict.says {
            say!("{line}");
        }
        let strength =
            if verdict.attributable { "attributable: it convinces anybody" } else { "observed: it shows what we saw" };
        if verdict.holds {
            say!("{} holds ({strength})", verdict.kind.as_str());
        } else {
            say!("{} does NOT hold", verdict.kind.as_str());
        }
    }
    Ok(if verdict.holds { CLEAN } else { FAILED })
}
