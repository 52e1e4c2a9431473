//! The trust root: whose logs, timestamp authorities and certificate authorities are believed, and when.
mod authority;
mod chain;
mod file;

pub use authority::{CertificateAuthority, CertificateLog, UnusableAuthority};
pub use chain::ChainError;
pub(crate) use file::moment;

use crate::json::StoredJson;
use tlog::LogKey;

/// What signatures are verified against: Sigstore's `trusted_root.json`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrustRoot {
    /// Transparency logs.
    pub logs: Vec<TrustedLog>,
    /// Logs that the file names and that we cannot verify; entries of theirs do not count.
    pub unusable_logs: Vec<UnusableLog>,
    /// Timestamp authorities.
    pub timestamp_authorities: Vec<TrustedTimestampAuthority>,
    /// Timestamp authorities that the file names and that we cannot use; their timestamps do not count.
    pub unusable_timestamp_authorities: Vec<UnusableAuthority>,
    /// Certificate authorities.
    pub certificate_authorities: Vec<CertificateAuthority>,
    /// Certificate authorities that the file names and that we cannot read.
    pub unusable_authorities: Vec<UnusableAuthority>,
    /// Certificate transparency logs.
    pub certificate_logs: Vec<CertificateLog>,
    /// Certificate transparency logs that the file names and that we cannot verify.
    pub unusable_certificate_logs: Vec<UnusableLog>,
}

/// A log and the key that it signs with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustedLog {
    /// Where it is; its host is the name of a log that signs with Ed25519.
    pub base_url: String,
    /// Its key.
    pub key: LogKey,
    /// What its entries carry as log id.
    pub log_id: [u8; 32],
    /// When the key was the log's.
    pub valid_for: ValidFor,
}

/// A log that the file names and that we cannot verify.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnusableLog {
    /// Where it is.
    pub base_url: String,
    /// Why it is of no use.
    pub reason: String,
    /// As in the file.
    pub json: StoredJson,
}

/// A timestamp authority and its certificates.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustedTimestampAuthority {
    /// Where it is.
    pub uri: String,
    /// Its certificates, DER, from the one that signs to the root: two at least.
    pub chain: Vec<Vec<u8>>,
    /// When it was trusted.
    pub valid_for: ValidFor,
    /// The subject, as in the file; nothing depends on it.
    pub subject: Option<StoredJson>,
}

/// A period in unix milliseconds. Both bounds belong to it; an absent one does not bound.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ValidFor {
    /// The first moment.
    pub start: Option<i64>,
    /// The last moment.
    pub end: Option<i64>,
}

impl ValidFor {
    /// Whether a moment, in unix milliseconds, is within the period.
    pub fn contains_ms(&self, at_ms: i64) -> bool {
        self.start.is_none_or(|start| start <= at_ms) && self.end.is_none_or(|end| at_ms <= end)
    }

    /// Whether a moment, in unix seconds, is within the period.
    pub fn contains(&self, at: i64) -> bool {
        self.contains_ms(at.saturating_mul(1000))
    }
}

/// Why bytes are not a trust root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustRootError {
    /// Not JSON, or JSON that two readers may read differently.
    #[error("trusted root is {0}")]
    Ambiguous(#[from] crate::json::JsonError),
    /// Not the JSON that we know.
    #[error("trusted root is not valid JSON of its kind: {0}")]
    Json(#[from] serde_json::Error),
    /// A media type that we do not read.
    #[error("media type {0:?} is not a sigstore trusted root of version 0.1 or 0.2")]
    MediaType(String),
    /// A field holds what it must not.
    #[error("trusted root: {place} has no valid {field}")]
    Field {
        /// Which log or authority.
        place: String,
        /// Which field.
        field: &'static str,
    },
    /// The log cannot be verified.
    #[error("trusted root: log {base_url}: {reason}")]
    Log {
        /// Which log.
        base_url: String,
        /// Why not.
        reason: String,
    },
    /// The chain has no root.
    #[error(
        "trusted root: timestamp authority {0} needs its certificate chain, from the signing certificate to the root"
    )]
    Chain(String),
}

impl TrustRoot {
    /// A trust root that trusts nobody.
    pub fn empty() -> TrustRoot {
        TrustRoot::default()
    }

    /// Reads a `trusted_root.json` of version 0.1 or 0.2.
    pub fn parse(bytes: &[u8]) -> Result<TrustRoot, TrustRootError> {
        file::parse(bytes)
    }

    /// The trust root as a `trusted_root.json` that stock tools read.
    pub fn to_json(&self) -> Vec<u8> {
        file::write(self)
    }

