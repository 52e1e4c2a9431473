//! The JSON of `trusted_root.json`, read and written.
use super::{
    CertificateAuthority, CertificateLog, TrustRoot, TrustRootError, TrustedLog, TrustedTimestampAuthority,
    UnusableAuthority, UnusableLog, ValidFor,
};
use crate::certificate::CertificateView;
use crate::json;
use crate::protojson::Base64;
use crate::public_key::{KeyAlgorithm, PublicKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tlog::LogKey;

const V0_1: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
const V0_2: &str = "application/vnd.dev.sigstore.trustedroot.v0.2+json";
const OLDER: &str = "application/vnd.dev.sigstore.trustedroot.v0.1+json";

/// DER before the 32 bytes of an Ed25519 key.
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RootJson {
    media_type: String,
    #[serde(default)]
    tlogs: Vec<Value>,
    #[serde(default)]
    certificate_authorities: Vec<Value>,
    #[serde(default)]
    ctlogs: Vec<Value>,
    #[serde(default)]
    timestamp_authorities: Vec<AuthorityJson>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogJson {
    #[serde(default)]
    base_url: String,
    #[serde(default)]
    hash_algorithm: String,
    public_key: KeyJson,
    log_id: IdJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint_key_id: Option<IdJson>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyJson {
    raw_bytes: Base64,
    #[serde(default)]
    key_details: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_for: Option<PeriodJson>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct IdJson {
    key_id: Base64,
}

#[derive(Default, Deserialize, Serialize)]
struct PeriodJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorityJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Value>,
    #[serde(default)]
    uri: String,
    cert_chain: ChainJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_for: Option<PeriodJson>,
}

#[derive(Deserialize, Serialize)]
struct ChainJson {
    certificates: Vec<CertificateJson>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateJson {
    raw_bytes: Base64,
}

pub(super) fn parse(bytes: &[u8]) -> Result<TrustRoot, TrustRootError> {
    let file = RootJson::deserialize(json::parse(bytes)?)?;
    if ![V0_1, V0_2, OLDER].contains(&file.media_type.as_str()) {
        return Err(TrustRootError::MediaType(file.media_type));
    }
    let mut root = TrustRoot::default();
    for value in file.tlogs {
        match log(LogJson::deserialize(&value)?) {
            Ok(log) => root.logs.push(log),
            // A log of a kind that we do not know must not take the others with it.
            Err(TrustRootError::Log { base_url, reason }) => {
                root.unusable_logs.push(UnusableLog { base_url, reason, json: value })
            }
            Err(other) => return Err(other),
        }
    }
    for json in file.certificate_authorities {
        match certificate_authority(&json) {
            Ok((uri, chain, valid_for)) => {
                root.certificate_authorities.push(CertificateAuthority { uri, chain, valid_for, json });
            }
            Err(reason) => {
                let uri = json.get("uri").and_then(Value::as_str).unwrap_or_default().to_owned();
                root.unusable_authorities.push(UnusableAuthority { uri, reason, json });
            }
        }
    }
    for json in file.ctlogs {
        match LogJson::deserialize(&json).map_err(TrustRootError::from).and_then(log) {
            Ok(TrustedLog { base_url, key, log_id, valid_for }) => {
                root.certificate_logs.push(CertificateLog { base_url, key, log_id, valid_for, json });
            }
            Err(error) => {
                let base_url = json.get("baseUrl").and_then(Value::as_str).unwrap_or_default().to_owned();
                root.unusable_certificate_logs.push(UnusableLog { base_url, reason: error.to_string(), json });
            }
        }
    }
    for authority in file.timestamp_authorities {
        let chain = authority.cert_chain.certificates;
        if chain.len() < 2 {
            return Err(TrustRootError::Chain(authority.uri));
        }
        root.timestamp_authorities.push(TrustedTimestampAuthority {
            valid_for: period(authority.valid_for, &authority.uri)?,
            uri: authority.uri,
            chain: chain.into_iter().map(|c| c.raw_bytes.0).collect(),
            subject: authority.subject,
        });
    }
    Ok(root)
}

type Authority = (String, Vec<Vec<u8>>, ValidFor);

/// One that cannot be read must not take the logs with it, so the reason is only text.
fn certificate_authority(json: &Value) -> Result<Authority, String> {
    let authority = AuthorityJson::deserialize(json).map_err(|error| error.to_string())?;
    let valid_for = period(authority.valid_for, &authority.uri).map_err(|error| error.to_string())?;
    let chain: Vec<_> = authority.cert_chain.certificates.into_iter().map(|c| c.raw_bytes.0).collect();
    if chain.is_empty() {
        return Err("has no certificate".to_owned());
    }
    for der in &chain {
        CertificateView::parse(der).map_err(|error| error.to_string())?;
    }
    Ok((authority.uri, chain, valid_for))
}

fn log(json: LogJson) -> Result<TrustedLog, TrustRootError> {
    let unusable = |reason: &str| TrustRootError::Log { base_url: json.base_url.clone(), reason: reason.to_owned() };
    if !matches!(json.hash_algorithm.as_str(), "SHA2_256" | "") {
        return Err(unusable("hashes its tree with something other than SHA-256"));
    }
    let log_id = json.log_id.key_id.0.as_slice();
    let log_id: [u8; 32] = log_id.try_into().map_err(|_| unusable("has a log id of other than 32 bytes"))?;
    let note_id = json.checkpoint_key_id.as_ref().map_or(log_id.as_slice(), |id| &id.key_id.0);
    Ok(TrustedLog {
        key: named_key(&json.base_url, &json.public_key.raw_bytes.0, Some(note_id))?,
        log_id,
        valid_for: period(json.public_key.valid_for, &json.base_url)?,
        base_url: json.base_url,
    })
}

/// The key with the name that its checkpoints carry. Only an Ed25519 key needs one: Rekor v1 signs with ECDSA, and its
/// origin holds a tree id that no file names. The name is the URL's host; with the port where the id says so.
pub(super) fn named_key(base_url: &str, spki: &[u8], id: Option<&[u8]>) -> Result<LogKey, TrustRootError> {
    let read = |name: Option<&str>| {
        LogKey::from_spki(spki, name)
            .map_err(|error| TrustRootError::Log { base_url: base_url.to_owned(), reason: error.to_string() })
    };
    if !spki.starts_with(&ED25519_PREFIX) {
        return read(None);
    }
    let (host, host_and_port) = host_of(base_url);
    let key = read(Some(host))?;
    match id {
        Some(id) if host != host_and_port && !key.key_id().starts_with(id) => {
            let other = read(Some(host_and_port))?;
            Ok(if other.key_id().starts_with(id) { other } else { key })
        }
        _ => Ok(key),
    }
}

/// The host of a URL or of a bare origin, without and with its port.
fn host_of(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match authority.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((host, _)) => host,
        None => authority.split(':').next().unwrap_or(authority),
    };
    (host, authority)
}

fn period(json: Option<PeriodJson>, place: &str) -> Result<ValidFor, TrustRootError> {
    let json = json.unwrap_or_default();
    let bound = |text: Option<String>, field| match text {
        None => Ok(None),
        Some(text) => moment(&text).map(Some).ok_or_else(|| TrustRootError::Field { place: place.to_owned(), field }),
    };
    Ok(ValidFor { start: bound(json.start, "validFor.start")?, end: bound(json.end, "validFor.end")? })
}

/// RFC 3339 as unix milliseconds.
pub(crate) fn moment(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

fn written(valid_for: ValidFor) -> Option<PeriodJson> {
    let bound = |ms: i64| Timestamp::from_millisecond(ms).ok().map(|t| t.to_string());
    (valid_for != ValidFor::default())
        .then(|| PeriodJson { start: valid_for.start.and_then(bound), end: valid_for.end.and_then(bound) })
}

/// A certificate authority's JSON.
pub(super) fn authority_json(uri: &str, chain: &[Vec<u8>], valid_for: ValidFor) -> Value {
    json_of(&AuthorityJson {
        subject: None,
        uri: uri.to_owned(),
        cert_chain: ChainJson {
            certificates: chain.iter().map(|der| CertificateJson { raw_bytes: Base64(der.clone()) }).collect(),
        },
        valid_for: written(valid_for),
    })
}

/// A log's JSON.
pub(super) fn log_json(base_url: &str, key: &LogKey, log_id: &[u8; 32], valid_for: ValidFor) -> Value {
    json_of(&LogJson {
        base_url: base_url.to_owned(),
        hash_algorithm: "SHA2_256".to_owned(),
        public_key: KeyJson {
            raw_bytes: Base64(key.spki().to_vec()),
            key_details: key_details(key.spki()).to_owned(),
            valid_for: written(valid_for),
        },
        log_id: IdJson { key_id: Base64(log_id.to_vec()) },
        checkpoint_key_id: (*log_id != key.key_id()).then(|| IdJson { key_id: Base64(key.key_id().to_vec()) }),
    })
}

/// Nothing in these structures can fail to be written.
fn json_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// The kind of a key in `dev.sigstore.common.v1.PublicKeyDetails`.
fn key_details(spki: &[u8]) -> &'static str {
    match PublicKey::from_spki(spki).map(|key| key.algorithm()) {
        Ok(KeyAlgorithm::Ed25519) => "PKIX_ED25519",
        Ok(KeyAlgorithm::EcdsaP384) => "PKIX_ECDSA_P384_SHA_384",
        Ok(KeyAlgorithm::Rsa { bits: 4096 }) => "PKIX_RSA_PKCS1V15_4096_SHA256",
        Ok(KeyAlgorithm::Rsa { bits: 3072 }) => "PKIX_RSA_PKCS1V15_3072_SHA256",
        Ok(KeyAlgorithm::Rsa { .. }) => "PKIX_RSA_PKCS1V15_2048_SHA256",
        _ => "PKIX_ECDSA_P256_SHA_256",
    }
}

pub(super) fn write(root: &TrustRoot) -> Vec<u8> {
    let logs = root.logs.iter().map(|log| log_json(&log.base_url, &log.key, &log.log_id, log.valid_for));
    let authorities = root.certificate_authorities.iter().map(|authority| &authority.json);
    let certificate_logs = root.certificate_logs.iter().map(|log| &log.json);
    let file = RootJson {
        media_type: V0_1.to_owned(),
        tlogs: logs.chain(root.unusable_logs.iter().map(|log| log.json.clone())).collect(),
        certificate_authorities: authorities
            .chain(root.unusable_authorities.iter().map(|authority| &authority.json))
            .cloned()
            .collect(),
        ctlogs: certificate_logs.chain(root.unusable_certificate_logs.iter().map(|log| &log.json)).cloned().collect(),
        timestamp_authorities: root
            .timestamp_authorities
            .iter()
            .map(|authority| AuthorityJson {
                subject: authority.subject.clone(),
                uri: authority.uri.clone(),
                cert_chain: ChainJson {
                    certificates: authority
                        .chain
                        .iter()
                        .map(|der| CertificateJson { raw_bytes: Base64(der.clone()) })
                        .collect(),
                },
                valid_for: written(authority.valid_for),
            })
            .collect(),
    };
    serde_json::to_vec_pretty(&file).unwrap_or_default()
}
