//! The JSON of `trusted_root.json`, read and written.
use super::{
    CertificateAuthority, CertificateLog, TrustRoot, TrustRootError, TrustedLog, TrustedTimestampAuthority,
    UnusableAuthority, UnusableLog, ValidFor,
};
use crate::certificate::CertificateView;
use crate::json::{Json, StoredJson};
use crate::protojson::Base64;
use crate::public_key::{KeyAlgorithm, PublicKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tlog::LogKey;

const V0_1: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
const V0_2: &str = "application/vnd.dev.sigstore.trustedroot.v0.2+json";
const OLDER: &str = "application/vnd.dev.sigstore.trustedroot.v0.1+json";

/// DER before the 32 bytes of an Ed25519 key.
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// More parts of one kind are refused.
const MAX_PARTS: usize = 4096;

/// What is read: each part is looked at by itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RootParts<'a> {
    media_type: String,
    #[serde(borrow)]
    tlogs: Option<&'a RawValue>,
    #[serde(borrow)]
    certificate_authorities: Option<&'a RawValue>,
    #[serde(borrow)]
    ctlogs: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp_authorities: Option<&'a RawValue>,
}

/// What is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RootJson {
    media_type: &'static str,
    tlogs: Vec<Value>,
    certificate_authorities: Vec<Value>,
    ctlogs: Vec<Value>,
    timestamp_authorities: Vec<Value>,
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
    subject: Option<Box<RawValue>>,
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

/// A part that cannot be used must not take the others with it: it is kept with the reason.
pub(super) fn parse(bytes: &[u8]) -> Result<TrustRoot, TrustRootError> {
    let file = Json::parse(bytes)?.read::<RootParts<'_>>()?;
    if ![V0_1, V0_2, OLDER].contains(&file.media_type.as_str()) {
        return Err(TrustRootError::MediaType(file.media_type.chars().take(100).collect()));
    }
    let mut root = TrustRoot::default();
    for_each_part(file.tlogs, "tlogs", |part| match read_log(part) {
        Ok(log) => root.logs.push(log),
        Err(reason) => root.unusable_logs.push(unusable_log(part, reason)),
    })?;
    for_each_part(file.certificate_authorities, "certificateAuthorities", |part| match certificate_authority(part) {
        Ok((uri, chain, valid_for)) => {
            let json = StoredJson::of(part);
            root.certificate_authorities.push(CertificateAuthority { uri, chain, valid_for, json });
        }
        Err(reason) => root.unusable_authorities.push(unusable_authority(part, reason)),
    })?;
    for_each_part(file.ctlogs, "ctlogs", |part| match read_log(part) {
        Ok(TrustedLog { base_url, key, log_id, valid_for }) => {
            let json = StoredJson::of(part);
            root.certificate_logs.push(CertificateLog { base_url, key, log_id, valid_for, json });
        }
        Err(reason) => root.unusable_certificate_logs.push(unusable_log(part, reason)),
    })?;
    for_each_part(file.timestamp_authorities, "timestampAuthorities", |part| match timestamp_authority(part) {
        Ok(authority) => root.timestamp_authorities.push(authority),
        Err(reason) => root.unusable_timestamp_authorities.push(unusable_authority(part, reason)),
    })?;
    Ok(root)
}

/// Go writes an empty list as null.
fn for_each_part<'a>(
    list: Option<&'a RawValue>,
    field: &'static str,
    mut part: impl FnMut(Json<'a>),
) -> Result<(), TrustRootError> {
    let wrong = || TrustRootError::Field { place: "the file".to_owned(), field };
    let Some(list) = list.map(Json::of) else { return Ok(()) };
    if !list.is_array() {
        return Err(wrong());
    }
    let mut count = 0;
    list.for_each_item(|item| {
        count += 1;
        if count > MAX_PARTS {
            return Err(wrong());
        }
        part(item);
        Ok(())
    })
}

fn unusable_log(part: Json<'_>, reason: String) -> UnusableLog {
    let base_url = part.get("baseUrl").and_then(Json::text).unwrap_or_default().into_owned();
    UnusableLog { base_url, reason, json: StoredJson::of(part) }
}

