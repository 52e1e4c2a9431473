//! One full pass over each log, for `monitor --once`: to the head that it shows, and never a word about more than was
//! hashed.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use store::{FindingKind, Severity};
use tokio::time::Instant;

use super::logs::{Named, tree};
use super::{Monitor, MonitorError};
use crate::config::{Coverage, LogSpec};
use crate::follow::{LogStatus, Pass, now_ms};
use crate::inclusion::FollowedTree;
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

/// What one pass came to.
#[derive(Clone, Debug, Serialize)]
pub struct OnceReport {
    /// Each log that is named.
    pub logs: Vec<LogReport>,
    /// How many findings are open after the pass, by kind and severity.
    pub open_findings: Vec<OpenFindings>,
    /// Leaves under our name that wait for the ledger still.
    pub suspects_waiting: u64,
    /// Why log and ledger could not be compared; `None`: they were.
    pub ledger_error: Option<String>,
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
    /// Every log was read to the head that it showed, and compared with the ledger.
    pub fn is_complete(&self) -> bool {
        self.logs.iter().all(|log| log.complete) && self.ledger_error.is_none() && self.suspects_waiting == 0
    }

    /// Something is found and not acknowledged.
    pub fn has_findings(&self) -> bool {
        self.open_findings.iter().any(|open| open.count > 0)
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
        let (mut logs, mut forest) = (Vec::new(), Vec::new());
        for (spec, status, pass) in passes {
            let pass = match pass {
                Ok((reader, mut task)) => {
                    let pass = task.ended().await.unwrap_or_else(|| Pass::failed("the pass ended without a result"));
                    // Its lease is given back, and its head stays what it is.
                    forest.extend(tree(&reader, &LogStatus { held: true, ..status.read() }));
                    pass
                }
                Err(problem) => Pass::failed(problem),
            };
            logs.push(report(&spec, &status.read(), pass));
        }
        drop(telling);
        self.show_matchers(&mut logs).await?;
        let ledger_error = self.settle(&forest).await;
        self.alerts.deliver(DELIVER_FOR).await;
        let open = self.store.open_counts().await?;
        Ok(OnceReport {
            logs,
            open_findings: open.into_iter().map(open_findings).collect(),
            suspects_waiting: self.store.suspects_waiting().await?,
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

    /// Compares with the ledger until nothing waits for it, or the grace period is over.
    async fn settle(&self, forest: &[FollowedTree]) -> Option<String> {
        let work = self.work();
        let until = Instant::now() + self.config.timing.grace + SETTLE_SLACK;
        loop {
            if let Err(error) = work.once(forest).await {
                return Some(error.to_string());
            }
            match self.store.suspects_waiting().await {
                Err(error) => return Some(error.to_string()),
                Ok(0) => return None,
                Ok(_) if Instant::now() >= until => return None,
                Ok(_) => tokio::time::sleep(self.config.timing.interval.min(Duration::from_millis(500))).await,
            }
        }
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
