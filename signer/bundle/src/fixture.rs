//! Keys, logs and timestamp authorities of the tests' own, and the way to the vectors.
mod authority;
mod issuer;
mod leaves;
#[path = "../tests/all/vectors.rs"]
mod vectors;

pub(crate) use authority::Authority;
pub(crate) use issuer::{Issuer, Wanted};
pub(crate) use leaves::{SUBJECT, own_leaves, pem};
pub(crate) use vectors::{vector, vector_cases, vectors, vectors_ending};

use crate::digest::Digest;
use crate::dsse::{Envelope, EnvelopeSignature, IN_TOTO_PAYLOAD_TYPE, pae};
use crate::entry::NewEntry;
use crate::format::Format;
use crate::log_entry::{EntryProof, LogEntry};
use crate::public_key::{HashAlgorithm, PublicKey};
use crate::simple_signing;
use crate::statement;
use ::signature::Signer as _;
use ::signature::hazmat::PrehashSigner as _;
use spki::EncodePublicKey as _;
use tlog::{Hash, LogKey, NoteSignature, checkpoint_text, format_note, leaf_hash, set_payload, tree};

/// A signing key, made from a number.
pub(crate) enum TestKey {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl TestKey {
    pub(crate) fn p256(seed: u8) -> TestKey {
        TestKey::P256(p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    pub(crate) fn p384(seed: u8) -> TestKey {
        TestKey::P384(p384::ecdsa::SigningKey::from_slice(&[seed; 48]).unwrap())
    }

    pub(crate) fn ed25519(seed: u8) -> TestKey {
        TestKey::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&[seed; 32])))
    }

    pub(crate) fn spki(&self) -> Vec<u8> {
        match self {
            TestKey::P256(key) => key.verifying_key().to_public_key_der(),
            TestKey::P384(key) => key.verifying_key().to_public_key_der(),
            TestKey::Ed25519(key) => key.verifying_key().to_public_key_der(),
        }
        .unwrap()
        .into_vec()
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from_spki(&self.spki()).unwrap()
    }

    pub(crate) fn sign(&self, message: &[u8], hash: HashAlgorithm) -> Vec<u8> {
        let digest = hash.digest(message);
        match self {
            TestKey::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
                signature.to_der().as_bytes().to_vec()
            }
            TestKey::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
                signature.to_der().as_bytes().to_vec()
            }
            TestKey::Ed25519(key) => key.sign(message).to_vec(),
        }
    }

    /// A signature of this digest in the bundle format, not logged yet.
    pub(crate) fn sign_statement(&self, digest: &Digest) -> NewEntry {
        self.sign_payload(IN_TOTO_PAYLOAD_TYPE, &statement::statement(digest))
    }

    pub(crate) fn sign_payload(&self, payload_type: &str, payload: &[u8]) -> NewEntry {
        let key = self.public();
        let message = pae(payload_type, payload);
        let signature = self.sign(&message, key.bundle_hash());
        NewEntry {
            format: Format::Bundle,
            envelope: Some(Envelope {
                payload_type: payload_type.to_owned(),
                payload: payload.to_vec(),
                signatures: vec![EnvelopeSignature { keyid: String::new(), signature: signature.clone() }],
            }),
            message,
            signature,
            hash: key.bundle_hash(),
            key,
        }
    }

    /// A signature of this digest in the legacy format, not logged yet.
    pub(crate) fn sign_simple(&self, digest: &Digest) -> NewEntry {
        let message = simple_signing::payload("registry.example.com/team/app", digest);
        NewEntry {
            format: Format::Legacy,
            envelope: None,
            signature: self.sign(&message, HashAlgorithm::Sha256),
            message,
            key: self.public(),
            hash: HashAlgorithm::Sha256,
        }
    }
}

