//! PEM blocks, read the way that OpenSSL and Go read them: other blocks and text around them are passed over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::key::KeyError;

/// Longer files are no keys.
const MAX_PEM_BYTES: usize = 64 * 1024;

/// One PEM block, decoded.
pub(super) struct Block {
    /// What stands between `BEGIN ` and the dashes.
    pub(super) label: String,
    /// The decoded body.
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// The first block that is not curve parameters (`openssl ecparam -genkey` writes those in front of the key).
pub(super) fn private_key_block(pem: &[u8]) -> Result<Block, KeyError> {
    if pem.len() > MAX_PEM_BYTES {
        return Err(KeyError::Malformed("the file is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(pem).map_err(|_| KeyError::NoPem)?;
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = label(line, "-----BEGIN ") else {
            continue;
        };
        let mut body = Zeroizing::new(String::with_capacity(text.len()));
        let mut closed = false;
        for line in lines.by_ref() {
            if let Some(end) = self::label(line, "-----END ") {
                closed = end == label;
                break;
            }
            // RFC 1421 headers: only OpenSSL's older encryption writes them.
            if line.contains(':') {
                return Err(KeyError::OpensslEncrypted);
            }
            body.push_str(line);
        }
        if !closed {
            return Err(KeyError::Malformed("its PEM block does not end"));
        }
        if label == "EC PARAMETERS" {
            continue;
        }
        let body = STANDARD.decode(body.as_bytes()).map_err(|_| KeyError::Malformed("its PEM block is not base64"))?;
        return Ok(Block { label: label.to_owned(), body: Zeroizing::new(body) });
    }
    Err(KeyError::NoPem)
}

/// Writes one block in lines of 64.
pub(super) fn encode(label: &str, body: &[u8]) -> String {
    let base64 = Zeroizing::new(STANDARD.encode(body));
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

fn label<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    line.strip_prefix(prefix)?.strip_suffix("-----")
}
