//! Tests of certificates.
use super::*;
use crate::fixture::{Issuer, SUBJECT, TestKey, Wanted, vector, vectors, vectors_ending};
use crate::protojson;
use proptest::prelude::*;
use std::collections::BTreeSet;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

fn wanted() -> Wanted {
    Wanted::workflow(&TestKey::p256(1), SUBJECT)
}

fn issue(wanted: &Wanted) -> Vec<u8> {
    Issuer::new(3).issue(wanted)
}

fn subjects(der: &[u8]) -> Vec<String> {
    CertificateView::parse(der).unwrap().subjects().map(Cow::into_owned).collect()
}

#[test]
fn a_certificate_is_read_without_a_copy() {
    let der = issue(&wanted());
    let view = CertificateView::parse(&der).unwrap();
    assert_eq!(view.raw(), der);
    assert_eq!(view.spki(), TestKey::p256(1).spki());
    assert_eq!((view.not_before(), view.not_after()), (Issuer::NOW, Issuer::NOW + 600));
    assert_eq!(view.issuer().as_deref(), Some("https://token.actions.githubusercontent.com"));
    assert_eq!(view.extension("1.3.6.1.4.1.57264.1.15").as_deref(), Some("4242"));
    assert_eq!(view.extension("1.3.6.1.4.1.57264.1.23"), None);
    assert!(matches!(view.subjects().next(), Some(Cow::Borrowed(SUBJECT))));
    let tbs = Issuer::new(3).tbs(&wanted());
    assert_eq!(view.tbs(), tbs);
    let precertificate = CertificateView::parse_tbs(&tbs).unwrap();
    assert!(precertificate.subjects().eq(view.subjects()));
    assert_eq!((precertificate.issuer(), precertificate.signed()), (view.issuer(), None));
}

#[test]
fn every_name_of_every_kind_in_every_extension_is_listed() {
    let mut wanted = wanted();
    wanted.names = vec![
        vec![Wanted::mail("a@example.com"), Wanted::uri("https://example.com"), Wanted::dns("example.com")],
        vec![Wanted::address(&[192, 0, 2, 1]), Wanted::address(&[0; 16]), Wanted::address(&[1, 2, 3])],
        vec![Wanted::other("user!example.com")],
    ];
    let expected =
        ["a@example.com", "https://example.com", "example.com", "192.0.2.1", "::", "010203", "user!example.com"];
    assert_eq!(subjects(&issue(&wanted)), expected);
    wanted.names = Vec::new();
    assert_eq!(subjects(&issue(&wanted)), [""; 0]);
}

#[test]
fn a_nul_byte_and_what_is_no_utf_8_stay_within_a_name() {
    let mut wanted = wanted();
    let broken = [&[0x81, 3][..], b"a\xffb"].concat();
    wanted.names = vec![vec![Wanted::mail("a@example.com\0.evil.example"), broken]];
    assert_eq!(subjects(&issue(&wanted)), ["a@example.com\0.evil.example", "a\u{fffd}b"]);
}

#[test]
fn the_newer_issuer_goes_first_where_it_can_be_read() {
    let bare = || Wanted { extensions: Vec::new(), ..wanted() };
    let cases = [
        (bare(), None),
        (bare().raw(1, "older"), Some("older")),
        (bare().raw(1, "older").text(8, "newer"), Some("newer")),
        (bare().text(8, "newer").raw(1, "older"), Some("newer")),
        (bare().raw(1, "older").raw(8, "not der"), Some("older")),
        (bare().raw(8, "not der"), None),
        // The older ones hold no DER, whatever they look like.
        (bare().text(1, "x"), Some("\u{c}\u{1}x")),
    ];
    for (wanted, expected) in cases {
        let der = issue(&wanted);
        assert_eq!(CertificateView::parse(&der).unwrap().issuer().as_deref(), expected);
    }
}

