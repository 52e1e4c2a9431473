//! Checkpoints (c2sp.org/tlog-checkpoint, c2sp.org/static-ct-api, RFC 6962 4.3): what a log has signed about its size
//! and root.

use std::str::Utf8Error;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::key::{LogKey, SignatureError, signer_of};
use crate::note::{NoteError, NoteSignature, SignedNote};
use crate::tree_head::{self, TreeHeadError};

/// How a log presents its signed head.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum HeadFormat {
    /// A signed note whose signature is over its text: Rekor.
    Checkpoint,
    /// A signed note whose signature is an RFC 6962 tree head signature with a time: static-ct logs.
    StaticCt,
    /// The JSON of RFC 6962's `get-sth`.
    TreeHead,
}

/// Origin, size and root that a log has signed. The only way to one is to open a signed note or tree head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    note: String,
    /// The signed text within the note; nothing of a tree head.
    text_len: usize,
    origin: String,
    size: u64,
    root: Hash,
    timestamp_ms: Option<i64>,
}

/// Why a note is no checkpoint of this log. What was served may be malformed, or it may be well formed and not, or not
/// rightly, signed: [`CheckpointError::is_malformed`] tells the two apart.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note.
    #[error("not a signed note")]
    Note(#[from] NoteError),
    /// Not text.
    #[error("not UTF-8 text")]
    Text(#[from] Utf8Error),
    /// Not the JSON of a signed tree head.
    #[error("not a signed tree head")]
    TreeHead(#[from] TreeHeadError),
    /// No signature line carries the name and the hash of the log's key.
    #[error("the note has no signature by the log's key")]
    NoSignature,
    /// A signature that claims to be by the log's key is not.
    #[error("the signature by the log's key is bad")]
    BadSignature(#[from] SignatureError),
    /// The log's key has signed for another origin.
    #[error("the checkpoint is for the log \"{found}\", not \"{expected}\"")]
    WrongOrigin {
        /// The origin in the note.
        found: String,
        /// The origin that was expected, or the name of the key.
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
    /// A static-ct checkpoint has lines that its signature does not cover.
    #[error("the checkpoint has lines below the root that are not signed")]
    UnsignedLines,
}

impl CheckpointError {
    /// Whether the bytes are not even the form of a signed head; otherwise they are, and by whom they are signed, or
    /// for which log, is wrong.
    pub fn is_malformed(&self) -> bool {
        !matches!(self, Self::NoSignature | Self::BadSignature(_) | Self::WrongOrigin { .. })
    }
}

impl Checkpoint {
    /// Opens a note with the log's pinned key. Other signatures are left alone, whatever their order.
    ///
    /// Rekor v1 signs as `<hostname>` for the origin `<hostname> - <tree id>`, with one key for all its shards;
    /// v2 signs for its own name. A key named `<hostname>` accepts every shard, and a key without a name any
    /// origin: compare [`Checkpoint::origin`] with the log that was asked, or use [`Checkpoint::open_as`].
    pub fn open(note: &str, key: &LogKey) -> Result<Self, CheckpointError> {
        let parsed = SignedNote::parse(note)?;
        let ours = |line: &&NoteSignature| {
            line.key_hash == key.note_hash() && key.note_name().is_none_or(|name| name == line.name)
        };
        verify_lines(&parsed, key, ours)?;
        let TextHead { origin, size, root, .. } = text_head(parsed.text())?;
        if let Some(name) = key.name()
            && origin != name
            && signer_of(origin) != name
        {
            return Err(CheckpointError::WrongOrigin { found: origin.to_owned(), expected: name.to_owned() });
        }
        let origin = origin.to_owned();
        Ok(Self { text_len: parsed.text().len(), origin, size, root, timestamp_ms: None, note: note.to_owned() })
    }

    /// Opens what a log serves as its head, with its pinned key and origin: for every reader.
    ///
    /// The origin must be the pinned one, to the letter. An RFC 6962 tree head does not name its log (nor does the
    /// signature of a static-ct checkpoint cover the name): there the key alone says whose it is, and the checkpoint
    /// bears the origin that was given.
    pub fn open_as(format: HeadFormat, bytes: &[u8], origin: &str, key: &LogKey) -> Result<Self, CheckpointError> {
        if format == HeadFormat::TreeHead {
            let head = tree_head::parse_sth(bytes)?;
            head.verify(key)?;
            let note = std::str::from_utf8(bytes)?.to_owned();
            let timestamp_ms = Some(head.timestamp_ms);
            return Ok(Self {
                note,
                text_len: 0,
                origin: origin.to_owned(),
                size: head.size,
                root: head.root,
                timestamp_ms,
            });
        }
        let note = std::str::from_utf8(bytes)?;
        let parsed = SignedNote::parse(note)?;
        let head = text_head(parsed.text())?;
        let timestamp_ms = match format {
            HeadFormat::StaticCt => Some(verify_static_ct(&parsed, &head, origin, key)?),
            HeadFormat::Checkpoint | HeadFormat::TreeHead => {
                let name = key.note_name().unwrap_or_else(|| signer_of(origin));
                let hash = key.note_hash_as(name);
                match verify_lines(&parsed, key, |line| line.name == name && line.key_hash == hash) {
                    // An Ed25519 key has another hash under each name: it may have signed all the same, as another log.
                    Err(CheckpointError::NoSignature) => {
                        verify_lines(&parsed, key, |line| line.key_hash == key.note_hash_as(&line.name))?;
                        let expected = origin.to_owned();
                        return Err(CheckpointError::WrongOrigin { found: head.origin.to_owned(), expected });
                    }
                    verified => verified?,
                }
                None
            }
        };
        if head.origin != origin {
            let (found, expected) = (head.origin.to_owned(), origin.to_owned());
            return Err(CheckpointError::WrongOrigin { found, expected });
        }
        let TextHead { size, root, .. } = head;
        let text_len = parsed.text().len();
        Ok(Self { note: note.to_owned(), text_len, origin: origin.to_owned(), size, root, timestamp_ms })
    }

    /// The log that this is about.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree of that size.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The note, or the JSON of a tree head, as it was opened: the evidence, to be stored and opened again.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The time, in Unix milliseconds, that is signed with the head: of static-ct checkpoints and tree heads.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.timestamp_ms
    }

    /// Lines below the root. They are signed, but what they mean is between the log and its readers.
    pub fn extension_lines(&self) -> impl Iterator<Item = &str> {
        self.note.get(..self.text_len).unwrap_or_default().lines().skip(3)
    }

    /// Whether the log has declared that it will not grow any more, as rekor-tiles does: `Log frozen — <date>`.
    pub fn is_frozen(&self) -> bool {
        self.extension_lines().any(|line| line.starts_with("Log frozen — "))
    }
}

/// The text that a log signs, without extension lines.
pub fn checkpoint_text(origin: &str, size: u64, root: &Hash) -> String {
    format!("{origin}\n{size}\n{}\n", STANDARD.encode(root.as_bytes()))
}

/// Each line that is ours must verify, and there must be one.
// SPEC: a signature by a known key that fails to verify refuses the note as a whole.
fn verify_lines(
    note: &SignedNote,
    key: &LogKey,
    ours: impl Fn(&&NoteSignature) -> bool,
) -> Result<(), CheckpointError> {
    let mut signed = false;
    for line in note.signatures().iter().filter(ours) {
        key.verify(note.text().as_bytes(), &line.signature)?;
        signed = true;
    }
    if signed { Ok(()) } else { Err(CheckpointError::NoSignature) }
}

/// As `verify_lines`, for static-ct logs. Answers with the newest signed time.
fn verify_static_ct(
    note: &SignedNote,
    head: &TextHead<'_>,
    origin: &str,
    key: &LogKey,
) -> Result<i64, CheckpointError> {
    // SPEC: "A checkpoint signed with this algorithm MUST NOT include any extension lines."
    if head.extended {
        return Err(CheckpointError::UnsignedLines);
    }
    // SPEC: "The key name of the signature line MUST match the checkpoint origin line."
    let mut newest = None;
    let mut elsewhere = None;
    for line in note.signatures() {
        if line.key_hash == tree_head::static_ct_key_hash(&line.name, key) {
            let time = tree_head::verify_note_signature(key, head.size, &head.root, &line.signature)?;
            if line.name == origin {
                newest = newest.max(Some(time));
            } else {
                elsewhere = Some(line.name.clone());
            }
        }
    }
    match (newest, elsewhere) {
        (Some(time), _) => Ok(time),
        (None, Some(found)) => Err(CheckpointError::WrongOrigin { found, expected: origin.to_owned() }),
        (None, None) => Err(CheckpointError::NoSignature),
    }
}

struct TextHead<'a> {
    origin: &'a str,
    size: u64,
    root: Hash,
    /// There are lines below the root.
    extended: bool,
}

fn text_head(text: &str) -> Result<TextHead<'_>, CheckpointError> {
    let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    let origin = lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::NoOrigin)?;
    let size = lines.next().and_then(decimal).ok_or(CheckpointError::BadSize)?;
    let root = lines
        .next()
        .and_then(|line| STANDARD.decode(line).ok())
        .and_then(|bytes| Hash::from_slice(&bytes))
        .ok_or(CheckpointError::BadRoot)?;
    let mut extended = false;
    // SPEC: the rest is "zero or more non-empty extension lines".
    for line in lines {
        if line.is_empty() {
            return Err(CheckpointError::EmptyLine);
        }
        extended = true;
    }
    if size == 0 && root != Hash::empty_root() {
        return Err(CheckpointError::BadEmptyRoot(root));
    }
    Ok(TextHead { origin, size, root, extended })
}

/// One spelling per number, so that one tree head has one text.
pub(crate) fn decimal(line: &str) -> Option<u64> {
    let canonical = line.bytes().all(|byte| byte.is_ascii_digit()) && (line == "0" || !line.starts_with('0'));
    if canonical { line.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
