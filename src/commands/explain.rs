//! `explain`: a verdict on one image, and what stands behind it: the ledger's lines, the work that is not done, the
//! reasons that were recorded; and the exact commands that accept it. It reads no private key.

mod verdict;

use bundle::{Digest, ImageLocator, ImageReference, PublicKey};
use serde_json::json;
use store::{DeadLetterFilter, JobRow, LedgerRow, ParkedFilter, RecordedEntry, Skip, Store, Unfinished, WorkRow};
use watcher::WatcherConfig;

use super::verify::{configured, resolve};
use super::{CLEAN, FAILED, at, kit, status};
use crate::config::Config;
use crate::ended::OrUsage as _;
use crate::{rooms, run, say};

use verdict::Verdict;

/// How much unfinished work of a repository is looked through.
const WORK_MAX: u32 = 10_000;

/// What is known of one image.
struct Known {
    /// The image as it was asked for.
    asked: ImageLocator,
    /// The registry's word for what it is; absent where it was not to be had.
    digest: Option<Digest>,
    job: Option<JobRow>,
    ledger: Vec<(LedgerRow, Vec<RecordedEntry>)>,
    skips: Vec<Skip>,
    /// Events and jobs about it that are not done: first what waits, then what is parked.
    unfinished: Vec<WorkRow>,
    /// The sources of its registry that have a dead letter waiting, of a push under a host that is not the registry.
    foreign: Vec<String>,
    /// Why no rule would sign it, asked of the rules as they are now.
    rule: Result<usize, String>,
}

/// Explains one image; fails where it is not signed.
pub(crate) async fn explain(config: &Config, image: &str, as_json: bool) -> anyhow::Result<u8> {
    let locator: ImageLocator = image.parse().or_usage(format!("{image:?} is not an image"))?;
    let now = run::now_ms();
    let room = rooms::looking_worker(config, now, Default::default())?;
    let store = rooms::store_beside(config).await?;
    let resolved = resolve(configured(&room, &locator)?, &locator).await;
    let mut known = known(&room, store.as_ref(), &locator, resolved.as_ref().ok().copied()).await?;
    known.foreign = foreign(config, store.as_ref(), &locator).await?;
    if let Err(error) = resolved {
        // A push may have been announced all the same, and wait for just this.
        if known.unfinished.is_empty() {
            return Err(error);
        }
        say::complain(format_args!("sealwatch: {error:#}"));
    }
    let room = rooms::looking_worker(config, now, keys_of(&known))?;
    let verdict = verdict::of(&room, &known, now);
    if as_json {
        say!("{}", as_value(&known, &verdict));
    } else {
        tell(&room, &known, &verdict, now);
    }
    Ok(if known.ledger.iter().any(|(row, _)| row.attached_at.is_some()) { CLEAN } else { FAILED })
}

async fn known(
    room: &WatcherConfig,
    store: &dyn Store,
    locator: &ImageLocator,
    digest: Option<Digest>,
) -> anyhow::Result<Known> {
    let name = &locator.name;
    let (mut ledger, mut job) = (Vec::new(), None);
    if let Some(digest) = digest {
        for row in store.ledger_for(&ImageReference { name: name.clone(), digest }).await? {
            let entries = store.entries(row.id).await?;
            ledger.push((row, entries));
        }
        job = store.job(&name.registry, &name.repository, &digest).await?;
    }
    let skips = store.skips_for(&name.registry, &name.repository, 200).await?;
    let skips = skips
        .into_iter()
        .filter(|skip| skip.digest.is_none_or(|d| Some(d) == digest))
        .filter(|skip| skip.tag == locator.tag || skip.digest.is_some())
        .take(10)
        .collect();
    let here = ParkedFilter {
        registry: Some(name.registry.clone()),
        repository: Some(name.repository.clone()),
        ..ParkedFilter::default()
    };
    let mut unfinished = store.unfinished(Unfinished::Waiting, &here, WORK_MAX).await?;
    unfinished.extend(store.unfinished(Unfinished::Parked, &here, WORK_MAX).await?);
    unfinished.retain(|row| is_about(row, locator, digest));
    let rule = match &locator.tag {
        Some(tag) => room
            .rules
            .iter()
            .position(|rule| rule.matches(name, tag))
            .map(|n| n + 1)
            .ok_or_else(|| format!("no rule matches {name}:{tag}")),
        None => room
            .rules
            .iter()
            .position(|rule| rule.matches_repository(name))
            .map(|n| n + 1)
            .ok_or_else(|| format!("no rule matches {name}")),
    };
    Ok(Known { asked: locator.clone(), digest, job, ledger, skips, unfinished, foreign: Vec::new(), rule })
}