#[test]
fn times_are_read_as_rfc_5280_has_them() {
    let cases: [(u8, &[u8], Option<i64>); 12] = [
        (0x17, b"700101000000Z", Some(0)),
        (0x17, b"491231235959Z", Some(2_524_607_999)),
        (0x17, b"500101000000Z", Some(-631_152_000)),
        (0x18, b"20240229120000Z", Some(1_709_208_000)),
        (0x18, b"99991231235959Z", Some(253_402_300_799)),
        (0x18, b"00000101000000Z", Some(-62_167_219_200)),
        (0x17, b"7001010000Z", None),
        (0x17, b"700101000000+0000", None),
        (0x17, b"701301000000Z", None),
        (0x18, b"20240229120000.5Z", None),
        (0x18, b"2024022912000xZ", None),
        (0x16, b"700101000000Z", None),
    ];
    for (tag, text, expected) in cases {
        let mut der = vec![tag, text.len() as u8];
        der.extend(text);
        assert_eq!(moment::read(Reader::new(&der).element()), expected, "{}", String::from_utf8_lossy(text));
    }
    for days in -10_000_i64..10_000 {
        let at = jiff::Timestamp::from_second(days * 86_400 * 9 + 3_723).unwrap();
        let text = at.strftime("%Y%m%d%H%M%SZ").to_string();
        let mut der = vec![0x18, text.len() as u8];
        der.extend(text.as_bytes());
        assert_eq!(moment::read(Reader::new(&der).element()), Some(at.as_second()), "{text}");
    }
}

#[test]
fn extensions_have_names() {
    for (name, oid) in [
        ("SourceRepositoryURI", "1.3.6.1.4.1.57264.1.12"),
        ("source-repository-uri", "1.3.6.1.4.1.57264.1.12"),
        ("GithubWorkflowRef", "1.3.6.1.4.1.57264.1.6"),
        ("github_workflow_sha", "1.3.6.1.4.1.57264.1.3"),
        ("1.3.6.1.4.1.57264.1.24", "1.3.6.1.4.1.57264.1.24"),
    ] {
        assert_eq!(extension_oid(name), Some(oid), "{name}");
    }
    assert_eq!(extension_oid("SourceRepository"), None);
    assert_eq!(extension_name("1.3.6.1.4.1.57264.1.17"), Some("SourceRepositoryOwnerIdentifier"));
    assert_eq!(oid_der("1.3.6.1.4.1.57264.1.8"), Some(vec![0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 8]));
    assert_eq!(oid_der("1.3..6"), None);
}

#[test]
fn a_certificate_that_is_cut_off_is_no_certificate() {
    let der = issue(&wanted());
    for length in 0..der.len() {
        assert!(CertificateView::parse(&der[..length]).is_err(), "{length}");
    }
    let mut longer = der.clone();
    longer.push(0);
    assert_eq!(CertificateView::parse(&longer).unwrap().raw(), der);
}

#[test]
fn what_hides_names_from_us_is_an_error() {
    let der = issue(&wanted());
    // The name's length, one too long for the list that it is in.
    let at = der.windows(SUBJECT.len()).position(|window| window == SUBJECT.as_bytes()).unwrap();
    let mut changed = der.clone();
    changed[at - 1] += 1;
    assert_eq!(CertificateView::parse(&changed), Err(CertificateError("subject alternative names")));
    let issuer = [0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 8];
    let at = der.windows(issuer.len()).position(|window| window == issuer).unwrap();
    let mut changed = der;
    changed[at - 2] = 0x05;
    assert_eq!(CertificateView::parse(&changed), Err(CertificateError("extensions")));
}

/// The certificates of all bundles and PEM files, each once.
fn real_certificates() -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    for suffix in [".json", ".sigstore", ".attestation", ".provenance", ".bundle"] {
        for (_, bytes) in vectors_ending(suffix) {
            if let Ok(value) = serde_json::from_slice(&bytes) {
                collect(&value, &mut found);
            }
        }
    }
    for (_, bytes) in vectors_ending(".pem") {
        let text = String::from_utf8(bytes).unwrap_or_default();
        let pem = ::der::Document::from_pem(text.trim());
        found.extend(
            pem.ok().filter(|(label, _)| *label == "CERTIFICATE").map(|(_, document)| document.as_bytes().to_vec()),
        );
    }
    found
}

