//! What a notification of Distribution is read as.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::webhook::parsed::Junk;
use crate::webhook::tests::{Parsed, parsed};

fn parse(body: &[u8]) -> Result<Parsed, Junk> {
    parsed(&Distribution, body)
}

const DIGEST: &str = "sha256:14a6d53f5527ad8f10c2b22ca5ad969d9a09ca7abc1b585b6e07d317b71016b4";

fn event(change: impl FnOnce(&mut Value)) -> Value {
    let mut event = serde_json::json!({
        "id": "1", "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 418, "digest": DIGEST,
            "repository": "team/app", "tag": "v1",
            "url": format!("http://127.0.0.1:5000/v2/team/app/manifests/{DIGEST}"),
        },
        "request": {"host": "127.0.0.1:5000", "method": "PUT"},
    });
    change(&mut event);
    event
}

fn only(event: Value) -> Result<PushEvent, Ignored> {
    let body = serde_json::json!({ "events": [event] }).to_string();
    let mut parsed = parse(body.as_bytes()).expect("an envelope");
    match (parsed.pushes.pop(), parsed.ignored.iter().next()) {
        (Some(push), None) => Ok(push),
        (None, Some((reason, 1))) => Err(reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_push_by_tag_is_read() {
    let push = only(event(|_| {})).expect("a push");
    assert_eq!(push.repository.as_str(), "team/app");
    assert_eq!(push.tag.map(|tag| tag.to_string()).as_deref(), Some("v1"));
    assert_eq!(push.digest.map(|digest| digest.to_string()).as_deref(), Some(DIGEST));
    assert_eq!(push.unverified_hosts, ["127.0.0.1:5000", "127.0.0.1:5000"]);
}

#[test]
fn what_is_no_push_of_an_image_is_dropped_with_its_reason() {
    let tag = |tag: &str| event(|event| event["target"]["tag"] = tag.into());
    let hex = &DIGEST[7..];
    for (event, reason) in [
        (event(|event| event["action"] = "pull".into()), Ignored::NotAPush),
        (event(|event| event["action"] = "mount".into()), Ignored::NotAPush),
        (event(|event| event["action"] = "delete".into()), Ignored::NotAPush),
        (event(|event| event["action"] = 7.into()), Ignored::MalformedReference),
        (event(|event| event["target"]["mediaType"] = "application/octet-stream".into()), Ignored::NotAManifest),
        (tag(&format!("sha256-{hex}.sig")), Ignored::SignatureTag),
        (tag(&format!("sha256-{hex}.att")), Ignored::SignatureTag),
        (tag(&format!("sha256-{hex}")), Ignored::SignatureTag),
        (tag("../../etc/passwd"), Ignored::MalformedReference),
        (tag("v1\u{0}"), Ignored::MalformedReference),
        (tag("v1\n"), Ignored::MalformedReference),
    ] {
        assert_eq!(only(event.clone()), Err(reason), "{event}");
    }
}

#[test]
fn a_name_or_digest_that_is_none_is_malformed() {
    for repository in [
        "../admin",
        "team/../admin",
        "/etc",
        "team//app",
        "Team/app",
        "team/app\r\nX: y",
        "te\u{1}am",
        "team/app?x",
        "a/%2e%2e/b",
    ] {
        let event = event(|event| event["target"]["repository"] = repository.into());
        assert_eq!(only(event), Err(Ignored::MalformedReference), "{repository:?}");
    }
    let upper = DIGEST.to_uppercase().replace("SHA256", "sha256");
    for digest in [&DIGEST[..70], &format!("{DIGEST}0"), &upper, "sha256:", "md5:00", "sha256:../../x"] {
        let event = event(|event| event["target"]["digest"] = digest.into());
        assert_eq!(only(event), Err(Ignored::MalformedReference), "{digest:?}");
    }
    let neither = event(|event| {
        event["target"]["tag"] = Value::Null;
        event["target"]["digest"] = "".into();
    });
    assert_eq!(only(neither), Err(Ignored::MalformedReference));
}

#[test]
fn the_host_before_an_at_sign_is_no_host() {
    let event = event(|event| event["target"]["url"] = "http://registry.example.com@evil.example/v2/".into());
    assert_eq!(only(event).expect("a push").unverified_hosts[1], "evil.example");
}

#[test]
fn one_bad_event_does_not_spoil_the_others() {
    let body = serde_json::json!({"events": [event(|_| {}), null, 7, "x", {"action": "push"}, event(|event| event["action"] = "pull".into())]});
    let parsed = parse(body.to_string().as_bytes()).expect("an envelope");
    assert_eq!(parsed.pushes.len(), 1);
    let counted: Vec<_> = parsed.ignored.iter().collect();
    assert_eq!(counted, [(Ignored::NotAPush, 1), (Ignored::MalformedReference, 4)]);
}

#[test]
fn junk_is_told_apart_from_another_format() {
    assert_eq!(parse(b"\xff\x00").err(), Some(Junk::NotJson));
    assert_eq!(parse(b"").err(), Some(Junk::NotJson));
    assert_eq!(parse("[".repeat(100_000).as_bytes()).err(), Some(Junk::NotJson));
    for body in ["[]", "{}", "null", r#"{"events": {}}"#, r#"{"action":"push"}"#] {
        assert_eq!(parse(body.as_bytes()).err(), Some(Junk::NotThisFormat), "{body}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = parse(&body);
    }

    #[test]
    fn no_text_makes_the_parser_panic(host in ".{0,40}", url in ".{0,40}", repository in ".{0,40}", tag in ".{0,20}") {
        let _ = only(event(|event| {
            event["request"]["host"] = host.into();
            event["target"]["url"] = format!("http://{url}").into();
            event["target"]["repository"] = repository.into();
            event["target"]["tag"] = tag.into();
        }));
    }
}

/// The same event as the whole document in memory says it: what the stream must agree with.
fn model(body: &[u8]) -> Option<Vec<Result<PushEvent, Ignored>>> {
    fn text<'v>(value: &'v Value, member: &str) -> Result<Option<&'v str>, Ignored> {
        match value.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty()).map(String::as_str)),
            Some(_) => Err(Ignored::MalformedReference),
        }
    }
    fn push(event: &Value) -> Result<PushEvent, Ignored> {
        match text(event, "action")? {
            Some("push") => {}
            Some(_) => return Err(Ignored::NotAPush),
            None => return Err(Ignored::MalformedReference),
        }
        let target = event.get("target").filter(|target| target.is_object()).ok_or(Ignored::MalformedReference)?;
        if text(target, "mediaType")?.is_some_and(|media_type| !is_manifest(media_type)) {
            return Err(Ignored::NotAManifest);
        }
        let mut hosts = Vec::new();
        match event.get("request") {
            Some(request) if request.is_object() => hosts.extend(text(request, "host")?.map(str::to_owned)),
            None | Some(Value::Null) => {}
            Some(_) => return Err(Ignored::MalformedReference),
        }
        if let Some(url) = text(target, "url")?.filter(|url| url.contains("//")) {
            hosts.push(authority(url).ok_or(Ignored::MalformedReference)?);
        }
        parsed::reference(hosts, text(target, "repository")?, text(target, "tag")?, text(target, "digest")?)
    }
    let document: Value = serde_json::from_slice(body).ok()?;
    Some(document.get("events")?.as_array()?.iter().map(push).collect())
}

