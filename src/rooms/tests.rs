//! Secrets and keys as they lie on a disk.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use super::*;

struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn put(&self, name: &str, text: &str, mode: u32) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        path.display().to_string()
    }
}

fn config(text: &str) -> Config {
    Config::parse(Path::new("t.toml"), text.to_owned()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn source(secret: &str) -> Config {
    config(&format!(
        "[registry.\"r.test\"]\n[source.ci]\nkind = \"generic\"\nregistry = \"r.test\"\nauth = \"bearer\"\nsecret_file = {secret:?}\n"
    ))
}

#[test]
fn the_secret_of_a_hook_is_long_and_no_one_else_s() {
    let files = Files::new();
    let long = "0123456789abcdef";
    for (text, mode, warning) in [
        (long, 0o600, None),
        ("0123456789abcde\n", 0o600, Some("t.toml:5: [source.ci]: its secret is shorter than 16 characters")),
        (long, 0o644, Some("can be read by others (mode 0644); fix: run `chmod 600")),
    ] {
        let config = source(&files.put("secret", text, mode));
        assert!(intake(&config).is_ok(), "{text:?}");
        let warnings = config.warnings.lines(&config.path);
        match warning {
            None => assert!(warnings.is_empty(), "{warnings:?}"),
            Some(words) => assert!(matches!(warnings.as_slice(), [one] if one.contains(words)), "{warnings:?}"),
        }
        // Said once, however often the file is built from.
        assert!(intake(&config).is_ok());
        assert_eq!(config.warnings.lines(&config.path), warnings);
    }
    let problems = intake(&source(&files.put("secret", long, 0o622))).err().expect("others may write it").to_string();
    assert!(
        problems.contains("secret_file") && problems.contains("can be written by others (mode 0622)"),
        "{problems}"
    );
}

/// The problems with an identity, as text, and the warnings.
fn identity(key: &str, password: &str) -> (String, Vec<String>) {
    let config = config(&format!(
        "[identity.release]\nkey = {key:?}\npassword_file = {password:?}\n[sigstore.own]\ntrusted_root = \"t.json\"\n"
    ));
    let mut problems = config.problems();
    identities(&config, &BTreeMap::new(), &Keys::Private, &mut problems);
    let text = if problems.is_empty() { String::new() } else { problems.to_string() };
    (text, config.warnings.lines(&config.path))
}

#[test]
fn key_and_password_are_ours_alone_to_write() {
    let files = Files::new();
    let pair = signer::key::file::generate(&"pw\n".into()).expect("a key");
    let good = files.put("good.key", &pair.private_pem, 0o600);
    // One line end is not part of the password; the other is.
    let password = files.put("password", "pw\n\n", 0o600);
    assert_eq!(identity(&good, &password), (String::new(), Vec::new()));
    assert!(identity(&good, &files.put("other", "pw\n", 0o600)).0.contains("wrong password"));

    let (problems, warnings) = identity(&files.put("read.key", &pair.private_pem, 0o644), &password);
    assert!(problems.is_empty(), "{problems}");
    assert!(matches!(warnings.as_slice(), [one] if one.contains("read.key can be read by others")), "{warnings:?}");
    let (problems, _) = identity(&files.put("write.key", &pair.private_pem, 0o620), &password);
    assert!(problems.contains("[identity.release] key: ") && problems.contains("can be written"), "{problems}");
    let (problems, _) = identity(&good, &files.put("write.password", "pw\n\n", 0o606));
    assert!(problems.contains("password_file") && problems.contains("can be written"), "{problems}");

    let second = signer::key::file::generate(&"pw\n".into()).expect("a key");
    let both = files.put("both.key", &format!("{}{}", pair.private_pem, second.private_pem), 0o600);
    assert!(identity(&both, &password).0.contains("several private keys"), "two keys in one file");
    let empty = signer::key::file::generate(&"".into()).expect("a key");
    let (problems, warnings) =
        identity(&files.put("e.key", &empty.private_pem, 0o600), &files.put("e.password", "", 0o600));
    assert!(problems.is_empty(), "{problems}");
    assert!(matches!(warnings.as_slice(), [one] if one.contains("the password is the empty one")), "{warnings:?}");
}

#[test]
fn a_docker_config_that_others_may_write_is_refused() {
    let files = Files::new();
    for (mode, refused) in [(0o600, false), (0o644, false), (0o666, true)] {
        let file = files.put("config.json", "{}", mode);
        let config = config(&format!("[registry.\"r.test\"]\nauth = {{ docker_config = {file:?} }}\n"));
        let mut problems = config.problems();
        assert_eq!(registries(&config, &mut problems).is_empty(), refused, "{mode:o}");
        assert_eq!(!problems.is_empty(), refused, "{mode:o}");
        assert_eq!(config.warnings.lines(&config.path).len(), usize::from(mode == 0o644), "{mode:o}");
    }
}

#[test]
fn of_several_public_keys_a_command_takes_the_first_and_a_watch_none() {
    let files = Files::new();
    let (one, two) = (
        signer::key::file::generate(&"".into()).expect("a key"),
        signer::key::file::generate(&"".into()).expect("a key"),
    );
    let file = files.put("two.pub", &format!("{}{}", one.public_pem, two.public_pem), 0o644);
    assert_eq!(public_key(Path::new(&file)).expect("the first").pem(), one.public_pem);
    let config = config(&format!("[[watch]]\nname = \"release\"\nkey_file = {file:?}\n"));
    let problems = monitor::monitor(&config).err().expect("two keys").to_string();
    for pem in [&one.public_pem, &two.public_pem] {
        let fingerprint = bundle::PublicKey::from_pem(pem).expect("a key").fingerprint();
        assert!(problems.contains(&fingerprint), "{problems}");
    }
}
