//! Discovery, keys and tokens, as a relying party reads them.

use super::*;
use crate::testing::get;
use p256::ecdsa::VerifyingKey;

#[tokio::test]
async fn a_token_verifies_with_the_key_that_discovery_leads_to() {
    let issuer = OidcIssuer::start(OidcOptions::default()).await.unwrap();
    let configuration = get(issuer.addr(), "/.well-known/openid-configuration").await.json();
    assert_eq!(configuration["issuer"], issuer.url());
    let keys = get(issuer.addr(), configuration["jwks_uri"].as_str().unwrap()).await.json();
    let jwk = &keys["keys"][0];
    let decoded = |value: &Value| URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap();
    let point = [&[4][..], &decoded(&jwk["x"]), &decoded(&jwk["y"])].concat();
    let key = VerifyingKey::from_sec1_bytes(&point).unwrap();

    let token = issuer.email_token("ann@example.com");
    let parts: Vec<&str> = token.split('.').collect();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    assert_eq!((&header["alg"], &header["kid"]), (&json!("ES256"), &jwk["kid"]));
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(parts[2]).unwrap()).unwrap();
    key.verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &signature).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    assert_eq!((&claims["email"], &claims["aud"]), (&json!("ann@example.com"), &json!("sigstore")));
}

#[tokio::test]
async fn only_its_own_tokens_of_now_for_sigstore_have_claims() {
    let issuer = OidcIssuer::start(OidcOptions::default()).await.unwrap();
    let other = OidcIssuer::start(OidcOptions::default()).await.unwrap();
    let good = issuer.token(&json!({ "sub": "ann" }));
    assert_eq!(issuer.claims(&good).unwrap()["sub"], "ann");
    for wrong in [
        other.token(&json!({ "sub": "ann", "iss": issuer.url() })),
        issuer.token(&json!({ "sub": "ann", "exp": 1_700_000_000 })),
        issuer.token(&json!({ "sub": "ann", "aud": "elsewhere" })),
        format!("{good}x"),
        "a.b.c".to_owned(),
        String::new(),
    ] {
        assert_eq!(issuer.claims(&wrong), None, "{wrong}");
    }
}
