//! Signed notes (c2sp.org/signed-note): a text and the signatures under it, read but not yet believed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A note is at most this long; a checkpoint with many cosignatures has a tenth of it.
const MAX_NOTE_BYTES: usize = 64 * 1024;
/// More signature lines than any log has witnesses.
const MAX_SIGNATURES: usize = 100;

/// A note, parsed. Nothing in it is verified: `Checkpoint::open` does that with a pinned key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line: `— <name> <base64 of key hash and signature>`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoteSignature {
    /// Name of the signer.
    pub name: String,
    /// First four bytes of the signer's key id. A hint, and nothing more.
    pub key_hash: [u8; 4],
    /// The signature.
    pub signature: Vec<u8>,
}

/// Why a text is not a signed note.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoteError {
    /// Longer than any note that we would read.
    #[error("the note is longer than {MAX_NOTE_BYTES} bytes")]
    TooLong,
    /// A control character other than a newline.
    #[error("the note has a control character")]
    ControlCharacter,
    /// No empty line between text and signatures, or nothing before it.
    #[error("the note has no text followed by an empty line")]
    NoText,
    /// No signature line.
    #[error("the note has no signature line")]
    Unsigned,
    /// The last line is cut off.
    #[error("the note does not end with a newline")]
    Truncated,
    /// A line below the empty one is not a signature line.
    #[error("signature line {0} is not \"— name base64\"")]
    BadSignatureLine(usize),
    /// More signatures than we would look at.
    #[error("the note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
}

impl SignedNote {
    /// Reads a note. Its text is everything up to the last empty line.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong);
        }
        // SPEC: "MUST NOT contain any ASCII control characters (those below U+0020) other than newline".
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::ControlCharacter);
        }
        let split = note.rfind("\n\n").ok_or(NoteError::NoText)?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        if text == "\n" {
            return Err(NoteError::NoText);
        }
        if lines.is_empty() {
            return Err(NoteError::Unsigned);
        }
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Truncated)?;
        let mut signatures = Vec::new();
        for (number, line) in (1..).zip(lines.split('\n')) {
            if number > MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(signature_line(line).ok_or(NoteError::BadSignatureLine(number))?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The signed text with its final newline: exactly the bytes that the signatures are over.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures in the order of their lines.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

/// Writes a note. For log writers: `text` ends with a newline and has no control character.
pub fn format_note(text: &str, signatures: &[NoteSignature]) -> String {
    let mut note = format!("{text}\n");
    for NoteSignature { name, key_hash, signature } in signatures {
        let bytes = [key_hash.as_slice(), signature].concat();
        note.push_str(&format!("— {name} {}\n", STANDARD.encode(bytes)));
    }
    note
}

fn signature_line(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
    if !is_name(name) {
        return None;
    }
    let bytes = STANDARD.decode(encoded).ok()?;
    let (key_hash, signature) = bytes.split_first_chunk::<4>()?;
    if signature.is_empty() {
        return None;
    }
    Some(NoteSignature { name: name.to_owned(), key_hash: *key_hash, signature: signature.to_vec() })
}

// SPEC: "a key name MUST be non-empty, well-formed UTF-8 containing neither Unicode spaces nor plus (U+002B)".
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests;
