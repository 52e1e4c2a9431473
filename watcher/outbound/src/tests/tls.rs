//! The client against a TLS server with a private CA.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::EncodePrivateKey;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use url::Url;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder, Result as BuildResult};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::{Encode, EncodePem};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use x509_cert::time::Validity;

use crate::{Client, ClientConfig, OutboundError, Redirects, Request, Room};

/// A CA, or a leaf for 127.0.0.1.
struct Profile {
    ca: bool,
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _: &Name) -> Name {
        name("CN=private ca")
    }
    fn get_subject(&self) -> Name {
        name(if self.ca { "CN=private ca" } else { "CN=leaf" })
    }
    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> BuildResult<Vec<Extension>> {
        let subject = tbs.subject();
        let mut all = vec![(&BasicConstraints { ca: self.ca, path_len_constraint: None }).to_extension(subject, &[])?];
        if self.ca {
            all.push((&KeyUsage(KeyUsages::KeyCertSign.into())).to_extension(subject, &[])?);
        } else {
            let loopback = GeneralName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
            let named = GeneralName::DnsName("*.proxied.example".to_owned().try_into()?);
            all.push((&SubjectAltName(vec![loopback, named])).to_extension(subject, &[])?);
        }
        Ok(all)
    }
}

fn certificate(ca: bool, key: &SigningKey, issuer: &SigningKey) -> x509_cert::Certificate {
    let spki = SubjectPublicKeyInfo::from_key(key.verifying_key()).expect("a key");
    let validity = Validity::from_now(Duration::from_secs(3600)).expect("a time");
    let serial = SerialNumber::from(u32::from(ca) + 1);
    CertificateBuilder::new(Profile { ca }, serial, validity, spki)
        .and_then(|builder| builder.build::<_, DerSignature>(issuer))
        .expect("a certificate")
}

/// A server's side of TLS with a new CA; and the CA's PEM.
fn tls() -> (rustls::ServerConfig, Vec<u8>) {
    let issuer = SigningKey::from_slice(&[1; 32]).expect("a key");
    let key = SigningKey::from_slice(&[2; 32]).expect("a key");
    let ca = certificate(true, &issuer, &issuer);
    let leaf = certificate(false, &key, &issuer);
    let chain = vec![CertificateDer::from(leaf.to_der().expect("DER"))];
    let private = p256::SecretKey::from(&key).to_pkcs8_der().expect("DER");
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(private.as_bytes().to_vec()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .expect("a server");
    let pem = ca.to_pem(x509_cert::der::pem::LineEnding::LF).expect("PEM");
    (config, pem.into_bytes())
}

/// Answers every request with `answer`, over TLS; returns the address and the CA's PEM.
pub(super) fn serve(answer: &'static str) -> (SocketAddr, Vec<u8>) {
    let (config, pem) = tls();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (Ok(mut socket), Ok(mut session)) = (socket, rustls::ServerConnection::new(config.clone())) else {
                continue;
            };
            let mut stream = rustls::Stream::new(&mut session, &mut socket);
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (address, pem)
}

/// Answers every request over HTTP/2 with so many bytes.
async fn serve_http2(length: usize) -> (SocketAddr, Vec<u8>) {
    let (mut config, pem) = tls();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(socket).await else { return };
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    if let Ok(mut body) = respond.send_response(http::Response::new(()), false) {
                        let _ = body.send_data(bytes::Bytes::from(vec![b'x'; length]), true);
                    }
                }
            });
        }
    });
    (address, pem)
}

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
const DOWNGRADE: &str =
    "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

fn client(pem: Vec<Vec<u8>>) -> Client {
    let config = ClientConfig { extra_ca_files_pem: pem, ..ClientConfig::default() };
    Client::new(config).expect("a client")
}

fn request(address: SocketAddr) -> Request {
    Request::get(Url::parse(&format!("https://{address}/")).expect("a URL")).trusted()
}

#[tokio::test]
async fn a_private_ca_is_believed_only_where_it_was_configured() {
    let (address, pem) = serve(OK);
    let answer = client(vec![pem]).send(request(address)).await.expect("an answer");
    assert_eq!(&answer.body[..], b"hello");
    let refused = client(vec![]).send(request(address)).await.expect_err("an unknown CA");
    assert!(matches!(refused, OutboundError::Tls { .. }), "{refused:?}");
    assert!(refused.to_string().contains("ca_file"), "{refused}");
}

#[tokio::test]
async fn over_http2_no_body_waits_for_room_since_all_share_one_window() {
    const EACH: usize = 400 << 10;
    let (address, pem) = serve_http2(EACH).await;
    let (client, room) = (client(vec![pem]), Room::new(EACH));
    // More than a connection has on its way at once, and all of them are kept.
    let all = (0..40).map(|_| client.send(request(address).room(room.clone()).max_bytes(EACH)));
    let answers = futures_util::future::join_all(all).await;
    assert!(answers.iter().all(|it| it.as_ref().is_ok_and(|it| it.body.len() == EACH && !it.crowded)), "{answers:?}");
}

#[tokio::test]
async fn a_redirect_to_plain_http_is_refused_even_for_a_named_host() {
    let (address, pem) = serve(DOWNGRADE);
    let request =
        request(address).also_trusting(&["127.0.0.1".to_owned()]).follow(Redirects::BlobsWithoutCredentials { max: 3 });
    let refused = client(vec![pem]).send(request).await.expect_err("a downgrade");
    assert!(matches!(refused, OutboundError::Downgrade { .. }), "{refused:?}");
}

#[test]
fn a_ca_file_without_a_certificate_is_named() {
    let config = ClientConfig { extra_ca_files_pem: vec![b"junk".to_vec()], ..ClientConfig::default() };
    let error = Client::new(config).expect_err("no certificate in it");
    assert!(matches!(error, OutboundError::CaFile { number: 1 }), "{error:?}");
}
