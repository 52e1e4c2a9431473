//! What a client asks: a `TimeStampReq` of RFC 3161, section 2.4.1.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::{ID_SHA_256, ID_SHA_384, ID_SHA_512};
use der::asn1::{Int, OctetString};
use der::{Decode as _, Sequence};
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extensions;

/// A hash, and how it was made.
#[derive(Clone, Debug, Eq, PartialEq, Sequence)]
pub(crate) struct MessageImprint {
    pub(crate) hash_algorithm: AlgorithmIdentifierOwned,
    pub(crate) hashed_message: OctetString,
}

/// What a timestamp is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Request {
    pub(crate) message_imprint: MessageImprint,
    pub(crate) policy: Option<ObjectIdentifier>,
    pub(crate) nonce: Option<Int>,
    /// Whether the answer is to hold the certificates; without it, it must not.
    pub(crate) certificates: bool,
}

#[derive(Sequence)]
struct TimeStampReq {
    version: u8,
    message_imprint: MessageImprint,
    #[asn1(optional = "true")]
    req_policy: Option<ObjectIdentifier>,
    #[asn1(optional = "true")]
    nonce: Option<Int>,
    #[asn1(default = "Default::default")]
    cert_req: bool,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    extensions: Option<Extensions>,
}

/// Reads a request; hashes must be of a kind that verifiers accept, and of its length.
pub(crate) fn parse(bytes: &[u8]) -> Result<Request, String> {
    let request = TimeStampReq::from_der(bytes).map_err(|error| error.to_string())?;
    if request.version != 1 {
        return Err(format!("version {} is not supported", request.version));
    }
    if request.extensions.is_some() {
        return Err("extensions are not supported".to_owned());
    }
    let imprint = &request.message_imprint;
    let length = match imprint.hash_algorithm.oid {
        ID_SHA_256 => 32,
        ID_SHA_384 => 48,
        ID_SHA_512 => 64,
        other => return Err(format!("the hash algorithm {other} is not supported")),
    };
    if imprint.hashed_message.as_bytes().len() != length {
        return Err("the hash has the wrong length".to_owned());
    }
    Ok(Request {
        message_imprint: request.message_imprint,
        policy: request.req_policy,
        nonce: request.nonce,
        certificates: request.cert_req,
    })
}
