//! `dead-letters`: webhook bodies that were not understood. Lists and shows them, and takes in their pushes once the
//! configuration lets them be read. It needs no key and no hook secret, and works beside a running process.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use store::{DeadLetter, DeadLetterFilter, Store};
use watcher::Source;
use watcher::webhook::{Junk, Reread, alias_line, read_again};

use super::{CLEAN, FAILED, at};
use crate::cli::ReplayFlags;
use crate::config::Config;
use crate::ended::Ended;
use crate::{rooms, run, say};

/// How many letters are listed unless asked otherwise.
pub(crate) const LINES: u32 = 20;
/// Most letters that are listed: each is read with its body, of up to 64 KiB.
const LINES_MAX: u32 = 1_000;
/// How many letters are in memory at once while all are replayed.
const PAGE: u32 = 50;
/// Most hosts that are named for one letter.
const HOSTS_MAX: usize = 10;
/// How much of a text is shown to a person, in bytes.
const TEXT_MAX_BYTES: usize = 4 * 1024;
/// How much of anything else is shown to a person, in bytes; 16 a line.
const HEX_MAX_BYTES: usize = 512;

/// Lists letters, newest first.
pub(crate) async fn list(config: &Config, source: Option<String>, limit: u32, as_json: bool) -> anyhow::Result<u8> {
    let filter = DeadLetterFilter { source, ..DeadLetterFilter::default() };
    let letters = rooms::store_beside(config).await?.dead_letters(&filter, limit.min(LINES_MAX)).await?;
    if as_json {
        say!("{}", letters.iter().map(described).collect::<Value>());
    } else if letters.is_empty() {
        say!("no dead letters");
    } else {
        for letter in &letters {
            say!("{}", line(letter));
        }
        say!("");
        say!(
            "`sealwatch dead-letters show ID` says what is in one, `replay ID` (or --source NAME, --all) takes its pushes in"
        );
    }
    Ok(CLEAN)
}

/// Shows one letter: what it says by the configuration as it is now, and the start of its body.
pub(crate) async fn show(config: &Config, id: i64, as_json: bool) -> anyhow::Result<u8> {
    let sources = rooms::reading_sources(config)?;
    let letter = one(rooms::store_beside(config).await?.as_ref(), id).await?;
    let reading = Reading::of(&letter, &sources, run::now_ms());
    if as_json {
        let mut value = described(&letter);
        let text = std::str::from_utf8(&letter.body).ok();
        value["reads_now"] = reading.described();
        value["body"] = text.into();
        value["body_hex"] = text.is_none().then(|| hex::encode(&letter.body)).into();
        say!("{value}");
        return Ok(CLEAN);
    }
    say!("{}", line(&letter));
    say!("read now: {}", reading.summary());
    for line in reading.remarks() {
        say!("  {line}");
    }
    say!("");
    for line in body_lines(&letter.body) {
        say!("  | {line}");
    }
    Ok(CLEAN)
}

/// Reads letters again, and takes in their pushes; fails where there was none.
pub(crate) async fn replay(config: &Config, flags: &ReplayFlags) -> anyhow::Result<u8> {
    let sources = rooms::reading_sources(config)?;
    let store = rooms::store_beside(config).await?;
    let mut told = Vec::new();
    let (mut seen, mut taken) = (0_u64, 0_u64);
    let mut filter = DeadLetterFilter { source: flags.source.clone(), waiting: true, ..DeadLetterFilter::default() };
    loop {
        let letters = match flags.id {
            Some(id) => vec![one(store.as_ref(), id).await?],
            None => store.dead_letters(&filter, PAGE).await?,
        };
        for letter in &letters {
            let reading = replay_one(store.as_ref(), letter, &sources, run::now_ms()).await?;
            seen += 1;
            taken += u64::from(reading.pushes() > 0);
            if flags.json {
                told.push(json!({
                    "id": letter.id, "source": letter.source, "reason": letter.reason,
                    "replayed": reading.is_settled(), "read": reading.described(),
                }));
                continue;
            }
            say!("letter {} of source {} ({}): {}", letter.id, letter.source, letter.reason, reading.outcome());
            for line in reading.remarks() {
                say!("  {line}");
            }
        }
        // A letter that comes meanwhile has a larger id: each page is before the last, so that this ends.
        filter.before = letters.last().map(|letter| letter.id);
        if flags.id.is_some() || filter.before.is_none() {
            break;
        }
    }
    if flags.json {
        say!("{}", Value::Array(told));
    } else if seen == 0 {
        match &flags.source {
            Some(source) => say!("no dead letter of source {source} waits"),
            None => say!("no dead letter waits"),
        }
    }
    Ok(if taken > 0 { CLEAN } else { FAILED })
}

