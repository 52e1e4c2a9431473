//! Whether the store can be opened, without creating or changing anything.

use std::path::{Path, PathBuf};

use store::StoreError;

use super::online::Trouble;
use crate::config::Config;
use crate::rooms;

/// Looks at the store.
pub(super) async fn store(config: &Config) -> Result<String, Trouble> {
    let url = config.file.store.url.get_ref();
    match sqlite_file(url) {
        Some(file) if !file.exists() => folder(&file),
        Some(file) => match rooms::store_beside(config).await {
            Ok(store) => {
                let outcome = store.ping().await.map(|()| "opens; its schema is this version's".to_owned());
                store.close().await;
                outcome.map_err(|error| Trouble::away(error, "look at the disk that it is on"))
            }
            Err(error) => match error.downcast_ref() {
                Some(StoreError::OlderSchema { version }) => {
                    Ok(format!("opens; its schema is {version}, and is brought up to date at the next start"))
                }
                _ => Err(Trouble::wrong(
                    format!("{error:#}"),
                    format!("is {} a database of sealwatch, readable and writable by this user?", file.display()),
                )),
            },
        },
        None if url.starts_with("sqlite:") => Ok("in memory: nothing is kept".to_owned()),
        None => match rooms::store_looked_at(config).await {
            Ok(seen) => Ok(seen),
            Err(error) => Err(match error.downcast_ref() {
                Some(StoreError::NewerSchema { .. }) => {
                    Trouble::wrong(format!("{error:#}"), "upgrade this program; the database is of a newer one")
                }
                _ => Trouble::away(
                    format!("{error:#}"),
                    "start PostgreSQL, and check host, port, database, user and password of [store] url",
                ),
            }),
        },
    }
}

/// The file of an SQLite URL.
fn sqlite_file(url: &str) -> Option<PathBuf> {
    let name = url.strip_prefix("sqlite:")?;
    let name = name.strip_prefix("//").unwrap_or(name);
    if name.is_empty() || name.starts_with(':') {
        return None;
    }
    Some(PathBuf::from(name.replace("%3F", "?").replace("%23", "#").replace("%25", "%")))
}

/// Whether a database could be made: its folder is there and takes a file.
fn folder(file: &Path) -> Result<String, Trouble> {
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let trial = folder.join(format!(".sealwatch-check-{}", std::process::id()));
    match std::fs::File::create_new(&trial) {
        Ok(_) => {
            // It was made a moment ago; if it cannot go, the folder is odd, but takes files.
            let _ = std::fs::remove_file(&trial);
            Ok("is not there yet, and can be made at the first start".to_owned())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Trouble::wrong(
            format!("the folder {} is not there", folder.display()),
            format!("mkdir -p {}, owned by the user that runs sealwatch", folder.display()),
        )),
        Err(error) => Err(Trouble::wrong(
            format!("no file can be made in {}: {error}", folder.display()),
            "let the user that runs sealwatch write there, or name another file in [store] url",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_url_is_found() {
        for (url, file) in [
            ("sqlite:a/b.db", Some("a/b.db")),
            ("sqlite:///srv/b.db", Some("/srv/b.db")),
            ("sqlite:/50%25/b.db", Some("/50%/b.db")),
            ("sqlite::memory:", None),
            ("sqlite://:memory:", None),
            ("postgres://u@h/d", None),
        ] {
            assert_eq!(sqlite_file(url), file.map(PathBuf::from), "{url}");
        }
    }

    #[test]
    fn a_folder_that_is_missing_or_closed_is_named() {
        let root = tempfile::tempdir().expect("a folder");
        assert!(folder(&root.path().join("s.db")).is_ok());
        assert_eq!(std::fs::read_dir(root.path()).expect("a folder").count(), 0, "nothing is left behind");
        let trouble = folder(&root.path().join("missing/s.db")).expect_err("no such folder");
        assert!(trouble.why.contains("missing") && trouble.fix.contains("mkdir -p"), "{trouble:?}");
        std::fs::write(root.path().join("file"), "").expect("a file");
        assert!(folder(&root.path().join("file/s.db")).is_err());
    }
}
