//! The services together, and the trust material that makes stock tools believe them.

pub(crate) mod trust;

use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::SandboxError;
use crate::ca::{CaOptions, SandboxCa};
use crate::clock;
use crate::ct::{CtOptions, SandboxCt};
use crate::leaves;
use crate::log::{LogOptions, SandboxLog};
use crate::oidc::{OidcIssuer, OidcOptions};
use crate::registry::{RegistryAuth, RegistryOptions, SandboxRegistry, WebhookTarget};
use crate::rekor_v1::{RekorV1Options, SandboxRekorV1};
use crate::timestamp_authority::{SandboxTsa, TsaOptions};
use crate::witness::{SandboxWitness, WitnessOptions};

use trust::{ED25519, LogEntry, P256, authority, service};

/// How the world is to start.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// Whether the registry has the referrers API; without it clients write the fallback tag.
    pub referrers_api: bool,
    /// Who is told of what happens in the registry.
    pub webhook: Option<WebhookTarget>,
    /// Who may use the registry.
    pub auth: RegistryAuth,
    /// Whether a tag may be written once only.
    pub immutable_tags: bool,
    /// The log: origin, batches, memory.
    pub log: LogOptions,
    /// Fixed ports; 0 takes any that is free.
    pub ports: Ports,
    /// Whether there is a certificate authority, with its CT log and an OIDC issuer that it trusts.
    pub keyless: bool,
    /// Whether there is a log of Rekor's first version too.
    pub rekor_v1: bool,
    /// Whether there is a witness, which cosigns the log's checkpoints.
    pub witness: bool,
    /// Whether the authority of the generated [`leaves`] is trusted.
    pub trust_leaves: bool,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            referrers_api: true,
            webhook: None,
            auth: RegistryAuth::None,
            immutable_tags: false,
            log: LogOptions::default(),
            ports: Ports::default(),
            keyless: false,
            rekor_v1: false,
            witness: false,
            trust_leaves: false,
        }
    }
}

/// The loopback ports to listen on; 0 takes any that is free.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// The registry's.
    pub registry: u16,
    /// The log's.
    pub log: u16,
    /// The timestamp authority's.
    pub timestamp_authority: u16,
}

/// A registry, a log, a timestamp authority and whatever else was asked for, on loopback, until dropped.
#[derive(Debug)]
pub struct World {
    /// The registry.
    pub registry: SandboxRegistry,
    /// The transparency log.
    pub log: SandboxLog,
    /// The timestamp authority.
    pub timestamp_authority: SandboxTsa,
    /// What gives out certificates, where it was asked for.
    pub keyless: Option<Keyless>,
    /// The log of Rekor's first version, where it was asked for.
    pub rekor_v1: Option<SandboxRekorV1>,
    /// The log's witness, where it was asked for.
    pub witness: Option<SandboxWitness>,
    trust_leaves: bool,
    /// Later shards of the log, and since when they are.
    announced: Mutex<Vec<(SandboxLog, String)>>,
}

/// What gives out certificates.
#[derive(Clone, Debug)]
pub struct Keyless {
    /// The certificate authority.
    pub ca: SandboxCa,
    /// The log that its certificates are in.
    pub ct: SandboxCt,
    /// The issuer whose tokens it trusts.
    pub issuer: OidcIssuer,
}

impl Keyless {
    async fn start() -> Result<Self, SandboxError> {
        let ct = SandboxCt::start(CtOptions::default()).await?;
        let ca = SandboxCa::start(CaOptions { ct: Some(ct.clone()), ..CaOptions::default() }).await?;
        let issuer = OidcIssuer::start(OidcOptions::default()).await?;
        ca.trust_issuer(&issuer);
        Ok(Self { ca, ct, issuer })
    }
}

impl World {
    /// Starts the services; each has new keys and is empty.
    pub async fn start(options: WorldOptions) -> Result<Self, SandboxError> {
        let registry = SandboxRegistry::start(RegistryOptions {
            port: options.ports.registry,
            referrers_api: options.referrers_api,
            immutable_tags: options.immutable_tags,
            auth: options.auth,
            webhook: options.webhook,
        })
        .await?;
        let log = SandboxLog::start(LogOptions { port: options.ports.log, ..options.log }).await?;
        let timestamp_authority = SandboxTsa::start(TsaOptions { port: options.ports.timestamp_authority }).await?;
        let keyless = if options.keyless { Some(Keyless::start().await?) } else { None };
        let rekor_v1 =
            if options.rekor_v1 { Some(SandboxRekorV1::start(RekorV1Options::default()).await?) } else { None };
        let witness =
            if options.witness { Some(SandboxWitness::start(WitnessOptions::default()).await?) } else { None };
        if let Some(witness) = &witness {
            log.set_witnesses(std::slice::from_ref(witness));
        }
        Ok(Self {
            registry,
            log,
            timestamp_authority,
            keyless,
            rekor_v1,
            witness,
            trust_leaves: options.trust_leaves,
            announced: Mutex::default(),
        })
    }

