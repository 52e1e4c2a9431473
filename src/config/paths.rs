//! Paths in a file are relative to the folder of that file, wherever the program is started.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::file::File;

/// Makes every path of the file one that leads to the same place from the working directory.
pub(super) fn resolve(file: &mut File, config: &Path) {
    let Some(folder) = config.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return };
    let base = Base(folder);
    let store = file.store.url.get_mut();
    *store = base.store(store);
    base.path(&mut file.store.password_file);
    base.path(&mut file.store.ca_file);
    for registry in file.registry.values_mut().map(Spanned::get_mut) {
        base.path(&mut registry.ca_file);
        if let Some(auth) = &mut registry.auth {
            base.path(&mut auth.docker_config);
            base.path(&mut auth.password_file);
        }
    }
    for source in file.source.values_mut().map(Spanned::get_mut) {
        base.path(&mut source.secret_file);
        for file in source.secret_files.iter_mut().flat_map(Spanned::get_mut) {
            base.place(file);
        }
    }
    for identity in file.identity.values_mut().map(Spanned::get_mut) {
        base.text(&mut identity.key, |key| !key.contains("://") && !key.starts_with("pkcs11:"));
        base.path(&mut identity.password_file);
    }
    for sigstore in file.sigstore.values_mut().map(Spanned::get_mut) {
        base.text(&mut sigstore.trusted_root, |name| name != "public-good");
        base.text(&mut sigstore.signing_config, |name| name != "public-good");
        base.path(&mut sigstore.ca_file);
    }
    for log in file.log.values_mut().map(Spanned::get_mut) {
        base.path(&mut log.public_key_file);
        base.path(&mut log.witness_policy_file);
        base.path(&mut log.ca_file);
    }
    if let Some(monitor) = file.monitor.as_mut().map(Spanned::get_mut) {
        base.path(&mut monitor.heartbeat_url_file);
        base.path(&mut monitor.trust_record);
    }
    for watch in file.watch.iter_mut().map(Spanned::get_mut) {
        base.path(&mut watch.key_file);
    }
    for alert in file.alert.iter_mut().map(Spanned::get_mut) {
        base.path(&mut alert.url_file);
        base.path(&mut alert.secret_file);
        base.path(&mut alert.ca_file);
        base.path(&mut alert.password_file);
        // A program without a slash is looked for in PATH.
        if let Some(program) = alert.command.as_mut().and_then(|command| command.get_mut().first_mut())
            && program.contains('/')
        {
            *program = base.joined(program);
        }
    }
}

/// The folder of the configuration file.
struct Base<'a>(&'a Path);

