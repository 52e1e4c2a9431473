//! Which files of a folder a demo made: nothing else in it is ever written over.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bundle::Digest;
use serde::{Deserialize, Serialize};
use store::StoreError;

use crate::ended::Ended;

/// The list, in the folder itself.
const LIST: &str = ".sealwatch-demo.json";
/// What the store writes; its bytes change while it is used.
const DATABASE: [&str; 5] =
    ["sealwatch.db", "sealwatch.db-wal", "sealwatch.db-shm", "sealwatch.db.lock", "sealwatch.db.trusted"];

/// The files that demos made in one folder.
pub(super) struct MadeFiles {
    dir: PathBuf,
    made: List,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct List {
    made_by: String,
    /// By the name within the folder; the digest of what was written, absent for the database.
    files: BTreeMap<String, Option<Digest>>,
}

impl MadeFiles {
    /// Looks at a folder before anything in it is changed, and removes what an earlier demo made there.
    ///
    /// # Errors
    /// One of `names`, the database or anything under `kit/` is there and was not made by a demo, was changed since, or
    /// is in use: exit code 2, and the folder is as it was.
    pub(super) async fn claim(dir: &Path, names: &[&str]) -> anyhow::Result<Self> {
        let list = dir.join(LIST);
        let earlier: List = match std::fs::read(&list) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| refused(&list))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => List::default(),
            Err(error) => return Err(error).with_context(|| list.display().to_string()),
        };
        let kit = dir.join("kit");
        let mut wanted: Vec<String> = names.iter().chain(&DATABASE).map(|name| (*name).to_owned()).collect();
        match std::fs::read_dir(&kit) {
            Ok(entries) => {
                for entry in entries {
                    wanted.push(format!("kit/{}", entry?.file_name().to_string_lossy()));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => return Err(refused(&kit)),
        }
        let mut old = Vec::new();
        for name in wanted {
            let path = dir.join(&name);
            let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
            let ours = found.is_file()
                && match earlier.files.get(&name) {
                    None => false,
                    Some(None) => true,
                    Some(Some(digest)) => std::fs::read(&path).is_ok_and(|bytes| Digest::of(&bytes) == *digest),
                };
            if !ours {
                return Err(refused(&path));
            }
            old.push(path);
        }
        if old.iter().any(|path| path.ends_with(DATABASE[0])) {
            // A sealwatch that runs with it would go on with a file that has no name any more.
            let database = std::fs::canonicalize(dir.join(DATABASE[0]))?;
            match store::open(&format!("sqlite:{}", database.display())).await {
                Ok(store) => store.close().await,
                Err(error @ StoreError::InUse { .. }) => {
                    return Err(Ended::usage(format!(
                        "{error}: a sealwatch runs with this folder; stop it, or choose another --dir"
                    )));
                }
                // Whatever is wrong with it, it goes.
                Err(_) => {}
            }
        }
        for path in old {
            match std::fs::remove_file(&path) {
                // Closing the database takes its helpers away.
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| path.display().to_string());
                }
                _ => {}
            }
        }
        let files = DATABASE.iter().map(|name| ((*name).to_owned(), None)).collect();
        Ok(Self { dir: dir.to_owned(), made: List { made_by: "sealwatch demo".to_owned(), files } })
    }

    /// Writes files; each is on the list before it is there.
    pub(super) fn write(&mut self, files: &[(&str, &str)]) -> anyhow::Result<()> {
        for (name, text) in files {
            self.made.files.insert((*name).to_owned(), Some(Digest::of(text.as_bytes())));
        }
        self.save()?;
        for (name, text) in files {
            let path = self.dir.join(name);
            // A new file, never another's that came meanwhile.
            std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    /// Takes files onto the list that another part has just written under `kit/`.
    pub(super) fn note_kit(&mut self, names: &[String]) -> anyhow::Result<()> {
        for name in names {
            let name = format!("kit/{name}");
            let bytes = std::fs::read(self.dir.join(&name))?;
            self.made.files.insert(name, Some(Digest::of(&bytes)));
        }
        self.save()
    }

    fn save(&self) -> anyhow::Result<()> {
        let (path, next) = (self.dir.join(LIST), self.dir.join(format!("{LIST}.new")));
        std::fs::write(&next, serde_json::to_vec_pretty(&self.made)?)
            .and_then(|()| std::fs::rename(&next, &path))
            .with_context(|| path.display().to_string())
    }
}

fn refused(path: &Path) -> anyhow::Error {
    Ended::usage(format!(
        "{} is there, and no demo made it as it is now: nothing was changed. Choose a new folder with --dir, or move that file away",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["release.key", "sealwatch.toml"];

    async fn refusal(dir: &Path) -> String {
        let error = MadeFiles::claim(dir, &NAMES).await.err().expect("it is refused");
        assert_eq!(error.downcast_ref::<Ended>().expect("a mistake of usage").code, crate::commands::USAGE);
        error.to_string()
    }

    #[tokio::test]
    async fn what_a_demo_made_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        std::fs::write(dir.join("notes.txt"), "mine").unwrap();
        for run in ["one", "two", "three"] {
            let mut made = MadeFiles::claim(dir, &NAMES).await.unwrap();
            assert!(!dir.join("release.key").exists() && !dir.join("kit/release.pub").exists());
            made.write(&[("release.key", run), ("sealwatch.toml", "")]).unwrap();
            std::fs::create_dir_all(dir.join("kit")).unwrap();
            std::fs::write(dir.join("kit/release.pub"), run).unwrap();
            made.note_kit(&["release.pub".to_owned()]).unwrap();
            std::fs::write(dir.join("sealwatch.db-wal"), run).unwrap();
        }
        assert_eq!(std::fs::read_to_string(dir.join("notes.txt")).unwrap(), "mine");
    }

    #[tokio::test]
    async fn what_no_demo_made_is_never_touched() {
        for name in ["release.key", "sealwatch.toml", "sealwatch.db", "sealwatch.db.trusted", "kit/release.pub"] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("kit")).unwrap();
            let path = folder.path().join(name);
            std::fs::write(&path, "real").unwrap();
            assert!(refusal(folder.path()).await.contains(name), "{name}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "real");
        }
    }

    #[tokio::test]
    async fn what_was_changed_since_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        MadeFiles::claim(dir, &NAMES).await.unwrap().write(&[("release.key", "made"), ("sealwatch.toml", "")]).unwrap();
        std::fs::write(dir.join("release.key"), "replaced by a real one").unwrap();
        assert!(refusal(dir).await.contains("release.key"));
        assert!(dir.join("sealwatch.toml").exists(), "a refusal changes nothing");
        // A link would be written through.
        let elsewhere = dir.join("elsewhere");
        std::fs::write(&elsewhere, "made").unwrap();
        std::fs::remove_file(dir.join("release.key")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, dir.join("release.key")).unwrap();
        refusal(dir).await;
        std::fs::write(dir.join(LIST), "{").unwrap();
        refusal(dir).await;
    }

    #[tokio::test]
    async fn a_folder_that_is_worked_with_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let mut made = MadeFiles::claim(dir, &NAMES).await.unwrap();
        made.write(&[("release.key", "made"), ("sealwatch.toml", "")]).unwrap();
        let store = store::open(&format!("sqlite:{}", dir.join("sealwatch.db").display())).await.unwrap();
        assert!(refusal(dir).await.contains("runs with this folder"));
        assert!(dir.join("release.key").exists());
        store.close().await;
        drop(store);
        MadeFiles::claim(dir, &NAMES).await.unwrap();
        assert!(!dir.join("sealwatch.db").exists());
    }
}
