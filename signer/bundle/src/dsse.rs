//! DSSE: the envelope around a statement, and the bytes that are signed.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::Serialize;

use crate::json::{self, Json};

/// The payload type of an in-toto statement.
pub const IN_TOTO_PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// More signatures than this are refused: a bundle carries one.
const MAX_SIGNATURES: usize = 64;

/// A payload and the signatures over its [`pae`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// What the payload is, for example [`IN_TOTO_PAYLOAD_TYPE`].
    pub payload_type: String,
    /// The payload's exact bytes.
    pub payload: Vec<u8>,
    /// Signatures over the pre-authentication encoding of the two above.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an [`Envelope`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EnvelopeSignature {
    /// A hint, unauthenticated; empty in what we write.
    pub keyid: String,
    /// The signature's bytes.
    pub signature: Vec<u8>,
}

/// Why bytes are not an envelope.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, or JSON with a repeated key.
    #[error(transparent)]
    Json(#[from] json::JsonError),
    /// A field is missing or of another type.
    #[error("a dsse envelope needs {0}")]
    Field(&'static str),
    /// A field is not base64.
    #[error("{0} of a dsse envelope is not base64")]
    Base64(&'static str),
    /// More signatures than anybody makes.
    #[error("a dsse envelope with more than {MAX_SIGNATURES} signatures is refused")]
    TooManySignatures,
}

/// The pre-authentication encoding: what is signed in place of the bare payload, so that no
/// signature is ever valid for another payload type.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoding = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    encoding.extend_from_slice(payload);
    encoding
}

/// Go's decoder passes over line ends, at any width, and does not look at the bits that no byte needs.
const GO: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);

fn without_line_ends(text: &str) -> Cow<'_, str> {
    if text.contains(['\r', '\n']) { Cow::Owned(text.replace(['\r', '\n'], "")) } else { Cow::Borrowed(text) }
}

/// Decodes standard base64 as Go's `encoding/base64` does: padding must be there.
pub(crate) fn decode_as_go(text: &str) -> Option<Vec<u8>> {
    const STANDARD_OF_GO: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, GO);
    STANDARD_OF_GO.decode(without_line_ends(text).as_bytes()).ok()
}

/// Decodes base64 as protojson does: either alphabet, with or without padding.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = GO.with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD_LENIENT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_SAFE_LENIENT: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    let text = without_line_ends(text);
    STANDARD_LENIENT.decode(text.as_bytes()).or_else(|_| URL_SAFE_LENIENT.decode(text.as_bytes())).ok()
}

impl Envelope {
    /// The envelope that cosign writes: one signature without a key id.
    pub fn in_toto(statement: Vec<u8>, signature: Vec<u8>) -> Self {
        Self {
            payload_type: IN_TOTO_PAYLOAD_TYPE.to_owned(),
            payload: statement,
            signatures: vec![EnvelopeSignature { keyid: String::new(), signature }],
        }
    }

    /// The bytes that each signature is over.
    pub fn pae(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }

    /// Parses an envelope's JSON; a repeated key is an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Self::from_view(Json::parse(bytes)?)
    }

    /// Reads an envelope out of a larger document that has been parsed already.
    pub fn from_view(value: Json<'_>) -> Result<Self, EnvelopeError> {
        let fields = value.fields(["payloadType", "payload", "signatures"]);
        let get = |name| fields.and_then(|fields| fields.get(name));
        let payload_type = get("payloadType").and_then(Json::text).ok_or(EnvelopeError::Field("a payloadType"))?;
        let payload = get("payload").and_then(Json::text).ok_or(EnvelopeError::Field("a payload"))?;
        let list =
            get("signatures").filter(|list| list.is_array()).ok_or(EnvelopeError::Field("an array of signatures"))?;
        let payload = decode_base64(&payload).ok_or(EnvelopeError::Base64("the payload"))?;
        let mut signatures = Vec::new();
        list.for_each_item(|item| {
            if signatures.len() == MAX_SIGNATURES {
                return Err(EnvelopeError::TooManySignatures);
            }
            let fields = item.fields(["sig", "keyid"]);
            let text = |name| fields.and_then(|fields| fields.get(name)).and_then(Json::text);
            let sig = text("sig").ok_or(EnvelopeError::Field("a sig in each signature"))?;
            signatures.push(EnvelopeSignature {
                keyid: text("keyid").unwrap_or_default().into_owned(),
                signature: decode_base64(&sig).ok_or(EnvelopeError::Base64("a signature"))?,
            });
            Ok(())
        })?;
        Ok(Self { payload_type: payload_type.into_owned(), payload, signatures })
    }

    /// The envelope's JSON as cosign writes it: `payload`, `payloadType`, `signatures`; an empty
    /// key id is left out.
    pub fn to_json(&self) -> Vec<u8> {
        // Unwrap safety: only strings and lists are serialized, into memory.
        serde_json::to_vec(&self.as_json()).unwrap_or_default()
    }

    fn as_json(&self) -> EnvelopeJson<'_> {
        EnvelopeJson {
            payload: STANDARD.encode(&self.payload),
            payload_type: &self.payload_type,
            signatures: self
                .signatures
                .iter()
                .map(|s| SignatureJson { sig: STANDARD.encode(&s.signature), keyid: &s.keyid })
                .collect(),
        }
    }
}