    /// From now on the trust material names this log too, and signers write to it. With [`SandboxLog::close`] on the
    /// one before, that is a rotation of shards.
    pub fn announce(&self, log: &SandboxLog) {
        self.announced().push((log.clone(), clock::rfc3339(clock::unix_seconds())));
    }

    /// What a verifier trusts: a Sigstore trusted root, v0.1.
    pub fn trusted_root_json(&self) -> String {
        let mut logs: Vec<_> = self
            .shards()
            .iter()
            .map(|(log, start)| {
                LogEntry {
                    // Verifiers of Rekor v2 expect checkpoints whose origin is this URL's host, so it names
                    // the log and not the loopback port; clients write to the signing config's URL.
                    base_url: &format!("https://{}", log.origin()),
                    spki: log.public_key_spki(),
                    key_details: ED25519,
                    key_id: log.key_id(),
                    start,
                    end: log.closed_at().map(clock::rfc3339),
                }
                .json()
            })
            .collect();
        let p256 = |base_url: &str, spki: &[u8], key_id| {
            LogEntry { base_url, spki, key_details: P256, key_id, start: START, end: None }.json()
        };
        logs.extend(
            self.rekor_v1
                .iter()
                .map(|log| p256(&format!("https://{}", log.hostname()), log.public_key_spki(), log.key_id())),
        );
        let (mut authorities, mut certificate_logs) = (Vec::new(), Vec::new());
        if let Some(Keyless { ca, ct, .. }) = &self.keyless {
            let start = clock::rfc3339(ca.valid_from());
            authorities.push(authority("sandbox", ca.url(), ca.chain_der(), &start));
            certificate_logs.push(p256(ct.url(), ct.public_key_spki(), ct.key_id()));
        }
        if self.trust_leaves {
            let uri = "https://leaves.sandbox.local";
            authorities.push(authority("sandbox leaves", uri, leaves::authority_chain_der(), START));
            certificate_logs.push(p256(uri, leaves::ct_log_spki(), leaves::ct_log_id()));
        }
        let tsa = &self.timestamp_authority;
        let start = clock::rfc3339(tsa.valid_from());
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": logs,
            "certificateAuthorities": authorities,
            "ctlogs": certificate_logs,
            "timestampAuthorities": [authority("sandbox timestamp root", tsa.url(), tsa.chain_der(), &start)],
        })
        .to_string()
    }

    /// Where a signer writes: a Sigstore signing config, v0.2. Closed shards are not in it.
    pub fn signing_config_json(&self) -> String {
        let shards = self.shards();
        let open = shards.iter().filter(|(log, _)| !log.is_closed());
        let mut logs: Vec<_> = open.map(|(log, start)| service(log.write_url(), 2, start)).collect();
        logs.extend(self.rekor_v1.iter().map(|log| service(log.url(), 1, START)));
        let keyless = self.keyless.as_slice();
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": keyless.iter().map(|keyless| service(keyless.ca.url(), 1, START)).collect::<Vec<_>>(),
            "oidcUrls": keyless.iter().map(|keyless| service(keyless.issuer.url(), 1, START)).collect::<Vec<_>>(),
            "rekorTlogUrls": logs,
            "rekorTlogConfig": { "selector": "ANY" },
            "tsaUrls": [service(self.timestamp_authority.url(), 1, START)],
            "tsaConfig": { "selector": "ANY" },
        })
        .to_string()
    }

    /// The log and its later shards, each with the time since which it is.
    fn shards(&self) -> Vec<(SandboxLog, String)> {
        let first = (self.log.clone(), START.to_owned());
        std::iter::once(first).chain(self.announced().iter().cloned()).collect()
    }

    fn announced(&self) -> std::sync::MutexGuard<'_, Vec<(SandboxLog, String)>> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes every listener and connection; what was written stays readable in this process.
    pub fn shutdown(&self) {
        self.registry.shutdown();
        self.log.shutdown();
        self.timestamp_authority.shutdown();
        for (log, _) in self.announced().iter() {
            log.shutdown();
        }
        if let Some(Keyless { ca, ct, issuer }) = &self.keyless {
            ca.shutdown();
            ct.shutdown();
            issuer.shutdown();
        }
        if let Some(log) = &self.rekor_v1 {
            log.shutdown();
        }
        if let Some(witness) = &self.witness {
            witness.shutdown();
        }
    }
}

