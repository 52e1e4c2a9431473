//! Group commit: with synchronous=FULL a commit costs a flush of the disk, so events that arrive
//! while one is under way share the next. Each caller waits for the commit that carries its events,
//! and is told if that failed.

use std::collections::VecDeque;
use std::sync::Arc;

use sqlx::SqlitePool;
use tokio::sync::{mpsc, oneshot};

use super::SqliteStore;
use super::transaction::Transaction;
use crate::deadline::{Deadline, Patience};
use crate::{NewEvent, StoreError};

/// The most callers that one transaction serves.
const CALLERS_PER_COMMIT: usize = 512;
/// A transaction takes no further caller from so many events on: the others wait for the disk less than for all of them.
const EVENTS_PER_COMMIT: usize = 10_000;

type Outcome = Result<(), Arc<StoreError>>;

/// One caller's events, and where to tell it.
struct Request {
    events: Vec<NewEvent>,
    done: oneshot::Sender<Outcome>,
}

/// The task that commits, as its callers see it. It ends when the last of them is gone.
pub(super) struct Committer {
    requests: mpsc::Sender<Request>,
}

impl Committer {
    pub(super) fn start(writer: SqlitePool) -> Self {
        let (requests, received) = mpsc::channel(CALLERS_PER_COMMIT);
        tokio::spawn(run(writer, received));
        Self { requests }
    }

    /// Returns when the events are on disk. A caller that stops waiting does not stop the commit.
    pub(super) async fn record(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        let (done, outcome) = oneshot::channel();
        let request = Request { events: events.to_vec(), done };
        let deadline = Deadline::after(Patience::USUAL.usual);
        deadline.limit(self.requests.send(request)).await?.map_err(|_| StoreError::Closed)?;
        match deadline.limit(outcome).await? {
            Ok(outcome) => outcome.map_err(StoreError::Group),
            Err(_) => Err(StoreError::Closed),
        }
    }
}

/// Commits group after group; answers how many there were.
async fn run(writer: SqlitePool, mut requests: mpsc::Receiver<Request>) -> u64 {
    let mut group = Vec::new();
    let mut commits = 0;
    while requests.recv_many(&mut group, CALLERS_PER_COMMIT).await > 0 {
        let mut waiting = VecDeque::from(std::mem::take(&mut group));
        while !waiting.is_empty() {
            let together = together(&mut waiting);
            let outcome = commit(&writer, &together).await.map_err(Arc::new);
            commits += 1;
            for request in together {
                // A caller that went away needs no answer.
                let _ = request.done.send(outcome.clone());
            }
        }
    }
    commits
}

/// The first of the callers that wait, until their events are enough for one transaction.
fn together(waiting: &mut VecDeque<Request>) -> Vec<Request> {
    let (mut together, mut events) = (Vec::new(), 0);
    while events < EVENTS_PER_COMMIT
        && let Some(request) = waiting.pop_front()
    {
        events += request.events.len();
        together.push(request);
    }
    together
}

async fn commit(writer: &SqlitePool, group: &[Request]) -> Result<(), StoreError> {
    let events: Vec<&NewEvent> = group.iter().flat_map(|request| &request.events).collect();
    let mut tx = Transaction::begin(writer, Patience::USUAL.usual).await?;
    SqliteStore::insert_events(&mut tx, &events).await?;
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status as _;
    use crate::testing::event;

    /// A group of requests that are waiting when the committer starts.
    async fn committed(store: &SqliteStore, sources: &[&str]) -> (u64, Vec<Outcome>) {
        let (requests, received) = mpsc::channel(sources.len());
        let mut outcomes = Vec::new();
        for source in sources {
            let (done, outcome) = oneshot::channel();
            let events = vec![NewEvent { source: (*source).to_owned(), ..event("team/app", None) }];
            requests.send(Request { events, done }).await.unwrap();
            outcomes.push(outcome);
        }
        drop(requests);
        let commits = run(store.writer.clone(), received).await;
        let mut answers = Vec::new();
        for outcome in outcomes {
            answers.push(outcome.await.unwrap());
        }
        (commits, answers)
    }

    #[tokio::test]
    async fn events_that_wait_together_share_one_commit() {
        let store = SqliteStore::open("sqlite::memory:").await.unwrap();
        let (commits, answers) = committed(&store, &["a"; 100]).await;
        assert_eq!(commits, 1);
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(store.counts().await.unwrap().events_waiting, 100);
    }

    #[tokio::test]
    async fn a_commit_is_not_longer_for_a_caller_with_many_events() {
        let store = SqliteStore::open("sqlite::memory:").await.unwrap();
        let (requests, received) = mpsc::channel(4);
        let mut outcomes = Vec::new();
        for count in [1, EVENTS_PER_COMMIT, 1, 1] {
            let (done, outcome) = oneshot::channel();
            requests.send(Request { events: vec![event("team/app", None); count], done }).await.unwrap();
            outcomes.push(outcome);
        }
        drop(requests);
        assert_eq!(run(store.writer.clone(), received).await, 2);
        for outcome in outcomes {
            outcome.await.unwrap().unwrap();
        }
        assert_eq!(store.counts().await.unwrap().events_waiting, EVENTS_PER_COMMIT as u64 + 3);
    }

    #[tokio::test]
    async fn a_commit_that_fails_is_told_to_each_caller_and_leaves_nothing() {
        let store = SqliteStore::open("sqlite::memory:").await.unwrap();
        sqlx::query(
            "CREATE TRIGGER refuse BEFORE INSERT ON push_events WHEN new.source = 'poison'
             BEGIN SELECT RAISE(ABORT, 'refused by a test'); END",
        )
        .execute(&store.writer)
        .await
        .unwrap();
        let (_, answers) = committed(&store, &["a", "poison", "b"]).await;
        for answer in answers {
            assert!(answer.unwrap_err().to_string().contains("refused by a test"));
        }
        assert_eq!(store.counts().await.unwrap().events_waiting, 0);
    }
}
