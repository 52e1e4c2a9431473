//! PEM, read as its most generous reader does: text around it, headers in it, any line length, an end that is missing.

/// One block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Block<'a> {
    pub(super) label: &'a [u8],
    /// Base64 with line ends.
    pub(super) lines: &'a [u8],
}

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";

/// The blocks in a text.
pub(super) fn blocks(text: &[u8]) -> impl Iterator<Item = Block<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, begun) = split_at_first(rest, BEGIN)?;
        let (label, body) = split_at_first(begun, DASHES)?;
        let (lines, _) = split_at_first(body, DASHES).unwrap_or((body, &[]));
        // A block within one without an end is a block, too: readers give up the outer one and go on behind its first
        // line.
        rest = begun;
        Some(Block { label, lines: without_headers(lines) })
    })
}

/// Headers (RFC 1421) end at an empty line; some readers need none behind the last line with a colon.
fn without_headers(lines: &[u8]) -> &[u8] {
    if !lines.contains(&b':') {
        return lines;
    }
    let unix = split_at_first(lines, b"\n\n");
    let separated = unix.or_else(|| split_at_first(lines, b"\n\r\n")).map_or(lines, |(_, body)| body);
    let last = separated.iter().rposition(|byte| *byte == b':').and_then(|colon| separated.get(colon..));
    last.map_or(separated, |rest| split_at_first(rest, b"\n").map_or(&[], |(_, body)| body))
}

/// What is before the first of these words, and what is after it.
fn split_at_first<'a>(text: &'a [u8], word: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let first = *word.first()?;
    let mut from = 0;
    loop {
        let rest = text.get(from..)?;
        let at = from + rest.iter().position(|byte| *byte == first)?;
        let (before, here) = text.split_at_checked(at)?;
        if let Some(after) = here.strip_prefix(word) {
            return Some((before, after));
        }
        from = at + 1;
    }
}
