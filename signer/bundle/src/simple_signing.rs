//! The legacy payload: "simple signing", byte for byte as cosign writes it.

use std::borrow::Cow;

use crate::digest::Digest;
use crate::json::{self, Json, go_string};

/// What `critical.type` says.
pub const SIMPLE_SIGNING_TYPE: &str = "cosign container image signature";

/// What a payload claims.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SimpleSigning {
    /// The name under which the image was signed. podman compares it with the name that it pulls.
    pub docker_reference: String,
    /// The digest that was signed.
    pub digest: Digest,
}

/// Why bytes are not a simple-signing payload.
#[derive(Debug, thiserror::Error)]
pub enum SimpleSigningError {
    /// Not JSON, or JSON with a repeated key.
    #[error(transparent)]
    Json(#[from] json::JsonError),
    /// A field is missing, of another type, or spelled in another case.
    #[error("a simple-signing payload needs {0}")]
    Field(&'static str),
    /// A payload of another kind, such as podman's own.
    #[error("the payload is of type {0:?}, not {SIMPLE_SIGNING_TYPE:?}")]
    WrongType(String),
    /// The digest is none.
    #[error("the digest in the payload: {0}")]
    Digest(#[from] crate::digest::DigestError),
}

/// The bytes that a legacy signature is over. Go's escapes are part of them: another spelling of
/// the same JSON is another payload, with another digest and another layer.
pub fn payload(docker_reference: &str, digest: &Digest) -> Vec<u8> {
    format!(
        "{{\"critical\":{{\"identity\":{{\"docker-reference\":{}}},\
         \"image\":{{\"docker-manifest-digest\":\"{digest}\"}},\
         \"type\":\"{SIMPLE_SIGNING_TYPE}\"}},\"optional\":null}}",
        go_string(docker_reference)
    )
    .into_bytes()
}

/// Reads a payload. What is in `optional` (annotations, a creator) is not looked at.
pub fn parse(bytes: &[u8]) -> Result<SimpleSigning, SimpleSigningError> {
    let payload = Json::parse(bytes)?;
    if !payload.is_object() {
        return Err(SimpleSigningError::Field("an object"));
    }
    let critical = object(payload, "critical")?;
    let kind = text(critical, "type")?;
    if kind != SIMPLE_SIGNING_TYPE {
        return Err(SimpleSigningError::WrongType(kind.chars().take(100).collect()));
    }
    let identity = object(critical, "identity")?;
    let image = object(critical, "image")?;
    Ok(SimpleSigning {
        docker_reference: text(identity, "docker-reference")?.into_owned(),
        digest: text(image, "docker-manifest-digest")?.parse()?,
    })
}

fn object<'a>(parent: Json<'a>, key: &'static str) -> Result<Json<'a>, SimpleSigningError> {
    field(parent, key).filter(|value| value.is_object()).ok_or(SimpleSigningError::Field(key))
}

fn text<'a>(parent: Json<'a>, key: &'static str) -> Result<Cow<'a, str>, SimpleSigningError> {
    field(parent, key).and_then(Json::text).ok_or(SimpleSigningError::Field(key))
}

/// A field that is not there under another spelling as well.
fn field<'a>(parent: Json<'a>, key: &'static str) -> Option<Json<'a>> {
    let fields = parent.fields([key])?;
    fields.get(key).filter(|_| fields.misspelled().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "sha256:882cc40fbcaf93b50713828865f7f7106034a4717cf9ed190676625b386156fc";

    fn digest() -> Digest {
        DIGEST.parse().expect("a digest")
    }

    #[test]
    fn the_payload_is_cosigns_byte_for_byte() {
        assert_eq!(
            String::from_utf8_lossy(&payload("ghcr.io/org/app", &digest())),
            format!(
                r#"{{"critical":{{"identity":{{"docker-reference":"ghcr.io/org/app"}},"image":{{"docker-manifest-digest":"{DIGEST}"}},"type":"cosign container image signature"}},"optional":null}}"#
            )
        );
    }

    #[test]
    fn the_payload_has_gos_escapes() {
        let bytes = payload("a<b>c&d\u{2028}e\u{2029}\"\\", &digest());
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains(r#""docker-reference":"a\u003cb\u003ec\u0026d\u2028e\u2029\"\\"}"#), "{text}");
    }

    #[test]
    fn a_payload_must_be_whole_of_our_type_and_unambiguous() {
        let good = String::from_utf8(payload("r", &digest())).expect("utf-8");
        assert!(parse(good.as_bytes()).is_ok());
        let with_optional = good.replace("null", r#"{"creator":"x","a":1}"#);
        assert!(parse(with_optional.as_bytes()).is_ok());
        for bad in [
            good.replace("cosign container image signature", "atomic container signature"),
            good.replace("sha256:", "sha512:"),
            good.replace("docker-manifest-digest", "Docker-manifest-digest"),
            good.replace("\"type\"", "\"Type\""),
            good.replace("\"critical\":", "\"critical\":{},\"critical\":"),
            good.replace("\"critical\":", "\"Critical\":{},\"critical\":"),
            good.replace("\"r\"", "null"),
            format!("{good}{{}}"),
            "[]".to_owned(),
            String::new(),
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn each_payload_reads_back(docker_reference: String, hash: [u8; 32]) {
            let digest = Digest::from_bytes(hash);
            let read = parse(&payload(&docker_reference, &digest)).ok();
            prop_assert_eq!(read, Some(SimpleSigning { docker_reference, digest }));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
