//! Which events of a body a source may announce: those of its own registry and repositories, each once, and no more
//! than may be held until the body was proved.

use std::collections::BTreeMap;

use bundle::{Digest, ImageName, Repository, Tag};
use store::NewEvent;

use super::parsed::{Ignored, PushEvent, Tally};
use crate::config::Source;

/// Most events that one body may bring; what is beyond becomes a look at the source's repositories.
pub const EVENTS_MAX: usize = 10_000;
/// Most memory that they may take, in bytes. 10,000 events of the usual length take 2 MiB.
const HELD_MAX_BYTES: usize = 4 * 1024 * 1024;
/// What one event takes beside its text, about.
const EVENT_BYTES: usize = 160;
/// Most events under a foreign host of which the names are kept.
const FOREIGN_MAX: usize = 100;
/// Longest host name in DNS, and its port.
const HOST_MAX_CHARS: usize = 261;

/// An event that names another host than its source's registry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Foreign {
    /// The host, as the event spells it; cut where it is longer than any host name. Text of a stranger.
    pub host: String,
    /// What was pushed, as if that host were the source's registry.
    pub image: ImageName,
    /// The tag, where the event has one.
    pub tag: Option<Tag>,
    /// The digest, where the event has one.
    pub digest: Option<Digest>,
}

/// Collects what one body announces.
pub(super) struct Admission<'s> {
    source: &'s Source,
    /// In the order in which they came.
    events: BTreeMap<(Repository, Option<Tag>, Option<Digest>), usize>,
    held_bytes: usize,
    is_full: bool,
    ignored: Tally,
    foreign: Vec<Foreign>,
}

/// What a body announced that its source may announce.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    pub(super) events: Vec<NewEvent>,
    pub(super) ignored: Tally,
    pub(super) foreign: Vec<Foreign>,
    /// There were more events than are taken from one body.
    pub(super) is_full: bool,
}

impl<'s> Admission<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        let ignored = Tally::default();
        Self { source, events: BTreeMap::new(), held_bytes: 0, is_full: false, ignored, foreign: Vec::new() }
    }

    /// Takes an event, or the reason why it is none.
    pub(super) fn take(&mut self, told: Result<PushEvent, Ignored>) {
        let refused = match told {
            Ok(push) => self.judge(push),
            Err(reason) => Some(reason),
        };
        if let Some(reason) = refused {
            self.ignored.add(reason);
        }
    }

    fn judge(&mut self, push: PushEvent) -> Option<Ignored> {
        let source = self.source;
        if let Some(host) = push.unverified_hosts.iter().find(|host| !may_speak_for(source, host)) {
            if self.foreign.len() < FOREIGN_MAX {
                let host = host.chars().take(HOST_MAX_CHARS).collect();
                let image = ImageName { registry: source.registry.clone(), repository: push.repository };
                self.foreign.push(Foreign { host, image, tag: push.tag, digest: push.digest });
            }
            return Some(Ignored::ForeignHost);
        }
        let repository = push.repository.as_str();
        if !source.repositories.is_empty() && !source.repositories.iter().any(|glob| glob.matches(repository)) {
            return Some(Ignored::ForeignRepository);
        }
        let bytes = EVENT_BYTES + repository.len() + push.tag.as_ref().map_or(0, |tag| tag.as_str().len());
        let key = (push.repository, push.tag, push.digest);
        if self.events.contains_key(&key) {
            return Some(Ignored::Duplicate);
        }
        if self.events.len() == EVENTS_MAX || self.held_bytes + bytes > HELD_MAX_BYTES {
            self.is_full = true;
            return Some(Ignored::TooMany);
        }
        self.held_bytes += bytes;
        self.events.insert(key, self.events.len());
        None
    }

    /// About how much memory the events take, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub(super) fn finish(self, name: &str, now: i64) -> Admitted {
        let mut events: Vec<_> = self.events.into_iter().collect();
        events.sort_unstable_by_key(|(_, at)| *at);
        let event = |((repository, tag, digest), _)| NewEvent {
            source: name.to_owned(),
            registry: self.source.registry.clone(),
            repository,
            tag,
            digest,
            received_at: now,
        };
        let events = events.into_iter().map(event).collect();
        Admitted { events, ignored: self.ignored, foreign: self.foreign, is_full: self.is_full }
    }
}

/// Whether `host`, as an event spelled it, is the source's registry or one of its other names.
fn may_speak_for(source: &Source, host: &str) -> bool {
    let plain = |host: &str| {
        let host = host.to_ascii_lowercase();
        let plain = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(&host);
        plain.to_owned()
    };
    let host = plain(host);
    host == plain(source.registry.as_str()) || source.host_aliases.iter().any(|alias| plain(alias) == host)
}

