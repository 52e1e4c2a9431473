//! What a sender must present. Comparisons take the same time whatever is wrong, and reveal no length; where several
//! secrets are valid, each of them is always compared.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::format::Proof;
use crate::config::{Secrets, SourceAuth};

/// The credential was wrong or missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Denied {
    /// For `WWW-Authenticate`.
    pub challenge: &'static str,
}

const SIGNATURE_HEADERS: [&str; 2] = ["x-sealwatch-signature", "x-hub-signature-256"];
const MAC_BYTES: usize = 32;

/// The part of the check that needs no body, so that a stranger's body is not even read.
///
/// # Errors
/// The credential is wrong or missing.
pub fn check_head(auth: &SourceAuth, headers: &HeaderMap) -> Result<Proof, Denied> {
    let denied = Denied { challenge: challenge(auth) };
    match auth {
        SourceAuth::Bearer(secrets) => {
            let presented = credential(headers, "bearer").ok_or(denied)?;
            allow(is_one_of(presented.as_bytes(), secrets), denied)
        }
        SourceAuth::Basic { username, passwords } => {
            let presented = credential(headers, "basic").and_then(|text| STANDARD.decode(text).ok()).ok_or(denied)?;
            let colon = presented.iter().position(|byte| *byte == b':').ok_or(denied)?;
            let (user, rest) = presented.split_at(colon);
            // Both are always compared.
            allow(same_bytes(user, username.as_bytes()) & is_one_of(&rest[1..], passwords), denied)
        }
        SourceAuth::HmacSha256(secrets) => {
            let presented = presented_mac(headers).ok_or(denied)?;
            Ok(Proof::OverBody(MacCheck::new(secrets, presented, denied)))
        }
        SourceAuth::None => Ok(Proof::Given),
    }
}

/// The code over a body's bytes, computed while they arrive, under each secret that is valid.
pub struct MacCheck {
    macs: Vec<Hmac<Sha256>>,
    presented: Vec<u8>,
    denied: Denied,
}

impl MacCheck {
    fn new(secrets: &Secrets, presented: Vec<u8>, denied: Denied) -> Self {
        let keys = secrets.all().iter().map(|secret| secret.expose_secret().as_bytes());
        // An empty secret is no secret.
        let macs = keys.filter(|key| !key.is_empty()).filter_map(|key| Hmac::new_from_slice(key).ok()).collect();
        Self { macs, presented, denied }
    }

    /// Takes the next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        for mac in &mut self.macs {
            mac.update(bytes);
        }
    }

    /// The body is complete.
    ///
    /// # Errors
    /// The code is wrong.
    pub fn verify(self) -> Result<(), Denied> {
        let mut equal = Choice::from(0);
        for mac in self.macs {
            equal |= mac.finalize().into_bytes().as_slice().ct_eq(&self.presented);
        }
        allow(equal, self.denied).map(|_| ())
    }
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
    hex::decode(value.strip_prefix("sha256=")?).ok().filter(|mac| mac.len() == MAC_BYTES)
}

/// Whether it is one of the secrets. None is left out, whichever was right.
fn is_one_of(presented: &[u8], secrets: &Secrets) -> Choice {
    let compared = |secret: &SecretString| same_bytes(presented, secret.expose_secret().as_bytes());
    secrets.all().iter().fold(Choice::from(0), |any, secret| any | compared(secret))
}

/// Compares hashes, so that not even the length of the secret shows. An empty secret opens nothing.
fn same_bytes(presented: &[u8], wanted: &[u8]) -> Choice {
    let equal = Sha256::digest(presented).as_slice().ct_eq(Sha256::digest(wanted).as_slice());
    equal & Choice::from(u8::from(!wanted.is_empty()))
}

fn allow(equal: Choice, denied: Denied) -> Result<Proof, Denied> {
    if bool::from(equal) { Ok(Proof::Given) } else { Err(denied) }
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
        match check_head(auth, &headers) {
            Ok(Proof::Given) => true,
            Ok(Proof::OverBody(mut mac)) => {
                body.chunks(5).for_each(|piece| mac.update(piece));
                mac.verify().is_ok()
            }
            Err(_) => false,
        }
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
        let auth = SourceAuth::Basic { username: "zot".to_owned(), passwords: "p:w".into() };
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

    #[test]
    fn several_secrets_are_valid_at_once_and_no_mixture_of_them() {
        let both = || Secrets::new(vec!["new-secret".into(), "old-secret".into()]);
        let bearer = SourceAuth::Bearer(both());
        for (secret, may) in [("new-secret", true), ("old-secret", true), ("new-secretold-secret", false), ("", false)]
        {
            let value = format!("Bearer {secret}");
            assert_eq!(allowed(&bearer, &[("authorization", &value)], b""), may, "{secret}");
            let basic = SourceAuth::Basic { username: "zot".to_owned(), passwords: both() };
            let value = format!("Basic {}", STANDARD.encode(format!("zot:{secret}")));
            assert_eq!(allowed(&basic, &[("authorization", &value)], b""), may, "{secret}");
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
            mac.update(b"a body in pieces");
            let signed = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
            let presented = [("x-sealwatch-signature", signed.as_str())];
            assert_eq!(allowed(&SourceAuth::HmacSha256(both()), &presented, b"a body in pieces"), may, "{secret}");
            assert!(!allowed(&SourceAuth::HmacSha256(both()), &presented, b"a body in pieces "), "{secret}");
        }
    }

    #[test]
    fn a_list_without_a_secret_opens_nothing() {
        let none = || Secrets::new(Vec::new());
        assert!(!allowed(&SourceAuth::Bearer(none()), &[("authorization", "Bearer ")], b""));
        let zeros = format!("sha256={}", "00".repeat(MAC_BYTES));
        assert!(!allowed(&SourceAuth::HmacSha256(none()), &[("x-hub-signature-256", &zeros)], b""));
        let mixed = Secrets::new(vec!["".into(), "good".into()]);
        assert!(!allowed(&SourceAuth::Bearer(mixed.clone()), &[("authorization", "Bearer ")], b""));
        assert!(allowed(&SourceAuth::Bearer(mixed), &[("authorization", "Bearer good")], b""));
    }

    #[test]
    fn no_secret_shows_where_a_source_is_printed() {
        let secrets = Secrets::new(vec!["canary-one".into(), "canary-two".into()]);
        let shown = format!("{:?}", SourceAuth::Bearer(secrets));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
