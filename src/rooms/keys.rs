//! Where an identity's key comes from: the private half for the process that signs, the public half for those that only
//! look.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle::PublicKey;
use signer::key::{KeyBackend, PublicOnly, file};
use toml::Spanned;

use crate::config::{IdentityTable, Problems, guarded, password_of, warn_of};

/// How keys are to be read.
pub(super) enum Keys {
    /// The private half, or it is a problem.
    Private,
    /// The private half; where this user may not read it, the public half beside it, and a note says so.
    Checked(RefCell<Vec<String>>),
    /// The public half beside the key file; only where there is none, the private half.
    Public,
    /// The public half beside the key file, else this one; never a private half. An identity without either is left out.
    Looking(BTreeMap<String, PublicKey>),
}

impl Keys {
    /// The key of one identity. What is wrong is noted; `None` without a note is an identity that is left out.
    pub(super) fn load(
        &self,
        name: &str,
        table: &Spanned<IdentityTable>,
        problems: &mut Problems,
    ) -> Option<Arc<dyn KeyBackend>> {
        let path = table.get_ref().key.as_ref()?;
        let beside = public_beside(Path::new(path.get_ref()));
        match self {
            Self::Private => private(name, table, problems),
            Self::Looking(known) => {
                Some(Arc::new(PublicOnly(public_half(&beside).or_else(|| known.get(name).cloned())?)))
            }
            Self::Public => match public_half(&beside) {
                Some(public) => Some(Arc::new(PublicOnly(public))),
                None => private(name, table, problems),
            },
            Self::Checked(notes) => {
                let denied =
                    std::fs::File::open(path.get_ref()).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
                if denied && let Some(public) = public_half(&beside) {
                    notes.borrow_mut().push(format!(
                        "identity {name}: {} is not readable by this user; only its public half, {}, was checked",
                        path.get_ref(),
                        beside.display()
                    ));
                    return Some(Arc::new(PublicOnly(public)));
                }
                let key = private(name, table, problems)?;
                if let Some(public) = public_half(&beside)
                    && public.spki() != key.public_key().spki()
                {
                    problems.note(
                        path.span(),
                        format!(
                            "[identity.{name}] key: {} is not the public half of {}",
                            beside.display(),
                            path.get_ref()
                        ),
                        format!(
                            "`explain` and `kit` would show the wrong key: sealwatch key public --key {} > {}",
                            path.get_ref(),
                            beside.display()
                        ),
                    );
                }
                Some(key)
            }
        }
    }
}

/// Where `key create` and cosign write the public half: the key file's name with `.pub`.
fn public_beside(key: &Path) -> PathBuf {
    key.with_extension("pub")
}

fn public_half(path: &Path) -> Option<PublicKey> {
    PublicKey::from_pem(&std::fs::read_to_string(path).ok()?).ok()
}

/// Reads the key file, and decrypts it where it is encrypted.
fn private(name: &str, table: &Spanned<IdentityTable>, problems: &mut Problems) -> Option<Arc<dyn KeyBackend>> {
    let label = format!("[identity.{name}]");
    let path = table.get_ref().key.as_ref()?;
    let pem = match guarded::read(Path::new(path.get_ref())) {
        Ok(file) => {
            warn_of(&label, path.span(), file.exposed, problems);
            file.bytes
        }
        Err(why) => {
            problems.note(
                path.span(),
                format!("{label} key: {why}"),
                "make one with `sealwatch key create`, or name the file that holds it",
            );
            return None;
        }
    };
    let password_file = table.get_ref().password_file.as_ref();
    let password = password_of(&label, password_file, problems);
    if password_file.is_some() && password.is_none() {
        // That it could not be read is the mistake, not that the key is encrypted.
        return None;
    }
    match file::load(&pem, password.as_ref()) {
        Ok(key) => Some(Arc::new(key)),
        Err(error) => {
            problems.note(path.span(), format!("{label} key {}: {error}", path.get_ref()), fix(&pem));
            None
        }
    }
}

fn fix(pem: &[u8]) -> &'static str {
    if pem.windows(10).any(|window| window == b"PUBLIC KEY") {
        "this is the public half: name the private key file, as `sealwatch key create` writes it"
    } else {
        "give the right password_file (or COSIGN_PASSWORD), or another key file"
    }
}
