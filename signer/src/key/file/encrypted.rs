//! The box that cosign keeps a private key in: scrypt from the password, then NaCl's secretbox over PKCS#8.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::Aead;
use crypto_secretbox::{Key, KeyInit, Nonce, XSalsa20Poly1305};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::key::KeyError;

/// What cosign calls the standard cost; every cosign reads it.
const STANDARD_N: u64 = 65_536;
const SALT_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// The JSON inside the PEM block, in the order in which cosign writes it.
#[derive(Deserialize, Serialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize, Serialize)]
struct Kdf {
    name: String,
    params: KdfParams,
    salt: String,
}

#[derive(Deserialize, Serialize)]
struct KdfParams {
    #[serde(rename = "N")]
    n: u64,
    r: u64,
    p: u64,
}

#[derive(Deserialize, Serialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Opens the box: JSON in, PKCS#8 out.
pub(super) fn open(json: &[u8], password: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let sealed: Sealed =
        serde_json::from_slice(json).map_err(|_| KeyError::Malformed("its PEM block does not hold cosign's JSON"))?;
    if sealed.kdf.name != "scrypt" {
        return Err(KeyError::UnsupportedEncryption { name: sealed.kdf.name });
    }
    if sealed.cipher.name != "nacl/secretbox" {
        return Err(KeyError::UnsupportedEncryption { name: sealed.cipher.name });
    }
    let salt = decode(&sealed.kdf.salt, "its salt is not base64")?;
    let nonce = decode(&sealed.cipher.nonce, "its nonce is not base64")?;
    let ciphertext = decode(&sealed.ciphertext, "its ciphertext is not base64")?;
    if salt.len() != SALT_BYTES {
        return Err(KeyError::Malformed("its salt is not 32 bytes"));
    }
    if nonce.len() != NONCE_BYTES {
        return Err(KeyError::Malformed("its nonce is not 24 bytes"));
    }
    let key = derive(password, &salt, &sealed.kdf.params)?;
    let plain = XSalsa20Poly1305::new(Key::from_slice(key.as_slice()))
        .decrypt(Nonce::from_slice(&nonce), ciphertext.as_slice())
        .map_err(|_| KeyError::WrongPassword)?;
    Ok(Zeroizing::new(plain))
}

/// Closes a new box around PKCS#8, with fresh salt and nonce.
pub(super) fn seal(pkcs8: &[u8], password: &[u8]) -> Result<Vec<u8>, KeyError> {
    seal_at_cost(pkcs8, password, STANDARD_N)
}

pub(super) fn seal_at_cost(pkcs8: &[u8], password: &[u8], n: u64) -> Result<Vec<u8>, KeyError> {
    let mut salt = [0u8; SALT_BYTES];
    let mut nonce = [0u8; NONCE_BYTES];
    fill(&mut salt)?;
    fill(&mut nonce)?;
    let params = KdfParams { n, r: 8, p: 1 };
    let key = derive(password, &salt, &params)?;
    let ciphertext = XSalsa20Poly1305::new(Key::from_slice(key.as_slice()))
        .encrypt(Nonce::from_slice(&nonce), pkcs8)
        .map_err(|_| KeyError::Malformed("a new key could not be encrypted"))?;
    let sealed = Sealed {
        kdf: Kdf { name: "scrypt".to_owned(), params, salt: STANDARD.encode(salt) },
        cipher: Cipher { name: "nacl/secretbox".to_owned(), nonce: STANDARD.encode(nonce) },
        ciphertext: STANDARD.encode(ciphertext),
    };
    serde_json::to_vec(&sealed).map_err(|_| KeyError::Malformed("a new key could not be written as JSON"))
}

/// The file names its own cost, so only the costs that cosign accepts are paid: anything else could be chosen to
/// exhaust our memory.
fn derive(password: &[u8], salt: &[u8], params: &KdfParams) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let unsupported = || KeyError::UnsupportedScrypt { n: params.n, r: params.r, p: params.p };
    let log_n = match (params.n, params.r, params.p) {
        (32_768, 8, 1) => 15,
        (65_536, 8, 1) => 16,
        (131_072, 8, 1) => 17,
        _ => return Err(unsupported()),
    };
    let cost = scrypt::Params::new(log_n, 8, 1).map_err(|_| unsupported())?;
    let mut key = Zeroizing::new([0u8; 32]);
    scrypt::scrypt(password, salt, &cost, key.as_mut_slice()).map_err(|_| unsupported())?;
    Ok(key)
}

fn decode(base64: &str, otherwise: &'static str) -> Result<Vec<u8>, KeyError> {
    STANDARD.decode(base64).map_err(|_| KeyError::Malformed(otherwise))
}

fn fill(bytes: &mut [u8]) -> Result<(), KeyError> {
    getrandom::fill(bytes).map_err(|error| KeyError::Randomness(error.to_string()))
}
