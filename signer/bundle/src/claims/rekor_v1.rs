//! What the leaves of Rekor v1 claim: `hashedrekord`, `dsse`, `intoto` and `rekord`.
use super::collect::{BLANK, Collector, Failure};
use super::{Claim, head};
use crate::entry::LoggedHash;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<'a, S> {
    #[serde(rename = "apiVersion", borrow)]
    _version: Cow<'a, str>,
    #[serde(rename = "kind", borrow)]
    _kind: Cow<'a, str>,
    spec: S,
}

/// `hashedrekord` and `rekord`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record<'a> {
    #[serde(borrow)]
    data: Data<'a>,
    signature: Signature<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data<'a> {
    #[serde(borrow)]
    hash: Hash<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hash<'a> {
    #[serde(borrow)]
    algorithm: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Signature<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(default, borrow)]
    format: Option<Cow<'a, str>>,
    public_key: Material<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Material<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Dsse<'a> {
    #[serde(rename = "envelopeHash", borrow)]
    _envelope_hash: Hash<'a>,
    payload_hash: Hash<'a>,
    signatures: Vec<DsseSignature<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DsseSignature<'a> {
    #[serde(borrow)]
    signature: Cow<'a, str>,
    #[serde(borrow)]
    verifier: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Intoto<'a> {
    #[serde(borrow)]
    content: IntotoContent<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IntotoContent<'a> {
    #[serde(borrow)]
    envelope: IntotoEnvelope<'a>,
    #[serde(rename = "hash")]
    _hash: Hash<'a>,
    payload_hash: Hash<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IntotoEnvelope<'a> {
    /// Logs leave it out, and keep it elsewhere.
    #[serde(rename = "payload", default)]
    _payload: Option<IgnoredAny>,
    #[serde(rename = "payloadType", borrow)]
    _payload_type: Cow<'a, str>,
    signatures: Vec<IntotoSignature<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IntotoSignature<'a> {
    #[serde(rename = "keyid", default, borrow)]
    _keyid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    public_key: Cow<'a, str>,
    #[serde(borrow)]
    sig: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OlderIntoto<'a> {
    #[serde(borrow)]
    content: OlderIntotoContent<'a>,
    #[serde(borrow)]
    public_key: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OlderIntotoContent<'a> {
    #[serde(rename = "hash", borrow)]
    _hash: Hash<'a>,
    #[serde(default, borrow)]
    payload_hash: Option<Hash<'a>>,
}

pub(super) fn hashedrekord<'a>(body: &'a [u8], collector: &mut Collector<'a>) -> Result<(), Failure> {
    record(head::fields::<Entry<'a, Record<'a>>>(body)?.spec, true, collector)
}

/// Of the formats only X.509 signs the bytes themselves; PGP, SSH and minisign sign something made of them.
pub(super) fn rekord<'a>(body: &'a [u8], collector: &mut Collector<'a>) -> Result<(), Failure> {
    let spec = head::fields::<Entry<'a, Record<'a>>>(body)?.spec;
    let plain = spec.signature.format.as_deref() == Some("x509");
    record(spec, plain, collector)
}

fn record<'a>(spec: Record<'_>, plain: bool, collector: &mut Collector<'a>) -> Result<(), Failure> {
    let digest = digest(&spec.data.hash, collector)?.filter(|_| plain);
    let signature = collector.base64(&spec.signature.content, "signature")?;
    let material = collector.base64(&spec.signature.public_key.content, "public key")?;
    collector.by_pem(Claim { digest, signature, ..BLANK }, material)
}

pub(super) fn dsse<'a>(body: &'a [u8], collector: &mut Collector<'a>) -> Result<(), Failure> {
    let spec = head::fields::<Entry<'a, Dsse<'a>>>(body)?.spec;
    let payload_hash = sha256(&spec.payload_hash, collector)?;
    for signature in &spec.signatures {
        let material = collector.base64(&signature.verifier, "verifier")?;
        let signature = collector.base64(&signature.signature, "signature")?;
        collector.by_pem(Claim { payload_hash, signature, ..BLANK }, material)?;
    }
    Ok(())
}

pub(super) fn intoto<'a>(body: &'a [u8], collector: &mut Collector<'a>) -> Result<(), Failure> {
    let content = head::fields::<Entry<'a, Intoto<'a>>>(body)?.spec.content;
    let payload_hash = sha256(&content.payload_hash, collector)?;
    for signature in &content.envelope.signatures {
        let material = collector.base64(&signature.public_key, "public key")?;
        let once = collector.base64(&signature.sig, "signature")?;
        // The envelope's signature, itself base64, is encoded once more.
        let signature = collector.arena.base64(once).unwrap_or(once);
        collector.by_pem(Claim { payload_hash, signature, ..BLANK }, material)?;
    }
    Ok(())
}

pub(super) fn intoto_older<'a>(body: &'a [u8], collector: &mut Collector<'a>) -> Result<(), Failure> {
    let spec = head::fields::<Entry<'a, OlderIntoto<'a>>>(body)?.spec;
    let payload_hash = match &spec.content.payload_hash {
        Some(hash) => sha256(hash, collector)?,
        None => None,
    };
    let material = collector.base64(&spec.public_key, "public key")?;
    collector.by_pem(Claim { payload_hash, ..BLANK }, material)
}

fn digest<'a>(hash: &Hash<'_>, collector: &mut Collector<'a>) -> Result<Option<(LoggedHash, &'a [u8])>, Failure> {
    let algorithm = match &*hash.algorithm {
        "sha256" => LoggedHash::Sha256,
        "sha384" => LoggedHash::Sha384,
        "sha512" => LoggedHash::Sha512,
        _ => return Ok(None),
    };
    let digest = collector.arena.hex(hash.value.as_bytes()).ok_or(Failure::Field("hash value"))?;
    if digest.len() != algorithm.digest_len() {
        return Err(Failure::Field("hash value"));
    }
    Ok(Some((algorithm, digest)))
}

fn sha256(hash: &Hash<'_>, collector: &mut Collector<'_>) -> Result<Option<[u8; 32]>, Failure> {
    Ok(match digest(hash, collector)? {
        Some((LoggedHash::Sha256, digest)) => digest.try_into().ok(),
        _ => None,
    })
}
