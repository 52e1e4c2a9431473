//! A log as files below a directory: for air gaps, copies that are evidence, and benches.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::cap::Cap;
use super::error::ReadError;

/// A log's tiles on disk.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) root: PathBuf,
}

impl Directory {
    /// The whole file at this place; `None` where there is none. `path` is one that a reader made, never a log. It is read
    /// by the thread that asks: whoever scans a bundle has just read it.
    pub(super) fn read(&self, what: &str, path: &str, cap: Cap) -> Result<Option<Bytes>, ReadError> {
        let (path, cap) = (self.root.join(path), cap.bytes());
        match on_this_thread(|| whole(&path, cap)) {
            Ok(bytes) if bytes.len() > cap => Err(ReadError::TooLarge { what: what.to_owned(), limit: cap }),
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ReadError::File { path: path.display().to_string(), source }),
        }
    }
}

/// The file, or one byte more of it than it may have.
fn whole(path: &Path, cap: usize) -> std::io::Result<Vec<u8>> {
    let found = std::fs::metadata(path)?;
    // To open a pipe would wait for somebody to write to it.
    if !found.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let file = File::open(path)?;
    let length = usize::try_from(found.len()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(length.min(cap).saturating_add(1));
    file.take((cap as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Does work that may block. A thread of the runtime gives its other tasks away first.
fn on_this_thread<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
