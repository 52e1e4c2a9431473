//! What is certain in an event, and what is not.

use super::*;
use crate::webhook::distribution::Distribution;
use crate::webhook::generic::Generic;
use crate::webhook::tests::{Parsed, parsed};

fn generic(body: &str) -> Result<Parsed, Junk> {
    parsed(&Generic, body.as_bytes())
}

fn distribution(event: &str) -> Parsed {
    parsed(&Distribution, format!(r#"{{"events":[{event}]}}"#).as_bytes()).expect("an envelope")
}

#[test]
fn a_member_that_is_there_twice_makes_its_event_malformed() {
    for event in [
        r#"{"repository":"a/b","tag":"v1","tag":"v2"}"#,
        r#"{"repository":"a/b","tag":"v1","tag":"v1"}"#,
        r#"{"repository":"a/b","tag":"v1","tag":null}"#,
        r#"{"repository":"a/b","tag":null,"tag":"v1"}"#,
        r#"{"repository":"a/b","tag":[],"tag":"v1"}"#,
        r#"{"repository":"a/b","repository":"a/c","tag":"v1"}"#,
        r#"{"repository":"a/b","tag":"v1","t\u0061g":"v2"}"#,
    ] {
        for body in [event.to_owned(), format!(r#"{{"events":[{event}]}}"#)] {
            let parsed = generic(&body).expect("our format");
            assert!(parsed.pushes.is_empty(), "{body}");
            assert_eq!(parsed.ignored.iter().collect::<Vec<_>>(), [(Ignored::MalformedReference, 1)], "{body}");
        }
    }
    // Of a name that is not read nothing is said.
    let parsed = generic(r#"{"repository":"a/b","tag":"v1","note":1,"note":2}"#).expect("our format");
    assert_eq!(parsed.pushes.len(), 1);
}

#[test]
fn a_name_in_another_case_makes_its_event_malformed() {
    for event in [
        r#"{"repository":"a/b","tag":"v1","Tag":"v2"}"#,
        r#"{"repository":"a/b","TAG":"v1"}"#,
        r#"{"Repository":"a/b","repository":"a/b","tag":"v1"}"#,
        "{\"repo\u{17f}itory\":\"a/c\",\"repository\":\"a/b\",\"tag\":\"v1\"}",
    ] {
        let parsed = generic(&format!(r#"{{"events":[{event}]}}"#)).expect("our format");
        assert_eq!((parsed.pushes.len(), parsed.ignored.iter().count()), (0, 1), "{event}");
    }
    let target = r#""target":{"repository":"a/b","tag":"v1"}"#;
    for event in [
        format!(r#"{{"action":"push",{target},"Target":{{}}}}"#),
        format!(r#"{{"action":"push",{target},{target}}}"#),
        format!(r#"{{"action":"push",{target},"target":null}}"#),
        format!(r#"{{"action":"pull","Action":"push",{target}}}"#),
        format!(r#"{{"action":"push",{target},"request":{{"host":"a","Host":"b"}}}}"#),
        r#"{"action":"push","target":{"repository":"a/b","tag":"v1","mediatype":"x"}}"#.to_owned(),
    ] {
        let parsed = distribution(&event);
        assert_eq!(parsed.ignored.iter().collect::<Vec<_>>(), [(Ignored::MalformedReference, 1)], "{event}");
    }
    assert_eq!(distribution(&format!(r#"{{"action":"push",{target},"Other":{{}}}}"#)).pushes.len(), 1);
}

#[test]
fn two_lists_of_events_are_no_format() {
    for body in [
        r#"{"events":[],"events":[]}"#,
        r#"{"events":[],"Events":[]}"#,
        r#"{"EVENTS":[]}"#,
        r#"{"events":null,"events":[]}"#,
        r#"{"events":{"repository":"a/b"}}"#,
    ] {
        assert_eq!(generic(body).err(), Some(Junk::NotThisFormat), "{body}");
        assert_eq!(parsed(&Distribution, body.as_bytes()).err(), Some(Junk::NotThisFormat), "{body}");
    }
}

#[test]
fn names_count_only_where_they_belong() {
    // The same names deeper, in a list, or in a skipped member are nothing to us.
    let event = r#"{"x":{"repository":"a/c","action":"pull","target":{"tag":"v9"}},"y":[{"tag":"v9"}],
        "action":"push","target":{"z":{"tag":"v9"},"repository":"a/b","tag":"v1","host":"h"},"actor":{"target":1}}"#;
    let parsed = distribution(event);
    assert_eq!(parsed.pushes.len(), 1);
    assert_eq!(parsed.pushes[0].tag.as_ref().map(|tag| tag.as_str()), Some("v1"));
    assert!(parsed.pushes[0].unverified_hosts.is_empty());
}

#[test]
fn text_that_is_too_long_to_be_read_is_malformed_where_it_is_read() {
    let long = "a".repeat(1 << 20);
    let one = |member: &str, value: &str| {
        generic(&format!(r#"{{"repository":"a/b","tag":"v1","{member}":"{value}"}}"#)).expect("our format")
    };
    assert_eq!(one("note", &long).pushes.len(), 1);
    assert_eq!(one("registry", &long).ignored.iter().next(), Some((Ignored::MalformedReference, 1)));
    assert_eq!(one(&long, "x").pushes.len(), 1);
    assert_eq!(one("registry", "\\ud800").ignored.iter().next(), Some((Ignored::MalformedReference, 1)));
}

#[test]
fn what_was_complete_before_the_end_broke_off_is_told() {
    let body = r#"{"events":[{"repository":"a/b","tag":"v1"},{"repository":"a/b","tag":"v2"},{"repository":"#;
    let mut told = Vec::new();
    let mut reader = crate::webhook::format::WebhookFormat::reader(&Generic);
    reader.feed(body.as_bytes(), &mut |event| told.push(event)).expect("so far so good");
    assert_eq!(reader.finish(&mut |_| {}).err(), Some(Junk::NotJson));
    assert_eq!(told.len(), 2);
}
