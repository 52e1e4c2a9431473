//! Which combinations of key, format and log anybody can verify. Asked when the configuration is read, and again
//! before anything is written.

use bundle::{Format, KeyAlgorithm};

/// A combination that no reader, or no log, accepts.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unsupported {
    /// Rekor v2 takes no pure Ed25519.
    #[error(
        "an Ed25519 key cannot be used with a Rekor v2 log, which refuses its signatures: use an ECDSA P-256 key, or a Rekor v1 log with the format \"bundle\""
    )]
    Ed25519OnRekorV2,
    /// A legacy signature is logged by its hash, and pure Ed25519 signs none.
    #[error(
        "an Ed25519 key cannot make legacy signatures that a log takes: use an ECDSA P-256 key, or only the format \"bundle\""
    )]
    Ed25519Legacy,
    /// Legacy readers hash with SHA-256, logs want SHA-384 for this curve.
    #[error(
        "a P-384 key cannot make legacy signatures that a log takes (readers hash with SHA-256, logs want SHA-384): use an ECDSA P-256 key, or only the format \"bundle\""
    )]
    P384Legacy,
    /// Rekor v1 checks every envelope with SHA-256.
    #[error(
        "a P-384 key cannot be used with a Rekor v1 log, which refuses its envelopes: use an ECDSA P-256 key, or a Rekor v2 log with the format \"bundle\""
    )]
    P384OnRekorV1,
    /// A legacy signature has no room for Rekor v2's proof.
    #[error(
        "a legacy signature cannot carry the proof of a Rekor v2 log: use only the format \"bundle\", or set `legacy_without_proof = true` in the rule, and have verifiers skip the log for it"
    )]
    LegacyOnRekorV2,
    /// Rekor and cosign take three sizes.
    #[error(
        "an RSA key of {bits} bits is refused by logs and verifiers: use 2048, 3072 or 4096 bits, or better ECDSA P-256"
    )]
    RsaSize {
        /// Bits of the modulus.
        bits: u32,
    },
    /// A log interface that does not exist.
    #[error("there is no Rekor v{version}: set `version = 1` or `version = 2` for the log")]
    LogVersion {
        /// What was configured.
        version: u32,
    },
    /// A kind of key that came later than this table.
    #[error("keys of the kind {algorithm} cannot be used yet: use an ECDSA P-256 key")]
    Algorithm {
        /// The kind.
        algorithm: String,
    },
}

/// Whether signatures of this key, in this format, can be logged there and verified by stock tools.
/// `log_version` is `None` where nothing is logged.
pub fn check_supported(
    algorithm: KeyAlgorithm,
    format: Format,
    log_version: Option<u32>,
    legacy_without_proof: bool,
) -> Result<(), Unsupported> {
    match log_version {
        None | Some(1) => {}
        Some(2) => {
            if algorithm == KeyAlgorithm::Ed25519 {
                return Err(Unsupported::Ed25519OnRekorV2);
            }
            if format == Format::Legacy && !legacy_without_proof {
                return Err(Unsupported::LegacyOnRekorV2);
            }
        }
        Some(version) => return Err(Unsupported::LogVersion { version }),
    }
    let logged_legacy = log_version.is_some() && format == Format::Legacy;
    match algorithm {
        KeyAlgorithm::EcdsaP256 => Ok(()),
        KeyAlgorithm::EcdsaP384 if log_version == Some(1) => Err(Unsupported::P384OnRekorV1),
        KeyAlgorithm::EcdsaP384 if logged_legacy => Err(Unsupported::P384Legacy),
        KeyAlgorithm::EcdsaP384 => Ok(()),
        KeyAlgorithm::Ed25519 if logged_legacy => Err(Unsupported::Ed25519Legacy),
        KeyAlgorithm::Ed25519 => Ok(()),
        KeyAlgorithm::Rsa { bits: 2048 | 3072 | 4096 } => Ok(()),
        KeyAlgorithm::Rsa { bits } => Err(Unsupported::RsaSize { bits }),
        other => Err(Unsupported::Algorithm { algorithm: other.as_str().to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: KeyAlgorithm = KeyAlgorithm::Rsa { bits: 3072 };

    #[test]
    fn p256_and_rsa_work_everywhere_but_legacy_on_v2_must_be_asked_for() {
        for algorithm in [KeyAlgorithm::EcdsaP256, RSA] {
            for log in [None, Some(1), Some(2)] {
                assert_eq!(check_supported(algorithm, Format::Bundle, log, false), Ok(()));
                assert_eq!(check_supported(algorithm, Format::Legacy, log, true), Ok(()));
            }
            assert_eq!(check_supported(algorithm, Format::Legacy, Some(1), false), Ok(()));
            assert_eq!(check_supported(algorithm, Format::Legacy, Some(2), false), Err(Unsupported::LegacyOnRekorV2));
        }
    }

    #[test]
    fn ed25519_is_for_bundles_on_rekor_v1() {
        let check = |format, log| check_supported(KeyAlgorithm::Ed25519, format, log, true);
        assert_eq!(check(Format::Bundle, Some(1)), Ok(()));
        assert_eq!(check(Format::Legacy, Some(1)), Err(Unsupported::Ed25519Legacy));
        assert_eq!(check(Format::Bundle, Some(2)), Err(Unsupported::Ed25519OnRekorV2));
        assert_eq!(check(Format::Legacy, Some(2)), Err(Unsupported::Ed25519OnRekorV2));
        assert_eq!(check(Format::Legacy, None), Ok(()));
    }

    #[test]
    fn p384_is_for_bundles_on_rekor_v2() {
        let check = |format, log| check_supported(KeyAlgorithm::EcdsaP384, format, log, true);
        assert_eq!(check(Format::Bundle, Some(1)), Err(Unsupported::P384OnRekorV1));
        assert_eq!(check(Format::Bundle, Some(2)), Ok(()));
        assert_eq!(check(Format::Legacy, Some(1)), Err(Unsupported::P384OnRekorV1));
        assert_eq!(check(Format::Legacy, Some(2)), Err(Unsupported::P384Legacy));
        assert_eq!(check(Format::Legacy, None), Ok(()));
    }

    #[test]
    fn odd_rsa_sizes_and_unknown_logs_are_named() {
        let odd = KeyAlgorithm::Rsa { bits: 2560 };
        let error = check_supported(odd, Format::Bundle, Some(1), false).unwrap_err();
        assert!(error.to_string().contains("2560 bits"), "{error}");
        let error = check_supported(RSA, Format::Bundle, Some(3), false).unwrap_err();
        assert!(error.to_string().contains("version = 1"), "{error}");
    }
}
