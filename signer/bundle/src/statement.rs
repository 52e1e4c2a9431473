//! The statement that a bundle's envelope carries: in-toto, about one digest, claiming no more
//! than "this was signed".

use crate::digest::Digest;
use crate::json::{self, Json};

/// The type of an in-toto statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// The predicate type of a plain signature. A verifier that does not insist on it takes any
/// statement by the same key for a signature.
pub const SIGN_PREDICATE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";

/// Older statements of other people, which we read.
const STATEMENT_TYPE_V0_1: &str = "https://in-toto.io/Statement/v0.1";

/// More subjects than this are refused.
const MAX_SUBJECTS: usize = 1024;

/// What a statement says, as far as it concerns us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    /// What kind of claim it is.
    pub predicate_type: String,
    /// What it is about. Subjects that have no sha256 digest are left out.
    pub subjects: Vec<Digest>,
}

/// Why bytes are not a statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not JSON, or JSON with a repeated key.
    #[error(transparent)]
    Json(#[from] json::JsonError),
    /// A field is missing, of another type, or spelled in another case.
    #[error("an in-toto statement needs {0}")]
    Field(&'static str),
    /// Another `_type`.
    #[error("not an in-toto statement v1: _type is {0:?}")]
    WrongType(String),
    /// More subjects than anybody needs.
    #[error("a statement about more than {MAX_SUBJECTS} subjects is refused")]
    TooManySubjects,
    /// A sha256 digest that is none.
    #[error("the digest of a subject: {0}")]
    Digest(#[from] crate::digest::DigestError),
}

/// The statement for one digest. The empty predicate is written out, since some readers insist
/// on it.
pub fn statement(digest: &Digest) -> Vec<u8> {
    format!(
        "{{\"_type\":\"{STATEMENT_TYPE}\",\"subject\":[{{\"digest\":{{\"sha256\":\"{}\"}}}}],\
         \"predicateType\":\"{SIGN_PREDICATE_TYPE}\",\"predicate\":{{}}}}",
        digest.hex()
    )
    .into_bytes()
}

/// Reads a statement; the predicate is not looked at.
pub fn parse(bytes: &[u8]) -> Result<Statement, StatementError> {
    let document = Json::parse(bytes)?;
    let fields = document.fields(["_type", "subject", "predicateType"]).ok_or(StatementError::Field("an object"))?;
    if let Some(field) = fields.misspelled() {
        return Err(StatementError::Field(field));
    }
    let text = |key| fields.get(key).and_then(Json::text);
    let kind = text("_type").ok_or(StatementError::Field("_type"))?;
    if kind != STATEMENT_TYPE && kind != STATEMENT_TYPE_V0_1 {
        return Err(StatementError::WrongType(kind.chars().take(100).collect()));
    }
    let predicate_type = text("predicateType").ok_or(StatementError::Field("predicateType"))?;
    let list = fields.get("subject").filter(|list| list.is_array()).ok_or(StatementError::Field("subject"))?;
    let mut subjects = Vec::new();
    let mut count = 0;
    list.for_each_item(|item| {
        count += 1;
        if count > MAX_SUBJECTS {
            return Err(StatementError::TooManySubjects);
        }
        subjects.extend(subject(item)?);
        Ok(())
    })?;
    Ok(Statement { predicate_type: predicate_type.into_owned(), subjects })
}

fn subject(value: Json<'_>) -> Result<Option<Digest>, StatementError> {
    let no_digest = StatementError::Field("a digest in each subject");
    let fields = value.fields(["digest"]).ok_or(StatementError::Field("objects as subjects"))?;
    let Some(digests) = fields.get("digest").filter(|_| fields.misspelled().is_none()) else {
        return Err(no_digest);
    };
    let mut is_empty = true;
    let mut sha256 = None;
    // An object, and not an empty one.
    digests
        .for_each_field(|name, value| {
            is_empty = false;
            if name == "sha256" {
                sha256 = Some(value);
            }
            Ok::<_, json::JsonError>(())
        })
        .map_err(|_| StatementError::Field("a digest in each subject"))?;
    match sha256 {
        None if is_empty => Err(no_digest),
        None => Ok(None),
        Some(hex) => {
            let hex = hex.text().ok_or(StatementError::Field("a string as digest"))?;
            Ok(Some(Digest::from_hex(&hex)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "882cc40fbcaf93b50713828865f7f7106034a4717cf9ed190676625b386156fc";

    #[test]
    fn the_statement_is_cosigns_with_the_empty_predicate() {
        let digest = Digest::from_hex(HEX).expect("a digest");
        assert_eq!(
            String::from_utf8_lossy(&statement(&digest)),
            format!(
                r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{HEX}"}}}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{{}}}}"#
            )
        );
    }

    #[test]
    fn statements_of_others_are_read_and_ambiguous_ones_refused() {
        let good = String::from_utf8(statement(&Digest::of(b"x"))).expect("utf-8");
        assert!(parse(good.as_bytes()).is_ok());
        assert!(parse(good.replace("Statement/v1", "Statement/v0.1").as_bytes()).is_ok());
        assert!(parse(good.replace(r#""digest":"#, r#""name":"n","annotations":{},"digest":"#).as_bytes()).is_ok());
        let other_hash = good.replace("sha256", "gitCommit");
        assert_eq!(parse(other_hash.as_bytes()).map(|s| s.subjects).ok(), Some(Vec::new()));
        for bad in [
            good.replace("Statement/v1", "Statement/v2"),
            good.replace("predicateType", "PredicateType"),
            good.replace("\"subject\":", "\"Subject\":[],\"subject\":"),
            good.replace("\"subject\":", "\"subject\":[],\"subject\":"),
            good.replace("{\"sha256\":", "{\"sha256\":7,\"x\":"),
            good.replace("{\"sha256\":\"", "{\"sha256\":\"AB"),
            good.replace("\"digest\"", "\"digests\""),
            "null".to_owned(),
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let many = format!("[{}]", vec![format!(r#"{{"digest":{{"sha256":"{HEX}"}}}}"#); 1025].join(","));
        let many = format!(r#"{{"_type":"{STATEMENT_TYPE}","predicateType":"p","subject":{many}}}"#);
        assert!(matches!(parse(many.as_bytes()), Err(StatementError::TooManySubjects)));
    }

    proptest! {
        #[test]
        fn each_statement_reads_back(hash: [u8; 32]) {
            let digest = Digest::from_bytes(hash);
            let read = parse(&statement(&digest)).ok();
            let expected = Statement { predicate_type: SIGN_PREDICATE_TYPE.to_owned(), subjects: vec![digest] };
            prop_assert_eq!(read, Some(expected));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
