//! Fulcio accepts the sandbox's tokens, logs in the sandbox's CT log, and makes the certificates that the sandbox makes.

use std::path::Path;

use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use sandbox::ca::github_claims;
use sandbox::{CtOptions, Identity, OidcIssuer, OidcOptions, SandboxCa, SandboxCt};
use serde_json::{Value, json};
use signature::Signer as _;
use x509_cert::Certificate;
use x509_cert::der::{DecodePem as _, Encode as _};
use x509_cert::ext::Extension;

use crate::peer::{Running, cached, free_port, run};

/// What a certificate says beside keys, serial number and times: its extensions, in their order.
fn extensions(pem: &str) -> Vec<Extension> {
    Certificate::from_pem(pem).unwrap().tbs_certificate().extensions().unwrap().clone()
}

/// Asks for a certificate as a client does; the chain's certificates, as PEM.
fn signing_cert(port: u16, token: &str, challenge: &str, key: &SigningKey) -> Vec<String> {
    use base64::Engine as _;
    let proof: DerSignature = key.sign(challenge.as_bytes());
    let body = json!({
        "credentials": { "oidcIdentityToken": token },
        "publicKeyRequest": {
            "publicKey": {
                "algorithm": "ECDSA",
                "content": key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap(),
            },
            "proofOfPossession": base64::engine::general_purpose::STANDARD.encode(proof.as_bytes()),
        },
    });
    let url = format!("http://127.0.0.1:{port}/api/v2/signingCert");
    let arguments = ["-sS", "-H", "content-type: application/json", "-d", &body.to_string(), &url];
    let answer = run(Path::new("curl"), Path::new("/"), &arguments);
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    let chain = &answer["signedCertificateEmbeddedSct"]["chain"]["certificates"];
    chain.as_array().unwrap_or_else(|| panic!("{answer}")).iter().map(|pem| pem.as_str().unwrap().to_owned()).collect()
}

/// A root of its own for Fulcio, and its configuration.
fn configure(directory: &Path, issuers: &[(&OidcIssuer, &str)]) {
    let openssl = Path::new("openssl");
    let key = SigningKey::from_slice(&[9; 32]).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
    std::fs::write(directory.join("ca.plain"), key.as_bytes()).unwrap();
    run(openssl, directory, &["ec", "-in", "ca.plain", "-aes128", "-passout", "pass:ca", "-out", "ca.key"]);
    let subject = ["-subj", "/O=sandbox.local/CN=sandbox-intermediate"];
    let extensions =
        ["-addext", "basicConstraints=critical,CA:TRUE,pathlen:1", "-addext", "keyUsage=critical,keyCertSign,cRLSign"];
    let request = ["req", "-x509", "-new", "-key", "ca.plain", "-days", "2", "-sha256", "-out", "ca.pem"];
    run(openssl, directory, &[&request[..], &subject, &extensions].concat());
    let mut config = "oidc-issuers:\n".to_owned();
    for (issuer, kind) in issuers {
        let url = issuer.url();
        config += &format!("  {url}:\n    issuer-url: {url}\n    client-id: sigstore\n    type: {kind}\n");
        if *kind == "ci-provider" {
            config += "    ci-provider: github-workflow\n";
        }
    }
    config += GITHUB;
    std::fs::write(directory.join("fulcio.yaml"), config).unwrap();
}

