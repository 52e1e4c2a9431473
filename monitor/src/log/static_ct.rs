//! static-ct logs (c2sp.org/static-ct-api): leaves in data tiles, without the two bytes that each leaf of the tree
//! begins with.

use bytes::Bytes;
use tlog::HeadFormat;
use tlog::ct::{data_tile_path, parse_data_tile};

use super::LeafFormat;
use super::tile_log::{Layout, Split};

/// How static-ct logs lay out their leaves.
pub(super) const STATIC_CT: Layout = Layout {
    head_format: HeadFormat::StaticCt,
    leaf_format: LeafFormat::Ct,
    path: data_tile_path,
    // A leaf may be 16 MiB long by its format, and is a few KiB long in every log that there is.
    max_bytes: 32 << 20,
    split,
};

fn split(tile: &Bytes) -> Result<Split, String> {
    let mut leaves = Vec::with_capacity(tile.len());
    let parsed = parse_data_tile(tile, &mut leaves).map_err(|error| error.to_string())?;
    Ok((leaves.into(), parsed.into_iter().map(|leaf| leaf.leaf).collect()))
}