/// The order of the fields is cosign's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EnvelopeJson<'a> {
    payload: String,
    payload_type: &'a str,
    signatures: Vec<SignatureJson<'a>>,
}

#[derive(Serialize)]
struct SignatureJson<'a> {
    sig: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    keyid: &'a str,
}

impl Serialize for Envelope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_json().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_pae_counts_bytes_and_has_the_type_in_it() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pae("é", b""), "DSSEv1 2 é 0 ".as_bytes());
        assert!(pae(IN_TOTO_PAYLOAD_TYPE, b"{}").starts_with(b"DSSEv1 28 application/vnd.in-toto+json 2 {}"));
    }

    #[test]
    fn an_envelope_is_written_as_cosign_writes_it() {
        let envelope = Envelope::in_toto(b"{}".to_vec(), b"sig".to_vec());
        let json = r#"{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"c2ln"}]}"#;
        assert_eq!(String::from_utf8_lossy(&envelope.to_json()), json);
        assert_eq!(serde_json::to_string(&envelope).ok().as_deref(), Some(json));
        assert_eq!(Envelope::parse(json.as_bytes()).ok(), Some(envelope.clone()));
        assert_eq!(Envelope::parse(&envelope.to_json()).ok(), Some(envelope));
    }

    #[test]
    fn base64_is_read_as_protojson_reads_it() {
        assert_eq!(decode_base64("+/8="), Some(vec![0xfb, 0xff]));
        assert_eq!(decode_base64("-_8"), Some(vec![0xfb, 0xff]));
        assert_eq!(decode_base64("+_8="), None);
        assert_eq!(decode_base64("a b="), None);
    }

    #[test]
    fn an_incomplete_or_ambiguous_envelope_is_refused() {
        for bad in [
            r#"{"payloadType":"t","signatures":[]}"#,
            r#"{"payload":"","signatures":[]}"#,
            r#"{"payload":"","payloadType":"t"}"#,
            r#"{"payload":"*","payloadType":"t","signatures":[]}"#,
            r#"{"payload":"","payloadType":"t","signatures":[{}]}"#,
            r#"{"payload":"","payloadType":"t","signatures":[{"sig":"*"}]}"#,
            r#"{"payload":"","payload":"","payloadType":"t","signatures":[]}"#,
            "[]",
        ] {
            assert!(Envelope::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let many = vec![r#"{"sig":""}"#; 65].join(",");
        let many = format!(r#"{{"payload":"","payloadType":"t","signatures":[{many}]}}"#);
        assert!(matches!(Envelope::parse(many.as_bytes()), Err(EnvelopeError::TooManySignatures)));
    }

    proptest! {
        #[test]
        fn each_envelope_reads_back(payload_type: String, payload: Vec<u8>, keyid: String, signature: Vec<u8>) {
            let envelope = Envelope { payload_type, payload, signatures: vec![EnvelopeSignature { keyid, signature }] };
            prop_assert_eq!(Envelope::parse(&envelope.to_json()).ok(), Some(envelope));
        }

        #[test]
        fn no_two_pairs_of_type_and_payload_share_a_pae(a: (String, Vec<u8>), b: (String, Vec<u8>)) {
            prop_assert_eq!(pae(&a.0, &a.1) == pae(&b.0, &b.1), a == b);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = Envelope::parse(&bytes);
        }
    }
}
