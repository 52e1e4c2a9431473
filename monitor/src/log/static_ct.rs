//! static-ct logs (c2sp.org/static-ct-api): leaves in data tiles, without the two bytes that each leaf of the tree
//! begins with.

use bytes::Bytes;
use tlog::HeadFormat;
use tlog::ct::{data_tile_path, parse_data_tile};

use super::LeafFormat;
use super::exchange::gunzip;
use super::tile_log::{Layout, Split, Unsplit};

/// A leaf may be 16 MiB long by its format, and is a few KiB long in every log that there is.
const MAX_BYTES: usize = 32 << 20;
/// What gzip begins with. As a data tile it would begin with a time some 72 million years from now.
const GZIP: &[u8] = &[0x1f, 0x8b, 0x08];

/// How static-ct logs lay out their leaves.
pub(super) const STATIC_CT: Layout = Layout {
    head_format: HeadFormat::StaticCt,
    leaf_format: LeafFormat::Ct,
    path: data_tile_path,
    max_bytes: MAX_BYTES,
    split,
};

/// Sunlight keeps data tiles as gzip, and the server in front of it says so in a header. Whoever reads its directory, or
/// by a server of files that says nothing, has the gzip itself.
fn split(tile: &Bytes, most: usize) -> Result<Split, Unsplit> {
    let plain = if tile.starts_with(GZIP) {
        let plain = gunzip(tile, most).map_err(|error| Unsplit::Wrong(format!("broken gzip: {error}")))?;
        if plain.len() > most {
            return Err(Unsplit::TooLarge);
        }
        Bytes::from(plain)
    } else {
        tile.clone()
    };
    let mut leaves = Vec::with_capacity(plain.len());
    let parsed = parse_data_tile(&plain, &mut leaves).map_err(|error| Unsplit::Wrong(error.to_string()))?;
    // It is longer than its leaves, and was longer than itself if it did not lie compressed.
    let cost = plain.len().max(tile.len());
    Ok(Split { buffer: leaves.into(), leaves: parsed.into_iter().map(|leaf| leaf.leaf).collect(), cost })
}
