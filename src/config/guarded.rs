//! Files that hold secrets: who else may write or read them.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path};

/// Bits of a mode that let others write.
const WRITABLE: u32 = 0o022;
/// Bits of a mode that let others read.
const READABLE: u32 = 0o044;

/// What a file with a secret holds.
pub(crate) struct GuardedFile {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// That others may read it, with the command that ends it.
    pub(crate) exposed: Option<Exposed>,
}

/// A secret that others may read.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Exposed {
    /// What is so.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) fix: String,
}

/// Reads a file with a secret.
///
/// # Errors
/// One that cannot be read, and one that others may write: whoever writes it chooses with which key is signed, or who may
/// post events.
pub(crate) fn read(path: &Path) -> Result<GuardedFile, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    // What is looked at is what is read, even if the name is given to another file meanwhile.
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let exposed = judge(path, &metadata)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(GuardedFile { bytes, exposed })
}

/// The same judgement of a file that something else reads.
///
/// # Errors
/// As [`read`].
pub(crate) fn check(path: &Path) -> Result<Option<Exposed>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    judge(path, &metadata)
}

fn judge(path: &Path, metadata: &Metadata) -> Result<Option<Exposed>, String> {
    let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
    // A pipe (`<(…)` of a shell) is gone before anybody else could open it.
    if !metadata.is_file() {
        return Ok(None);
    }
    if mode & WRITABLE != 0 {
        return Err(format!("{0} can be written by others (mode {mode:04o}): run `chmod 600 {0}`", path.display()));
    }
    if let Some(own) = own_user().filter(|own| owner != 0 && owner != *own) {
        return Err(format!(
            "{0} belongs to the user {owner}, who can change it, and this process runs as {own}: run `chown {own} {0}`",
            path.display()
        ));
    }
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    if mode & READABLE == 0 || is_mounted(path, credentials.as_deref().map(Path::new)) {
        return Ok(None);
    }
    Ok(Some(Exposed {
        what: format!("{} can be read by others (mode {mode:04o})", path.display()),
        fix: format!("run `chmod 600 {}`", path.display()),
    }))
}

/// Whether something mounted the file that gives it its mode: Kubernetes (each name is a link through `..data`), Docker
/// and Podman (`/run/secrets`), systemd (`$CREDENTIALS_DIRECTORY`).
fn is_mounted(path: &Path, credentials: Option<&Path>) -> bool {
    let real = path.canonicalize().ok();
    let is_of_kubernetes = |path: &Path| {
        let names = path.components().filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        });
        let mut folders = names.rev().skip(1);
        folders.any(|name| name.starts_with("..") && name.len() > 2)
    };
    [Some(path), real.as_deref()].into_iter().flatten().any(|path| {
        path.starts_with("/run/secrets")
            || path.starts_with("/var/run/secrets")
            || credentials.is_some_and(|folder| folder.is_absolute() && path.starts_with(folder))
            || is_of_kubernetes(path)
    })
}

/// The user as which this process opens files; `None` where the system does not say.
fn own_user() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    // The real one, then the effective one.
    ids.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    fn file(folder: &Path, name: &str, mode: u32) -> std::path::PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, "secret").expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        path
    }

    #[test]
    fn what_others_may_write_is_refused_and_what_they_may_read_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        for mode in [0o600, 0o400, 0o700, 0o610] {
            let read = read(&file(folder.path(), &format!("good{mode:o}"), mode)).expect("a good file");
            assert_eq!((read.bytes.as_slice(), read.exposed), (&b"secret"[..], None), "{mode:o}");
        }
        for mode in [0o644, 0o640, 0o604, 0o444] {
            let path = file(folder.path(), &format!("readable{mode:o}"), mode);
            let exposed = read(&path).expect("a readable file").exposed.expect("it is told");
            assert!(exposed.what.contains(&format!("(mode {mode:04o})")), "{exposed:?}");
            assert_eq!(exposed.fix, format!("run `chmod 600 {}`", path.display()));
            assert_eq!(check(&path), Ok(Some(exposed)));
        }
        for mode in [0o666, 0o620, 0o602, 0o660, 0o777] {
            let path = file(folder.path(), &format!("writable{mode:o}"), mode);
            let error = read(&path).err().expect("it is refused");
            assert!(error.contains("can be written by others") && error.contains("chmod 600"), "{error}");
            assert_eq!(check(&path), Err(error));
        }
    }

    #[test]
    fn the_file_of_another_user_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = file(folder.path(), "key", 0o600);
        // Only root can give a file away.
        if own_user() == Some(0) {
            chown(&path, Some(12_345), None).expect("root may");
            let error = read(&path).err().expect("it is refused");
            assert!(error.contains("belongs to the user 12345") && error.contains("chown 0"), "{error}");
        } else {
            assert_eq!(check(&path), Ok(None));
        }
    }

    #[test]
    fn a_mounted_secret_has_the_mode_of_its_mount() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        // As the kubelet lays it.
        std::fs::create_dir(root.join("..2026_12_01_15_00_00.123")).expect("a folder");
        file(&root, "..2026_12_01_15_00_00.123/password", 0o644);
        symlink("..2026_12_01_15_00_00.123", root.join("..data")).expect("a link");
        symlink("..data/password", root.join("password")).expect("a link");
        assert_eq!(check(&root.join("password")), Ok(None));
        // Being mounted is no excuse for a file that others may write.
        file(&root, "..2026_12_01_15_00_00.123/password", 0o666);
        assert!(check(&root.join("password")).is_err());

        let plain = file(&root, "..password", 0o644);
        assert!(check(&plain).expect("readable").is_some(), "a name that begins with dots is no mount");
        assert!(!is_mounted(&plain, None) && !is_mounted(&plain, Some(Path::new(""))));
        assert!(is_mounted(&plain, Some(&root)));
        for (path, mounted) in [
            ("/run/secrets/key", true),
            ("/var/run/secrets/x/key", true),
            ("/run/secrets.d/key", false),
            ("/etc/run/secrets/key", false),
            ("/etc/../run/key", false),
            ("../key", false),
        ] {
            assert_eq!(is_mounted(Path::new(path), None), mounted, "{path}");
        }
    }
}
