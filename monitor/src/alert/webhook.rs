//! JSON to any receiver, signed with HMAC-SHA256.

use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::http::Receiver;
use super::message::now_ms;
use super::{Alert, AlertSink, AlertsError, SinkError};

const SIGNATURE: HeaderName = HeaderName::from_static("sealwatch-signature");
const ALERT_ID: HeaderName = HeaderName::from_static("sealwatch-alert-id");

/// A receiver that shares a secret with us.
#[derive(Debug)]
pub(super) struct Webhook {
    name: String,
    receiver: Receiver,
    secret: SecretString,
}

impl Webhook {
    pub(super) fn new(
        name: String,
        url: &SecretString,
        secret: SecretString,
        ca_pem: Option<&[u8]>,
    ) -> Result<Self, AlertsError> {
        let receiver = Receiver::new(&name, url, "", ca_pem)?;
        Ok(Self { name, receiver, secret })
    }
}

#[async_trait]
impl AlertSink for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, alert: &Alert) -> Result<(), SinkError> {
        let body = alert.to_json();
        let signature = signature_header(self.secret.expose_secret().as_bytes(), now_ms() / 1000, &body);
        // Hex digits, commas and equal signs always fit in a header.
        let headers = [(SIGNATURE, signature), (ALERT_ID, alert.id.clone())]
            .into_iter()
            .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)))
            .collect();
        self.receiver.post(body, headers).await
    }
}

/// The header `Sealwatch-Signature`: `t=<unix seconds>,v1=<hex>`, an HMAC-SHA256 over the time, a full stop and the body.
///
/// A receiver computes it again with the shared secret, compares in constant time, and refuses a time that is minutes
/// away: then a recorded request cannot be played back later.
pub fn signature_header(secret: &[u8], unix_s: i64, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        // HMAC takes keys of every length.
        return String::new();
    };
    mac.update(unix_s.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("t={unix_s},v1={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The value is of `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret`.
    #[test]
    fn the_signature_is_an_hmac_over_time_and_body() {
        let header = signature_header(b"secret", 1_700_000_000, br#"{"a":1}"#);
        assert_eq!(header, "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686");
        assert_ne!(header, signature_header(b"other", 1_700_000_000, br#"{"a":1}"#));
        assert_ne!(header, signature_header(b"secret", 1_700_000_001, br#"{"a":1}"#));
    }
}
