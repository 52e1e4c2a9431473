//! `openssl` reads the certificates and believes the chain.

use std::path::Path;
use std::process::Command;

use sandbox::{CaOptions, Identity, SandboxCa, leaves};

use crate::peer::{run, skip};

#[tokio::test(flavor = "multi_thread")]
async fn openssl_reads_certificates_and_believes_their_chain() {
    let openssl = Path::new("openssl");
    if Command::new(openssl).arg("version").output().is_err() {
        return skip("no openssl");
    }
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, pem: &str| std::fs::write(directory.path().join(name), pem).unwrap();
    let ca = SandboxCa::start(CaOptions::default()).await.unwrap();
    let identity = Identity::github("https://issuer.example", "acme/app", "release.yml", "refs/heads/main");
    let issued = ca.issue(&identity, &leaves::key_spki(0)).unwrap();
    put("leaf.pem", &issued.pem());
    put("chain.pem", &ca.chain_pem());
    let verify = ["verify", "-CAfile", "chain.pem", "leaf.pem"];
    assert_eq!(run(openssl, directory.path(), &verify), "leaf.pem: OK\n");
    let text = run(openssl, directory.path(), &["x509", "-in", "leaf.pem", "-noout", "-text"]);
    for part in [
        "URI:https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
        "Code Signing",
        "CT Precertificate SCTs",
        "ecdsa-with-SHA384",
        "1.3.6.1.4.1.57264.1.24",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    // A generated certificate is valid in 2025, for ten minutes.
    let pem =
        |der: &[u8]| sandbox::Issued { certificate: der.to_vec(), precertificate: Vec::new(), ct_index: None }.pem();
    put("generated.pem", &pem(&leaves::certificate(1)));
    put("generated-chain.pem", &leaves::authority_chain_der().iter().map(|der| pem(der)).collect::<String>());
    let verify = ["verify", "-attime", "1759276860", "-CAfile", "generated-chain.pem", "generated.pem"];
    assert_eq!(run(openssl, directory.path(), &verify), "generated.pem: OK\n");
}