/// The line of the configuration under which events that name `host` are taken: `host_aliases = ["…"] in [source.NAME]`.
/// `None` where the text is no host name at all.
pub fn alias_line(name: &str, source: &Source, host: &str) -> Option<String> {
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || host.len() >= HOST_MAX_CHARS || !host.bytes().all(is_host) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    let aliases = source.host_aliases.iter().map(String::as_str).chain([host.as_str()]);
    let quoted: Vec<String> = aliases.map(|alias| format!("{alias:?}")).collect();
    Some(format!("host_aliases = [{}] in [source.{name}]", quoted.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SourceAuth, SourceKind};

    fn source(repositories: &[&str]) -> Source {
        Source {
            kind: SourceKind::Distribution,
            registry: "registry.example.com".parse().expect("a host"),
            host_aliases: vec!["registry:5000".to_owned()],
            repositories: repositories.iter().map(|glob| glob.parse().expect("a glob")).collect(),
            auth: SourceAuth::None,
        }
    }

    fn push(hosts: &[&str], repository: &str) -> PushEvent {
        PushEvent {
            unverified_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            repository: repository.parse().expect("a repository"),
            tag: Some("v1".parse().expect("a tag")),
            digest: None,
        }
    }

    #[test]
    fn a_source_speaks_only_for_its_registry_under_any_of_its_names() {
        let source = source(&[]);
        for (host, may) in [
            ("registry.example.com", true),
            ("REGISTRY.example.com", true),
            ("registry.example.com:443", true),
            ("registry:5000", true),
            ("registry.example.com:5000", false),
            ("evil.example.com", false),
            ("registry.example.com.evil.example", false),
            ("", false),
        ] {
            assert_eq!(may_speak_for(&source, host), may, "{host}");
        }
    }

    #[test]
    fn what_a_source_may_not_speak_for_is_left_out_and_counted() {
        let source = source(&["team/*"]);
        let mut admission = Admission::new(&source);
        for told in [
            Ok(push(&["registry.example.com"], "team/zebra")),
            Ok(push(&["registry.example.com"], "team/zebra")),
            Ok(push(&["registry.example.com", "evil.example.com"], "team/app")),
            Ok(push(&[], "other/app")),
            Ok(push(&[], "team/app2")),
            Err(Ignored::NotAPush),
        ] {
            admission.take(told);
        }
        let Admitted { events, ignored, foreign, is_full } = admission.finish("prod", 7);
        let names: Vec<_> = events.iter().map(|event| event.repository.as_str()).collect();
        assert_eq!(names, ["team/zebra", "team/app2"], "in the order of the body");
        assert!(events.iter().all(|event| event.registry.as_str() == "registry.example.com" && event.received_at == 7));
        let counted: Vec<_> = ignored.iter().map(|(reason, count)| (reason.as_str(), count)).collect();
        assert_eq!(counted, [("not_a_push", 1), ("foreign_host", 1), ("foreign_repository", 1), ("duplicate", 1)]);
        assert_eq!((foreign.len(), foreign[0].host.as_str(), is_full), (1, "evil.example.com", false));
        assert_eq!(foreign[0].image.to_string(), "registry.example.com/team/app");
    }

    #[test]
    fn one_body_fills_no_memory() {
        let source = source(&[]);
        let mut admission = Admission::new(&source);
        for n in 0..EVENTS_MAX + 5 {
            admission.take(Ok(push(&[], &format!("team/app{n}"))));
        }
        // The same again is no further event.
        admission.take(Ok(push(&[], "team/app0")));
        let admitted = admission.finish("prod", 7);
        assert_eq!((admitted.events.len(), admitted.is_full), (EVENTS_MAX, true));
        let counted: Vec<_> = admitted.ignored.iter().map(|(reason, count)| (reason.as_str(), count)).collect();
        assert_eq!(counted, [("duplicate", 1), ("too_many_events", 5)]);

        let mut admission = Admission::new(&source);
        let (long, tag) = ("a".repeat(200), "t".repeat(128));
        for n in 0..EVENTS_MAX {
            let tag = Some(format!("{n}{tag}")[..128].parse().expect("a tag"));
            admission.take(Ok(PushEvent { tag, ..push(&[], &format!("{long}/b{n}")) }));
            admission.take(Ok(push(&[&"h".repeat(4_000)], &format!("team/app{n}"))));
        }
        assert!(admission.held_bytes() <= HELD_MAX_BYTES);
        assert_eq!(admission.foreign.len(), FOREIGN_MAX);
        assert!(admission.foreign.iter().all(|foreign| foreign.host.len() <= HOST_MAX_CHARS));
        assert!(admission.finish("prod", 7).is_full);
    }

    #[test]
    fn the_line_that_takes_a_foreign_host_names_it_beside_the_others() {
        let source = source(&[]);
        assert_eq!(
            alias_line("prod", &source, "LOCALHOST:5000").as_deref(),
            Some(r#"host_aliases = ["registry:5000", "localhost:5000"] in [source.prod]"#)
        );
        for junk in ["", "a\"]\nauth = \"none", "a b", "h\u{f6}st", &"h".repeat(400)] {
            assert_eq!(alias_line("prod", &source, junk), None, "{junk:?}");
        }
    }
}
