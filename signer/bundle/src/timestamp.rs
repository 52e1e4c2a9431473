//! RFC 3161 timestamps: the request to an authority, and what its response proves about a signature.
use crate::trust_root::TrustRoot;
use sha2::{Digest as _, Sha256};
use sigstore_tsa::{TsaAuthority, verify_timestamp_for_authority};

/// Far above what any authority answers, certificates included.
const MAX_RESPONSE: usize = 64 * 1024;
/// No element of a timestamp has so many members: attributes, names and certificates are few.
const MAX_MEMBERS: usize = 64;
/// Nor does one lie so deep.
const MAX_DEPTH: usize = 32;

/// DER of `AlgorithmIdentifier { sha256, NULL }`, of the 32-byte digest's header and of the lengths around them.
const IMPRINT_HEAD: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// Why a timestamp does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// No authority is trusted at all.
    #[error("the trusted root names no timestamp authority")]
    NoAuthority,
    /// Too long.
    #[error("timestamp of {0} bytes is longer than {MAX_RESPONSE}")]
    TooLong(usize),
    /// Not DER, or DER that no authority writes.
    #[error("timestamp is not DER with at most {MAX_MEMBERS} members in each of its elements")]
    Malformed,
    /// An authority made it, at a time at which it is not trusted.
    #[error("timestamp {time} is outside the time for which {authority} is trusted")]
    OutsideValidity {
        /// Which authority.
        authority: String,
        /// The timestamp's time, in unix seconds.
        time: i64,
    },
    /// No trusted authority made it for this signature.
    #[error("no trusted timestamp authority made this timestamp for this signature: {0}")]
    Unverified(String),
}

/// A `TimeStampReq` for the SHA-256 of a signature's raw bytes. The chain is not asked for: the trust root has it.
pub fn request(signature: &[u8], nonce: Option<u64>) -> Vec<u8> {
    let mut body = vec![0x02, 0x01, 0x01];
    body.extend_from_slice(&IMPRINT_HEAD);
    body.extend_from_slice(&Sha256::digest(signature));
    if let Some(nonce) = nonce {
        let bytes = nonce.to_be_bytes();
        // DER: no leading zero byte, except that it keeps the integer positive.
        let skip = bytes.iter().take_while(|b| **b == 0).count().min(7);
        let digits = &bytes[skip..];
        let sign = usize::from(digits[0] >= 0x80);
        body.extend_from_slice(&[0x02, (digits.len() + sign) as u8]);
        body.extend_from_slice(&[0][..sign]);
        body.extend_from_slice(digits);
    }
    // At most 3 + 51 + 11 bytes, so the length has its short form.
    let mut der = vec![0x30, body.len() as u8];
    der.extend_from_slice(&body);
    der
}

/// When a trusted authority saw this signature, in unix seconds: its certificates valid then, and itself trusted then.
pub fn verify(response: &[u8], signature: &[u8], trust: &TrustRoot) -> Result<i64, TimestampError> {
    if response.len() > MAX_RESPONSE {
        return Err(TimestampError::TooLong(response.len()));
    }
    if !is_modest(response, MAX_DEPTH) {
        return Err(TimestampError::Malformed);
    }
    let mut failure = TimestampError::NoAuthority;
    for authority in &trust.timestamp_authorities {
        let [leaf, intermediates @ .., root] = authority.chain.as_slice() else {
            continue;
        };
        let pinned = TsaAuthority::new(
            leaf.as_slice().into(),
            intermediates.iter().map(|der| der.as_slice().into()).collect(),
            root.as_slice().into(),
            None,
        );
        match verify_timestamp_for_authority(&response.into(), &signature.into(), &pinned) {
            Ok(time) => {
                let seconds = time.as_second();
                if authority.valid_for.contains_ms(time.as_millisecond()) {
                    return Ok(seconds);
                }
                // The most telling of the failures is the one to report.
                failure = TimestampError::OutsideValidity { authority: authority.uri.clone(), time: seconds };
            }
            Err(_) if matches!(failure, TimestampError::OutsideValidity { .. }) => {}
            Err(error) => failure = TimestampError::Unverified(error.to_string()),
        }
    }
    Err(failure)
}

/// Whether this is a row of DER elements, none with more members than a timestamp's have.
///
/// The parser sorts each set by insertion before anything is verified, so the response of a stranger, who may attach
/// 32 of them to a bundle, could keep it busy for minutes.
fn is_modest(der: &[u8], depth: usize) -> bool {
    let mut rest = der;
    for _ in 0..MAX_MEMBERS {
        if rest.is_empty() {
            return true;
        }
        let Some((tag, content, after)) = element(rest) else { return false };
        let constructed = tag & 0x20 != 0;
        // What is stamped lies within an octet string, and is parsed as well.
        let wrapped = tag == 0x04 && matches!(element(content), Some((0x30, _, [])));
        if (constructed || wrapped) && (depth == 0 || !is_modest(content, depth - 1)) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// The first element: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

#[cfg(test)]
mod tests;
