//! What the authority answers: a `TimeStampResp` around CMS signed data around a `TSTInfo`.

use std::time::Duration;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911::{ID_CONTENT_TYPE, ID_MESSAGE_DIGEST, ID_SIGNED_DATA};
use const_oid::db::rfc5912::{ECDSA_WITH_SHA_256, ID_SHA_256};
use der::asn1::{Any, GeneralizedTime, Int, OctetString, SetOfVec};
use der::{Decode as _, Encode as _, Sequence, ValueOrd};
use sha2::{Digest as _, Sha256};
use spki::AlgorithmIdentifierOwned;
use x509_cert::attr::Attribute;
use x509_cert::certificate::Certificate;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;

use super::certificates::Chain;
use super::request::{MessageImprint, Request};

const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
/// The policy of Sigstore's own authorities; a request that names another gets what it names.
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2");

#[derive(Sequence)]
struct TimeStampResp {
    status: PkiStatusInfo,
    time_stamp_token: ContentInfo,
}

#[derive(Sequence)]
struct PkiStatusInfo {
    status: u8,
}

#[derive(Sequence)]
struct ContentInfo {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: SignedData,
}

#[derive(Sequence)]
struct SignedData {
    version: u8,
    digest_algorithms: SetOfVec<AlgorithmIdentifierOwned>,
    encap_content_info: EncapsulatedContentInfo,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    certificates: Option<SetOfVec<Any>>,
    signer_infos: SetOfVec<SignerInfo>,
}

#[derive(Sequence)]
struct EncapsulatedContentInfo {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: OctetString,
}

#[derive(Sequence, ValueOrd)]
struct SignerInfo {
    version: u8,
    sid: IssuerAndSerialNumber,
    digest_algorithm: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    signed_attributes: SetOfVec<Attribute>,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: OctetString,
}

#[derive(Sequence, ValueOrd)]
struct IssuerAndSerialNumber {
    issuer: Name,
    serial_number: SerialNumber,
}

#[derive(Sequence)]
struct TstInfo {
    version: u8,
    policy: ObjectIdentifier,
    message_imprint: MessageImprint,
    serial_number: u64,
    gen_time: GeneralizedTime,
    accuracy: Accuracy,
    #[asn1(optional = "true")]
    nonce: Option<Int>,
}

#[derive(Sequence)]
struct Accuracy {
    seconds: u8,
}

/// `SigningCertificateV2`, whose default hash is SHA-256 and so is left out.
#[derive(Sequence)]
struct SigningCertificateV2 {
    certificates: Vec<EssCertIdV2>,
}

#[derive(Sequence)]
struct EssCertIdV2 {
    hash: OctetString,
}

/// The answer to a request: granted, at `now`.
pub(crate) fn response(request: &Request, chain: &Chain, serial: u64, now: i64) -> der::Result<Vec<u8>> {
    let info = TstInfo {
        version: 1,
        policy: request.policy.unwrap_or(POLICY),
        message_imprint: request.message_imprint.clone(),
        serial_number: serial,
        gen_time: GeneralizedTime::from_unix_duration(Duration::from_secs(u64::try_from(now).unwrap_or(0)))?,
        accuracy: Accuracy { seconds: 1 },
        nonce: request.nonce.clone(),
    }
    .to_der()?;
    let signed_attributes = signed_attributes(&info, chain.certificates())?;
    // SPEC: RFC 5652 5.4: what is signed is the attributes as a SET OF, not under their own tag.
    let signature = chain.sign(&signed_attributes.to_der()?);
    let sha256 = algorithm(ID_SHA_256);
    let signed_data = SignedData {
        version: 3,
        digest_algorithms: one(sha256.clone())?,
        encap_content_info: EncapsulatedContentInfo { content_type: TST_INFO, content: OctetString::new(info)? },
        certificates: request.certificates.then(|| embedded(chain.certificates())).transpose()?,
        signer_infos: one(SignerInfo {
            version: 1,
            sid: signer(chain.leaf()),
            digest_algorithm: sha256,
            signed_attributes,
            signature_algorithm: algorithm(ECDSA_WITH_SHA_256),
            signature: OctetString::new(signature)?,
        })?,
    };
    TimeStampResp {
        status: PkiStatusInfo { status: 0 },
        time_stamp_token: ContentInfo { content_type: ID_SIGNED_DATA, content: signed_data },
    }
    .to_der()
}

fn signed_attributes(info: &[u8], chain: &[Vec<u8>]) -> der::Result<SetOfVec<Attribute>> {
    let leaf = chain.first().map(Vec::as_slice).unwrap_or_default();
    let signing_certificate = SigningCertificateV2 {
        certificates: vec![EssCertIdV2 { hash: OctetString::new(Sha256::digest(leaf).to_vec())? }],
    };
    let attribute = |oid, value: Any| -> der::Result<Attribute> { Ok(Attribute { oid, values: one(value)? }) };
    SetOfVec::try_from(vec![
        attribute(ID_CONTENT_TYPE, Any::encode_from(&TST_INFO)?)?,
        attribute(ID_MESSAGE_DIGEST, Any::encode_from(&OctetString::new(Sha256::digest(info).to_vec())?)?)?,
        attribute(SIGNING_CERTIFICATE_V2, Any::encode_from(&signing_certificate)?)?,
    ])
}

/// Leaf and intermediate; a verifier has the root, or nothing.
fn embedded(chain: &[Vec<u8>]) -> der::Result<SetOfVec<Any>> {
    let certificates =
        chain.iter().take(2).map(|certificate| Any::from_der(certificate)).collect::<der::Result<Vec<_>>>()?;
    SetOfVec::try_from(certificates)
}

fn signer(leaf: &Certificate) -> IssuerAndSerialNumber {
    IssuerAndSerialNumber {
        issuer: leaf.tbs_certificate().issuer().clone(),
        serial_number: leaf.tbs_certificate().serial_number().clone(),
    }
}

fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters: None }
}

fn one<T: der::DerOrd>(value: T) -> der::Result<SetOfVec<T>> {
    SetOfVec::try_from(vec![value])
}
