//! The leaves of a log that lives longer than its process: one file, to which each batch is written before a head that
//! covers it is signed. Without that order a log that is killed would later sign another tree of the same size.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use bytes::Bytes;

use crate::SandboxError;

/// An open journal; no other process can open the same one meanwhile.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// Where the last whole batch ends. What is beyond was never signed.
    end: u64,
}

impl Journal {
    /// Opens the file, or makes it, and reads its leaves. A record that was cut off by a crash was never under a
    /// signed head, so it is dropped.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Bytes>), SandboxError> {
        let failed = |source| SandboxError::File { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(SandboxError::InUse { path: path.to_owned() }),
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let (leaves, end) = read(&bytes);
        file.set_len(end).map_err(failed)?;
        Ok((Self { file, end }, leaves))
    }

    /// Appends a batch; it survives a power cut when this returns. After an error the file is as before.
    pub(crate) fn append(&mut self, leaves: &[Bytes]) -> io::Result<()> {
        let mut batch = Vec::new();
        for leaf in leaves {
            let length = u32::try_from(leaf.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            batch.extend(length.to_be_bytes());
            batch.extend(leaf);
        }
        // What an earlier attempt left behind goes first.
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&batch)?;
        self.file.sync_data()?;
        self.end += batch.len() as u64;
        Ok(())
    }
}

/// The whole records, and where the last of them ends.
fn read(bytes: &[u8]) -> (Vec<Bytes>, u64) {
    let (mut leaves, mut rest) = (Vec::new(), bytes);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some((leaf, after)) =
            usize::try_from(u32::from_be_bytes(*length)).ok().and_then(|length| after.split_at_checked(length))
        else {
            break;
        };
        leaves.push(Bytes::copy_from_slice(leaf));
        rest = after;
    }
    (leaves, (bytes.len() - rest.len()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_was_cut_off_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("leaves");
        let (mut journal, leaves) = Journal::open(&path).unwrap();
        assert!(leaves.is_empty());
        journal.append(&[Bytes::from_static(b"one"), Bytes::new()]).unwrap();
        journal.append(&[Bytes::from_static(b"three")]).unwrap();
        assert!(matches!(Journal::open(&path), Err(SandboxError::InUse { .. })));
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, leaves) = Journal::open(&path).unwrap();
            assert!(
                leaves.iter().map(|leaf| leaf.as_ref()).eq([&b"one"[..], b"", b"three"].into_iter().take(leaves.len()))
            );
            let before = leaves.len();
            journal.append(&[Bytes::from_static(b"next")]).unwrap();
            drop(journal);
            let (_, leaves) = Journal::open(&path).unwrap();
            assert_eq!((leaves.len(), leaves[before].as_ref()), (before + 1, &b"next"[..]), "cut at {cut}");
        }
    }
}