/// The body that Rekor v1 makes of a request.
pub(crate) fn rekor_v1_body(entry: &NewEntry) -> Vec<u8> {
    let Some(envelope) = &entry.envelope else {
        return entry.rekor_v1_request().unwrap();
    };
    let pem = crate::protojson::encode(entry.key.pem().as_bytes());
    let signature = crate::protojson::encode(&entry.signature);
    format!(
        "{{\"apiVersion\":\"0.0.1\",\"kind\":\"dsse\",\"spec\":{{\"envelopeHash\":{{\"algorithm\":\"sha256\",\
         \"value\":\"{}\"}},\"payloadHash\":{{\"algorithm\":\"sha256\",\"value\":\"{}\"}},\
         \"signatures\":[{{\"signature\":\"{signature}\",\"verifier\":\"{pem}\"}}]}}}}",
        Digest::of(&envelope.to_json()).hex(),
        Digest::of(&envelope.payload).hex(),
    )
    .into_bytes()
}

/// A log that answers as Rekor v1 (ECDSA) or v2 (Ed25519) does.
pub(crate) struct TestLog {
    pub(crate) name: &'static str,
    key: TestKey,
    leaves: Vec<Hash>,
}

impl TestLog {
    /// What a Rekor v1 shard adds to its own index: the sizes of the shards before it.
    pub(crate) const V1_OFFSET: u64 = 1000;

    pub(crate) fn v1(seed: u8) -> TestLog {
        TestLog { name: "rekor.example.com", key: TestKey::p256(seed), leaves: filler() }
    }

    pub(crate) fn v2(seed: u8) -> TestLog {
        TestLog { name: "log1.example.com", key: TestKey::ed25519(seed), leaves: filler() }
    }

    fn is_v2(&self) -> bool {
        matches!(self.key, TestKey::Ed25519(_))
    }

    pub(crate) fn base_url(&self) -> String {
        format!("https://{}", self.name)
    }

    pub(crate) fn key(&self) -> LogKey {
        LogKey::from_spki(&self.key.spki(), self.is_v2().then_some(self.name)).unwrap()
    }

    /// Takes a signature in, as the API of this log's version would.
    pub(crate) fn log(&mut self, entry: &NewEntry, integrated_time: i64) -> LogEntry {
        if self.is_v2() {
            let body = entry.rekor_v2_body().unwrap();
            return self.append(body, "hashedrekord", "0.0.2", None);
        }
        let kind = if entry.format == Format::Bundle { "dsse" } else { "hashedrekord" };
        self.append(rekor_v1_body(entry), kind, "0.0.1", Some(integrated_time))
    }

    pub(crate) fn append(
        &mut self,
        body: Vec<u8>,
        kind: &str,
        version: &str,
        integrated_time: Option<i64>,
    ) -> LogEntry {
        let index = self.leaves.len() as u64;
        self.leaves.push(leaf_hash(&body));
        let size = self.leaves.len() as u64;
        let root = tree::root(&self.leaves);
        let log_id = self.key().key_id();
        let log_index = if self.is_v2() { index } else { index + Self::V1_OFFSET };
        let set = integrated_time.map(|time| {
            let body = crate::protojson::encode(&body);
            self.key.sign(&set_payload(&body, time, &hex::encode(log_id), log_index), HashAlgorithm::Sha256)
        });
        LogEntry {
            log_index,
            log_id,
            kind: kind.to_owned(),
            version: version.to_owned(),
            integrated_time,
            set,
            proof: Some(EntryProof {
                log_index: index,
                root,
                size,
                hashes: tree::inclusion_proof(&self.leaves, index, size).unwrap().hashes,
                checkpoint: self.checkpoint(size, &root),
            }),
            body,
        }
    }

    pub(crate) fn checkpoint(&self, size: u64, root: &Hash) -> String {
        let origin = if self.is_v2() { self.name.to_owned() } else { format!("{} - 42", self.name) };
        let text = checkpoint_text(&origin, size, root);
        let line = NoteSignature {
            name: self.name.to_owned(),
            key_hash: self.key().note_hash(),
            signature: self.key.sign(text.as_bytes(), HashAlgorithm::Sha256),
        };
        format_note(&text, &[line])
    }
}

fn filler() -> Vec<Hash> {
    (0..5_u8).map(|i| leaf_hash(&[i])).collect()
}
