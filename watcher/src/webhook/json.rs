//! A JSON tokenizer that takes a document in pieces and keeps next to nothing of it: the text under its hand, up to
//! [`TEXT_MAX_BYTES`], and one byte for each open bracket, up to [`DEPTH_MAX`]. Longer text is checked and skipped.
//!
//! It takes what RFC 8259 takes, with two freedoms: text that is not Unicode is no error until it is asked for, and
//! numbers have no range (they are not read).

/// Most brackets open at once.
pub(super) const DEPTH_MAX: usize = 128;
/// Longest text whose content is told, after its escapes were resolved. Repository, tag, digest and host are far shorter.
pub(super) const TEXT_MAX_BYTES: usize = 4096;

/// The bytes are not JSON, or nested deeper than [`DEPTH_MAX`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NotJson;

/// A kind of bracket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Bracket {
    Object,
    Array,
}

/// A piece of a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Token<'t> {
    /// An object or array begins.
    Begin(Bracket),
    /// The innermost one ends.
    End,
    /// The name of a member; `None` where it is too long or not Unicode.
    Name(Option<&'t str>),
    /// A string; `None` where it is too long or not Unicode.
    Text(Option<&'t str>),
    Null,
    /// A number, `true` or `false`.
    Other,
}

/// Takes a document in pieces.
pub(super) struct Tokenizer {
    state: State,
    open: Vec<Bracket>,
    text: TextBuffer,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// A value comes; after `[` the array may end instead.
    Value {
        may_end: bool,
    },
    /// A name comes; after `{` the object may end instead.
    Name {
        may_end: bool,
    },
    Colon,
    /// A comma, the end of the innermost bracket, or the end of the document.
    After,
    InText {
        is_name: bool,
    },
    Escape {
        is_name: bool,
    },
    /// Within `\uXXXX`.
    Hex {
        is_name: bool,
        digits: u8,
        unit: u16,
    },
    Number(Number),
    /// The rest of `null`, `true` or `false`.
    Word {
        rest: &'static [u8],
        is_null: bool,
    },
    Failed,
}

/// How far a number is read.
#[derive(Clone, Copy, Debug)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Number {
    /// What follows after another byte; `None`: the byte is no part of the number.
    fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus | Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => Self::ExponentDigits,
            _ => return None,
        })
    }

    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits)
    }
}

impl Tokenizer {
    pub(super) fn new() -> Self {
        Self { state: State::Value { may_end: false }, open: Vec::new(), text: TextBuffer::default() }
    }

