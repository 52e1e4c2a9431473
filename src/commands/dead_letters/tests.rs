//! Letters of every kind, replayed against a store in a file.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use store::NewDeadLetter;

use super::*;

struct Stage {
    folder: tempfile::TempDir,
    store: Arc<dyn Store>,
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = rooms::store(&config(folder.path(), "")).await.expect("a store");
        Self { folder, store }
    }

    /// Keeps a letter, and answers with its id.
    async fn keep(&self, source: &str, reason: &str, body: &[u8], size: usize) -> i64 {
        let letter = NewDeadLetter { source, reason, body, body_size_bytes: size as u64, received_at: 5 };
        self.store.record_dead_letter(&letter).await.expect("kept");
        self.store.dead_letters(&DeadLetterFilter::default(), 1).await.expect("letters")[0].id
    }

    async fn replay(&self, aliases: &str, id: Option<i64>, source: Option<&str>) -> u8 {
        let config = config(self.folder.path(), aliases);
        let file = crate::cli::ConfigFile { config: config.path.clone() };
        let all = id.is_none() && source.is_none();
        let flags = ReplayFlags { config: file, id, source: source.map(str::to_owned), all, json: false };
        replay(&config, &flags).await.expect("it was looked at")
    }

    async fn waiting(&self) -> u64 {
        self.store.counts().await.expect("counts").events_waiting
    }

    async fn is_replayed(&self, id: i64) -> bool {
        self.store.dead_letter(id).await.expect("a letter").expect("it is there").replayed_at.is_some()
    }
}

