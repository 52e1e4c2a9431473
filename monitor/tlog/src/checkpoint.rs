//! Checkpoints (c2sp.org/tlog-checkpoint): what a log has signed about its size and root.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::key::{LogKey, SignatureError, signer_of};
use crate::note::{NoteError, SignedNote};

/// Origin, size and root that a log has signed. The only way to one is to open a signed note.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    note: String,
    text_len: usize,
    origin_len: usize,
    size: u64,
    root: Hash,
}

/// Why a note is no checkpoint of this log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note.
    #[error("not a signed note")]
    Note(#[from] NoteError),
    /// No signature line carries the name and the hash of the log's key.
    #[error("the note has no signature by the log's key")]
    Unsigned,
    /// A signature line that claims to be by the log's key is not.
    #[error("the note's signature by the log's key is bad")]
    Signature(#[from] SignatureError),
    /// The log's key has signed for another origin.
    #[error("the checkpoint is for the log \"{found}\", not \"{expected}\"")]
    WrongOrigin {
        /// The origin in the note.
        found: String,
        /// The name of the key.
        expected: String,
    },
    /// The first line is empty.
    #[error("the checkpoint has no origin")]
    NoOrigin,
    /// The second line is not a size.
    #[error("the checkpoint's size is not a decimal number without leading zeros")]
    BadSize,
    /// The third line is not a root.
    #[error("the checkpoint's root is not the base64 of 32 bytes")]
    BadRoot,
    /// Size zero with a root that is not the empty tree's.
    #[error("the checkpoint has no leaves, yet its root is {0}")]
    BadEmptyRoot(Hash),
    /// An extension line is empty.
    #[error("the checkpoint has an empty line")]
    EmptyLine,
}

impl Checkpoint {
    /// Opens a note with the log's pinned key. Other signatures are left alone, whatever their order.
    ///
    /// Rekor v1 signs as `<hostname>` for the origin `<hostname> - <tree id>`, with one key for all its shards;
    /// v2 signs for its own name. A key named `<hostname>` accepts every shard, and a key without a name any
    /// origin: compare [`Checkpoint::origin`] with the log that was asked.
    pub fn open(note: &str, key: &LogKey) -> Result<Self, CheckpointError> {
        let parsed = SignedNote::parse(note)?;
        let text = parsed.text();
        let mut signed = false;
        for line in parsed.signatures() {
            let ours = line.key_hash == key.note_hash() && key.note_name().is_none_or(|name| name == line.name);
            if ours {
                // SPEC: a signature by a known key that fails to verify refuses the note as a whole.
                key.verify(text.as_bytes(), &line.signature)?;
                signed = true;
            }
        }
        if !signed {
            return Err(CheckpointError::Unsigned);
        }

        let TreeHead { origin, size, root } = tree_head(text)?;
        if let Some(name) = key.name()
            && !is_origin_of(origin, name)
        {
            return Err(CheckpointError::WrongOrigin { found: origin.to_owned(), expected: name.to_owned() });
        }
        Ok(Self { text_len: text.len(), origin_len: origin.len(), size, root, note: note.to_owned() })
    }

    /// The log that this is about.
    pub fn origin(&self) -> &str {
        &self.note[..self.origin_len]
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree of that size.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The note as it was opened: the evidence, to be stored and opened again.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Lines below the root. They are signed, but what they mean is between the log and its readers.
    pub fn extension_lines(&self) -> impl Iterator<Item = &str> {
        self.note[..self.text_len].lines().skip(3)
    }
}

/// The text that a log signs, without extension lines.
pub fn checkpoint_text(origin: &str, size: u64, root: &Hash) -> String {
    format!("{origin}\n{size}\n{}\n", STANDARD.encode(root.as_bytes()))
}

struct TreeHead<'a> {
    origin: &'a str,
    size: u64,
    root: Hash,
}

fn tree_head(text: &str) -> Result<TreeHead<'_>, CheckpointError> {
    let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    let origin = lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::NoOrigin)?;
    let size = lines.next().and_then(decimal).ok_or(CheckpointError::BadSize)?;
    let root = lines
        .next()
        .and_then(|line| STANDARD.decode(line).ok())
        .and_then(|bytes| Hash::from_slice(&bytes))
        .ok_or(CheckpointError::BadRoot)?;
    // SPEC: the rest is "zero or more non-empty extension lines".
    if lines.any(str::is_empty) {
        return Err(CheckpointError::EmptyLine);
    }
    if size == 0 && root != Hash::empty_root() {
        return Err(CheckpointError::BadEmptyRoot(root));
    }
    Ok(TreeHead { origin, size, root })
}

/// One spelling per number, so that one tree head has one text.
fn decimal(line: &str) -> Option<u64> {
    let canonical = line.bytes().all(|byte| byte.is_ascii_digit()) && (line == "0" || !line.starts_with('0'));
    if canonical { line.parse().ok() } else { None }
}

fn is_origin_of(origin: &str, name: &str) -> bool {
    origin == name || signer_of(origin) == name
}

#[cfg(test)]
mod tests;
