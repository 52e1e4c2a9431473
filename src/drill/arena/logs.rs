//! Which logs an arena has, and what is watched in them.

use anyhow::Context as _;
use bundle::certificate::extension_oid;
use monitor::watchlist::{IdentityRule, Pattern, WatchKind, WatchMode, WatchRule};
use monitor::{LogKind, LogSpec};
use sandbox::World;
use signer::key::KeyBackend as _;
use tlog::{LogKey, WitnessPolicy};

use super::{Arena, Needs};

/// Whose tokens the workflows have.
pub(crate) const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// The repository whose workflows are ours.
pub(crate) const REPOSITORY: &str = "acme/app";

/// Every log of a world.
pub(super) fn specs(world: &World, needs: Needs) -> anyhow::Result<Vec<LogSpec>> {
    let spec = |origin: &str, kind, url: &str, key: &LogKey| -> anyhow::Result<LogSpec> {
        Ok(LogSpec { announced: true, ..LogSpec::new(origin, kind, url.parse()?, key.clone()) })
    };
    let mut log = spec(world.log.origin(), LogKind::RekorV2, world.log.read_url(), world.log.key())?;
    if let (true, Some(witness)) = (needs.witness, &world.witness) {
        let policy = format!("witness w1 {}\nquorum w1\n", witness.vkey());
        log.witnesses = Some(WitnessPolicy::parse(&policy)?);
    }
    let mut all = vec![log];
    if let Some(log) = &world.rekor_v1 {
        all.push(spec(log.hostname(), LogKind::RekorV1, log.url(), log.key())?);
    }
    if let Some(keyless) = &world.keyless {
        let origin = keyless.ct.url().split_once("://").map(|(_, rest)| rest).context("a URL has a scheme")?;
        all.push(spec(origin, LogKind::Rfc6962, keyless.ct.url(), keyless.ct.key())?);
    }
    Ok(all)
}

/// Our keys, and with a certificate authority our workflows, of which one is expected.
pub(super) fn watches(arena: &Arena) -> Vec<WatchRule> {
    let key = |name: &str, spki: &[u8], retired| WatchRule {
        name: name.to_owned(),
        kind: WatchKind::Key { spki: spki.to_vec(), retired, label: name.to_owned() },
        mode: WatchMode::Alert,
    };
    let mut all = vec![
        key("release key", arena.key.public_key().spki(), false),
        key("old release key", arena.retired.public_key().spki(), true),
    ];
    if arena.world.keyless.is_some() {
        let identity = |name: &str, subject: Pattern, mode, extensions| WatchRule {
            name: name.to_owned(),
            kind: WatchKind::Identity(IdentityRule {
                subject: Some(subject),
                issuer: Some(Pattern::Exact(ISSUER.to_owned())),
                extensions,
                not_subject: None,
                not_issuer: None,
            }),
            mode,
        };
        let expected = format!("https://github.com/{REPOSITORY}/.github/workflows/release.yml@refs/heads/main");
        let on_main = extension_oid("SourceRepositoryRef")
            .map(|oid| vec![(oid.to_owned(), Pattern::Exact("refs/heads/main".to_owned()), false)]);
        all.push(identity(
            "our workflows",
            Pattern::Glob(format!("https://github.com/{REPOSITORY}/*")),
            WatchMode::Alert,
            Vec::new(),
        ));
        all.push(identity(
            "the release workflow",
            Pattern::Exact(expected),
            WatchMode::Expect,
            on_main.unwrap_or_default(),
        ));
    }
    all
}
