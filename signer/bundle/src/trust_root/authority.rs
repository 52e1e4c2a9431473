//! Certificate authorities, and the logs that they write their certificates into.
use super::{ValidFor, file};
use crate::json::StoredJson;
use tlog::LogKey;

/// A certificate authority.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateAuthority {
    /// Where it is.
    pub uri: String,
    /// Its certificates, DER, from the one that issues to the root.
    pub chain: Vec<Vec<u8>>,
    /// When it was trusted.
    pub valid_for: ValidFor,
    /// As in the file: kept for whoever gets the file from us.
    pub json: StoredJson,
}

impl CertificateAuthority {
    /// An authority by its chain, from the certificate that issues to the root.
    pub fn new(uri: &str, chain: Vec<Vec<u8>>, valid_for: ValidFor) -> CertificateAuthority {
        let json = file::authority_json(uri, &chain, valid_for);
        CertificateAuthority { uri: uri.to_owned(), chain, valid_for, json }
    }
}

/// An authority that the file names and that we cannot use; what it issues or stamps does not count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnusableAuthority {
    /// Where it is, if the file says so.
    pub uri: String,
    /// Why it is of no use.
    pub reason: String,
    /// As in the file.
    pub json: StoredJson,
}

/// A certificate transparency log and the key that it signs with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateLog {
    /// Where it is.
    pub base_url: String,
    /// Its key.
    pub key: LogKey,
    /// What its signed certificate timestamps carry as log id.
    pub log_id: [u8; 32],
    /// When the key was the log's.
    pub valid_for: ValidFor,
    /// As in the file: kept for whoever gets the file from us.
    pub json: StoredJson,
}

impl CertificateLog {
    /// A log by its key.
    pub fn new(base_url: &str, key: LogKey, valid_for: ValidFor) -> CertificateLog {
        let log_id = key.key_id();
        let json = file::log_json(base_url, &key, &log_id, valid_for);
        CertificateLog { base_url: base_url.to_owned(), key, log_id, valid_for, json }
    }
}