fn unusable_authority(part: Json<'_>, reason: String) -> UnusableAuthority {
    let uri = part.get("uri").and_then(Json::text).unwrap_or_default().into_owned();
    UnusableAuthority { uri, reason, json: StoredJson::of(part) }
}

/// The parser's reason without the place, which is within the part and not within the file.
fn unread(error: serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason).to_owned()
}

type Authority = (String, Vec<Vec<u8>>, ValidFor);

fn certificate_authority(part: Json<'_>) -> Result<Authority, String> {
    let authority = part.read::<AuthorityJson>().map_err(unread)?;
    let valid_for = period(authority.valid_for).map_err(str::to_owned)?;
    let chain: Vec<_> = authority.cert_chain.certificates.into_iter().map(|c| c.raw_bytes.0).collect();
    if chain.is_empty() {
        return Err("has no certificate".to_owned());
    }
    for der in &chain {
        CertificateView::parse(der).map_err(|error| error.to_string())?;
    }
    Ok((authority.uri, chain, valid_for))
}

fn timestamp_authority(part: Json<'_>) -> Result<TrustedTimestampAuthority, String> {
    let authority = part.read::<AuthorityJson>().map_err(unread)?;
    let valid_for = period(authority.valid_for).map_err(str::to_owned)?;
    let chain: Vec<_> = authority.cert_chain.certificates.into_iter().map(|c| c.raw_bytes.0).collect();
    if chain.len() < 2 {
        return Err("needs its certificate chain, from the signing certificate to the root".to_owned());
    }
    let subject = authority.subject.map(|subject| StoredJson::of(Json::of(&subject)));
    Ok(TrustedTimestampAuthority { uri: authority.uri, chain, valid_for, subject })
}

fn read_log(part: Json<'_>) -> Result<TrustedLog, String> {
    log(part.read().map_err(unread)?).map_err(|error| match error {
        TrustRootError::Log { reason, .. } => reason,
        other => other.to_string(),
    })
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
        valid_for: period(json.public_key.valid_for).map_err(unusable)?,
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

fn period(json: Option<PeriodJson>) -> Result<ValidFor, &'static str> {
    let json = json.unwrap_or_default();
    let bound = |text: Option<String>, otherwise| match text {
        None => Ok(None),
        Some(text) => moment(&text).map(Some).ok_or(otherwise),
    };
    Ok(ValidFor {
        start: bound(json.start, "has no valid validFor.start")?,
        end: bound(json.end, "has no valid validFor.end")?,
    })
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
pub(super) fn authority_json(uri: &str, chain: &[Vec<u8>], valid_for: ValidFor) -> StoredJson {
    StoredJson::written(&AuthorityJson {
        subject: None,
        uri: uri.to_owned(),
        cert_chain: ChainJson {
            certificates: chain.iter().map(|der| CertificateJson { raw_bytes: Base64(der.clone()) }).collect(),
        },
        valid_for: written(valid_for),
    })
}

/// A log's JSON.
pub(super) fn log_json(base_url: &str, key: &LogKey, log_id: &[u8; 32], valid_for: ValidFor) -> StoredJson {
    StoredJson::written(&LogJson {
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
    let timestamp_authorities = root.timestamp_authorities.iter().map(|authority| {
        StoredJson::written(&AuthorityJson {
            subject: authority.subject.as_ref().and_then(|s| RawValue::from_string(s.as_str().to_owned()).ok()),
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
    });
    let file = RootJson {
        media_type: V0_1,
        tlogs: logs.chain(root.unusable_logs.iter().map(|log| log.json.clone())).map(|log| log.to_value()).collect(),
        certificate_authorities: authorities
            .chain(root.unusable_authorities.iter().map(|authority| &authority.json))
            .map(StoredJson::to_value)
            .collect(),
        ctlogs: certificate_logs
            .chain(root.unusable_certificate_logs.iter().map(|log| &log.json))
            .map(StoredJson::to_value)
            .collect(),
        timestamp_authorities: timestamp_authorities
            .chain(root.unusable_timestamp_authorities.iter().map(|authority| authority.json.clone()))
            .map(|authority| authority.to_value())
            .collect(),
    };
    serde_json::to_vec_pretty(&file).unwrap_or_default()
}
