//! Where encodings are decoded to: buffers for all the strings of a leaf, kept from leaf to leaf.
use base64::DecodeSliceError::OutputSliceTooSmall;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Readers differ in how they take padding and the bits behind the last byte; for identity none may read more than we
/// do.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Buffers for [`super::claims`]: made once for each thread, used for one leaf after the other. They grow to a small
/// multiple of the longest leaf.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    fields: Vec<u8>,
    search: Vec<u8>,
}

impl Scratch {
    /// Empty buffers.
    pub fn new() -> Scratch {
        Scratch::default()
    }

    /// Room for a body's fields; and for a search through it, should its fields not be those of its kind.
    pub(super) fn rooms(&mut self) -> (Room<'_>, Room<'_>) {
        (Room(&mut self.fields), Room(&mut self.search))
    }
}

/// A buffer that is grown when it is used.
pub(super) struct Room<'a>(&'a mut Vec<u8>);

impl<'a> Room<'a> {
    pub(super) fn arena(self, size: usize) -> Arena<'a> {
        if self.0.len() < size {
            self.0.resize(size, 0);
        }
        Arena { free: self.0 }
    }
}

/// Why a text was not decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NotDecoded {
    /// It is not base64.
    NotBase64,
    /// There is no room left: encodings within encodings.
    Full,
}

/// Hands out one piece of a buffer after the other.
pub(super) struct Arena<'a> {
    free: &'a mut [u8],
}

impl<'a> Arena<'a> {
    /// Room for this many bytes.
    fn room(&mut self, size: usize) -> Result<&'a mut [u8], NotDecoded> {
        let free = std::mem::take(&mut self.free);
        match free.split_at_mut_checked(size) {
            Some((room, rest)) => {
                self.free = rest;
                Ok(room)
            }
            None => Err(NotDecoded::Full),
        }
    }

    /// A copy.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> Result<&'a [u8], NotDecoded> {
        let room = self.room(bytes.len())?;
        room.copy_from_slice(bytes);
        Ok(room)
    }

    /// A copy without the line ends.
    pub(super) fn joined(&mut self, lines: &[u8]) -> Result<&'a [u8], NotDecoded> {
        let room = self.room(lines.len())?;
        let mut used = 0;
        for line in lines.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii();
            if let Some(place) = room.get_mut(used..).and_then(|room| room.get_mut(..line.len())) {
                place.copy_from_slice(line);
                used += line.len();
            }
        }
        let (joined, _) = room.split_at(used.min(lines.len()));
        Ok(joined)
    }

    /// Decodes base64; with line breaks, spaces and the alphabet for URLs too.
    pub(super) fn base64(&mut self, text: &[u8]) -> Result<&'a [u8], NotDecoded> {
        match self.decode(text) {
            Err(NotDecoded::NotBase64) if text.iter().any(|byte| is_variant(*byte)) => {
                let room = self.room(text.len())?;
                let plain = text.iter().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| match byte {
                    b'-' => b'+',
                    b'_' => b'/',
                    other => *other,
                });
                let mut used = 0;
                for (place, byte) in room.iter_mut().zip(plain) {
                    *place = byte;
                    used += 1;
                }
                let (plain, _) = room.split_at(used);
                self.decode(plain)
            }
            decoded => decoded,
        }
    }

    fn decode(&mut self, text: &[u8]) -> Result<&'a [u8], NotDecoded> {
        let free = std::mem::take(&mut self.free);
        let decoded = LENIENT.decode_slice(text, free);
        let used = decoded.as_ref().map_or(0, |used| *used).min(free.len());
        let (bytes, rest) = free.split_at_mut(used);
        self.free = rest;
        match decoded {
            Ok(_) => Ok(bytes),
            Err(OutputSliceTooSmall) => Err(NotDecoded::Full),
            Err(_) => Err(NotDecoded::NotBase64),
        }
    }

    /// Decodes hex into these many bytes at most.
    pub(super) fn hex(&mut self, text: &[u8]) -> Option<&'a [u8]> {
        let room = self.room(text.len() / 2).ok()?;
        hex::decode_to_slice(text, room).ok()?;
        Some(room)
    }
}

fn is_variant(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'-' | b'_')
}
