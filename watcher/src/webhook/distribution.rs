//! CNCF Distribution's notifications: `{"events": […]}`, the v1 and v2 envelopes (they differ in the content type
//! only). GitLab's registry sends the same.

use serde_json::Value;

use super::parsed::{self, Ignored, Junk, Parsed, PushEvent};

/// What the body told. Nothing in it is trusted.
pub fn parse(body: &[u8]) -> Result<Parsed, Junk> {
    let envelope: Value = serde_json::from_slice(body).map_err(|_| Junk::NotJson)?;
    let events = envelope.get("events").and_then(Value::as_array).ok_or(Junk::NotThisFormat)?;
    let mut parsed = Parsed::default();
    for event in events {
        match push(event) {
            Ok(push) => parsed.pushes.push(push),
            Err(reason) => parsed.ignored.add(reason),
        }
    }
    Ok(parsed)
}

/// One event, if it is the push of a manifest. The order is by price: a registry tells of every pull that we make.
fn push(event: &Value) -> Result<PushEvent, Ignored> {
    match parsed::text(event, "action")? {
        Some("push") => {}
        Some(_) => return Err(Ignored::NotAPush),
        None => return Err(Ignored::MalformedReference),
    }
    let target = event.get("target").ok_or(Ignored::MalformedReference)?;
    if parsed::text(target, "mediaType")?.is_some_and(|media_type| !is_manifest(media_type)) {
        return Err(Ignored::NotAManifest);
    }
    let mut hosts = Vec::new();
    if let Some(request) = event.get("request") {
        hosts.extend(parsed::text(request, "host")?.map(str::to_owned));
    }
    // A relative URL names no host.
    if let Some(url) = parsed::text(target, "url")?.filter(|url| url.contains("//")) {
        hosts.push(authority(url).ok_or(Ignored::MalformedReference)?);
    }
    parsed::reference(
        hosts,
        parsed::text(target, "repository")?,
        parsed::text(target, "tag")?,
        parsed::text(target, "digest")?,
    )
}

fn is_manifest(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.manifest.")
        || media_type.starts_with("application/vnd.oci.image.index.")
        || media_type.starts_with("application/vnd.docker.distribution.manifest.")
        || media_type.starts_with("application/vnd.oci.artifact.manifest.")
}

/// `host[:port]` of a URL; what stands before an `@` is no host.
fn authority(url: &str) -> Option<String> {
    let url = if url.starts_with("//") { format!("http:{url}") } else { url.to_owned() };
    let url = url::Url::parse(&url).ok()?;
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
}
