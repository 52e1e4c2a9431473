//! One pass: to the head that the log shows when it begins, once.

use std::time::Duration;

use super::doubt::Doubt;
use super::lease::Held;
use super::{FollowError, Follower, Release, Round, Trouble};

/// How long another process may hold the log before the pass does without it: longer than a dead one does.
const WAIT_FOR_LEASE: Duration = Duration::from_secs(15);
/// Failures in a row before the pass says that it could not look.
const TRIES: u32 = 6;
/// The longest wait between two of them, unless the log asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How a pass ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pass {
    /// Everything up to the head that the log showed is verified; where nobody else's leaves are read, that head is
    /// consistent.
    pub(crate) complete: bool,
    /// Why not, where we could not look.
    pub(crate) error: Option<String>,
}

impl Pass {
    /// We could not look.
    pub(crate) fn failed(error: impl ToString) -> Self {
        Self { complete: false, error: Some(error.to_string()) }
    }
}

impl Follower {
    /// One pass.
    pub(crate) async fn pass(mut self) -> Pass {
        let until = tokio::time::Instant::now() + WAIT_FOR_LEASE;
        let held = loop {
            match Held::take(&self.shared.store, &self.log.origin, &self.shared.holder).await {
                Ok(Some(held)) => break held,
                Ok(None) if tokio::time::Instant::now() < until => tokio::time::sleep(Duration::from_millis(500)).await,
                Ok(None) => return self.not_held().await,
                Err(error) => return Pass::failed(error),
            }
        };
        let release = Release { store: self.shared.store.clone(), held: Some(held) };
        let Some(held) = &release.held else { return Pass::failed(FollowError::LeaseLost) };
        tokio::select! {
            pass = self.pass_under(held) => pass.unwrap_or_else(Pass::failed),
            () = held.lost() => Pass::failed(FollowError::LeaseLost),
        }
    }

    async fn pass_under(&mut self, held: &Held) -> Result<Pass, FollowError> {
        let mut position = self.load(held).await?;
        self.cover(held).await?;
        let mut trouble = Trouble::default();
        let mut goal = None;
        let mut failures = 0;
        loop {
            match self.round(held, &mut position).await {
                Ok(round) => {
                    failures = 0;
                    trouble.ended(&self.log.origin, &self.status);
                    if goal.is_none() && matches!(round, Round::CaughtUp | Round::More | Round::Later) {
                        goal = position.head.as_ref().map(tlog::Checkpoint::size);
                    }
                    let reached = goal.is_some_and(|goal| position.verified.size() >= goal);
                    match round {
                        // A head without its quorum is worth a word where a second look finds none either.
                        Round::CaughtUp | Round::More if self.waits_for_quorum() => {
                            tokio::time::sleep(self.shared.timing.interval).await;
                        }
                        Round::CaughtUp => return Ok(Pass { complete: true, error: None }),
                        Round::More if reached => return Ok(Pass { complete: true, error: None }),
                        Round::Held => return Ok(Pass { complete: false, error: None }),
                        Round::More => {}
                        Round::Later => {
                            let words =
                                "the log's hourly bytes for partial tiles are spent: its last leaves are not read";
                            return Ok(Pass::failed(words));
                        }
                        Round::InDoubt => tokio::time::sleep(self.shared.timing.interval).await,
                    }
                }
                Err(error) if failures + 1 >= TRIES || error.is_final() => return Err(error),
                Err(error) => {
                    failures += 1;
                    let wait = trouble.began(&self.log.origin, &error, &self.status);
                    tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
                }
            }
        }
    }

    /// Whether the head lacked its quorum at the first look, and has not been looked at a second time.
    fn waits_for_quorum(&self) -> bool {
        self.kept.doubts.holds(Doubt::Quorum) && self.status.read().quorum_lost.is_none()
    }

    async fn not_held(&self) -> Pass {
        match self.shared.store.followed_log(&self.log.origin).await {
            Ok(Some(log)) => {
                let holder = log.holder.unwrap_or_default();
                Pass::failed(format!(
                    "another process ({holder}) follows this log; stop it, or ask it by `sealwatch logs`"
                ))
            }
            Ok(None) => Pass::failed(FollowError::Untrusted),
            Err(error) => Pass::failed(error),
        }
    }
}
