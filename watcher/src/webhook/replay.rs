//! Reads a stored dead letter again, by what its source's configuration says now.

use store::NewEvent;

use super::admit::{Admission, Foreign};
use super::format::WebhookFormat;
use super::parsed::{Junk, Tally};
use crate::config::Source;

/// What a dead letter says.
#[derive(Debug)]
pub struct Reread {
    /// The events that the source may announce. To replay the letter is to publish these.
    pub events: Vec<NewEvent>,
    /// What else is in it, by reason.
    pub ignored: Tally,
    /// Events that name a host which is not the source's registry, nor one of its `host_aliases`; the first hundred.
    pub foreign: Vec<Foreign>,
    /// Why the whole of it could not be read; what stands before that place was. Of a body that was longer than what is
    /// kept, the end is missing, and this says that it is no JSON.
    pub junk: Option<Junk>,
}

/// Reads the kept bytes of a body that came through the source `name`. `now` (unix milliseconds) becomes the time of its
/// events. Pure: nothing is asked and nothing is kept.
pub fn read_again(name: &str, source: &Source, body: &[u8], now: i64) -> Reread {
    read_as(source.kind.format(), name, source, body, now)
}

fn read_as(format: &dyn WebhookFormat, name: &str, source: &Source, body: &[u8], now: i64) -> Reread {
    let mut admission = Admission::new(source);
    let mut reader = format.reader();
    let read = reader.feed(body, &mut |told| admission.take(told));
    let read = read.and_then(|()| reader.finish(&mut |told| admission.take(told)));
    let admitted = admission.finish(name, now);
    let (events, ignored, foreign) = (admitted.events, admitted.ignored, admitted.foreign);
    Reread { events, ignored, foreign, junk: read.err() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{SourceAuth, SourceKind};

    fn source(aliases: &[&str]) -> Source {
        Source {
            kind: SourceKind::Distribution,
            registry: "127.0.0.1:5000".parse().expect("a host"),
            host_aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            repositories: Vec::new(),
            auth: SourceAuth::None,
        }
    }

    fn body(host: &str, tags: &[&str]) -> Vec<u8> {
        let event = |tag: &&str| json!({"action": "push", "target": {"repository": "team/app", "tag": tag}, "request": {"host": host}});
        json!({ "events": tags.iter().map(event).collect::<Vec<_>>() }).to_string().into_bytes()
    }

    #[test]
    fn a_letter_under_a_foreign_host_is_an_event_once_the_host_is_an_alias() {
        let body = body("localhost:5000", &["v1"]);
        let before = read_again("prod", &source(&[]), &body, 7);
        assert_eq!((before.events.len(), before.foreign.len(), before.junk), (0, 1, None));
        assert_eq!(before.foreign[0].host, "localhost:5000");
        assert_eq!(before.foreign[0].image.to_string(), "127.0.0.1:5000/team/app");
        let after = read_again("prod", &source(&["localhost:5000"]), &body, 8);
        assert_eq!((after.events.len(), after.foreign.len(), after.junk), (1, 0, None));
        let event = &after.events[0];
        assert_eq!((event.source.as_str(), event.received_at), ("prod", 8));
        assert_eq!((event.registry.as_str(), event.repository.as_str()), ("127.0.0.1:5000", "team/app"));
    }

    #[test]
    fn of_a_letter_that_was_cut_the_whole_events_are_read() {
        let body = body("127.0.0.1:5000", &["v1", "v2", "v3"]);
        let reread = read_again("prod", &source(&[]), &body[..body.len() - 40], 7);
        assert_eq!((reread.events.len(), reread.junk), (2, Some(Junk::NotJson)));
        let reread = read_again("prod", &source(&[]), b"\xff\x00", 7);
        assert_eq!((reread.events.len(), reread.junk), (0, Some(Junk::NotJson)));
    }
}
