//! Who answers for the database is checked, unless that was asked for or nothing lies between.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::gate::Gate;
use super::*;
use crate::Status as _;
use crate::testing::TestDatabase;

/// Made for these tests, as all in that folder: `ca.pem` signed `localhost.pem` and `elsewhere.pem` (db.example.com).
fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src/postgres/tests/tls", name].iter().collect()
}

fn acceptor(certificate: &str) -> TlsAcceptor {
    let pem = std::fs::read(file(certificate)).unwrap();
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mode_accepts_what_it_says() {
    let Some(database) = TestDatabase::postgres("each_mode_accepts_what_it_says").await else { return };
    database
        .run(|database| async move {
            let options = database.postgres_options();
            let right = Gate::with(&options, Some(acceptor("localhost.pem")), None).await;
            let other_name = Gate::with(&options, Some(acceptor("elsewhere.pem")), None).await;
            let plain = Gate::before(&options).await;
            let open = async |gate: &Gate, mode: &str, ca: Option<&str>| {
                let (user, name) = (options.get_username(), options.get_database().unwrap());
                let url = format!("postgres://{user}@localhost:{}/{name}?sslmode={mode}", gate.port);
                let config = StoreConfig { ca_file: ca.map(file), ..StoreConfig::from(&url) };
                match PostgresStore::open(&config).await {
                    Ok(store) => {
                        store.ping().await.unwrap();
                        store.close().await;
                        None
                    }
                    Err(error) => {
                        assert!(matches!(error, StoreError::Tls { .. }) && error.is_transient(), "{error}");
                        Some(error.to_string())
                    }
                }
            };
            for (gate, mode, ca, refused) in [
                (&right, "verify-full", "ca.pem", None),
                (&right, "verify-ca", "ca.pem", None),
                (&other_name, "verify-ca", "ca.pem", None),
                (&other_name, "verify-full", "ca.pem", Some("use a name of the certificate in place of \"localhost\"")),
                (
                    &right,
                    "verify-full",
                    "other-ca.pem",
                    Some("set [store] ca_file to the CA of the server's certificate"),
                ),
                (
                    &right,
                    "verify-ca",
                    "other-ca.pem",
                    Some("set [store] ca_file to the CA of the server's certificate"),
                ),
                (&plain, "verify-full", "ca.pem", Some("turn TLS on in the server (ssl = on)")),
                (&plain, "require", "ca.pem", Some("turn TLS on in the server (ssl = on)")),
                (&right, "require", "other-ca.pem", None),
                (&plain, "prefer", "ca.pem", None),
                (&plain, "disable", "ca.pem", None),
            ] {
                match (open(gate, mode, Some(ca)).await, refused) {
                    (None, None) => {}
                    (Some(error), Some(fix)) => assert!(error.contains(fix), "{mode} {ca}: {error}"),
                    (outcome, _) => panic!("{mode} {ca}: {outcome:?}"),
                }
            }
            assert_eq!(open(&right, "require", None).await, None);
        })
        .await;
}

/// `verify-ca` accepts any certificate of a CA that it knows, for any name. So it may know that of the database alone.
#[test]
fn the_driver_knows_no_public_ca() {
    assert!(
        webpki_roots::TLS_SERVER_ROOTS.is_empty(),
        "watcher/store/no-public-roots is not in use: see [patch] in Cargo.toml"
    );
}

fn checked(url: &str, ca_file: Option<PathBuf>) -> Result<Vec<String>, String> {
    StoreConfig { ca_file, ..StoreConfig::from(url) }.check().map_err(|error| error.to_string())
}

#[test]
fn over_a_network_the_certificate_is_checked_unless_something_else_was_asked_for() {
    let ca = || Some(file("ca.pem"));
    for (url, ca) in [
        ("postgres://s@db.example.com/d", ca()),
        ("postgres://s@db.example.com/d?sslmode=verify-full", ca()),
        ("postgres://s@db.example.com/d?sslmode=verify-ca", ca()),
        ("postgres://s@10.1.2.3:6432/d", ca()),
        // The driver's own word for the same.
        ("postgres://s@db.example.com/d?sslrootcert=/etc/ca.pem", None),
        // Nothing lies between.
        ("postgres://s@localhost/d", None),
        ("postgres://s@LOCALHOST/d?sslmode=disable", None),
        ("postgres://s@127.0.0.9/d?sslmode=prefer", None),
        ("postgres://s@[::1]:5433/d", None),
        ("postgres://s@[::ffff:127.0.0.1]/d?sslmode=require", None),
        ("postgres://s@%2Frun%2Fpostgresql/d", None),
        ("postgres:///d?host=/run/postgresql&user=s&sslmode=disable", None),
    ] {
        assert_eq!(checked(url, ca), Ok(Vec::new()), "{url}");
    }
    for mode in ["require", "prefer", "allow", "disable"] {
        for ca in [ca(), None] {
            let url = format!("postgres://s@db.example.com/d?sslmode={mode}");
            let warnings = checked(&url, ca).unwrap();
            let [warning] = &warnings[..] else { panic!("{url}: {warnings:?}") };
            assert!(
                warning.contains(&format!("sslmode={mode}")) && warning.contains("sslmode=verify-full"),
                "{warning}"
            );
        }
    }
    // A name that only looks like this machine's.
    for url in [
        "postgres://s@db.example.com/d",
        "postgres://s@localhost.example.com/d",
        "postgres://s@127.0.0.1.example.com/d",
        "postgres://s@[2001:db8::1]/d",
        "postgres://s@127.0.0.1/d?hostaddr=10.1.2.3",
        "postgres://s@127.0.0.1/d?host=db.example.com",
        "postgres://s@db.example.com/d?sslmode=verify-ca",
        "postgres://s@db.example.com/d?sslmode=verify-full",
    ] {
        let error = checked(url, None).unwrap_err();
        assert!(
            error.contains("[store] ca_file") && error.contains("/etc/ssl/certs/ca-certificates.crt"),
            "{url}: {error}"
        );
    }
    let files = |name: &str| {
        let config = StoreConfig { ca_file: Some(file(name)), ..StoreConfig::from("postgres://s@db.example.com/d") };
        config.check().unwrap();
        config.check_files().map_err(|error| error.to_string())
    };
    assert_eq!(files("ca.pem"), Ok(()));
    assert!(files("no-such.pem").unwrap_err().contains("no-such.pem"));
    assert!(files("../tls.rs").unwrap_err().contains("no certificate in PEM"));
    let error = checked("sqlite:a.db", Some(file("ca.pem"))).unwrap_err();
    assert!(error.contains("for postgres://"), "{error}");
    assert_eq!(checked("sqlite:a.db", None), Ok(Vec::new()));
}
