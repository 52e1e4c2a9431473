//! Digests: the one way we name content.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Names content by its hash: `sha256:` and 64 lowercase hex digits.
///
/// SHA-256 is the only algorithm of what is fetched and signed: it is what every registry computes and what
/// every signature format that we write carries. Layers may have another: [`BlobDigest`].
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest([u8; 32]);

/// Why a string is not a digest.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DigestError {
    /// An algorithm that we do not compute (sha512, for one).
    #[error("digest algorithm {0:?} is not supported; only sha256 is")]
    UnsupportedAlgorithm(String),
    /// Not `sha256:` and 64 lowercase hex digits.
    #[error("a digest is \"sha256:\" and 64 lowercase hex digits")]
    Malformed,
}

impl Digest {
    /// The digest of some content.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// A digest from the 32 bytes of a SHA-256 hash.
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// A digest from 64 lowercase hex digits without the algorithm's name.
    pub fn from_hex(hex: &str) -> Result<Self, DigestError> {
        if !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DigestError::Malformed);
        }
        let mut hash = [0; 32];
        hex::decode_to_slice(hex, &mut hash).map_err(|_| DigestError::Malformed)?;
        Ok(Self(hash))
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 lowercase hex digits, without the algorithm's name.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("sha256", hex)) => Self::from_hex(hex),
            Some((algorithm @ ("sha384" | "sha512" | "blake3"), _)) => {
                Err(DigestError::UnsupportedAlgorithm(algorithm.to_owned()))
            }
            _ => Err(DigestError::Malformed),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Names content that we pass on and never fetch, such as a layer of an image: a [`Digest`], or one by another algorithm
/// that registries take (sha384, sha512, blake3), as its text.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum BlobDigest {
    /// By the algorithm that we compute.
    Sha256(Digest),
    /// By another one: the whole text.
    Other(String),
}

impl BlobDigest {
    /// The digest, if it is one that we compute.
    pub fn sha256(&self) -> Option<Digest> {
        match self {
            Self::Sha256(digest) => Some(*digest),
            Self::Other(_) => None,
        }
    }
}

impl From<Digest> for BlobDigest {
    fn from(digest: Digest) -> Self {
        Self::Sha256(digest)
    }
}

impl PartialEq<Digest> for BlobDigest {
    fn eq(&self, other: &Digest) -> bool {
        self.sha256() == Some(*other)
    }
}

impl FromStr for BlobDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = match text.split_once(':') {
            Some(("sha384", _)) => 96,
            Some(("sha512", _)) => 128,
            Some(("blake3", _)) => 64,
            _ => return text.parse().map(Self::Sha256),
        };
        let hex = text.split_once(':').map_or("", |(_, hex)| hex);
        if hex.len() == digits && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self::Other(text.to_owned()))
        } else {
            Err(DigestError::Malformed)
        }
    }
}

impl fmt::Display for BlobDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => digest.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Serialize for BlobDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(Digest::of(b"")));
    }

    #[test]
    fn only_lowercase_sha256_in_full_is_a_digest() {
        for bad in [
            "",
            "sha256:",
            &EMPTY[..70],
            &format!("{EMPTY}0"),
            &EMPTY.to_uppercase(),
            &EMPTY.replace("e3b0", "E3B0"),
            &EMPTY[7..],
            &EMPTY.replace("sha256:", "sha256-"),
            &format!(" {EMPTY}"),
            &format!("{EMPTY}\n"),
        ] {
            assert_eq!(bad.parse::<Digest>(), Err(DigestError::Malformed), "{bad:?}");
        }
        assert_eq!(
            format!("sha512:{}", "0".repeat(128)).parse::<Digest>(),
            Err(DigestError::UnsupportedAlgorithm("sha512".to_owned()))
        );
    }

    #[test]
    fn a_blob_may_be_named_by_another_algorithm_in_full() {
        let of = |algorithm: &str, digits: usize| format!("{algorithm}:{}", "0f".repeat(digits / 2));
        for (algorithm, digits) in [("sha384", 96), ("sha512", 128), ("blake3", 64)] {
            let text = of(algorithm, digits);
            let digest: BlobDigest = text.parse().expect("a digest");
            assert_eq!((digest.to_string(), digest.sha256()), (text.clone(), None));
            assert!(digest != Digest::of(b""));
            for bad in [of(algorithm, digits - 2), of(algorithm, digits + 2), text.to_uppercase(), format!("{text} ")] {
                assert!(bad.parse::<BlobDigest>().is_err(), "{bad}");
            }
        }
        assert!(EMPTY.parse::<BlobDigest>().expect("a digest") == Digest::of(b""));
        for bad in [of("md5", 32), of("sha1", 40), "sha512".to_owned(), "sha512:".to_owned(), String::new()] {
            assert!(bad.parse::<BlobDigest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_digest_is_a_string_in_json() {
        let digest = Digest::of(b"x");
        let json = serde_json::to_string(&digest).expect("a digest serializes");
        assert_eq!(json, format!("\"{digest}\""));
        assert_eq!(serde_json::from_str::<Digest>(&json).expect("and back"), digest);
        assert!(serde_json::from_str::<Digest>("\"sha256:00\"").is_err());
    }

    proptest! {
        #[test]
        fn whatever_parses_prints_as_it_was(text in ".{0,80}") {
            if let Ok(digest) = text.parse::<Digest>() {
                prop_assert_eq!(digest.to_string(), text);
            }
        }

        #[test]
        fn each_hash_survives_its_text(hash: [u8; 32]) {
            let digest = Digest::from_bytes(hash);
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
        }
    }
}
