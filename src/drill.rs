//! `drill`: plays every attack that is known against a sandbox, and proves that each alarm goes off, that its evidence
//! verifies offline, and that nothing goes off when nothing happens.

mod arena;
mod attacks;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use store::FindingKind;

use crate::commands::{CLEAN, FAILED};
use crate::ended::Ended;
use crate::say;
use arena::Arena;
use arena::{ISSUER, REPOSITORY};

/// How long an alarm may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the quiet run is watched.
const QUIET: Duration = Duration::from_secs(4);

/// One attack: what happens, and which alarms mean that it was noticed.
pub(crate) struct Attack {
    /// Its name in the table.
    name: &'static str,
    /// What the attacker does, in one sentence.
    what: &'static str,
    /// The findings of which one must be raised.
    alarms: &'static [FindingKind],
    /// What its title must say, where another finding of the kind could be about something else.
    says: &'static str,
}

/// How an attack ended.
struct Outcome {
    name: &'static str,
    what: &'static str,
    /// The alarm, its time and what its evidence said; or why there was none.
    result: anyhow::Result<Alarm>,
}

/// An alarm that went off.
pub(crate) struct Alarm {
    kind: FindingKind,
    title: String,
    after: Duration,
    evidence: Evidence,
}

/// What the evidence of an alarm said when it was replayed offline.
enum Evidence {
    Attributable,
    Observed,
}

impl Evidence {
    fn as_str(&self) -> &'static str {
        match self {
            Evidence::Attributable => "attributable",
            Evidence::Observed => "observed",
        }
    }
}

/// Runs the drill; clean only if every alarm went off and nothing did in the quiet run.
pub(crate) async fn drill(json: bool, only: Option<&str>, out: Option<&Path>) -> anyhow::Result<u8> {
    if let Some(out) = out {
        std::fs::create_dir_all(out).with_context(|| format!("the folder {}", out.display()))?;
    }
    let chosen: Vec<&attacks::Play> =
        attacks::ALL.iter().filter(|play| only.is_none_or(|word| play.attack.name.contains(word))).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = attacks::ALL.iter().map(|play| play.attack.name).collect();
        return Err(Ended::usage(format!("no attack is called that; there are: {}", names.join(", "))));
    }
    if !json {
        say!("{:26} {:20} {:>8}  {:13} {}", "attack", "alarm", "seconds", "evidence", "what was said");
    }
    let mut outcomes = Vec::new();
    for play in chosen {
        let result = one(play, out).await;
        let outcome = Outcome { name: play.attack.name, what: play.attack.what, result };
        if !json {
            tell(&outcome);
        }
        outcomes.push(outcome);
    }
    let quiet = quiet().await;
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    if json {
        let rows: Vec<_> = outcomes.iter().map(described).collect();
        let quiet = match &quiet {
            Ok(words) => serde_json::json!({ "quiet": true, "what": words }),
            Err(error) => serde_json::json!({ "quiet": false, "what": format!("{error:#}") }),
        };
        say!("{}", serde_json::json!({ "attacks": rows, "control": quiet }));
    } else {
        match &quiet {
            Ok(words) => say!("{:26} {words}", "quiet control run"),
            Err(error) => say!("{:26} ALARM: {error:#}", "quiet control run"),
        }
        say!("");
        say!(
            "{} of {} attacks found, each with evidence that verified offline; {}",
            outcomes.len() - failed,
            outcomes.len(),
            if quiet.is_ok() { "nothing went off in the quiet run" } else { "the quiet run was NOT quiet" }
        );
    }
    Ok(if failed == 0 && quiet.is_ok() { CLEAN } else { FAILED })
}

/// Plays one attack in a world of its own.
async fn one(play: &attacks::Play, out: Option<&Path>) -> anyhow::Result<Alarm> {
    let mut arena = Arena::new(play.needs).await?;
    let start = Instant::now();
    let played = async {
        (play.run)(&mut arena).await?;
        arena.alarm(&play.attack, arena.attacked_at().unwrap_or(start), out).await
    };
    let result = tokio::time::timeout(PATIENCE * 2, played).await;
    arena.end().await;
    result.context("the attack itself did not come to an end")?
}

/// Honest work, copies of it that anybody can make, and junk that only looks like us: nothing may go off.
async fn quiet() -> anyhow::Result<String> {
    let mut arena = Arena::new(attacks::EVERYTHING).await?;
    let result = async {
        let words = attacks::control(&mut arena).await?;
        arena.stays_quiet(QUIET).await?;
        Ok(words)
    }
    .await;
    arena.end().await;
    result
}

fn tell(outcome: &Outcome) {
    match &outcome.result {
        Ok(alarm) => say!(
            "{:26} {:20} {:>8.2}  {:13} {}",
            outcome.name,
            alarm.kind.as_str(),
            alarm.after.as_secs_f64(),
            alarm.evidence.as_str(),
            alarm.title
        ),
        Err(error) => say!("{:26} NOT FOUND            ({}) {error:#}", outcome.name, outcome.what),
    }
}

fn described(outcome: &Outcome) -> serde_json::Value {
    match &outcome.result {
        Ok(alarm) => serde_json::json!({
            "attack": outcome.name,
            "what": outcome.what,
            "found": true,
            "alarm": alarm.kind.as_str(),
            "title": alarm.title,
            "seconds": alarm.after.as_secs_f64(),
            "evidence": alarm.evidence.as_str(),
        }),
        Err(error) => serde_json::json!({
            "attack": outcome.name, "what": outcome.what, "found": false, "error": format!("{error:#}"),
        }),
    }
}