/// Values of any kind, and those that mean something more often.
fn any_member() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => prop_oneof![
            Just("push"), Just("pull"), Just("team/app"), Just("v1"), Just(DIGEST), Just(""), Just("a b"), Just("é"),
            Just("127.0.0.1:5000"), Just("http://127.0.0.1:5000/v2/"), Just("//"), Just("application/octet-stream"),
            Just("application/vnd.oci.image.manifest.v1+json"),
        ].prop_map(Value::from),
        1 => prop_oneof![
            Just(Value::Null), Just(Value::from(7)), Just(serde_json::json!([[{}], "x"])), Just(serde_json::json!({"host": "x"})),
        ],
    ]
}

fn any_object(names: &'static [&'static str], inner: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let value = move |name: &'static str| {
        let whole = proptest::collection::btree_map(
            proptest::sample::select(vec!["mediaType", "repository", "tag", "digest", "url", "host", "other", "size"]),
            any_member(),
            0..8,
        )
        .prop_map(|members| serde_json::json!(members))
        .boxed();
        if inner.contains(&name) { prop_oneof![9 => whole, 1 => any_member()].boxed() } else { any_member().boxed() }
    };
    let members: Vec<_> = names.iter().map(|name| proptest::option::weighted(0.8, value(name))).collect();
    members.prop_map(move |values| {
        let members = names.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
        Value::Object(members.collect())
    })
}

proptest! {
    #[test]
    fn a_stream_in_any_pieces_says_what_the_whole_document_says(
        events in proptest::collection::vec(
            any_object(&["id", "action", "target", "request", "actor"], &["target", "request"]), 0..5
        ),
        lead in any_member(), pretty in any::<bool>(), size in 1usize..60
    ) {
        let document = serde_json::json!({"about": lead, "events": events, "more": {"events": []}});
        let body = if pretty { serde_json::to_vec_pretty(&document) } else { serde_json::to_vec(&document) };
        let body = body.expect("JSON");
        let mut told = Vec::new();
        let mut reader = Distribution.reader();
        for piece in body.chunks(size) {
            reader.feed(piece, &mut |event| told.push(event)).expect("JSON");
        }
        reader.finish(&mut |event| told.push(event)).expect("the format");
        prop_assert_eq!(Some(told), model(&body));
    }
}
