//! The two storage forms in which a signature is written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a signature is stored beside its image.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A Sigstore bundle v0.3 as an OCI referrer: the default of cosign 3.
    Bundle,
    /// A simple-signing image under the tag `sha256-<hex>.sig`: what cosign 2 and podman read.
    Legacy,
}

/// A word that names no format.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown signature format {0:?}; use \"bundle\" or \"legacy\"")]
pub struct FormatError(String);

impl Format {
    /// Both, in the order in which they are written.
    pub const ALL: [Self; 2] = [Self::Bundle, Self::Legacy];

    /// The word used in configuration, reports and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Legacy => "legacy",
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.as_str() == text).ok_or_else(|| FormatError(text.to_owned()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_reads_back_as_it_is_written() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
            let json = serde_json::to_string(&format).expect("a format serializes");
            assert_eq!(json, format!("\"{format}\""));
            assert_eq!(serde_json::from_str::<Format>(&json).expect("and back"), format);
        }
        assert!("Bundle".parse::<Format>().is_err());
    }
}