impl Base<'_> {
    fn path(&self, key: &mut Option<Spanned<PathBuf>>) {
        if let Some(path) = key {
            self.place(path);
        }
    }

    fn place(&self, path: &mut Spanned<PathBuf>) {
        let joined = self.0.join(path.get_ref());
        *path.get_mut() = joined;
    }

    fn text(&self, key: &mut Option<Spanned<String>>, is_path: impl Fn(&str) -> bool) {
        if let Some(text) = key
            && is_path(text.get_ref())
        {
            let joined = self.joined(text.get_ref());
            *text.get_mut() = joined;
        }
    }

    fn joined(&self, path: &str) -> String {
        self.0.join(path).to_string_lossy().into_owned()
    }

    /// `sqlite:FILE`; what is no file (a database in memory, PostgreSQL) stays as it is.
    fn store(&self, url: &str) -> String {
        let Some(name) = url.strip_prefix("sqlite:") else { return url.to_owned() };
        let name = name.strip_prefix("//").unwrap_or(name);
        if name.is_empty() || name.starts_with(':') || name.starts_with('/') {
            return url.to_owned();
        }
        // The name in a URL may be percent-encoded; the folder must be.
        let folder = self.0.to_string_lossy().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
        format!("sqlite:{}/{name}", folder.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key that holds a path.
    const ALL: &str = r#"
[store]
url = "sqlite:data/s.db"
password_file = "a/21"
ca_file = "a/22"
[registry."r.example"]
ca_file = "a/1"
auth = { docker_config = "a/2" }
[registry."s.example"]
auth = { username = "u", password_file = "a/3" }
[source.ci]
kind = "generic"
registry = "r.example"
auth = "bearer"
secret_file = "a/4"
[source.two]
kind = "generic"
registry = "r.example"
auth = "bearer"
secret_files = ["a/23", "a/24"]
[identity.release]
key = "a/5"
password_file = "a/6"
[[rule]]
repositories = ["r.example/**"]
sign_with = ["release"]
[sigstore.own]
trusted_root = "a/7"
signing_config = "a/8"
ca_file = "a/9"
[log."l.example"]
public_key_file = "a/10"
witness_policy_file = "a/11"
ca_file = "a/12"
read_url = "file:///srv/log"
[monitor]
heartbeat_url_file = "a/13"
trust_record = "a/14"
[[watch]]
key_file = "a/15"
[[alert]]
kind = "command"
url_file = "a/16"
secret_file = "a/17"
ca_file = "a/18"
password_file = "a/19"
command = ["a/20", "a/argument"]
"#;

    fn shown(config: &str, text: &str) -> String {
        let mut file: File = toml::from_str(text).unwrap_or_else(|problem| panic!("{problem}"));
        resolve(&mut file, Path::new(config));
        format!("{file:?}")
    }

    #[test]
    fn every_path_is_relative_to_the_file() {
        let there = shown("/etc/sealwatch/sealwatch.toml", ALL);
        for n in 1..=24 {
            assert!(there.contains(&format!("\"/etc/sealwatch/a/{n}\"")), "{n}: {there}");
        }
        assert!(there.contains("\"sqlite:/etc/sealwatch/data/s.db\""), "{there}");
        // What is no path of ours is left alone.
        assert!(there.contains("\"a/argument\"") && there.contains("\"file:///srv/log\""), "{there}");
        assert!(shown("../sealwatch.toml", ALL).contains("\"../a/5\""));
        assert!(shown("sealwatch.toml", ALL).contains("\"a/5\""));
    }

    #[test]
    fn what_is_absolute_or_no_path_stays() {
        let text = ALL
            .replace("\"a/", "\"/a/")
            .replace("sqlite:data/s.db", "sqlite:/data/s.db")
            .replace("signing_config = \"/a/8\"", "signing_config = \"public-good\"")
            .replace("[\"/a/20\"", "[\"mailer\"");
        let there = shown("/etc/x/sealwatch.toml", &text);
        assert!(!there.contains("/etc/x"), "{there}");
        for url in ["sqlite::memory:", "sqlite:///srv/s.db", "postgres://u@h/d", "postgresql://u@h/d"] {
            assert_eq!(Base(Path::new("/etc/x")).store(url), url);
        }
        assert_eq!(Base(Path::new("/a b/50%")).store("sqlite:s.db"), "sqlite:/a b/50%25/s.db");
        assert_eq!(Base(Path::new("/x")).store("sqlite://s.db"), "sqlite:/x/s.db");
    }

    /// A key that holds a path and is added later must be resolved as well.
    #[test]
    fn no_key_that_holds_a_path_is_forgotten() {
        let resolved = include_str!("paths.rs").split("struct Base").next().unwrap();
        let mut seen = 0;
        for line in include_str!("file.rs").lines().chain(include_str!("file/monitor.rs").lines()) {
            let Some((name, kind)) = line.trim().trim_start_matches("pub(crate) ").split_once(':') else { continue };
            if kind.contains("PathBuf") && !name.contains(' ') {
                assert!(resolved.contains(&format!(".{name}")), "{name} is a path and stays relative to the process");
                seen += 1;
            }
        }
        assert!(seen >= 15, "{seen}");
    }
}
