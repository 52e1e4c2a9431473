//! Starts a world, writes its trust material to a directory, prints where everything is as one line of
//! JSON, and stays until stdin closes or the process is stopped.
//!
//! `cargo run -p sandbox --example world -- DIRECTORY [no-referrers] [webhook=URL] [token] [keyless] [rekor-v1] [witness]`

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use sandbox::{RegistryAuth, WebhookTarget, World, WorldOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let mut options = WorldOptions::default();
    for argument in arguments {
        match argument.as_str() {
            "no-referrers" => options.referrers_api = false,
            "keyless" => options.keyless = true,
            "rekor-v1" => options.rekor_v1 = true,
            "witness" => options.witness = true,
            "token" => {
                options.auth = RegistryAuth::Token {
                    username: "ci".to_owned(),
                    password: "secret".to_owned(),
                    anonymous_pull: true,
                    realm: None,
                };
            }
            "basic" => {
                options.auth = RegistryAuth::Basic { username: "ci".to_owned(), password: "secret".to_owned() };
            }
            other => {
                let url = other.strip_prefix("webhook=").ok_or("unknown argument")?;
                options.webhook =
                    Some(WebhookTarget { url: url.to_owned(), authorization: Some("Bearer sandbox".to_owned()) });
            }
        }
    }
    let world = World::start(options).await?;
    let image = world.registry.push_image("team/app", "v1", "first").await?;
    std::fs::write(directory.join("trusted_root.json"), world.trusted_root_json())?;
    std::fs::write(directory.join("signing_config.json"), world.signing_config_json())?;
    std::fs::write(directory.join("tsa.pem"), world.timestamp_authority.chain_pem())?;
    std::fs::write(directory.join("rekor.pub"), world.log.public_key_pem())?;
    if let Some(keyless) = &world.keyless {
        // For tools that sign: a token of a workflow's run, good for ten minutes.
        let claims = sandbox::ca::github_claims("acme/app", "release.yml", "refs/heads/main");
        std::fs::write(directory.join("token"), keyless.issuer.token(&claims))?;
    }
    let addresses = serde_json::json!({
        "registry": world.registry.host(),
        "log": world.log.write_url(),
        "origin": world.log.origin(),
        "timestamp_authority": world.timestamp_authority.url(),
        "certificate_authority": world.keyless.as_ref().map(|keyless| keyless.ca.url()),
        "certificate_log": world.keyless.as_ref().map(|keyless| keyless.ct.url()),
        "issuer": world.keyless.as_ref().map(|keyless| keyless.issuer.url()),
        "rekor_v1": world.rekor_v1.as_ref().map(|log| log.url()),
        "witness": world.witness.as_ref().map(|witness| witness.vkey()),
        "image": format!("{}/team/app@{}", world.registry.host(), image.digest),
    });
    let mut out = std::io::stdout();
    writeln!(out, "{addresses}")?;
    out.flush()?;
    // A blocking read on a thread of its own, so that the servers go on.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    world.shutdown();
    Ok(())
}