/// A file whose secret is nowhere: what reads letters again must not need it.
fn config(folder: &Path, aliases: &str) -> Config {
    let text = format!(
        "[store]\nurl = \"sqlite:{}\"\n[registry.\"r.test:5000\"]\n[source.prod]\nkind = \"distribution\"\n\
         registry = \"r.test:5000\"\nhost_aliases = [{aliases}]\nauth = \"bearer\"\nsecret_file = \"nowhere\"\n",
        folder.join("s.db").display()
    );
    Config::parse(&folder.join("t.toml"), text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn body(pushes: &[(&str, &str)]) -> Vec<u8> {
    let event = |(host, tag): &(&str, &str)| json!({"action": "push", "target": {"repository": "team/app", "tag": tag}, "request": {"host": host}});
    json!({ "events": pushes.iter().map(event).collect::<Vec<_>>() }).to_string().into_bytes()
}

#[tokio::test]
async fn a_foreign_host_waits_for_its_alias_and_is_taken_in_once() {
    let stage = Stage::new().await;
    let body = body(&[("other:5000", "v1"), ("other:5000", "v2")]);
    let id = stage.keep("prod", "foreign_host", &body, body.len()).await;
    assert_eq!(stage.replay("", Some(id), None).await, FAILED);
    assert_eq!((stage.waiting().await, stage.is_replayed(id).await), (0, false));
    assert_eq!(stage.replay("\"other:5000\"", None, Some("prod")).await, CLEAN);
    assert_eq!((stage.waiting().await, stage.is_replayed(id).await), (2, true));
    assert_eq!(stage.replay("\"other:5000\"", None, None).await, FAILED, "nothing waits any more");
    assert_eq!(stage.waiting().await, 2);
    assert_eq!(stage.replay("\"other:5000\"", Some(id), None).await, CLEAN, "asked for by its number");
    assert_eq!(stage.waiting().await, 4);
}

#[tokio::test]
async fn a_letter_with_one_host_too_many_waits_on_and_says_what_to_set() {
    let stage = Stage::new().await;
    let body = body(&[("r.test:5000", "v1"), ("other:5000", "v2"), ("\u{1b}[2J", "v3")]);
    let id = stage.keep("prod", "foreign_host", &body, body.len()).await;
    assert_eq!(stage.replay("", None, None).await, CLEAN);
    assert_eq!((stage.waiting().await, stage.is_replayed(id).await), (1, false));
    let letter = stage.store.dead_letter(id).await.expect("a letter").expect("it is there");
    let sources = rooms::reading_sources(&config(stage.folder.path(), "")).expect("sources");
    let reading = Reading::of(&letter, &sources, 7);
    assert_eq!(reading.outcome(), "1 push taken in; it waits on for the rest");
    let remarks = reading.remarks().join("\n");
    assert!(remarks.contains("left out: foreign_host 2"), "{remarks}");
    assert!(remarks.contains("is another name of r.test:5000, set host_aliases = [\"other:5000\"] in [source.prod]"));
    assert!(remarks.contains("is no host name") && !remarks.contains('\u{1b}'), "{remarks:?}");
}

#[tokio::test]
async fn of_a_cut_letter_the_whole_pushes_are_taken_in_and_it_says_so() {
    let stage = Stage::new().await;
    let body = body(&[("r.test:5000", "v1"), ("r.test:5000", "v2"), ("r.test:5000", "v3")]);
    let id = stage.keep("prod", "too_large", &body[..body.len() - 40], body.len()).await;
    let letter = stage.store.dead_letter(id).await.expect("a letter").expect("it is there");
    let sources = rooms::reading_sources(&config(stage.folder.path(), "")).expect("sources");
    let remarks = Reading::of(&letter, &sources, 7).remarks().join("\n");
    assert!(remarks.contains("only what is whole in these is replayed"), "{remarks}");
    assert_eq!(stage.replay("", None, None).await, CLEAN);
    assert_eq!((stage.waiting().await, stage.is_replayed(id).await), (2, true));
}

#[tokio::test]
async fn what_cannot_be_read_stays_and_says_why() {
    let stage = Stage::new().await;
    let other = body(&[("r.test:5000", "v1")]);
    let sources = rooms::reading_sources(&config(stage.folder.path(), "")).expect("sources");
    for (source, body, size, why) in [
        ("prod", &b"\xff\x00"[..], 2, "it is still no JSON"),
        ("prod", b"[1]", 3, "it is still not of the source's kind"),
        ("prod", b"{\"events\": [{\"acti", 900, "the head that is kept has no whole push in it"),
        ("prod", b"{\"events\": []}", 14, "nothing in it is a push that the source may announce"),
        ("gone", &other, other.len(), "source gone is not configured any more"),
    ] {
        let id = stage.keep(source, "not_json", body, size).await;
        assert_eq!(stage.replay("", Some(id), None).await, FAILED, "{why}");
        let letter = stage.store.dead_letter(id).await.expect("a letter").expect("it is there");
        assert_eq!(Reading::of(&letter, &sources, 7).outcome(), format!("nothing taken in: {why}"));
        assert!(letter.replayed_at.is_none());
    }
    assert_eq!(stage.replay("", None, None).await, FAILED);
    assert_eq!(stage.replay("", None, Some("unheard-of")).await, FAILED);
    assert_eq!(stage.waiting().await, 0);
    let config = config(stage.folder.path(), "");
    let error = show(&config, 4_711, false).await.expect_err("there is none");
    assert_eq!(error.downcast_ref::<Ended>().map(|ended| ended.code), Some(FAILED));
}

#[tokio::test]
async fn all_pages_are_replayed_around_those_that_stay() {
    let stage = Stage::new().await;
    let good = body(&[("r.test:5000", "v1")]);
    for n in 0..PAGE * 2 + 3 {
        let body = if n % 2 == 0 { &b"junk"[..] } else { &good };
        stage.keep("prod", "not_json", body, body.len()).await;
    }
    assert_eq!(stage.replay("", None, None).await, CLEAN);
    assert_eq!(stage.waiting().await, u64::from(PAGE + 1));
    assert_eq!(stage.replay("", None, None).await, FAILED, "what stays is junk");
}

#[test]
fn a_body_is_shown_in_bounds_whatever_it_is() {
    assert_eq!(body_lines(b"{\n \"a\": 1}"), ["{", " \"a\": 1}"]);
    assert_eq!(body_lines(b"\xff\x00\x1b"), ["ff001b"]);
    let hex = body_lines(&[0xff; 70_000]);
    assert_eq!((hex.len(), hex[0].len()), (HEX_MAX_BYTES / 16 + 1, 32));
    assert!(hex[HEX_MAX_BYTES / 16].starts_with("… 69488 more bytes"), "{hex:?}");
    // A character of three bytes stands across the end of what is shown.
    let text = body_lines("€".repeat(2_000).as_bytes());
    assert_eq!((text.len(), text[0].chars().count()), (2, TEXT_MAX_BYTES / 3));
    assert!(body_lines(&[b'\n'; 70_000]).len() <= TEXT_MAX_BYTES + 2);
}
