//! The certificates of the generated leaves: who they name, and the authority that they chain to.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};
use signature::Signer as _;

use super::fast_key::FastKey;
use crate::ca::Identity;
use crate::ca::certificate::{LastExtension, Template, issue, issue_authority};
use crate::ct::leaf::{Submission, timestamp, timestamp_list};

/// 2025-10-01: the first certificate begins then, and each later one a second later, for three years.
const START: i64 = 1_759_276_800;
const LIFETIME: i64 = 600;
const ROOT: &str = "CN=sandbox leaves,O=sandbox.local";
const INTERMEDIATE: &str = "CN=sandbox leaves intermediate,O=sandbox.local";
const GITHUB: &str = "https://token.actions.githubusercontent.com";
const GOOGLE: &str = "https://accounts.google.com";
/// How many keys the certificates share.
const KEYS: u64 = 16;

struct Authority {
    intermediate: FastKey,
    issuer_key_hash: [u8; 32],
    ct: FastKey,
    ct_log_id: [u8; 32],
    /// Intermediate, root.
    chain: Vec<Vec<u8>>,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let (root, intermediate, ct) =
        (FastKey::new("root", 0), FastKey::new("intermediate", 0), FastKey::new("certificate log", 0));
    let period = (START - 365 * 86_400, START + 3_650 * 86_400);
    // Unwrap safety: of fixed inputs, which a test goes through.
    let (root_der, _) = issue_authority(ROOT, (ROOT, &root), &root, 1, period).expect("a certificate");
    let (intermediate_der, _) =
        issue_authority(INTERMEDIATE, (ROOT, &root), &intermediate, 2, period).expect("a certificate");
    Authority {
        issuer_key_hash: Sha256::digest(intermediate.spki()).into(),
        intermediate,
        ct_log_id: Sha256::digest(ct.spki()).into(),
        ct,
        chain: vec![intermediate_der, root_der],
    }
});

static HOLDERS: LazyLock<Vec<FastKey>> =
    LazyLock::new(|| (0..KEYS).map(|number| FastKey::new("certificate holder", number)).collect());

pub(super) fn chain_der() -> &'static [Vec<u8>] {
    &AUTHORITY.chain
}

pub(super) fn ct_log_spki() -> &'static [u8] {
    AUTHORITY.ct.spki()
}

pub(super) fn holder(number: u64) -> &'static FastKey {
    &HOLDERS[(number % KEYS) as usize]
}

/// Three of four are workflow runs, of some five hundred owners; the others are people.
pub(super) fn identity(number: u64) -> Identity {
    if number.is_multiple_of(4) {
        return Identity::email(GOOGLE, &format!("person{}@mail{}.example", number % 9_973, number % 13));
    }
    let repository = format!("org{}/service-{}", number % 499, number % 7_919);
    let workflow = ["release.yml", "ci.yaml", "docker-publish.yml"][(number % 3) as usize];
    let git_ref = match number % 5 {
        0 => format!("refs/tags/v1.{}.{}", number % 97, number % 11),
        1 => format!("refs/heads/release-{}", number % 23),
        _ => "refs/heads/main".to_owned(),
    };
    Identity::github(GITHUB, &repository, workflow, &git_ref)
}

pub(super) fn certificate(number: u64) -> Vec<u8> {
    let authority = &*AUTHORITY;
    let mut serial: [u8; 32] = Sha256::digest(format!("serial {number}")).into();
    serial[0] &= 0x7f;
    // Within the three years after the start, so that it is a date that a certificate can hold.
    let not_before = START + i64::try_from(number % 100_000_000).unwrap_or(0);
    let template = Template {
        issuer: INTERMEDIATE,
        serial: &serial[..20],
        not_before,
        not_after: not_before + LIFETIME,
        spki: holder(number).spki(),
        identity: &identity(number),
        for_servers: false,
    };
    // Unwrap safety: of inputs made above, all of which are well formed.
    let tbs = template.tbs(&LastExtension::Nothing, &authority.intermediate).expect("a certificate");
    let issuer_key_hash = authority.issuer_key_hash;
    let submission = Submission::Precert { issuer_key_hash, tbs, precert: Vec::new(), chain: Vec::new() };
    let timestamp_ms = u64::try_from(not_before).unwrap_or(0) * 1000;
    let signature = authority.ct.sign(&submission.leaf(timestamp_ms));
    let sct = timestamp(&authority.ct_log_id, timestamp_ms, signature.as_bytes());
    let list = LastExtension::Timestamps(timestamp_list(&sct));
    issue(&template, &list, &authority.intermediate).expect("a certificate")
}
