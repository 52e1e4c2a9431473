//! cosign signs and verifies without a key against the sandbox's CA, CT log, issuer, log and timestamp authority.

use std::path::{Path, PathBuf};

use sandbox::ca::github_claims;
use sandbox::{World, WorldOptions};
use serde_json::Value;

use crate::peer::{cached, output, run};

fn put(directory: &Path, name: &str, content: &str) {
    std::fs::write(directory.join(name), content).unwrap();
}

const SUBJECT: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";

/// Signs an image with a certificate, and verifies it. Services of the log's other version are not offered.
async fn sign_and_verify(world: &World, cosign: PathBuf, log_version: u64) {
    let keyless = world.keyless.clone().unwrap();
    let image = world.registry.push_image("team/app", "v1", "a").await.unwrap();
    let image = format!("{}/team/app@{}", world.registry.host(), image.digest);
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), "tr.json", &world.trusted_root_json());
    let mut config: Value = serde_json::from_str(&world.signing_config_json()).unwrap();
    let logs = config["rekorTlogUrls"].as_array_mut().unwrap();
    logs.retain(|log| log["majorApiVersion"] == log_version);
    put(directory.path(), "sc.json", &config.to_string());
    let claims = github_claims("acme/app", "release.yml", "refs/heads/main");
    put(directory.path(), "token", &keyless.issuer.token(&claims));
    let issuer = keyless.issuer.url().to_owned();
    let judged = tokio::task::spawn_blocking(move || {
        let sign =
            "sign --signing-config sc.json --trusted-root tr.json --identity-token token --allow-http-registry -y";
        run(&cosign, directory.path(), &sign.split(' ').chain([&*image]).collect::<Vec<_>>());
        let verify = |subject: &str| {
            let verify = "verify --trusted-root tr.json --use-signed-timestamps --allow-http-registry";
            let identity = ["--certificate-identity", subject, "--certificate-oidc-issuer", &issuer, &image];
            output(&cosign, directory.path(), &verify.split(' ').chain(identity).collect::<Vec<_>>())
        };
        (verify(SUBJECT), verify("https://github.com/acme/other").status.success())
    });
    let (good, wrong) = judged.await.unwrap();
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    assert!(!wrong, "another identity was accepted");
    assert_eq!(keyless.ct.size(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn cosign_signs_and_verifies_with_certificates_of_the_sandbox() {
    let Some(cosign) = cached("cosign-3") else { return };
    let world = World::start(WorldOptions { keyless: true, ..WorldOptions::default() }).await.unwrap();
    sign_and_verify(&world, cosign, 2).await;
    assert_eq!(world.log.size(), 1);
    // What cosign has logged holds the certificate that was issued.
    let entry = String::from_utf8(world.log.entry(0).unwrap()).unwrap();
    assert!(entry.contains("x509Certificate"), "{entry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cosign_believes_the_log_of_the_first_version_too() {
    let Some(cosign) = cached("cosign-3") else { return };
    let options = WorldOptions { keyless: true, rekor_v1: true, ..WorldOptions::default() };
    let world = World::start(options).await.unwrap();
    sign_and_verify(&world, cosign, 1).await;
    assert_eq!((world.rekor_v1.as_ref().unwrap().size(), world.log.size()), (1, 0));
}
