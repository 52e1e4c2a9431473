//! The private key among the PEM blocks of a file.

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

/// The private keys of a file, each once: one at least. Other blocks (curve parameters, certificates, public keys) and text
/// are passed over.
pub(super) fn private_key_blocks(pem: &[u8]) -> Result<Vec<Block>, KeyError> {
    if pem.len() > MAX_PEM_BYTES {
        return Err(KeyError::Malformed("the file is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(pem).map_err(|_| KeyError::NoPem)?;
    let mut found: Vec<bundle::pem::Block<'_>> = Vec::new();
    for block in bundle::pem::blocks(text).filter(|block| block.label.ends_with("PRIVATE KEY")) {
        if !found.contains(&block) {
            found.push(block);
        }
    }
    if found.is_empty() {
        return Err(match bundle::pem::blocks(text).next() {
            Some(other) => KeyError::UnknownPem { label: other.label.to_owned() },
            None if bundle::pem::has_beginning(text) => KeyError::Malformed("its PEM block does not end"),
            None => KeyError::NoPem,
        });
    }
    found.iter().map(decoded).collect()
}

fn decoded(block: &bundle::pem::Block<'_>) -> Result<Block, KeyError> {
    // Only OpenSSL's older encryption writes headers.
    if block.has_headers() {
        return Err(KeyError::OpensslEncrypted);
    }
    let mut base64 = Zeroizing::new(String::with_capacity(block.base64().count()));
    base64.extend(block.base64());
    let body = bundle::pem::decode(&base64).ok_or(KeyError::Malformed("its PEM block is not base64"))?;
    Ok(Block { label: block.label.to_owned(), body: Zeroizing::new(body) })
}
