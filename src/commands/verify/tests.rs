//! What `verify` makes of places that it cannot read, and how it reaches a registry.

use std::path::Path;

use axum::http::Method;
use bundle::{Format, ImageName, Tag};
use clap::Parser as _;
use outbound::Proxy;
use sandbox::{Fault, World, WorldOptions};
use secrecy::SecretString;
use signer::key::KeyBackend as _;
use signer::key::file;
use signer::{Artifact, Services, Subject};
use watcher::registry::TagHistory;

use super::*;
use crate::cli::{Cli, Command};

/// The arguments of a `verify`.
fn arguments(arguments: &[&str]) -> Verify {
    let all = ["sealwatch", "verify"].iter().chain(arguments);
    match Cli::try_parse_from(all).expect("good arguments").command {
        Command::Verify(verify) => verify,
        other => panic!("{other:?}"),
    }
}

/// A registry with one image, signed or not by a key whose public half is in a file.
struct Signed {
    world: World,
    image: ImageName,
    digest: Digest,
    directory: tempfile::TempDir,
}

impl Signed {
    async fn start(referrers_api: bool, sign: bool) -> Self {
        let world = World::start(WorldOptions { referrers_api, ..WorldOptions::default() }).await.expect("a world");
        let digest = world.registry.push_image("team/app", "v1", "a").await.expect("a push").digest;
        let image: ImageName = format!("{}/team/app", world.registry.host()).parse().expect("a name");
        let password = SecretString::from("p");
        let generated = file::generate(&password).expect("a key");
        let key = file::load(generated.private_pem.as_bytes(), Some(&password)).expect("it opens");
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("key.pub"), generated.public_pem).expect("written");
        if sign {
            let services = Services {
                log: None,
                timestamp_authorities: Vec::new(),
                trust: Arc::new(TrustRoot::empty()),
                legacy_without_proof: true,
                legacy_timestamp: false,
            };
            let reference = image.with_digest(digest);
            let subject = Subject { image: &reference, docker_reference: image.docker_reference() };
            let signed = signer::sign(&key, &subject, Format::Legacy).await.expect("a signature");
            let published = signer::publish(&signed, key.public_key(), &digest, &services, None).await;
            let Artifact::Legacy(signature) = published.expect("published").artifact else { panic!("a legacy one") };
            let mut config = RegistryConfig::new(image.registry.clone());
            config.plain_http = true;
            let registry = Registry::new(config).expect("a client");
            registry
                .attach_legacy(&image.repository, &digest, &signature, TagHistory::Unknown)
                .await
                .expect("attached");
        }
        Self { world, image, digest, directory }
    }

    async fn verify(&self) -> anyhow::Result<u8> {
        let key = self.directory.path().join("key.pub");
        let (key, image) = (key.to_str().expect("text"), format!("{}:v1", self.image));
        verify(&arguments(&["--key", key, "--plain-http", "--insecure-ignore-tlog", "--json", &image])).await
    }

    /// One trouble of each kind in the place of the bundles.
    async fn trouble(&self, number: usize) {
        let registry = &self.world.registry;
        let refuse = |status: u16| Fault::Refuse { status: status.try_into().expect("a status"), retry_after: None };
        match number {
            0 => registry.faults().plan(Method::GET, "/referrers/", Fault::Deny, u32::MAX),
            1 => registry.faults().plan(Method::GET, "/referrers/", refuse(500), u32::MAX),
            2 => registry.faults().plan(Method::GET, "/referrers/", Fault::HangUp, u32::MAX),
            3 => registry.faults().plan(Method::GET, "/referrers/", refuse(401), u32::MAX),
            _ => {
                let tag = Tag::referrers(&self.digest);
                registry.push_image("team/app", tag.as_str(), "theirs").await.expect("a push");
            }
        }
    }
}

#[tokio::test]
async fn one_place_with_a_good_signature_is_enough() {
    for number in 0..5 {
        let signed = Signed::start(number != 4, true).await;
        signed.trouble(number).await;
        assert_eq!(signed.verify().await.expect("an answer"), CLEAN, "{number}");
    }
}

