//! A log as a directory of static files, at the paths of C2SP tlog-tiles.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tlog::tile;
use tlog::{Hash, leaf_hash};

use super::SandboxLog;
use crate::signing::{HeadSignature, NoteSigner, SecretKey};

/// Writes leaves as they come as entry bundles, then tiles and checkpoint; of a leaf it keeps only the hash, so that
/// logs of millions can be written.
#[derive(Debug)]
pub struct TileWriter {
    directory: PathBuf,
    hashes: Vec<Hash>,
    bundle: Vec<u8>,
}

impl TileWriter {
    /// Begins in this directory, which is made where it is missing.
    pub fn new(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.to_owned(), hashes: Vec::new(), bundle: Vec::new() })
    }

    /// The next leaf.
    pub fn push(&mut self, leaf: &[u8]) -> io::Result<()> {
        let length = u16::try_from(leaf.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a leaf is longer than 65535 bytes"))?;
        self.bundle.extend(length.to_be_bytes());
        self.bundle.extend(leaf);
        self.hashes.push(leaf_hash(leaf));
        if self.hashes.len().is_multiple_of(usize::from(tile::FULL_WIDTH)) { self.write_bundle() } else { Ok(()) }
    }

    /// Writes the last bundle, the tiles, and the checkpoint that `sign` makes of size and root.
    pub fn finish(mut self, sign: impl FnOnce(u64, &Hash) -> String) -> io::Result<()> {
        if !self.bundle.is_empty() {
            self.write_bundle()?;
        }
        for (coord, bytes) in tile::tiles_of(&self.hashes) {
            self.write(&coord.path(), &bytes)?;
        }
        let checkpoint = sign(self.hashes.len() as u64, &tlog::tree::root(&self.hashes));
        self.write("checkpoint", checkpoint.as_bytes())
    }

    fn write_bundle(&mut self) -> io::Result<()> {
        let last = self.hashes.len() as u64;
        let (path, _) = tile::entries_for(last, last - 1);
        let bundle = std::mem::take(&mut self.bundle);
        self.write(&path, &bundle)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.directory.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)
    }
}

/// Writes these leaves to a directory as a log of this name and key would have them.
pub fn write_tiles(
    directory: &Path,
    origin: &str,
    seed: &[u8; 32],
    leaves: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> io::Result<()> {
    let signer = NoteSigner::new(SecretKey::ed25519(seed), origin)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let mut writer = TileWriter::new(directory)?;
    for leaf in leaves {
        writer.push(leaf.as_ref())?;
    }
    writer.finish(|size, root| signer.note(&tlog::checkpoint_text(origin, size, root), HeadSignature::Good))
}

impl SandboxLog {
    /// Writes the log as it is now to a directory: `checkpoint`, `tile/…` and `tile/entries/…`. Leaves and tiles are
    /// the true ones, the checkpoint is the newest with its cosignatures.
    pub fn write_tiles(&self, directory: &Path) -> io::Result<()> {
        let (branch, checkpoint) = self.state.integrator.snapshot();
        let mut writer = TileWriter::new(directory)?;
        for leaf in branch.leaves() {
            writer.push(leaf)?;
        }
        writer.finish(|_, _| checkpoint)
    }
}