/// Takes in what a letter says. The pushes are durable before the letter is marked: after a crash between the two they
/// come twice, which costs a look and signs nothing twice.
async fn replay_one<'l>(
    store: &dyn Store,
    letter: &'l DeadLetter,
    sources: &'l BTreeMap<String, Source>,
    now: i64,
) -> anyhow::Result<Reading<'l>> {
    let reading = Reading::of(letter, sources, now);
    if let Some((_, reread)) = reading.read.as_ref().filter(|(_, reread)| !reread.events.is_empty()) {
        store.record_events(&reread.events).await?;
    }
    if reading.is_settled() {
        store.mark_replayed(letter.id, now).await?;
    }
    Ok(reading)
}

async fn one(store: &dyn Store, id: i64) -> anyhow::Result<DeadLetter> {
    let letter = store.dead_letter(id).await?;
    letter.ok_or_else(|| Ended::no(format!("there is no dead letter {id}; `sealwatch dead-letters list` shows them")))
}

/// A letter, as the configuration reads it now.
struct Reading<'l> {
    letter: &'l DeadLetter,
    /// Absent where its source is not configured any more.
    read: Option<(&'l Source, Reread)>,
}

impl<'l> Reading<'l> {
    fn of(letter: &'l DeadLetter, sources: &'l BTreeMap<String, Source>, now: i64) -> Self {
        let source = sources.get(&letter.source);
        Self { letter, read: source.map(|source| (source, read_again(&letter.source, source, &letter.body, now))) }
    }

    fn pushes(&self) -> usize {
        self.read.as_ref().map_or(0, |(_, reread)| reread.events.len())
    }

    /// Whether nothing is left for which the letter should wait: a push under a foreign host may still get its alias.
    fn is_settled(&self) -> bool {
        self.read.as_ref().is_some_and(|(_, reread)| !reread.events.is_empty() && reread.foreign.is_empty())
    }

    /// What replaying it came to.
    fn outcome(&self) -> String {
        match self.pushes() {
            0 => format!("nothing taken in: {}", self.why_not()),
            n if self.is_settled() => format!("{} taken in", pushes(n)),
            n => format!("{} taken in; it waits on for the rest", pushes(n)),
        }
    }

    /// What replaying it would take in.
    fn summary(&self) -> String {
        match self.pushes() {
            0 => format!("no push ({})", self.why_not()),
            n => pushes(n),
        }
    }

    fn why_not(&self) -> String {
        let Some((source, reread)) = &self.read else {
            return format!("source {} is not configured any more", self.letter.source);
        };
        match (reread.junk, reread.foreign.is_empty()) {
            (_, false) => format!("its pushes name another host than {}", source.registry),
            (Some(_), true) if self.letter.is_cut() => "the head that is kept has no whole push in it".to_owned(),
            (Some(Junk::NotJson), true) => "it is still no JSON".to_owned(),
            (Some(Junk::NotThisFormat), true) => "it is still not of the source's kind".to_owned(),
            (None, true) => "nothing in it is a push that the source may announce".to_owned(),
        }
    }

