//! Rekor v2: leaves in entry bundles (c2sp.org/tlog-tiles).

use bytes::Bytes;
use tlog::HeadFormat;
use tlog::tile::{FULL_WIDTH, entries_path, entry_slices};

use super::LeafFormat;
use super::tile_log::{Layout, Split, Unsplit};

/// How Rekor v2 lays out its leaves.
pub(super) const REKOR_V2: Layout = Layout {
    head_format: HeadFormat::Checkpoint,
    leaf_format: LeafFormat::Rekor,
    path: entries_path,
    // 256 leaves of the longest kind, each with its length.
    max_bytes: FULL_WIDTH as usize * (u16::MAX as usize + 2),
    split,
};

/// The leaves are in the bundle as the tree is over them.
fn split(bundle: &Bytes, _most: usize) -> Result<Split, Unsplit> {
    let mut leaves = Vec::with_capacity(usize::from(FULL_WIDTH));
    entry_slices(bundle, &mut leaves).map_err(|error| Unsplit::Wrong(error.to_string()))?;
    Ok(Split { buffer: bundle.clone(), leaves, cost: bundle.len() })
}