fn collect(value: &serde_json::Value, found: &mut BTreeSet<Vec<u8>>) {
    match value {
        serde_json::Value::String(text) if text.starts_with("MI") => {
            found.extend(protojson::decode(text).into_iter().filter(|der| Certificate::from_der(der).is_ok()));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        serde_json::Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
        _ => {}
    }
}

#[test]
fn real_certificates_are_read_as_another_parser_reads_them() {
    let mut seen = 0;
    for der in real_certificates() {
        let theirs = Certificate::from_der(&der).unwrap();
        let ours = CertificateView::parse(&der).unwrap();
        let tbs = theirs.tbs_certificate();
        assert_eq!(ours.tbs(), tbs.to_der().unwrap());
        assert_eq!(ours.spki(), tbs.subject_public_key_info().to_der().unwrap());
        assert_eq!(ours.issuer_name(), tbs.issuer().to_der().unwrap());
        assert_eq!(ours.subject_name(), tbs.subject().to_der().unwrap());
        let seconds = |time: &x509_cert::time::Time| time.to_unix_duration().as_secs() as i64;
        assert_eq!(ours.not_before(), seconds(&tbs.validity().not_before));
        assert_eq!(ours.not_after(), seconds(&tbs.validity().not_after));
        assert_eq!(ours.signed().unwrap().signature, theirs.signature().raw_bytes());
        let list = tbs.extensions().map(Vec::as_slice).unwrap_or_default();
        let same = |ours: Extension<'_>, theirs: &x509_cert::ext::Extension| {
            ours.oid == theirs.extn_id.as_bytes()
                && ours.critical == theirs.critical
                && ours.value == theirs.extn_value.as_bytes()
        };
        assert_eq!(ours.extensions().count(), list.len());
        assert!(ours.extensions().zip(list).all(|(ours, theirs)| same(ours, theirs)));
        seen += 1;
    }
    assert!(vectors().is_none() || seen > 100, "{seen}");
}

#[test]
fn real_certificates_of_five_ci_systems_say_who_they_are() {
    let cases = [
        ("circleci-oidc", "https://circleci.com/api/v2/projects/", "https://oidc.circleci.com"),
        ("200170367", "919436158236-compute@developer.gserviceaccount.com", "https://accounts.google.com"),
        ("no-source-repository-ref-extension", "https://github.com/", "https://token.actions.githubusercontent.com"),
    ];
    for (file, subject, issuer) in cases {
        let Some(pem) = vector(&format!("pypi-attestations/{file}.pem")) else { return };
        let (_, document) = ::der::Document::from_pem(String::from_utf8(pem).unwrap().trim()).unwrap();
        let view = CertificateView::parse(document.as_bytes()).unwrap();
        let names: Vec<_> = view.subjects().collect();
        assert_eq!(names.len(), 1, "{file}");
        assert!(names[0].starts_with(subject), "{file}: {names:?}");
        assert!(view.issuer().unwrap().starts_with(issuer), "{file}: {:?}", view.issuer());
    }
    let issuers: BTreeSet<String> = real_certificates()
        .iter()
        .filter_map(|der| CertificateView::parse(der).unwrap().issuer().map(Cow::into_owned))
        .collect();
    for expected in [
        "https://token.actions.githubusercontent.com",
        "https://gitlab.com",
        "https://accounts.google.com",
        "https://github.com/login/oauth",
    ] {
        assert!(vectors().is_none() || issuers.contains(expected), "{expected} is not among {issuers:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        walk(&bytes);
    }

    #[test]
    fn a_changed_certificate_never_panics(at: prop::sample::Index, to: u8) {
        let mut der = CERTIFICATE.clone();
        let at = at.index(der.len());
        der[at] = to;
        walk(&der);
    }
}

static CERTIFICATE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| issue(&wanted()));

fn walk(der: &[u8]) {
    for view in [CertificateView::parse(der), CertificateView::parse_tbs(der)].into_iter().flatten() {
        let _ = (view.issuer(), view.subjects().count(), view.extensions().map(|e| e.text().len()).sum::<usize>());
        let _ = (view.not_before(), view.not_after(), view.extension("2.5.29.17"));
    }
}