    /// What else is to be known of it, a line each.
    fn remarks(&self) -> Vec<String> {
        let letter = self.letter;
        let mut lines = Vec::new();
        if let Some(before) = letter.replayed_at {
            lines.push(format!("it was replayed before, {}", at(before)));
        }
        if letter.is_cut() {
            let (kept, size) = (letter.body.len(), letter.body_size_bytes);
            lines.push(format!(
                "only the first {kept} of its {size} bytes are kept: only what is whole in these is replayed"
            ));
        }
        let Some((source, reread)) = &self.read else { return lines };
        if let (Some(junk), false, false) = (reread.junk, reread.events.is_empty(), letter.is_cut()) {
            lines.push(format!("its end cannot be read ({}): only the pushes before that count", junk.as_str()));
        }
        let ignored: Vec<_> =
            reread.ignored.iter().map(|(reason, count)| format!("{} {count}", reason.as_str())).collect();
        if !ignored.is_empty() {
            lines.push(format!("left out: {}", ignored.join(", ")));
        }
        let hosts = hosts(reread);
        for host in hosts.iter().take(HOSTS_MAX) {
            lines.push(match alias_line(&letter.source, source, host) {
                Some(line) => {
                    format!("if {host} is another name of {}, set {line} and replay it again", source.registry)
                }
                None => format!("{host:?} is no host name: look at what sends this"),
            });
        }
        if hosts.len() > HOSTS_MAX {
            lines.push(format!("and {} more hosts", hosts.len() - HOSTS_MAX));
        }
        lines
    }

    fn described(&self) -> Value {
        let Some((source, reread)) = &self.read else { return Value::Null };
        let ignored: serde_json::Map<_, _> =
            reread.ignored.iter().map(|(reason, count)| (reason.as_str().to_owned(), count.into())).collect();
        let host = |host: &&str| json!({ "host": host, "set": alias_line(&self.letter.source, source, host) });
        json!({
            "pushes": reread.events.len(), "ignored": ignored, "unread": reread.junk.map(Junk::as_str),
            "foreign_hosts": hosts(reread).iter().map(host).collect::<Vec<_>>(),
        })
    }
}

/// The foreign hosts of a letter, each once, in the order in which they came.
fn hosts(reread: &Reread) -> Vec<&str> {
    let mut hosts: Vec<&str> = Vec::new();
    for foreign in &reread.foreign {
        if !hosts.contains(&foreign.host.as_str()) {
            hosts.push(&foreign.host);
        }
    }
    hosts
}

fn pushes(n: usize) -> String {
    if n == 1 { "1 push".to_owned() } else { format!("{n} pushes") }
}

fn line(letter: &DeadLetter) -> String {
    let mut text = format!(
        "{}  {}  {}  {}  {} bytes",
        letter.id,
        at(letter.received_at),
        letter.source,
        letter.reason,
        letter.body_size_bytes
    );
    if letter.is_cut() {
        // A String takes everything.
        let _ = write!(text, " ({} kept)", letter.body.len());
    }
    if let Some(replayed) = letter.replayed_at {
        let _ = write!(text, ", replayed {}", at(replayed));
    }
    text
}

/// One letter as JSON, without its body; times in unix milliseconds.
fn described(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id, "source": letter.source, "reason": letter.reason, "received_at": letter.received_at,
        "replayed_at": letter.replayed_at, "body_size_bytes": letter.body_size_bytes, "kept_bytes": letter.body.len(),
    })
}

/// The start of a body, for a person: its lines where it is text, else bytes in hex. What acts on a terminal is still in
/// them, and is taken out by [`say!`].
fn body_lines(body: &[u8]) -> Vec<String> {
    let head = &body[..body.len().min(TEXT_MAX_BYTES)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => Some(text),
        // Only the last character is cut in two.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).ok(),
        Err(_) => None,
    };
    let (mut lines, shown): (Vec<String>, usize) = match text {
        Some(text) => (text.split('\n').map(str::to_owned).collect(), text.len()),
        None => {
            let head = &head[..head.len().min(HEX_MAX_BYTES)];
            (head.chunks(16).map(hex::encode).collect(), head.len())
        }
    };
    if shown < body.len() {
        lines.push(format!("… {} more bytes (--json shows all that is kept)", body.len() - shown));
    }
    lines
}

#[cfg(test)]
mod tests;
