//! PEM as Go and OpenSSL read it, and a little more generously: text and other blocks around it, lines of any length or
//! a single one, either line end. Written in lines of 64.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Go does not look at the bits that no byte needs.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&ALPHABET, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// One block. Nothing in it is decoded yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Block<'a> {
    /// What stands between `BEGIN ` and the dashes.
    pub label: &'a str,
    content: &'a str,
}

impl<'a> Block<'a> {
    /// Whether it has headers (RFC 1421), as OpenSSL's older encryption writes them.
    pub fn has_headers(&self) -> bool {
        self.content.contains(':')
    }

    /// The base64 of the content, without white space and headers.
    pub fn base64(&self) -> impl Iterator<Item = char> + use<'a> {
        let lines = self.content.lines().filter(|line| !line.contains(':'));
        lines.flat_map(str::chars).filter(|c| !c.is_ascii_whitespace())
    }

    /// The content. `None` if it is not base64. For a secret use [`Block::base64`] and a buffer that is wiped.
    pub fn decode(&self) -> Option<Vec<u8>> {
        decode(&self.base64().collect::<String>())
    }
}

/// Decodes what [`Block::base64`] gives.
pub fn decode(base64: &str) -> Option<Vec<u8>> {
    LENIENT.decode(base64).ok()
}

/// The blocks of a text in their order. One that does not end, or ends under another name, is passed over, and what
/// follows its first line is looked at again.
pub fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    let mut rest = text;
    let mut at_start = true;
    std::iter::from_fn(move || {
        loop {
            let (before, begun) = rest.split_once(BEGIN)?;
            let line_before = before.rsplit(['\n', '\r']).next().unwrap_or_default();
            // Behind other words on its line it is a mention. What was cut off ends with dashes, and so does a block.
            let begins = line_before.trim().is_empty() && (at_start || before.len() > line_before.len());
            rest = begun;
            at_start = false;
            let Some((label, body)) = begun.split_once(DASHES).filter(|(label, _)| begins && is_label(label)) else {
                continue;
            };
            let end = format!("{END}{label}{DASHES}");
            let Some((content, after)) = body.split_once(&end) else { continue };
            if content.contains(DASHES) {
                continue;
            }
            rest = after;
            // A block may begin on the line on which one ends.
            at_start = true;
            return Some(Block { label, content });
        }
    })
}

/// Whether a text holds the beginning of a block, whole or not.
pub fn has_beginning(text: &str) -> bool {
    text.contains(BEGIN)
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ')
}

/// Writes one block in lines of 64, as Go and OpenSSL do.
pub fn encode(label: &str, content: &[u8]) -> String {
    let base64 = STANDARD.encode(content);
    let mut pem = format!("{BEGIN}{label}{DASHES}\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(&format!("{END}{label}{DASHES}\n"));
    pem
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(&str, Option<Vec<u8>>)> {
        blocks(text).map(|block| (block.label, block.decode())).collect()
    }

    #[test]
    fn a_block_is_found_however_it_is_wrapped() {
        let content: Vec<u8> = (0..100).collect();
        let whole = encode("X KEY", &content);
        let base64 = STANDARD.encode(&content);
        let wrapped = |width: usize, end: &str| {
            let lines: Vec<&str> = base64.as_bytes().chunks(width).map(|c| std::str::from_utf8(c).unwrap()).collect();
            format!("-----BEGIN X KEY-----{end}{}{end}-----END X KEY-----{end}", lines.join(end))
        };
        for text in [
            whole.clone(),
            whole.replace('\n', "\r\n"),
            whole.replace('\n', "\r"),
            wrapped(1000, "\n"),
            wrapped(76, "\n"),
            wrapped(1, "\r\n"),
            wrapped(64, " "),
            wrapped(1000, ""),
            whole.replace('\n', "\n\n"),
            whole.lines().map(|line| format!("\t {line} \n")).collect(),
            format!("Bag Attributes\n  name: x\n{whole}# the end\n"),
            whole.trim_end().to_owned(),
            whole.replace("KEY-----\n", "KEY-----\nProc-Type: 4\nX: y\n\n"),
        ] {
            assert_eq!(read(&text), [("X KEY", Some(content.clone()))], "{text}");
        }
        // Bits that no byte needs, as Go passes over them; padding must be there, as Go wants it.
        let odd = |body: &str| read(&format!("-----BEGIN X KEY-----\n{body}\n-----END X KEY-----")).remove(0).1;
        assert_eq!(odd("+/9="), Some(vec![0xfb, 0xff]));
        assert_eq!(odd("+/8"), None);
        assert_eq!(odd("+/8?"), None);
    }

    #[test]
    fn blocks_are_told_apart_and_broken_ones_passed_over() {
        let (a, b) = (encode("A", b"a"), encode("B", b"b"));
        let labels = |text: &str| blocks(text).map(|block| block.label.to_owned()).collect::<Vec<_>>();
        assert_eq!(labels(&format!("{a}{b}text\n{a}")), ["A", "B", "A"]);
        assert_eq!(labels(&format!("{}{b}", a.trim_end())), ["A", "B"]);
        // Without its end, with another's end, within a sentence.
        assert_eq!(labels(&format!("-----BEGIN C-----\nAAAA\n{a}")), ["A"]);
        assert_eq!(labels(&format!("-----BEGIN C-----\nAAAA\n-----END D-----\n{a}")), ["A"]);
        assert_eq!(labels(&format!("see -----BEGIN A-----\n{b}")), ["B"]);
        assert_eq!(labels("-----BEGIN -----\nAAAA\n-----END -----\n"), [] as [&str; 0]);
        assert_eq!(labels("-----BEGIN A\n-----\nAAAA\n-----END A\n-----\n"), [] as [&str; 0]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(-----BEGIN |-----END |-----|A|\n|:| |é|[a-zA-Z0-9+/=]{0,5}){0,20}") {
            for block in blocks(&text) {
                let _ = block.decode();
            }
        }

        #[test]
        fn what_is_written_is_read(content: Vec<u8>) {
            let written = encode("A KEY", &content);
            prop_assert_eq!(read(&written), [("A KEY", Some(content))]);
        }
    }
}
