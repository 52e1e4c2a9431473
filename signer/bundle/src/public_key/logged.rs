//! Signatures as logs keep them: in whichever encoding a log's verifier takes, and no stricter than it.
//!
//! sigstore's verifier (`pkg/signature/ecdsa.go`), through which Rekor v1 and v2 check, takes an ECDSA signature in DER
//! and, where that does not parse, as IEEE P1363: two halves of equal length, 132 bytes together at most, zeros before
//! each as its sender likes. Logs keep the bytes as they came, so that one signature has many spellings. Here they are
//! read to find whose they are; what we sign and what we accept ourselves is DER ([`PublicKey::verify`]).
use super::{PublicKey, SignatureError, Verifier};
use der::Decode as _;
use der::asn1::UintRef;

/// The longest signature in halves that sigstore's verifier looks at: two numbers of P-521.
const MAX_HALVES: usize = 132;

/// `ECDSA-Sig-Value` of RFC 3279.
#[derive(der::Sequence)]
struct Numbers<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

impl PublicKey {
    /// The spelling that the ledger has ([`PublicKey::low_s`]) of a signature as a log may hold it: one, for all
    /// encodings of one signature.
    pub fn low_s_of_logged(&self, signature: &[u8]) -> Result<Vec<u8>, SignatureError> {
        match &self.verifier {
            Verifier::P256(_) => Ok(p256(signature)?.normalize_s().to_der().as_bytes().to_vec()),
            Verifier::P384(_) => Ok(p384(signature)?.normalize_s().to_der().as_bytes().to_vec()),
            Verifier::Ed25519(_) | Verifier::Rsa { .. } => Ok(signature.to_vec()),
        }
    }
}

pub(super) fn p256(signature: &[u8]) -> Result<p256::ecdsa::Signature, SignatureError> {
    let fixed: [u8; 64] = fixed::<32, 64>(signature)?;
    p256::ecdsa::Signature::from_slice(&fixed).map_err(|_| SignatureError::Mismatch)
}

pub(super) fn p384(signature: &[u8]) -> Result<p384::ecdsa::Signature, SignatureError> {
    let fixed: [u8; 96] = fixed::<48, 96>(signature)?;
    p384::ecdsa::Signature::from_slice(&fixed).map_err(|_| SignatureError::Mismatch)
}

/// Both numbers in the width of the curve. A number that is wider is in no signature on it, as zero and what is not
/// below the curve's order are in none: [`SignatureError::Mismatch`].
fn fixed<const WIDTH: usize, const BOTH: usize>(signature: &[u8]) -> Result<[u8; BOTH], SignatureError> {
    let mut fixed = [0; BOTH];
    let (r, s) = numbers(signature)?;
    for (number, place) in [r, s].into_iter().zip(fixed.chunks_exact_mut(WIDTH)) {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let number = number.get(zeros..).unwrap_or_default();
        let padding = WIDTH.checked_sub(number.len()).ok_or(SignatureError::Mismatch)?;
        place.get_mut(padding..).ok_or(SignatureError::Mismatch)?.copy_from_slice(number);
    }
    Ok(fixed)
}

fn numbers(signature: &[u8]) -> Result<(&[u8], &[u8]), SignatureError> {
    if let Ok(Numbers { r, s }) = Numbers::from_der(signature) {
        return Ok((r.as_bytes(), s.as_bytes()));
    }
    if signature.is_empty() || signature.len() > MAX_HALVES || !signature.len().is_multiple_of(2) {
        return Err(SignatureError::Malformed);
    }
    signature.split_at_checked(signature.len() / 2).ok_or(SignatureError::Malformed)
}
