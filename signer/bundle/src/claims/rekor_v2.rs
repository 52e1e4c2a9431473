//! What the leaves of Rekor v2 claim: `hashedrekord` and `dsse` 0.0.2.
use super::collect::{BLANK, Collector, Failure};
use super::{Claim, head};
use crate::entry::LoggedHash;
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry<'a, S> {
    #[serde(rename = "apiVersion", borrow)]
    _version: Cow<'a, str>,
    #[serde(rename = "kind", borrow)]
    _kind: Cow<'a, str>,
    spec: S,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashedRekordSpec<'a> {
    #[serde(rename = "hashedRekordV002", borrow)]
    hashed_rekord: HashedRekord<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashedRekord<'a> {
    #[serde(borrow)]
    data: Hash<'a>,
    signature: Signature<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DsseSpec<'a> {
    #[serde(rename = "dsseV002", borrow)]
    dsse: Dsse<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Dsse<'a> {
    #[serde(borrow)]
    payload_hash: Hash<'a>,
    signatures: Vec<Signature<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hash<'a> {
    #[serde(borrow)]
    algorithm: Cow<'a, str>,
    #[serde(borrow)]
    digest: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
    verifier: Verifier<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Verifier<'a> {
    #[serde(rename = "keyDetails", default, borrow)]
    _key_details: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    public_key: Option<RawBytes<'a>>,
    #[serde(default, borrow)]
    x509_certificate: Option<RawBytes<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawBytes<'a> {
    #[serde(borrow)]
    raw_bytes: Cow<'a, str>,
}

pub(super) fn hashedrekord<'a>(body: &'a [u8], collector: &mut Collector<'a>) -> Result<(), Failure> {
    let HashedRekord { data, signature } = head::fields::<Entry<'a, HashedRekordSpec<'a>>>(body)?.spec.hashed_rekord;
    let digest = digest(&data, collector)?;
    named(&signature, Claim { digest, ..BLANK }, collector)
}

pub(super) fn dsse<'a>(body: &'a [u8], collector: &mut Collector<'a>) -> Result<(), Failure> {
    let Dsse { payload_hash, signatures } = head::fields::<Entry<'a, DsseSpec<'a>>>(body)?.spec.dsse;
    let payload_hash = match digest(&payload_hash, collector)? {
        Some((LoggedHash::Sha256, hash)) => hash.try_into().ok(),
        _ => None,
    };
    for signature in &signatures {
        named(signature, Claim { payload_hash, ..BLANK }, collector)?;
    }
    Ok(())
}

fn digest<'a>(hash: &Hash<'_>, collector: &mut Collector<'a>) -> Result<Option<(LoggedHash, &'a [u8])>, Failure> {
    let algorithm = match &*hash.algorithm {
        "SHA2_256" => LoggedHash::Sha256,
        "SHA2_384" => LoggedHash::Sha384,
        "SHA2_512" => LoggedHash::Sha512,
        _ => return Ok(None),
    };
    let digest = collector.base64(&hash.digest, "digest")?;
    if digest.len() != algorithm.digest_len() {
        return Err(Failure::Field("digest"));
    }
    Ok(Some((algorithm, digest)))
}

/// Both, where a leaf names a key and a certificate: no reader may take the one that we passed over.
fn named<'a>(signature: &Signature<'_>, claim: Claim<'a>, collector: &mut Collector<'a>) -> Result<(), Failure> {
    let claim = Claim { signature: collector.base64(&signature.content, "signature")?, ..claim };
    let Verifier { public_key, x509_certificate, .. } = &signature.verifier;
    if let Some(key) = public_key {
        let der = collector.base64(&key.raw_bytes, "public key")?;
        let by = collector.key(der)?;
        collector.claims.push(Claim { by, ..claim });
    }
    if let Some(certificate) = x509_certificate {
        let der = collector.base64(&certificate.raw_bytes, "certificate")?;
        let by = collector.certificate(der);
        collector.claims.push(Claim { by, ..claim });
    }
    if public_key.is_none() && x509_certificate.is_none() {
        return Err(Failure::Field("verifier"));
    }
    Ok(())
}
