//! A log as files below a directory: for air gaps, copies that are evidence, and benches.

use std::io::Read as _;
use std::path::PathBuf;

use bytes::Bytes;

use super::error::ReadError;

/// A log's tiles on disk.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) root: PathBuf,
}

impl Directory {
    /// The whole file at this place; `None` where there is none. `path` is one that a reader made, never a log.
    pub(super) async fn read(&self, what: &str, path: &str, cap: usize) -> Result<Option<Bytes>, ReadError> {
        let file = self.root.join(path);
        let shown = file.display().to_string();
        let read = tokio::task::spawn_blocking(move || {
            let file = std::fs::File::open(file)?;
            let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
            let mut bytes = Vec::with_capacity(length.min(cap).saturating_add(1));
            file.take((cap as u64).saturating_add(1)).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        match read.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok(bytes) if bytes.len() > cap => Err(ReadError::TooLarge { what: what.to_owned(), limit: cap }),
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ReadError::File { path: shown, source }),
        }
    }
}
