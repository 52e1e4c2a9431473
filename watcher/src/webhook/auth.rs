//! What a sender must present. Comparisons take the same time whatever is wrong, and reveal no length.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::SourceAuth;

/// The credential was wrong or missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Denied {
    /// For `WWW-Authenticate`.
    pub challenge: &'static str,
}

const SIGNATURE_HEADERS: [&str; 2] = ["x-sealwatch-signature", "x-hub-signature-256"];

/// The part of the check that needs no body, so that a stranger's body is not even read.
pub fn check_headers(auth: &SourceAuth, headers: &HeaderMap) -> Result<(), Denied> {
    let denied = Denied { challenge: challenge(auth) };
    match auth {
        SourceAuth::Bearer(secret) => {
            let presented = credential(headers, "bearer").ok_or(denied)?;
            allow(same(presented.as_bytes(), secret), denied)
        }
        SourceAuth::Basic { username, password } => {
            let presented = credential(headers, "basic").and_then(|text| STANDARD.decode(text).ok()).ok_or(denied)?;
            let colon = presented.iter().position(|byte| *byte == b':').ok_or(denied)?;
            let (user, rest) = presented.split_at(colon);
            // Both are always compared.
            allow(same_bytes(user, username.as_bytes()) & same(&rest[1..], password), denied)
        }
        SourceAuth::HmacSha256(_) => presented_mac(headers).map(|_| ()).ok_or(denied),
        SourceAuth::None => Ok(()),
    }
}

/// The part of the check that is over the body's bytes. They are not looked at otherwise before it is done.
pub fn check_body(auth: &SourceAuth, headers: &HeaderMap, body: &[u8]) -> Result<(), Denied> {
    let SourceAuth::HmacSha256(secret) = auth else { return Ok(()) };
    let denied = Denied { challenge: challenge(auth) };
    let presented = presented_mac(headers).ok_or(denied)?;
    let secret = secret.expose_secret().as_bytes();
    if secret.is_empty() {
        return Err(denied);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| denied)?;
    mac.update(body);
    // Compares in constant time.
    mac.verify_slice(&presented).map_err(|_| denied)
}

fn challenge(auth: &SourceAuth) -> &'static str {
    match auth {
        SourceAuth::Bearer(_) | SourceAuth::None => "Bearer realm=\"sealwatch\"",
        SourceAuth::Basic { .. } => "Basic realm=\"sealwatch\", charset=\"UTF-8\"",
        SourceAuth::HmacSha256(_) => "HMAC-SHA256 realm=\"sealwatch\"",
    }
}

/// What follows the scheme in the one `Authorization` header; two of them are none.
fn credential<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (have, rest) = value.split_once(' ')?;
    have.eq_ignore_ascii_case(scheme).then_some(rest.trim_start_matches(' '))
}

/// The MAC in our header, or else in the one that GitHub made common.
fn presented_mac(headers: &HeaderMap) -> Option<Vec<u8>> {
    let name = SIGNATURE_HEADERS.into_iter().find(|name| headers.contains_key(*name))?;
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    hex::decode(value.strip_prefix("sha256=")?).ok()
}

fn same(presented: &[u8], secret: &SecretString) -> Choice {
    same_bytes(presented, secret.expose_secret().as_bytes())
}

/// Compares hashes, so that not even the length of the secret shows. An empty secret is nobody's.
fn same_bytes(presented: &[u8], wanted: &[u8]) -> Choice {
    let equal = Sha256::digest(presented).as_slice().ct_eq(Sha256::digest(wanted).as_slice());
    equal & Choice::from(u8::from(!wanted.is_empty()))
}

fn allow(equal: Choice, denied: Denied) -> Result<(), Denied> {
    if bool::from(equal) { Ok(()) } else { Err(denied) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                HeaderValue::from_str(value).expect("a value"),
            );
        }
        headers
    }

    fn allowed(auth: &SourceAuth, pairs: &[(&str, &str)], body: &[u8]) -> bool {
        let headers = headers(pairs);
        check_headers(auth, &headers).is_ok() && check_body(auth, &headers, body).is_ok()
    }

    #[test]
    fn a_bearer_secret_must_be_exactly_the_one() {
        let auth = SourceAuth::Bearer("s3cret".into());
        assert!(allowed(&auth, &[("authorization", "Bearer s3cret")], b""));
        assert!(allowed(&auth, &[("authorization", "bearer s3cret")], b""));
        for value in ["Bearer s3cre", "Bearer s3crets", "Bearer ", "Bearer", "s3cret", "Basic s3cret", "Bearer S3CRET"]
        {
            assert!(!allowed(&auth, &[("authorization", value)], b""), "{value}");
        }
        assert!(!allowed(&auth, &[], b""));
        let twice = [("authorization", "Bearer s3cret"), ("authorization", "Bearer other")];
        assert!(!allowed(&auth, &twice, b""));
    }

    #[test]
    fn basic_needs_user_and_password() {
        let auth = SourceAuth::Basic { username: "zot".to_owned(), password: "p:w".into() };
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(allowed(&auth, &[("authorization", &basic("zot:p:w"))], b""));
        for text in ["zot:p", "zo:p:w", "zot", ":p:w", "zot:p:w "] {
            assert!(!allowed(&auth, &[("authorization", &basic(text))], b""), "{text}");
        }
        assert!(!allowed(&auth, &[("authorization", "Basic ???")], b""));
    }

    #[test]
    fn a_mac_is_over_the_bytes_of_the_body() {
        let auth = SourceAuth::HmacSha256("key".into());
        let body = b"{\"repository\": \"team/app\"}";
        let mut mac = Hmac::<Sha256>::new_from_slice(b"key").expect("any length");
        mac.update(body);
        let good = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        assert!(allowed(&auth, &[("x-hub-signature-256", &good)], body));
        assert!(allowed(&auth, &[("x-sealwatch-signature", &good)], body));
        assert!(!allowed(&auth, &[("x-sealwatch-signature", &good)], b"{\"repository\":\"team/app\"}"));
        assert!(!allowed(&auth, &[("x-sealwatch-signature", &good[7..])], body));
        assert!(!allowed(&auth, &[("x-sealwatch-signature", &good[..good.len() - 2])], body));
        assert!(!allowed(&auth, &[], body));
        // Ours is the one that counts when both are there.
        let both = [("x-sealwatch-signature", "sha256=00"), ("x-hub-signature-256", good.as_str())];
        assert!(!allowed(&auth, &both, body));
    }

    #[test]
    fn an_empty_secret_opens_nothing() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"").expect("any length");
        mac.update(b"");
        let signed = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        assert!(!allowed(&SourceAuth::Bearer("".into()), &[("authorization", "Bearer ")], b""));
        assert!(!allowed(&SourceAuth::HmacSha256("".into()), &[("x-hub-signature-256", &signed)], b""));
    }
}
