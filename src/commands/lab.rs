//! `lab`: a transparency log and a timestamp authority of one's own, to try sealwatch with a registry that is there.

use std::path::Path;

use sandbox::lab::{Lab, LabOptions};
use tokio::signal::unix::{SignalKind, signal};

use super::CLEAN;
use crate::cli::LabFlags;
use crate::ended::Ended;
use crate::say;

/// The ports of a new lab.
const LOG_PORT: u16 = 9191;
const TIMESTAMP_PORT: u16 = 9192;

/// Runs the services until SIGINT or SIGTERM.
pub(crate) async fn lab(flags: &LabFlags) -> anyhow::Result<u8> {
    let is_new = !flags.dir.join("lab.json").exists();
    let port = |given: Option<u16>, of_a_new_one: u16| given.or(is_new.then_some(of_a_new_one));
    let lab = Lab::start(LabOptions {
        directory: flags.dir.clone(),
        log_port: port(flags.log_port, LOG_PORT),
        timestamp_port: port(flags.timestamp_port, TIMESTAMP_PORT),
    })
    .await
    .map_err(|error| Ended::usage(error.to_string()))?;
    tell(&flags.dir, &lab);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    lab.shutdown();
    say!("stopped; the next `sealwatch lab` with this folder goes on with the same log");
    Ok(CLEAN)
}

fn tell(dir: &Path, lab: &Lab) {
    say!("NOT FOR PRODUCTION: a log and a timestamp authority to try things out, on this machine's loopback only.");
    say!("transparency log     {} (Rekor v2), {} entries", lab.log.write_url(), lab.log.size());
    say!("timestamp authority  {}", lab.timestamp_authority.url());
    say!("kept in {}: keys, certificates and every entry", dir.display());
    say!("");
    say!("In a configuration (deploy/samples/distribution-lab.toml is a whole one):");
    say!("");
    for line in tables(lab).lines() {
        say!("  {line}");
    }
    say!("");
    say!("It runs until Ctrl-C.");
}

/// The lines of a configuration that uses it; paths as they are seen from anywhere.
fn tables(lab: &Lab) -> String {
    let path = |path: &Path| {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        toml::Value::String(path.to_string_lossy().into_owned()).to_string()
    };
    format!(
        "[sigstore.lab]\ntrusted_root = {}\nsigning_config = {}\n\n[log.{:?}]\nversion = 2\nwrite_url = {:?}\nread_url = {:?}\n",
        path(&lab.trusted_root()),
        path(&lab.signing_config()),
        lab.log.origin(),
        lab.log.write_url(),
        lab.log.read_url(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn the_printed_lines_make_a_configuration_that_signs() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("it's a \"lab\"");
        let options = LabOptions { directory: dir.clone(), log_port: Some(0), timestamp_port: Some(0) };
        let lab = Lab::start(options).await.expect("a lab");
        let pair = signer::key::file::generate(&"secret".to_owned().into()).expect("a key");
        std::fs::write(folder.path().join("release.key"), pair.private_pem).expect("a file");
        std::fs::write(folder.path().join("release.password"), "secret").expect("a file");
        let text = format!(
            r#"
[registry."127.0.0.1:5000"]
plain_http = true
[identity.release]
key = "release.key"
password_file = "release.password"
[[rule]]
repositories = ["127.0.0.1:5000/**"]
sign_with = ["release"]
legacy_without_proof = true
{}"#,
            tables(&lab)
        );
        let path = folder.path().join("sealwatch.toml");
        let config = Config::parse(&path, text).unwrap_or_else(|problems| panic!("{problems}"));
        let room = crate::rooms::worker(&config, crate::run::now_ms()).unwrap_or_else(|problems| panic!("{problems}"));
        let services = &room.identities["release"].services;
        assert_eq!(services.log.as_ref().expect("a log").key().spki(), lab.log.public_key_spki());
        let stamped = services.timestamp_authorities[0].stamp(b"a signature").await;
        assert!(stamped.is_ok(), "{stamped:?}");
    }
}
