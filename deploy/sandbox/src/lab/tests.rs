//! What one run of a lab gave out holds in every later run.

use bundle::TrustRoot;
use tlog::{Checkpoint, InclusionProof, leaf_hash, verify_consistency};

use super::*;

fn options(directory: &Path) -> LabOptions {
    LabOptions { directory: directory.to_owned(), log_port: None, timestamp_port: None }
}

#[tokio::test]
async fn an_entry_of_the_first_run_is_still_proved_in_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let first = Lab::start(options(folder.path())).await.unwrap();
    for n in 0..300u32 {
        first.log.extend([n.to_be_bytes().to_vec()]);
    }
    assert_eq!(first.log.append(b"an entry".to_vec()).await, 300);
    let old = Checkpoint::open(&first.log.checkpoint(), first.log.key()).unwrap();
    let urls = (first.log.write_url().to_owned(), first.timestamp_authority.url().to_owned());
    let root = first.trusted_root_json();
    let listeners = [first.log.addr(), first.timestamp_authority.addr()];
    first.shutdown();
    drop(first);
    for address in listeners {
        // The listener ends with its task, a moment later.
        while tokio::net::TcpListener::bind(address).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    let second = Lab::start(options(folder.path())).await.unwrap();
    assert_eq!((second.log.write_url().to_owned(), second.timestamp_authority.url().to_owned()), urls);
    assert_eq!(second.trusted_root_json(), root, "the same keys and certificates");
    assert_eq!(second.log.append(b"another".to_vec()).await, 301);
    let new = Checkpoint::open(&second.log.checkpoint(), second.log.key()).unwrap();
    assert_eq!((old.size(), new.size()), (301, 302));
    let hashes = second.log.consistency(old.size(), new.size()).unwrap();
    verify_consistency(old.size(), &old.root(), new.size(), &new.root(), &hashes).unwrap();
    let hashes = second.log.inclusion(300, new.size()).unwrap();
    InclusionProof { index: 300, size: new.size(), hashes }.verify(&leaf_hash(b"an entry"), &new.root()).unwrap();
}

#[tokio::test]
async fn a_lab_is_one_process_and_its_folder_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let first = Lab::start(options(folder.path())).await.unwrap();
    let again = Lab::start(LabOptions { log_port: Some(0), timestamp_port: Some(0), ..options(folder.path()) }).await;
    assert!(matches!(again, Err(SandboxError::InUse { .. })), "{again:?}");
    first.shutdown();
    // Leaves whose key is gone, and a file that is not ours, are left as they are.
    std::fs::remove_file(folder.path().join(KEYS)).unwrap();
    assert!(matches!(Lab::start(options(folder.path())).await, Err(SandboxError::NotALab { .. })));
    for other in ["", "{}", "[1]", r#"{"version":1,"log_seed":"c2VjcmV0"}"#] {
        std::fs::write(folder.path().join(KEYS), other).unwrap();
        let error = Lab::start(options(folder.path())).await.unwrap_err();
        assert!(matches!(error, SandboxError::NotALab { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(folder.path().join(KEYS)).unwrap(), other);
    }
}

#[tokio::test]
async fn keys_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(options(&folder.path().join("new"))).await.unwrap();
    let mode = |path: &str| std::fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("new"), mode("new/lab.json")), (0o700, 0o600));
    drop(lab);
}

#[tokio::test]
async fn the_product_reads_what_a_lab_writes() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(options(folder.path())).await.unwrap();
    let trust = TrustRoot::parse(&std::fs::read(lab.trusted_root()).unwrap()).unwrap();
    assert_eq!(trust.log(&lab.log.key_id()).unwrap().key.spki(), lab.log.public_key_spki());
    assert_eq!(trust.timestamp_authorities.len(), 1);
    bundle::SigningConfig::parse(&std::fs::read(lab.signing_config()).unwrap()).unwrap();
}