/// Since when the log's key and the services are valid.
pub(crate) const START: &str = "2024-01-01T00:00:00Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_trust_material_names_the_services_that_run() {
        let world = World::start(WorldOptions::default()).await.unwrap();
        let trust: serde_json::Value = serde_json::from_str(&world.trusted_root_json()).unwrap();
        assert_eq!(trust["tlogs"][0]["baseUrl"], format!("https://{}", world.log.origin()));
        assert_eq!(trust["timestampAuthorities"][0]["certChain"]["certificates"].as_array().map(Vec::len), Some(3));
        let config: serde_json::Value = serde_json::from_str(&world.signing_config_json()).unwrap();
        assert_eq!(config["rekorTlogUrls"][0]["url"], world.log.write_url());
        assert_eq!(config["tsaUrls"][0]["url"], world.timestamp_authority.url());
    }

    #[tokio::test]
    async fn trust_root_and_signing_config_are_read_by_the_product() {
        let world = World::start(WorldOptions::default()).await.unwrap();
        let trust = bundle::TrustRoot::parse(world.trusted_root_json().as_bytes()).unwrap();
        let log = trust.log(&world.log.key_id()).unwrap();
        assert_eq!(log.key.spki(), world.log.public_key_spki());
        assert!(tlog::Checkpoint::open(&world.log.checkpoint(), &log.key).is_ok());
        bundle::SigningConfig::parse(world.signing_config_json().as_bytes()).unwrap();
    }

    #[tokio::test]
    async fn everything_that_was_asked_for_is_in_the_trust_material() {
        let world = World::start(WorldOptions {
            keyless: true,
            rekor_v1: true,
            witness: true,
            trust_leaves: true,
            ..WorldOptions::default()
        })
        .await
        .unwrap();
        let (log_v1, keyless) = (world.rekor_v1.as_ref().unwrap(), world.keyless.as_ref().unwrap());
        let trust = bundle::TrustRoot::parse(world.trusted_root_json().as_bytes()).unwrap();
        assert_eq!(trust.log(&log_v1.key_id()).unwrap().key.spki(), log_v1.public_key_spki());
        let logs: Vec<_> = trust.certificate_logs.iter().map(|log| log.base_url.as_str()).collect();
        assert_eq!(logs, [keyless.ct.url(), "https://leaves.sandbox.local"]);
        for certificate in
            [leaves::certificate(1), keyless.ca.issue(&leaves::identity(1), &leaves::key_spki(1)).unwrap().certificate]
        {
            let view = bundle::CertificateView::parse(&certificate).unwrap();
            trust.issued(&view).unwrap();
            assert_eq!(view.subjects().collect::<Vec<_>>(), [leaves::identity(1).subject.as_str()]);
            assert_eq!(view.issuer().as_deref(), Some(leaves::identity(1).issuer.as_str()));
            assert!(bundle::TrustRoot::empty().issued(&view).is_err());
        }
        assert!(trust.is_trusted_issuer_key(&keyless.ca.issuer_key_hash()));
        let config: serde_json::Value = serde_json::from_str(&world.signing_config_json()).unwrap();
        assert_eq!(config["caUrls"][0]["url"], keyless.ca.url());
        assert_eq!(config["oidcUrls"][0]["url"], keyless.issuer.url());
        let versions: Vec<_> =
            config["rekorTlogUrls"].as_array().unwrap().iter().map(|log| log["majorApiVersion"].as_u64()).collect();
        assert_eq!(versions, [Some(2), Some(1)]);
        bundle::SigningConfig::parse(world.signing_config_json().as_bytes()).unwrap();
        assert!(world.log.checkpoint().contains(world.witness.as_ref().unwrap().name()));
    }

    #[tokio::test]
    async fn a_new_shard_is_announced_and_the_closed_one_is_written_to_no_more() {
        let world = World::start(WorldOptions::default()).await.unwrap();
        let next =
            SandboxLog::start(LogOptions { origin: "rekor-2.sandbox.local".to_owned(), ..LogOptions::default() })
                .await
                .unwrap();
        world.log.close();
        world.announce(&next);
        let trust: serde_json::Value = serde_json::from_str(&world.trusted_root_json()).unwrap();
        assert!(trust["tlogs"][0]["publicKey"]["validFor"]["end"].is_string());
        assert_eq!(trust["tlogs"][1]["baseUrl"], "https://rekor-2.sandbox.local");
        assert!(trust["tlogs"][1]["publicKey"]["validFor"]["end"].is_null());
        let config: serde_json::Value = serde_json::from_str(&world.signing_config_json()).unwrap();
        assert_eq!(config["rekorTlogUrls"].as_array().map(Vec::len), Some(1));
        assert_eq!(config["rekorTlogUrls"][0]["url"], next.write_url());
    }

    #[tokio::test]
    async fn nothing_listens_once_the_world_is_shut_down_or_dropped() {
        let world = World::start(WorldOptions::default()).await.unwrap();
        let registry = world.registry.addr();
        let log = world.log.addr();
        assert!(tokio::net::TcpStream::connect(registry).await.is_ok());
        world.registry.shutdown();
        drop(world);
        for addr in [registry, log] {
            let mut refused = false;
            for _ in 0..50 {
                refused = tokio::net::TcpStream::connect(addr).await.is_err();
                if refused {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            assert!(refused, "{addr} still answers");
        }
    }
}
