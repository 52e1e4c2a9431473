//! Each service that is down, or is another, is found with its fix.

use sandbox::{LogOptions, RegistryAuth, SandboxLog, World, WorldOptions};

use super::*;
use crate::run::now_ms;

struct Place {
    folder: tempfile::TempDir,
    world: World,
    text: String,
}

impl Place {
    async fn new() -> Self {
        Self::with(WorldOptions::default()).await
    }

    async fn with(options: WorldOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let world = World::start(options).await.expect("a world");
        let pair = signer::key::file::generate(&"secret".to_owned().into()).expect("a key");
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        put("release.key", &pair.private_pem);
        put("release.password", "secret");
        put("trusted_root.json", &world.trusted_root_json());
        put("signing_config.json", &world.signing_config_json());
        let (host, log) = (world.registry.host(), world.log.write_url());
        let text = format!(
            r#"
[registry."{host}"]
plain_http = true
[identity.release]
key = "release.key"
password_file = "release.password"
[[rule]]
repositories = ["{host}/team/**"]
sign_with = ["release"]
formats = ["bundle"]
[sigstore.own]
trusted_root = "trusted_root.json"
signing_config = "signing_config.json"
[log."{}"]
version = 2
write_url = "{log}"
read_url = "{log}"
"#,
            world.log.origin()
        );
        Self { folder, world, text }
    }

    async fn asked(&self, text: &str) -> Vec<Asked> {
        let path = self.folder.path().join("sealwatch.toml");
        let config = Config::parse(&path, text.to_owned()).unwrap_or_else(|problems| panic!("{problems}"));
        let (worker, _) = rooms::checked_worker(&config, now_ms()).unwrap_or_else(|problems| panic!("{problems}"));
        ask(&config, Some(&worker), now_ms()).await
    }
}

/// The one thing that is wrong.
fn trouble(all: &[Asked]) -> (&str, &Trouble) {
    let wrong: Vec<_> =
        all.iter().filter_map(|asked| Some((asked.what.as_str(), asked.outcome.as_ref().err()?))).collect();
    assert_eq!(wrong.len(), 1, "{all:?}");
    assert!(!wrong[0].1.fix.is_empty());
    wrong[0]
}

#[tokio::test]
async fn all_is_well_and_nothing_was_made() {
    let place = Place::new().await;
    let before = place.world.log.size();
    let all = place.asked(&place.text).await;
    assert_eq!(code(&all), CLEAN, "{all:?}");
    assert_eq!(all.len(), 5, "store, registry, log, authority, key: {all:?}");
    assert_eq!(place.world.log.size(), before, "nothing was logged");
    assert!(!place.folder.path().join("sealwatch.db").exists(), "no database was made");
}

#[tokio::test]
async fn what_does_not_answer_is_named() {
    let place = Place::new().await;
    place.world.timestamp_authority.shutdown();
    let all = place.asked(&place.text).await;
    assert!(trouble(&all).0.starts_with("timestamp authority"));
    assert_eq!(code(&all), COULD_NOT_LOOK);
    let place = Place::new().await;
    place.world.log.shutdown();
    let all = place.asked(&place.text).await;
    assert!(trouble(&all).0.starts_with("log "));
    let place = Place::new().await;
    place.world.registry.shutdown();
    let all = place.asked(&place.text).await;
    assert!(trouble(&all).0.starts_with("registry "));
}

#[tokio::test]
async fn what_answers_and_is_another_is_named() {
    let place = Place::new().await;
    let other = SandboxLog::start(LogOptions::default()).await.expect("a log");
    let read_url = |url: &str| format!("read_url = \"{url}\"");
    let text = place.text.replace(&read_url(place.world.log.read_url()), &read_url(other.read_url()));
    let all = place.asked(&text).await;
    assert!(trouble(&all).1.why.contains("does not open with the log's key"), "{all:?}");
    assert_eq!(code(&all), USAGE);

    let all = place.asked(&place.text.replace("plain_http = true", "")).await;
    assert!(trouble(&all).1.fix.contains("plain_http"), "{all:?}");
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_named_and_none_is_made() {
    let place = Place::new().await;
    let with = |url: &str| format!("[store]\nurl = \"{url}\"\n{}", place.text);
    let all = place.asked(&with("sqlite:missing/s.db")).await;
    assert!(trouble(&all).1.fix.contains("mkdir"), "{all:?}");
    assert!(!place.folder.path().join("missing").exists());
    let junk = "not a database at all, whatever it is called";
    std::fs::write(place.folder.path().join("other.db"), junk).expect("a file");
    let all = place.asked(&with("sqlite:other.db")).await;
    assert_eq!(trouble(&all).0, "store");
    assert_eq!(std::fs::read_to_string(place.folder.path().join("other.db")).expect("a file"), junk);
    let all = place.asked(&with("postgres://none@127.0.0.1:1/none")).await;
    assert!(trouble(&all).1.fix.contains("PostgreSQL"), "{all:?}");
}

#[tokio::test]
async fn a_wrong_password_of_a_registry_is_the_configurations() {
    let accounts = |username: &str, password: &str| {
        let (username, password) = (username.to_owned(), password.to_owned());
        [
            RegistryAuth::Basic { username: username.clone(), password: password.clone() },
            RegistryAuth::Token { username, password, anonymous_pull: false, realm: None },
        ]
    };
    for auth in accounts("robot", "right") {
        let place = Place::with(WorldOptions { auth, ..WorldOptions::default() }).await;
        let account = "plain_http = true\nauth = { username = \"robot\", password_file = \"robot\" }";
        let text = place.text.replace("plain_http = true", account);
        let put = |password: &str| std::fs::write(place.folder.path().join("robot"), password).expect("a file");
        put("right");
        let all = place.asked(&text).await;
        assert_eq!(code(&all), CLEAN, "{all:?}");
        put("wrong");
        let all = place.asked(&text).await;
        let (_, found) = trouble(&all);
        assert_eq!(found.code, USAGE);
        assert!(found.fix.contains("auth of [registry"), "{found:?}");
    }
}
