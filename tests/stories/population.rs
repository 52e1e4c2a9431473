//! What is in the logs of a story: strangers by the thousand, signatures of ours, copies of them that anybody can make,
//! and the few that somebody made who should not have our key or our name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bundle::{Digest, Format, ImageLocator, ImageReference};
use sandbox::leaves::{self, By, SandboxKey, hashed_rekord_v1, hashed_rekord_v2, malleated, rekor_v2_request};
use sandbox::{Identity, SandboxCa};
use serde_json::json;
use signer::key::KeyBackend as _;
use signer::key::file::FileKey;
use signer::sign::{Signed, Subject, sign};
use store::{Intent, JobClass, RecordedSignature};

/// Whom the watch rule of the story names.
pub(crate) const PERSON: &str = "release@ours.test";
pub(crate) const ISSUER: &str = "https://issuer.test";

/// Requests to three logs.
#[derive(Default)]
pub(crate) struct Requests {
    pub(crate) v2: Vec<Vec<u8>>,
    pub(crate) v1: Vec<Vec<u8>>,
    pub(crate) ct: Vec<Vec<u8>>,
}

impl Requests {
    /// Entries of strangers, half of them with certificates; the CT log takes certificates alone.
    pub(crate) fn of_strangers(v2: u64, v1: u64, ct: u64) -> Self {
        let request = |n| rekor_v2_request(&leaves::leaf(n)).expect("a hashedrekord");
        let chain = leaves::authority_chain_der();
        Self {
            v2: leaves::many(0..v2, request),
            v1: leaves::many(1_000_000..1_000_000 + v1, leaves::leaf_v1),
            ct: leaves::many(2_000_000..2_000_000 + ct, |n| add_chain(&leaves::certificate(n), chain)),
        }
    }

    /// Puts others between, evenly.
    pub(crate) fn mix(&mut self, others: Self) {
        for (into, more) in [(&mut self.v2, others.v2), (&mut self.v1, others.v1), (&mut self.ct, others.ct)] {
            let (strangers, count) = (std::mem::take(into), more.len());
            let every = strangers.len() / (count + 1);
            let mut more = more.into_iter();
            for (n, one) in strangers.into_iter().enumerate() {
                into.push(one);
                if every == 0 || (n + 1) % every == 0 {
                    into.extend(more.next());
                }
            }
            into.extend(more);
        }
    }
}

/// What RFC 6962's `add-chain` and `add-pre-chain` take.
pub(crate) fn add_chain(certificate: &[u8], above: &[Vec<u8>]) -> Vec<u8> {
    let chain = std::iter::once(certificate).chain(above.iter().map(Vec::as_slice));
    json!({ "chain": chain.map(|der| BASE64.encode(der)).collect::<Vec<_>>() }).to_string().into_bytes()
}

