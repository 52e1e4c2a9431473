//! The three services together, and the trust material that makes stock tools believe them.

use serde_json::json;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::SandboxError;
use crate::clock;
use crate::log::{LogOptions, SandboxLog};
use crate::registry::{RegistryAuth, RegistryOptions, SandboxRegistry, WebhookTarget};
use crate::timestamp_authority::{SandboxTsa, TsaOptions};

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

/// A registry, a log and a timestamp authority, on loopback, until dropped.
#[derive(Debug)]
pub struct World {
    /// The registry.
    pub registry: SandboxRegistry,
    /// The transparency log.
    pub log: SandboxLog,
    /// The timestamp authority.
    pub timestamp_authority: SandboxTsa,
}

impl World {
    /// Starts the three services; each has new keys and is empty.
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
        Ok(Self { registry, log, timestamp_authority })
    }

    /// What a verifier trusts: a Sigstore trusted root, v0.1.
    pub fn trusted_root_json(&self) -> String {
        let certificates: Vec<_> = self
            .timestamp_authority
            .chain_der()
            .iter()
            .map(|certificate| json!({ "rawBytes": STANDARD.encode(certificate) }))
            .collect();
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{
                // Verifiers of Rekor v2 expect checkpoints whose origin is this URL's host, so it names
                // the log and not the loopback port; clients write to the signing config's URL.
                "baseUrl": format!("https://{}", self.log.origin()),
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": STANDARD.encode(self.log.public_key_spki()),
                    "keyDetails": "PKIX_ED25519",
                    "validFor": { "start": START },
                },
                "logId": { "keyId": STANDARD.encode(self.log.key_id()) },
            }],
            "timestampAuthorities": [{
                "subject": { "organization": "sandbox", "commonName": "sandbox timestamp root" },
                "uri": self.timestamp_authority.url(),
                "certChain": { "certificates": certificates },
                "validFor": { "start": clock::rfc3339(self.timestamp_authority.valid_from()) },
            }],
        })
        .to_string()
    }

    /// Where a signer writes: a Sigstore signing config, v0.2.
    pub fn signing_config_json(&self) -> String {
        let service = |url: &str, version: u32| {
            json!({
                "url": url,
                "majorApiVersion": version,
                "validFor": { "start": START },
                "operator": "sandbox",
            })
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "rekorTlogUrls": [service(self.log.write_url(), 2)],
            "rekorTlogConfig": { "selector": "ANY" },
            "tsaUrls": [service(self.timestamp_authority.url(), 1)],
            "tsaConfig": { "selector": "ANY" },
        })
        .to_string()
    }

    /// Closes every listener and connection; what was written stays readable in this process.
    pub fn shutdown(&self) {
        self.registry.shutdown();
        self.log.shutdown();
        self.timestamp_authority.shutdown();
    }
}

/// Since when the log's key and the services are valid.
const START: &str = "2024-01-01T00:00:00Z";

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