#[tokio::test]
async fn without_a_good_signature_a_place_that_was_not_read_is_no_no() {
    for number in 0..5 {
        let signed = Signed::start(number != 4, false).await;
        assert_eq!(signed.verify().await.expect("all was read"), FAILED);
        signed.trouble(number).await;
        let error = signed.verify().await.expect_err("not all was read");
        assert!(error.downcast_ref::<Ended>().is_none(), "it ends as one that could not look: {error}");
        // The same beside a signature that is not good.
        let other = Signed::start(number != 4, true).await;
        other.trouble(number).await;
        std::fs::copy(signed.directory.path().join("key.pub"), other.directory.path().join("key.pub")).expect("copied");
        other.verify().await.expect_err("not all was read");
    }
}

const FILE: &str = r#"
[registry."index.docker.io"]
realm_hosts = ["auth.example.com"]
blob_hosts = ["blobs.example.com"]
proxy = "http://proxy.example.com:3128"
auth = { username = "ci", password_env = "SEALWATCH_TEST_NO_SUCH_VARIABLE" }
[registry."open.example.com"]
plain_http = true
ca_file = "/nonexistent/ca.pem"
"#;

fn reached(given: &[&str], image: &str, with_config: bool) -> anyhow::Result<RegistryConfig> {
    let config = Config::parse(Path::new("t.toml"), FILE.to_owned()).expect("a good file");
    let all: Vec<&str> = ["--key", "k.pub"].iter().chain(given).copied().chain([image]).collect();
    let request = arguments(&all);
    let image = image.parse().expect("an image");
    reach(&request, &image, with_config.then_some(&config))
}

#[test]
fn a_registry_is_reached_as_the_configuration_and_the_command_line_say() {
    let folder = tempfile::tempdir().expect("a directory");
    let docker = folder.path().join("config.json");
    let docker = docker.to_str().expect("text");
    let hosts =
        ["--realm-host", "auth2.example.com", "--blob-host", "b1.example.com", "--blob-host", "b2.example.com:9000"];
    let plain = reached(&hosts, "reg.example.com/team/app:v1", true).expect("a registry that the file does not name");
    assert_eq!(plain.realm_hosts, ["auth2.example.com"]);
    assert_eq!(plain.blob_hosts, ["b1.example.com", "b2.example.com:9000"]);
    assert!(plain.proxy.is_none() && !plain.plain_http);
    // Another name of the registry in the file, and credentials that the command line names instead of the file's.
    let given: Vec<&str> = hosts.iter().copied().chain(["--docker-config", docker]).collect();
    let hub = reached(&given, "acme/app:v1", true).expect("the registry of the file");
    assert_eq!(hub.host.as_str(), "docker.io");
    assert_eq!(hub.realm_hosts, ["auth.example.com", "auth2.example.com"]);
    assert_eq!(hub.blob_hosts, ["blobs.example.com", "b1.example.com", "b2.example.com:9000"]);
    assert_eq!(hub.proxy.as_ref().map(Proxy::to_string).as_deref(), Some("http://proxy.example.com:3128"));
    assert!(matches!(&hub.auth, Auth::DockerConfig(path) if path.to_str() == Some(docker)), "{:?}", hub.auth);
    // Without them the file's secret is wanted, and one that is not there is a mistake.
    let missing = reached(&[], "acme/app:v1", true).expect_err("no such variable");
    assert!(missing.to_string().contains("SEALWATCH_TEST_NO_SUCH_VARIABLE"), "{missing}");
    let missing = reached(&[], "open.example.com/team/app:v1", true).expect_err("no such file");
    assert!(missing.to_string().contains("/nonexistent/ca.pem"), "{missing}");
    assert!(reached(&[], "open.example.com/team/app:v1", false).is_ok_and(|known| known.ca_pem.is_none()));
}
