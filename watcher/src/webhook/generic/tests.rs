//! What our own format is read as.

use proptest::prelude::*;

use super::*;
use crate::webhook::parsed::Junk;
use crate::webhook::tests::{Parsed, parsed};

fn parse(body: &[u8]) -> Result<Parsed, Junk> {
    parsed(&Generic, body)
}

const DIGEST: &str = "sha256:14a6d53f5527ad8f10c2b22ca5ad969d9a09ca7abc1b585b6e07d317b71016b4";

#[test]
fn a_tag_or_a_digest_is_enough_and_neither_is_not() {
    let read = |body: String| {
        let parsed = parse(body.as_bytes()).expect("our format");
        (parsed.pushes.len(), parsed.ignored.iter().next().map(|(reason, _)| reason))
    };
    assert_eq!(read(r#"{"repository":"team/app","tag":"v1"}"#.to_owned()), (1, None));
    assert_eq!(read(format!(r#"{{"repository":"team/app","digest":"{DIGEST}"}}"#)), (1, None));
    assert_eq!(read(format!(r#"{{"repository":"team/app","tag":null,"digest":"{DIGEST}"}}"#)), (1, None));
    assert_eq!(read(r#"{"repository":"team/app"}"#.to_owned()), (0, Some(Ignored::MalformedReference)));
    assert_eq!(read(r#"{"repository":"../app","tag":"v1"}"#.to_owned()), (0, Some(Ignored::MalformedReference)));
    assert_eq!(read(r#"{"repository":["a"],"tag":"v1"}"#.to_owned()), (0, Some(Ignored::MalformedReference)));
    let own = format!(r#"{{"repository":"team/app","tag":"sha256-{}.sig"}}"#, &DIGEST[7..]);
    assert_eq!(read(own), (0, Some(Ignored::SignatureTag)));
}

#[test]
fn several_events_come_in_one_body() {
    let parsed = parse(
        br#"{"events":[{"repository":"a/b","tag":"v1","registry":"r.example"},{"repository":"a/b","tag":"v2"},3]}"#,
    )
    .expect("our format");
    assert_eq!(parsed.pushes.len(), 2);
    assert_eq!(parsed.pushes[0].unverified_hosts, ["r.example"]);
    assert_eq!(parsed.ignored.iter().collect::<Vec<_>>(), [(Ignored::MalformedReference, 1)]);
}

#[test]
fn junk_is_junk() {
    assert_eq!(parse(b"hello").err(), Some(Junk::NotJson));
    for body in ["[]", "{}", "7", r#"{"events":7}"#, r#"{"name":"team/app"}"#] {
        assert_eq!(parse(body.as_bytes()).err(), Some(Junk::NotThisFormat), "{body}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = parse(&body);
    }
}
