//! Who is ours, whom we trust, and what our ledger has.

use bundle::claims::Scratch;
use bundle::trust_root::ValidFor;
use bundle::{Digest, Format, ImageName, ImageReference, TrustRoot};
use sandbox::{CaOptions, Identity, SandboxCa};
use store::{JobClass, LedgerRow, RecordedSignature};

use super::leaves::{Key, sha256};
use crate::log::LeafFormat;
use crate::reconcile::judge::read;
use crate::reconcile::{Facts, Names, Row, Verdict, reconcile};
use crate::watchlist::{DigestFilter, IdentityRule, Pattern, WatchKind, WatchMode, WatchRule, Watchlist};

pub(crate) const ISSUER: &str = "https://token.actions.githubusercontent.com";
pub(crate) const RELEASE: &str = "release.yml";

pub(crate) struct Scene {
    pub(crate) ours: Key,
    pub(crate) retired: Key,
    pub(crate) keyless: Key,
    pub(crate) stranger: Key,
    pub(crate) trusted: SandboxCa,
    pub(crate) homemade: SandboxCa,
    pub(crate) trust: TrustRoot,
    pub(crate) rows: Vec<LedgerRow>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let (trusted, homemade) = (ca().await, ca().await);
        let mut trust = TrustRoot::empty();
        trust.add_certificate_authority(trusted.url(), trusted.chain_der().to_vec(), ValidFor::default());
        let mut scene = Self {
            ours: Key::new(),
            retired: Key::new(),
            keyless: Key::new(),
            stranger: Key::new(),
            trusted,
            homemade,
            trust,
            rows: Vec::new(),
        };
        scene.rows = vec![
            row(1, &scene.ours, b"payload", b"message"),
            row(2, &scene.retired, b"old payload", b"old message"),
            row(3, &scene.keyless, b"keyless payload", b"keyless message"),
        ];
        scene
    }

    /// Certified by an authority that we trust.
    pub(crate) fn certified(&self, identity: &Identity, key: &Key) -> Vec<u8> {
        self.trusted.issue(identity, &key.spki()).unwrap().certificate
    }

    /// Certified by whoever wants it.
    pub(crate) fn self_made(&self, identity: &Identity, key: &Key) -> Vec<u8> {
        self.homemade.issue(identity, &key.spki()).unwrap().certificate
    }

    pub(crate) fn watchlist(&self) -> Watchlist {
        let identity = |name: &str, mode, subject: &str| WatchRule {
            name: name.to_owned(),
            mode,
            kind: WatchKind::Identity(IdentityRule {
                subject: Some(Pattern::exact_or_glob(subject)),
                issuer: Some(Pattern::Exact(ISSUER.to_owned())),
                ..IdentityRule::default()
            }),
        };
        let retired =
            WatchKind::Key { spki: self.retired.spki(), retired: true, label: "the key of last year".to_owned() };
        let rules = [
            identity("acme", WatchMode::Alert, "https://github.com/acme/*"),
            identity("acme releases", WatchMode::Expect, "https://github.com/acme/app/.github/workflows/release.yml@*"),
            identity("friends", WatchMode::Observe, "https://github.com/friend/*"),
            WatchRule { name: "retired".to_owned(), mode: WatchMode::Alert, kind: retired },
        ];
        let ledger = [self.ours.spki(), self.retired.spki(), self.keyless.spki()];
        Watchlist::compile(&rules).unwrap().with_keys(&ledger.map(|spki| (spki, String::new())))
    }

    /// What each claim of a leaf comes to that matches anything. `afterwards`: rows that were written afterwards.
    pub(crate) fn verdicts(&self, leaf: &[u8], format: LeafFormat, afterwards: &[i64]) -> Vec<Verdict> {
        let mut scratch = Scratch::new();
        let claims = read(format, leaf, &mut scratch).unwrap();
        let mut digests = DigestFilter::new();
        for row in &self.rows {
            let recorded = row.signature.as_ref().unwrap();
            digests.insert(&recorded.signed_digest);
            digests.insert(&sha256(&recorded.payload));
        }
        let watchlist = self.watchlist();
        let mut matches = Vec::new();
        watchlist.matches(&claims, &digests, &mut matches);
        let mut positions: Vec<usize> = matches.iter().map(|found| found.claim).collect();
        positions.dedup();
        let keyless = self.keyless.public().fingerprint();
        let verdict = |position: usize| {
            let names = Names::of(position, &matches, &watchlist, |key| key == keyless);
            let facts = Facts::of(&claims, position, &self.trust).unwrap();
            let rows: Vec<Row<'_>> =
                self.rows.iter().map(|row| Row { row, written_afterwards: afterwards.contains(&row.id) }).collect();
            reconcile(&names, &facts, &rows)
        };
        positions.into_iter().map(verdict).collect()
    }

    pub(crate) fn signature(&self, id: i64) -> Vec<u8> {
        let row = self.rows.iter().find(|row| row.id == id).unwrap();
        row.signature.as_ref().unwrap().signature.clone()
    }
}

async fn ca() -> SandboxCa {
    SandboxCa::start(CaOptions::default()).await.unwrap()
}

pub(crate) fn workflow(repository: &str, workflow: &str) -> Identity {
    Identity::github(ISSUER, repository, workflow, "refs/heads/main")
}

pub(crate) fn image(content: &[u8]) -> ImageReference {
    let name = ImageName { registry: "registry.example.com".parse().unwrap(), repository: "team/app".parse().unwrap() };
    ImageReference { name, digest: Digest::of(content) }
}

/// A row of the ledger: the payload as it is attached, the message as it was signed.
pub(crate) fn row(id: i64, key: &Key, payload: &[u8], message: &[u8]) -> LedgerRow {
    LedgerRow {
        id,
        image: image(payload),
        identity_name: "release".to_owned(),
        identity: key.public().fingerprint(),
        public_key_spki: key.spki(),
        format: Format::Bundle,
        log_origin: "log.example.com".to_owned(),
        trust_zone: "prod".to_owned(),
        class: JobClass::Push,
        intended_at: 1_000,
        signature: Some(RecordedSignature {
            payload: payload.to_vec(),
            signed_digest: sha256(message).to_vec(),
            signature: key.sign(message),
            at: 1_001,
        }),
        material: None,
        attached_at: None,
        attached_manifest: None,
        adopted: false,
        attempt: 1,
        key_uses: 1,
        key_version: None,
        abandoned: None,
    }
}