async fn foreign(config: &Config, store: &dyn Store, locator: &ImageLocator) -> anyhow::Result<Vec<String>> {
    let mut foreign = Vec::new();
    for (name, source) in rooms::reading_sources(config)? {
        if source.registry != locator.name.registry {
            continue;
        }
        let reason = Some("foreign_host".to_owned());
        let filter = DeadLetterFilter { source: Some(name.clone()), reason, waiting: true, before: None };
        if !store.dead_letters(&filter, 1).await?.is_empty() {
            foreign.push(name);
        }
    }
    Ok(foreign)
}

/// Whether unfinished work of the repository is about the image: by its digest, and where it names none, by its tag.
fn is_about(row: &WorkRow, asked: &ImageLocator, digest: Option<Digest>) -> bool {
    match (&row.digest, digest) {
        (Some(of_row), Some(digest)) if *of_row == digest.to_string() => true,
        // A tag may have moved since an event told of another digest; that event is not about this image.
        (Some(_), Some(_)) => false,
        (Some(_), None) | (None, _) => asked.tag.as_ref().is_some_and(|tag| row.tag.as_deref() == Some(tag.as_str())),
    }
}

/// The public keys that the ledger has for the identities that signed the image.
fn keys_of(known: &Known) -> std::collections::BTreeMap<String, PublicKey> {
    known
        .ledger
        .iter()
        .filter_map(|(row, _)| Some((row.identity_name.clone(), PublicKey::from_spki(&row.public_key_spki).ok()?)))
        .collect()
}

fn tell(room: &WatcherConfig, known: &Known, verdict: &Verdict, now: i64) {
    say!("{}", verdict.text);
    say!("image: {}", reference(known));
    match &known.rule {
        Ok(n) if known.asked.tag.is_some() => say!("rule {n} speaks about it"),
        Ok(n) => say!("rule {n} speaks about its repository"),
        Err(why) => say!("{why}: add a [[rule]] with this repository and tag"),
    }
    for row in &known.unfinished {
        say!(
            "{}: {}",
            if row.kind == store::WorkKind::Event { "announced" } else { "to sign" },
            status::line(row, now)
        );
    }
    match &known.job {
        Some(job) => say!(
            "job: {}, first seen {}, {} attempt{}{}",
            job.state,
            at(job.first_seen_at),
            job.attempts,
            if job.attempts == 1 { "" } else { "s" },
            job_detail(job)
        ),
        None if !known.unfinished.is_empty() => say!("job: none yet"),
        None if !known.skips.is_empty() => say!("job: none; its pushes were skipped"),
        None => say!("job: none; {}", verdict::unannounced(&known.foreign)),
    }
    for skip in &known.skips {
        say!("skipped {} at {}: {}", skip.reason, at(skip.at), skip.detail);
    }
    for (row, entries) in &known.ledger {
        let logged: Vec<String> =
            entries.iter().map(|entry| format!("{} index {}", entry.log_origin, entry.log_index)).collect();
        say!(
            "{} by {} ({}): {}",
            row.format,
            row.identity_name,
            row.identity,
            if entries.is_empty() { "not logged".to_owned() } else { logged.join(", ") }
        );
        say!("  intended {}{}", at(row.intended_at), how_far(row));
    }
    if known.ledger.iter().any(|(row, _)| row.attached_at.is_some()) {
        say!("");
        say!("accepted by (files from `sealwatch kit`):");
        for line in commands(room, known) {
            say!("{line}");
        }
    }
}