/// A signature with our key of an image that nobody pushed.
fn signed(key: &FileKey, number: u64, format: Format, about: &str) -> Signed {
    let name = format!("registry.test/nightly/{about}{number}");
    let subject = Subject { image: &image(&name, about, number), docker_reference: name.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(sign(key, &subject, format)).expect("a signature")
}

fn image(name: &str, about: &str, number: u64) -> ImageReference {
    let locator: ImageLocator = name.parse().expect("a name");
    ImageReference { name: locator.name, digest: Digest::of(format!("{about} {number}").as_bytes()) }
}

/// Signatures of ours: rows in the ledger, and their requests; and as many leaves that anybody can derive from them.
pub(crate) fn ours(key: &FileKey, ledger: &str, count: u64, stranger: &SandboxCa) -> (Requests, Requests) {
    let format = |n: u64| if n.is_multiple_of(8) || n % 8 > 4 { Format::Bundle } else { Format::Legacy };
    let made: Vec<Signed> = (0..count).map(|n| signed(key, n, format(n), "ours")).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(record(key, ledger, &made));
    let (mut own, mut derived) = (Requests::default(), Requests::default());
    for (n, signed) in made.iter().enumerate() {
        let entry = signed.new_entry(key.public_key());
        own.v2.push(entry.rekor_v2_request().expect("a request"));
        derive(n, signed, key, stranger, &mut derived);
    }
    (own, derived)
}

async fn record(key: &FileKey, ledger: &str, made: &[Signed]) {
    let store = store::open(ledger).await.expect("the ledger");
    for (number, signed) in (0..).zip(made) {
        let intent = Intent {
            image: image(&format!("registry.test/nightly/ours{number}"), "ours", number),
            identity_name: "nightly".to_owned(),
            identity: key.public_key().fingerprint(),
            public_key_spki: key.public_key().spki().to_vec(),
            format: signed.format,
            log_origin: "rekor2.test".to_owned(),
            trust_zone: "nightly".to_owned(),
            class: JobClass::Push,
            at: now_ms(),
        };
        let row = store.intend(&intent).await.expect("an intent");
        let recorded = RecordedSignature {
            payload: signed.payload.clone(),
            signed_digest: signed.signed_digest.clone(),
            signature: signed.signature.clone(),
            at: now_ms(),
        };
        store.record_signature(row.id, &recorded).await.expect("a row");
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("a time")
}

/// One leaf that a reader of the log can make of our public signature.
fn derive(n: usize, signed: &Signed, key: &FileKey, stranger: &SandboxCa, into: &mut Requests) {
    let spki = key.public_key().spki();
    let v2 = |signature: &[u8], by: &By| {
        rekor_v2_request(&hashed_rekord_v2(&signed.signed_digest, signature, by)).expect("a hashedrekord")
    };
    match n % 4 {
        // The other s.
        0 => {
            let other = malleated(&signed.signature).expect("a signature");
            into.v2.push(v2(&other, &By::Key(spki.to_vec())));
        }
        // Our key in a certificate that somebody made himself, with our name in it as well.
        1 => {
            let issued = stranger.issue(&Identity::email(ISSUER, PERSON), spki).expect("a certificate");
            into.v2.push(v2(&signed.signature, &By::Certificate(issued.certificate)));
        }
        // Another kind, in another log: `dsse` of a bundle, `rekord` of a legacy signature.
        2 => into.v1.push(match signed.format {
            Format::Bundle => signed.new_entry(key.public_key()).rekor_v1_request().expect("a request"),
            Format::Legacy => json!({"apiVersion": "0.0.1", "kind": "rekord", "spec": {
                "signature": {"format": "x509", "content": BASE64.encode(&signed.signature),
                    "publicKey": {"content": BASE64.encode(pem(spki))}},
                "data": {"content": BASE64.encode(&signed.message)}}})
            .to_string()
            .into_bytes(),
        }),
        // A second copy, in another log.
        _ => into.v1.push(hashed_rekord_v1(&signed.signed_digest, &signed.signature, &By::Key(spki.to_vec()))),
    }
}

fn pem(spki: &[u8]) -> String {
    let text = BASE64.encode(spki);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64")).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

/// Fifty: 20 in v2 and 10 in v1 with our key, 10 in v2, 5 in v1 and 5 in CT with a certificate for our name.
pub(crate) fn rogues(key: &FileKey, trusted: &SandboxCa) -> Requests {
    let mut rogues = Requests::default();
    let by_key = |n, format| signed(key, n, format, "rogue").new_entry(key.public_key());
    for n in 0..20 {
        let format = if n % 2 == 0 { Format::Bundle } else { Format::Legacy };
        rogues.v2.push(by_key(n, format).rekor_v2_request().expect("a request"));
    }
    for n in 20..30 {
        let format = if n % 2 == 0 { Format::Bundle } else { Format::Legacy };
        rogues.v1.push(by_key(n, format).rekor_v1_request().expect("a request"));
    }
    for n in 0..20 {
        let holder = SandboxKey::numbered(7_000 + n);
        let issued = trusted.issue(&Identity::email(ISSUER, PERSON), holder.spki()).expect("a certificate");
        let digest = leaves::digest(9_000_000 + n);
        let (signature, by) = (holder.sign_digest(&digest), By::Certificate(issued.certificate.clone()));
        match n {
            0..10 => rogues.v2.extend(rekor_v2_request(&hashed_rekord_v2(&digest, &signature, &by))),
            10..15 => rogues.v1.push(hashed_rekord_v1(&digest, &signature, &by)),
            _ => rogues.ct.push(add_chain(&issued.certificate, trusted.chain_der())),
        }
    }
    rogues
}