    /// One line for each part of the file that does not count, with the reason.
    pub fn unusable_parts(&self) -> Vec<String> {
        let logs = self.unusable_logs.iter().map(|log| ("log", &log.base_url, &log.reason));
        let stamps = self.unusable_timestamp_authorities.iter();
        let stamps = stamps.map(|authority| ("timestamp authority", &authority.uri, &authority.reason));
        let authorities = self.unusable_authorities.iter();
        let authorities = authorities.map(|authority| ("certificate authority", &authority.uri, &authority.reason));
        let certificate_logs = self.unusable_certificate_logs.iter();
        let certificate_logs = certificate_logs.map(|log| ("certificate log", &log.base_url, &log.reason));
        let parts = logs.chain(stamps).chain(authorities).chain(certificate_logs);
        parts.map(|(kind, place, reason)| format!("{kind} {place:?} does not count: {reason}")).collect()
    }

    /// The first log of that id.
    pub fn log(&self, log_id: &[u8; 32]) -> Option<&TrustedLog> {
        self.logs.iter().find(|log| log.log_id == *log_id)
    }

    /// The log of that id whose key was valid at a moment in unix seconds; where none was, the first of that id.
    pub fn log_at(&self, log_id: &[u8; 32], at: Option<i64>) -> Option<&TrustedLog> {
        at.and_then(|at| self.logs.iter().find(|log| log.log_id == *log_id && log.valid_for.contains(at)))
            .or_else(|| self.log(log_id))
    }

    /// Trusts a log. An Ed25519 key takes the host of the URL as its name unless it has one already.
    pub fn add_log(&mut self, base_url: &str, key: LogKey, valid_for: ValidFor) -> Result<(), TrustRootError> {
        let key = match key.name() {
            Some(_) => key,
            None => file::named_key(base_url, key.spki(), None)?,
        };
        let log = TrustedLog { base_url: base_url.to_owned(), log_id: key.key_id(), key, valid_for };
        push_new(&mut self.logs, log);
        Ok(())
    }

    /// Trusts a timestamp authority by its chain, from the signing certificate to the root.
    pub fn add_timestamp_authority(
        &mut self,
        uri: &str,
        chain_der: Vec<Vec<u8>>,
        valid_for: ValidFor,
    ) -> Result<(), TrustRootError> {
        if chain_der.len() < 2 {
            return Err(TrustRootError::Chain(uri.to_owned()));
        }
        let authority = TrustedTimestampAuthority { uri: uri.to_owned(), chain: chain_der, valid_for, subject: None };
        push_new(&mut self.timestamp_authorities, authority);
        Ok(())
    }

    /// Trusts a certificate authority by its chain, from the certificate that issues to the root.
    pub fn add_certificate_authority(&mut self, uri: &str, chain_der: Vec<Vec<u8>>, valid_for: ValidFor) {
        push_new(&mut self.certificate_authorities, CertificateAuthority::new(uri, chain_der, valid_for));
    }

    /// Trusts a certificate transparency log. An Ed25519 key takes the host of the URL as its name unless it has one.
    pub fn add_certificate_log(
        &mut self,
        base_url: &str,
        key: LogKey,
        valid_for: ValidFor,
    ) -> Result<(), TrustRootError> {
        let key = match key.name() {
            Some(_) => key,
            None => file::named_key(base_url, key.spki(), None)?,
        };
        push_new(&mut self.certificate_logs, CertificateLog::new(base_url, key, valid_for));
        Ok(())
    }

    /// Trusts whom the other trusts as well.
    pub fn merge(&mut self, other: TrustRoot) {
        for log in other.logs {
            push_new(&mut self.logs, log);
        }
        for log in other.unusable_logs {
            push_new(&mut self.unusable_logs, log);
        }
        for authority in other.timestamp_authorities {
            push_new(&mut self.timestamp_authorities, authority);
        }
        for authority in other.unusable_timestamp_authorities {
            push_new(&mut self.unusable_timestamp_authorities, authority);
        }
        for authority in other.certificate_authorities {
            push_new(&mut self.certificate_authorities, authority);
        }
        for authority in other.unusable_authorities {
            push_new(&mut self.unusable_authorities, authority);
        }
        for log in other.certificate_logs {
            push_new(&mut self.certificate_logs, log);
        }
        for log in other.unusable_certificate_logs {
            push_new(&mut self.unusable_certificate_logs, log);
        }
    }
}

fn push_new<T: PartialEq>(items: &mut Vec<T>, item: T) {
    if !items.contains(&item) {
        items.push(item);
    }
}

#[cfg(test)]
mod tests;
