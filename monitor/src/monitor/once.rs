//! One full pass over each log, for `monitor --once`: to the head that it shows, and never a word about more than was
//! hashed.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use store::{FindingKind, Severity};
use tokio::time::Instant;

use super::logs::{Named, tree};
use super::work::Went;
use super::{Monitor, MonitorError};
use crate::config::{Coverage, LogSpec};
use crate::follow::{LogStatus, Pass, now_ms};
use crate::inclusion::{EachOnce, FollowedTree};
use crate::task::Task;
use crate::watchlist::{MatcherInterval, intervals};

/// Told now and then how far each log is.
pub type Progress = Arc<dyn Fn(&[LogStatus]) + Send + Sync>;

/// Between two words of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Time for the sinks to take what was found.
const DELIVER_FOR: Duration = Duration::from_secs(30);
/// Beyond the grace period, for suspects to be settled.
const SETTLE_SLACK: Duration = Duration::from_secs(5);
/// Goes at the ledger, a thousand rows each, before the pass says that it did not come to the end of it.
const MOST_GOES: u32 = 20_000;

/// What one pass came to.
#[derive(Clone, Debug, Serialize)]
pub struct OnceReport {
    /// Each log that is named.
    pub logs: Vec<LogReport>,
    /// How many findings are open after the pass, by kind and severity.
    pub open_findings: Vec<OpenFindings>,
    /// Leaves under our name that wait for the ledger still.
    pub suspects_waiting: u64,
    /// What became of our own entries, and of what was met in registries.
    pub compared: Compared,
    /// Why log and ledger could not be compared; `None`: they were.
    pub ledger_error: Option<String>,
}

/// The ledger's entries and the registries' against the logs. What is proved already is in none of these.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Compared {
    /// Entries of ours that were found under a head now.
    pub entries_proved: u64,
    /// Entries of ours that their log was asked about and need not show yet.
    pub entries_waiting: u64,
    /// Entries of ours about which a log could not be asked.
    pub entries_unasked: u64,
    /// Entries of ours in logs that were not read here.
    pub entries_elsewhere: u64,
    /// Entries met in registries that cannot be told about yet.
    pub observations_later: u64,
    /// Those of them about which a log could not be asked.
    pub observations_unasked: u64,
}

/// Open findings of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct OpenFindings {
    /// The kind.
    pub kind: &'static str,
    /// How bad.
    pub severity: &'static str,
    /// How many.
    pub count: u64,
}

/// How far one log is.
#[derive(Clone, Debug, Serialize)]
pub struct LogReport {
    /// Its origin.
    pub origin: String,
    /// How it is read.
    pub kind: &'static str,
    /// `exhaustive`, or `own_entries`: nobody else's leaves were read.
    pub coverage: &'static str,
    /// Every leaf from here …
    pub covered_from: u64,
    /// … to before here was hashed into a signed root and matched. The same number where none was.
    pub covered_to: u64,
    /// The same for each watch rule: one that was added later has not seen the older leaves.
    pub matchers: Vec<MatcherInterval>,
    /// The size of the newest head that is known to be consistent; `None`: there is none.
    pub head_size: Option<u64>,
    /// Up to where leaves were read.
    pub read_size: u64,
    /// Up to where they were verified.
    pub verified_size: u64,
    /// The pass reached the head that the log showed.
    pub complete: bool,
    /// Why not, where we could not look.
    pub error: Option<String>,
}

impl OnceReport {
    /// Every log was read to the head that it showed, and compared with all of the ledger: nothing is left that could
    /// not be asked.
    pub fn is_complete(&self) -> bool {
        self.logs.iter().all(|log| log.complete)
            && self.ledger_error.is_none()
            && self.suspects_waiting == 0
            && self.compared.unasked() == 0
    }

    /// Something is found and not acknowledged.
    pub fn has_findings(&self) -> bool {
        self.open_findings.iter().any(|open| open.count > 0)
    }
}

impl Compared {
    /// What could not be asked.
    pub fn unasked(&self) -> u64 {
        let Self { entries_unasked, entries_elsewhere, observations_unasked, .. } = self;
        entries_unasked.saturating_add(*entries_elsewhere).saturating_add(*observations_unasked)
    }

    /// Adds a go. No entry is asked about twice; what was met and cannot be told about is, each time.
    fn add(&mut self, went: &Went) {
        let Went { included, checked, .. } = went;
        let apart = included.unasked.saturating_add(included.elsewhere);
        self.entries_proved += included.proved;
        self.entries_waiting += included.waiting.saturating_sub(apart);
        self.entries_unasked += included.unasked;
        self.entries_elsewhere += included.elsewhere;
        (self.observations_later, self.observations_unasked) = (checked.later, checked.unasked);
    }
}