/// How far a row of the ledger came after its intent.
fn how_far(row: &LedgerRow) -> String {
    match (&row.abandoned, row.attached_at) {
        (Some(abandoned), _) => format!(", given up {} because {}", at(abandoned.at), abandoned.because),
        (None, None) => ", not attached yet".to_owned(),
        (None, Some(attached)) => {
            let adopted = if row.adopted { " (adopted: made with this key elsewhere)" } else { "" };
            format!(", attached {}{adopted}", at(attached))
        }
    }
}

/// The image as exactly as it is known.
fn reference(known: &Known) -> String {
    let name = &known.asked.name;
    match (known.digest, &known.asked.tag) {
        (Some(digest), _) => format!("{name}@{digest}"),
        (None, Some(tag)) => format!("{name}:{tag} (the registry does not say which digest that is)"),
        (None, None) => name.to_string(),
    }
}

fn commands(room: &WatcherConfig, known: &Known) -> Vec<String> {
    let plain = room.registries.get(&known.asked.name.registry).is_some_and(|r| r.plain_http());
    let mut all = Vec::new();
    for (row, _) in known.ledger.iter().filter(|(row, _)| row.attached_at.is_some()) {
        let rule = known
            .rule
            .as_ref()
            .ok()
            .and_then(|n| room.rules.get(n - 1))
            .or_else(|| room.rules.iter().find(|r| r.sign_with.contains(&row.identity_name)));
        if let (Some(identity), Some(rule)) = (room.identities.get(&row.identity_name), rule) {
            all.extend(kit::lines(identity, rule, row.format, &reference(known), plain));
        }
    }
    all
}

fn job_detail(job: &JobRow) -> String {
    let mut text = String::new();
    if let Some(reason) = &job.reason {
        text.push_str(&format!("; {reason}"));
    }
    if let Some(detail) = job.detail.as_ref().filter(|d| !d.is_empty()) {
        text.push_str(&format!(": {detail}"));
    }
    if let Some(error) = &job.last_error {
        text.push_str(&format!("; last error: {error}"));
    }
    text
}

fn as_value(known: &Known, verdict: &Verdict) -> serde_json::Value {
    json!({
        "verdict": verdict.state, "says": verdict.text,
        "image": reference(known),
        "rule": known.rule.as_ref().ok(),
        "no_rule": known.rule.as_ref().err(),
        "job": known.job.as_ref().map(|job| json!({
            "state": job.state.to_string(), "attempts": job.attempts, "reason": job.reason, "detail": job.detail, "last_error": job.last_error,
            "first_seen_at": job.first_seen_at, "finished_at": job.finished_at,
        })),
        "unfinished": known.unfinished.iter().map(status::described).collect::<Vec<_>>(),
        "foreign_host_letters_of": known.foreign,
        "skips": known.skips.iter().map(|s| json!({"reason": s.reason, "detail": s.detail, "at": s.at})).collect::<Vec<_>>(),
        "signatures": known.ledger.iter().map(|(row, entries)| json!({
            "format": row.format.as_str(), "identity": row.identity_name, "key": row.identity, "trust_zone": row.trust_zone,
            "log": row.log_origin,
            "entries": entries.iter().map(|e| json!({"origin": e.log_origin, "index": e.log_index})).collect::<Vec<_>>(),
            "intended_at": row.intended_at, "attached_at": row.attached_at,
            "manifest": row.attached_manifest.map(|d| d.to_string()), "adopted": row.adopted, "attempt": row.attempt,
            "abandoned_at": row.abandoned.as_ref().map(|a| a.at), "abandoned_because": row.abandoned.as_ref().map(|a| &a.because),
        })).collect::<Vec<_>>(),
    })
}
