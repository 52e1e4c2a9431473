//! Fulcio's API: a token and a key in, a certificate chain out.

use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use axum::Json;
use axum::extract::State as FromState;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::{Decode as _, Document};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use spki::SubjectPublicKeyInfoRef;

use super::{Identity, State};
use crate::clock;
use crate::timestamp_authority::pem;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    #[serde(default)]
    credentials: Option<Credentials>,
    public_key_request: PublicKeyRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    oidc_identity_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKeyRequest {
    public_key: PublicKey,
    proof_of_possession: String,
}

#[derive(Deserialize)]
struct PublicKey {
    content: String,
}

/// gRPC's number for a bad request.
const INVALID_ARGUMENT: u32 = 3;

/// Checks the token, that its subject holds the key, and issues. No certificate signing requests.
pub(crate) async fn create(
    FromState(state): FromState<Arc<State>>,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = request
        .credentials
        .as_ref()
        .map(|credentials| credentials.oidc_identity_token.as_str())
        .or_else(|| bearer.and_then(|value| value.strip_prefix("Bearer ")))
        .unwrap_or_default();
    let claims = state.issuers().iter().find_map(|issuer| Some((issuer.url().to_owned(), issuer.claims(token)?)));
    let Some((issuer, claims)) = claims else {
        return refused("There was an error processing the identity token");
    };
    let Ok((_, key)) = Document::from_pem(&request.public_key_request.public_key.content) else {
        return refused("The public key supplied in the request could not be parsed");
    };
    let challenge = claims["email"].as_str().or(claims["sub"].as_str()).unwrap_or_default();
    let proof = STANDARD.decode(&request.public_key_request.proof_of_possession).unwrap_or_default();
    if !holds(key.as_bytes(), challenge.as_bytes(), &proof) {
        return refused("The signature supplied in the request could not be verified");
    }
    let identity = Identity::from_claims(&issuer, &claims);
    match state.issue(&identity, key.as_bytes(), clock::unix_seconds()) {
        Ok(issued) => {
            let chain = std::iter::once(&issued.certificate).chain(&state.chain);
            let certificates: Vec<String> = chain.map(|certificate| pem("CERTIFICATE", certificate)).collect();
            Json(json!({ "signedCertificateEmbeddedSct": { "chain": { "certificates": certificates } } }))
                .into_response()
        }
        Err(error) => {
            tracing::debug!(%error, "a certificate was not issued");
            refused("error communicating with CA backend")
        }
    }
}

pub(crate) async fn trust_bundle(FromState(state): FromState<Arc<State>>) -> Json<Value> {
    let certificates: Vec<String> = state.chain.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect();
    Json(json!({ "chains": [{ "certificates": certificates }] }))
}

/// Whether the key has signed its subject's name, with the hash that goes with the key.
fn holds(spki: &[u8], challenge: &[u8], proof: &[u8]) -> bool {
    let Ok(info) = SubjectPublicKeyInfoRef::from_der(spki) else { return false };
    let algorithms: [&dyn VerificationAlgorithm; 4] =
        [&ECDSA_P256_SHA256_ASN1, &ECDSA_P384_SHA384_ASN1, &RSA_PKCS1_2048_8192_SHA256, &ED25519];
    let key = info.subject_public_key.raw_bytes();
    algorithms.into_iter().any(|algorithm| UnparsedPublicKey::new(algorithm, key).verify(challenge, proof).is_ok())
}

fn refused(message: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "code": INVALID_ARGUMENT, "message": message, "details": [] })))
        .into_response()
}