impl Monitor {
    /// Reads each log once to the head that it shows, waits for what the ledger may still explain, and delivers alerts.
    ///
    /// What does not fit is waited for as long as `timing` says, so that the answer is one: a finding, or none.
    pub async fn once(&self, progress: Option<Progress>) -> Result<OnceReport, MonitorError> {
        if let Err(error) = self.check_state().await {
            if matches!(error, MonitorError::StateLost { .. }) {
                self.alerts.deliver(DELIVER_FOR).await;
            }
            return Err(error);
        }
        self.begin().await?;
        let mut passes = Vec::new();
        for Named { spec, reader } in self.named(&self.config.material.logs).await? {
            match reader {
                Ok(reader) => {
                    let (follower, status) = self.follower(&spec, &reader);
                    passes.push((spec, status, Ok((reader, Task::spawn(follower.pass())))));
                }
                Err(problem) => {
                    let status = LogStatus::new(&spec, self.config.timing.stale_after, now_ms());
                    passes.push((spec, crate::follow::Status::new(status), Err(problem)));
                }
            }
        }
        let statuses: Vec<_> = passes.iter().map(|(_, status, _)| status.clone()).collect();
        let telling = progress.map(|tell| {
            Task::spawn(async move {
                loop {
                    tell(&statuses.iter().map(crate::follow::Status::read).collect::<Vec<_>>());
                    tokio::time::sleep(PROGRESS_EVERY).await;
                }
            })
        });
        let (mut logs, mut forest, mut read) = (Vec::new(), Vec::new(), Vec::new());
        for (spec, status, pass) in passes {
            let pass = match pass {
                Ok((reader, mut task)) => {
                    let pass = task.ended().await.unwrap_or_else(|| Pass::failed("the pass ended without a result"));
                    // Its lease is given back, and its head stays what it is.
                    let status = LogStatus { held: true, ..status.read() };
                    forest.extend(tree(&reader, &status));
                    // Of a log that could not be read nothing is known: neither what has begun nor what is over.
                    read.extend(pass.error.is_none().then_some(status));
                    pass
                }
                Err(problem) => Pass::failed(problem),
            };
            logs.push(report(&spec, &status.read(), pass));
        }
        drop(telling);
        self.show_matchers(&mut logs).await?;
        let mut health = self.health();
        health.look(&read, now_ms()).await?;
        health.look_at_own_watches(now_ms()).await?;
        let (compared, ledger_error) = self.settle(&forest).await;
        self.alerts.deliver(DELIVER_FOR).await;
        let open = self.store.open_counts().await?;
        Ok(OnceReport {
            logs,
            open_findings: open.into_iter().map(open_findings).collect(),
            suspects_waiting: self.store.suspects_waiting().await?,
            compared,
            ledger_error,
        })
    }

    /// Completes the reports with what each rule has looked at.
    async fn show_matchers(&self, logs: &mut [LogReport]) -> Result<(), MonitorError> {
        let (stored, known) = (self.store.followed_logs().await?, self.store.matcher_coverage().await?);
        for log in logs {
            if let Some(stored) = stored.iter().find(|it| it.origin == log.origin) {
                log.matchers = intervals(&self.config.watches, stored, &known);
            }
        }
        Ok(())
    }

    /// Compares with all of the ledger, until no leaf waits for it or the grace period is over. Answers with what that came
    /// to, and why it did not come to the end.
    async fn settle(&self, forest: &[FollowedTree]) -> (Compared, Option<String>) {
        let work = self.work();
        let until = Instant::now() + self.config.timing.grace + SETTLE_SLACK;
        // Each entry once, also those that another process has asked about a moment ago, or put off.
        let mut pass = EachOnce::new(now_ms());
        let mut compared = Compared::default();
        for _ in 0..MOST_GOES {
            let went = match work.once(forest, &mut pass).await {
                Ok(went) => went,
                Err(error) => return (compared, Some(error.to_string())),
            };
            compared.add(&went);
            if went.more {
                continue;
            }
            let held_up = || {
                let waiting = went.checked.later;
                let words = "entries met in registries cannot be told about yet: the newer ones were not looked at";
                went.checked.held_up.then(|| format!("{waiting} {words}"))
            };
            match self.store.suspects_waiting().await {
                Err(error) => return (compared, Some(error.to_string())),
                Ok(0) => return (compared, held_up()),
                Ok(_) if Instant::now() >= until => return (compared, held_up()),
                Ok(_) => tokio::time::sleep(self.config.timing.interval.min(Duration::from_millis(500))).await,
            }
        }
        (
            compared,
            Some(format!("not at its end after {MOST_GOES} goes: too much of the ledger waits to be told about")),
        )
    }
}

fn report(spec: &LogSpec, status: &LogStatus, pass: Pass) -> LogReport {
    let covered_to = match spec.coverage {
        Coverage::Exhaustive => status.verified_size,
        Coverage::OwnEntries => status.first_size,
    };
    LogReport {
        origin: spec.origin.clone(),
        kind: spec.kind.as_str(),
        coverage: spec.coverage.as_str(),
        covered_from: status.first_size,
        covered_to,
        matchers: Vec::new(),
        head_size: status.head.as_ref().map(tlog::Checkpoint::size),
        read_size: status.read_size,
        verified_size: status.verified_size,
        complete: pass.complete,
        error: pass.error,
    }
}

fn open_findings((kind, severity, count): (FindingKind, Severity, u64)) -> OpenFindings {
    OpenFindings { kind: kind.as_str(), severity: severity.as_str(), count }
}