/// How Fulcio's own configuration maps GitHub's claims.
const GITHUB: &str = r#"ci-issuer-metadata:
  github-workflow:
    default-template-values:
      url: "https://github.com"
    extension-templates:
      github-workflow-trigger: "event_name"
      github-workflow-sha: "sha"
      github-workflow-name: "workflow"
      github-workflow-repository: "repository"
      github-workflow-ref: "ref"
      build-signer-uri: "{{ .url }}/{{ .job_workflow_ref }}"
      build-signer-digest: "job_workflow_sha"
      runner-environment: "runner_environment"
      source-repository-uri: "{{ .url }}/{{ .repository }}"
      source-repository-digest: "sha"
      source-repository-ref: "ref"
      source-repository-identifier: "repository_id"
      source-repository-owner-uri: "{{ .url }}/{{ .repository_owner }}"
      source-repository-owner-identifier: "repository_owner_id"
      build-config-uri: "{{ .url }}/{{ .workflow_ref }}"
      build-config-digest: "workflow_sha"
      build-trigger: "event_name"
      run-invocation-uri: "{{ .url }}/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}"
      source-repository-visibility-at-signing: "repository_visibility"
    subject-alternative-name-template: "{{ .url }}/{{ .job_workflow_ref }}"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn fulcio_takes_the_tokens_and_its_certificates_are_like_ours() {
    let Some(fulcio) = cached("fulcio") else { return };
    let ct = SandboxCt::start(CtOptions::default()).await.unwrap();
    let ca = SandboxCa::start(sandbox::CaOptions { ct: Some(ct.clone()), ..Default::default() }).await.unwrap();
    let people = OidcIssuer::start(OidcOptions::default()).await.unwrap();
    let workflows = OidcIssuer::start(OidcOptions::default()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), &[(&people, "email"), (&workflows, "ci-provider")]);
    std::fs::write(directory.path().join("ct.pub"), ct.public_key_pem()).unwrap();
    let person = people.email_token("ann@example.com");
    let claims = github_claims("acme/app", "release.yml", "refs/heads/main");
    let run_token = workflows.token(&claims);
    let key = SigningKey::from_slice(&[8; 32]).unwrap();
    let spki = key.verifying_key().to_public_key_der().unwrap().into_vec();
    let identities = [
        (person, "ann@example.com".to_owned(), Identity::email(people.url(), "ann@example.com")),
        (run_token, claims["sub"].as_str().unwrap().to_owned(), Identity::from_claims(workflows.url(), &claims)),
    ];
    let ct_url = ct.url().to_owned();
    let theirs = tokio::task::spawn_blocking({
        let identities = identities.clone();
        move || {
            let (port, grpc, metrics) = (free_port(), free_port(), free_port());
            let numbers = [port, grpc, metrics].map(|port| port.to_string());
            let socket = format!("@sandbox-fulcio-{port}");
            let arguments = [
                "serve",
                "--host",
                "127.0.0.1",
                "--port",
                &numbers[0],
                "--grpc-host",
                "127.0.0.1",
                "--grpc-port",
                &numbers[1],
                "--metrics-port",
                &numbers[2],
                "--legacy-unix-domain-socket",
                &socket,
                "--ca",
                "fileca",
                "--fileca-cert",
                "ca.pem",
                "--fileca-key",
                "ca.key",
                "--fileca-key-passwd",
                "ca",
                "--fileca-watch=false",
                "--config-path",
                "fulcio.yaml",
                "--ct-log-url",
                &ct_url,
                "--ct-log-public-key-path",
                "ct.pub",
            ];
            let _fulcio = Running::start(&fulcio, directory.path(), &arguments, port);
            identities.map(|(token, challenge, _)| signing_cert(port, &token, &challenge, &key)[0].clone())
        }
    });
    let theirs = theirs.await.unwrap();
    assert_eq!(ct.size(), 2, "Fulcio logs both");
    for ((_, _, identity), theirs) in identities.iter().zip(&theirs) {
        let ours = ca.issue(identity, &spki).unwrap().pem();
        let (ours, theirs) = (extensions(&ours), extensions(theirs));
        let names = |extensions: &[Extension]| -> Vec<(String, bool)> {
            extensions.iter().map(|extension| (extension.extn_id.to_string(), extension.critical)).collect()
        };
        assert_eq!(names(&ours), names(&theirs), "the same extensions in the same order");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            // The issuer's key and the timestamp are others.
            if !["2.5.29.35", "1.3.6.1.4.1.11129.2.4.2"].contains(&ours.extn_id.to_string().as_str()) {
                assert_eq!(ours.to_der().unwrap(), theirs.to_der().unwrap(), "{}", ours.extn_id);
            }
        }
    }
}