    /// Takes the next bytes and tells what is complete by now. After an error nothing more is told.
    pub(super) fn feed(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Token<'_>)) -> Result<(), NotJson> {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            if let State::InText { .. } = self.state {
                // Most of a large body is text, so it is taken by the stretch.
                let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
                self.text.extend(&rest[..plain]);
                rest = &rest[plain..];
                if rest.is_empty() {
                    break;
                }
            }
            match self.step(if let State::InText { .. } = self.state { rest[0] } else { byte }, tell) {
                Ok(Step::Taken) => rest = &rest[1..],
                Ok(Step::Again) => {}
                Err(error) => {
                    self.state = State::Failed;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Says whether the document is complete.
    pub(super) fn finish(&mut self, tell: &mut dyn FnMut(Token<'_>)) -> Result<(), NotJson> {
        if let State::Number(number) = self.state
            && number.may_end()
        {
            tell(Token::Other);
            self.state = State::After;
        }
        match self.state {
            State::After if self.open.is_empty() => Ok(()),
            _ => Err(NotJson),
        }
    }

    fn step(&mut self, byte: u8, tell: &mut dyn FnMut(Token<'_>)) -> Result<Step, NotJson> {
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match self.state {
            State::Value { .. } | State::Name { .. } | State::Colon | State::After if is_space => {}
            State::Value { may_end } => return self.value(byte, may_end, tell),
            State::Name { may_end } => match byte {
                b'"' => self.begin_text(true),
                b'}' if may_end => self.end(Bracket::Object, tell)?,
                _ => return Err(NotJson),
            },
            State::Colon if byte == b':' => self.state = State::Value { may_end: false },
            State::After => match (byte, self.open.last()) {
                (b',', Some(Bracket::Object)) => self.state = State::Name { may_end: false },
                (b',', Some(Bracket::Array)) => self.state = State::Value { may_end: false },
                (b'}', _) => self.end(Bracket::Object, tell)?,
                (b']', _) => self.end(Bracket::Array, tell)?,
                _ => return Err(NotJson),
            },
            State::InText { is_name } => match byte {
                b'"' => {
                    let text = self.text.whole();
                    tell(if is_name { Token::Name(text) } else { Token::Text(text) });
                    self.state = if is_name { State::Colon } else { State::After };
                }
                b'\\' => self.state = State::Escape { is_name },
                // A control character: all else was taken before.
                _ => return Err(NotJson),
            },
            State::Escape { is_name } => {
                let plain = match byte {
                    b'"' | b'\\' | b'/' => byte,
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'u' => {
                        self.state = State::Hex { is_name, digits: 0, unit: 0 };
                        return Ok(Step::Taken);
                    }
                    _ => return Err(NotJson),
                };
                self.text.extend(&[plain]);
                self.state = State::InText { is_name };
            }
            State::Hex { is_name, digits, unit } => {
                let digit = (byte as char).to_digit(16).ok_or(NotJson)?;
                let unit = (unit << 4) | u16::try_from(digit).map_err(|_| NotJson)?;
                if digits == 3 {
                    self.text.unit(unit);
                    self.state = State::InText { is_name };
                } else {
                    self.state = State::Hex { is_name, digits: digits + 1, unit };
                }
            }
            State::Number(number) => match number.next(byte) {
                Some(next) => self.state = State::Number(next),
                None if number.may_end() => {
                    tell(Token::Other);
                    self.state = State::After;
                    return Ok(Step::Again);
                }
                None => return Err(NotJson),
            },
            State::Word { rest, is_null } => {
                let (first, rest) = rest.split_first().ok_or(NotJson)?;
                if *first != byte {
                    return Err(NotJson);
                }
                if rest.is_empty() {
                    tell(if is_null { Token::Null } else { Token::Other });
                    self.state = State::After;
                } else {
                    self.state = State::Word { rest, is_null };
                }
            }
            State::Colon | State::Failed => return Err(NotJson),
        }
        Ok(Step::Taken)
    }

    fn value(&mut self, byte: u8, may_end: bool, tell: &mut dyn FnMut(Token<'_>)) -> Result<Step, NotJson> {
        self.state = match byte {
            b'{' | b'[' => {
                if self.open.len() == DEPTH_MAX {
                    return Err(NotJson);
                }
                let bracket = if byte == b'{' { Bracket::Object } else { Bracket::Array };
                self.open.push(bracket);
                tell(Token::Begin(bracket));
                match bracket {
                    Bracket::Object => State::Name { may_end: true },
                    Bracket::Array => State::Value { may_end: true },
                }
            }
            b']' if may_end => {
                self.end(Bracket::Array, tell)?;
                State::After
            }
            b'"' => {
                self.begin_text(false);
                self.state
            }
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Integer),
            b'n' => State::Word { rest: b"ull", is_null: true },
            b't' => State::Word { rest: b"rue", is_null: false },
            b'f' => State::Word { rest: b"alse", is_null: false },
            _ => return Err(NotJson),
        };
        Ok(Step::Taken)
    }

    fn begin_text(&mut self, is_name: bool) {
        self.text.clear();
        self.state = State::InText { is_name };
    }

    fn end(&mut self, bracket: Bracket, tell: &mut dyn FnMut(Token<'_>)) -> Result<(), NotJson> {
        if self.open.pop() != Some(bracket) {
            return Err(NotJson);
        }
        tell(Token::End);
        self.state = State::After;
        Ok(())
    }
}

enum Step {
    /// The byte was used.
    Taken,
    /// The byte belongs to what follows.
    Again,
}

/// The text that is read now, as far as it is kept.
#[derive(Default)]
struct TextBuffer {
    bytes: Vec<u8>,
    /// The first half of a surrogate pair that was written as an escape.
    half: Option<u16>,
    is_unreadable: bool,
}

impl TextBuffer {
    fn clear(&mut self) {
        self.bytes.clear();
        self.half = None;
        self.is_unreadable = false;
    }

    fn extend(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.half.take().is_some() || self.bytes.len() + bytes.len() > TEXT_MAX_BYTES {
            self.is_unreadable = true;
        }
        if !self.is_unreadable {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Takes a UTF-16 code unit that was written as `\uXXXX`.
    fn unit(&mut self, unit: u16) {
        let read = match (self.half.take(), unit) {
            (None, 0xd800..=0xdbff) => {
                self.half = Some(unit);
                return;
            }
            (None, _) => char::from_u32(u32::from(unit)),
            (Some(half), _) => match char::decode_utf16([half, unit]).next() {
                Some(Ok(pair)) => Some(pair),
                _ => None,
            },
        };
        match read {
            Some(character) => self.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.is_unreadable = true,
        }
    }

    fn whole(&self) -> Option<&str> {
        if self.is_unreadable || self.half.is_some() {
            return None;
        }
        std::str::from_utf8(&self.bytes).ok()
    }
}

#[cfg(test)]
mod tests;
