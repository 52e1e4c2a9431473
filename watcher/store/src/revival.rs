//! Work that waits or is parked is taken up again when its cause is gone, and not all of it at once.

use async_trait::async_trait;

use crate::StoreError;

/// Takes up again what waited.
#[async_trait]
pub trait Revival: Send + Sync {
    /// An endpoint answers again: the events and jobs that wait for it are due, spread over time so that not more than
    /// `per_second` of them come in a second. Answers how many.
    async fn release(&self, endpoint: &str, per_second: u32) -> Result<u64, StoreError>;

    /// Makes the first of what waits for an endpoint due at once, so that it finds out whether the trouble is over.
    /// `false`: nothing waits for it.
    async fn release_first(&self, endpoint: &str) -> Result<bool, StoreError>;

    /// Makes one more try due for what is parked as unseen or failed and was last tried at least `after_ms` ago, not more
    /// than `limit` events and as many jobs. Their counts stay: a try that fails parks them again. Answers how many.
    async fn probe_parked(&self, after_ms: i64, limit: u32) -> Result<u64, StoreError>;

    /// Makes ready what another version of the program parked as poison, refused or unreadable. Answers how many.
    async fn revive_for_this_version(&self) -> Result<u64, StoreError>;
}

macro_rules! stamp_revival {
    ($Store:ty, $now:literal) => {
        #[async_trait::async_trait]
        impl crate::Revival for $Store {
            async fn release(&self, endpoint: &str, per_second: u32) -> Result<u64, crate::StoreError> {
                const WAITING: &str = "-- revival::release
SELECT (SELECT COUNT(*) FROM jobs WHERE state = 'ready' AND waits_for = $1)
    + (SELECT COUNT(*) FROM push_events WHERE state = 'ready' AND waits_for = $1)";
                // The order is that of the ids, scattered: what was pushed together does not come back together.
                const JOBS: &str = concat!(
                    "-- revival::release
UPDATE jobs SET waits_for = NULL, due_at = ",
                    $now,
                    " + (id * 7919) % $2 WHERE state = 'ready' AND waits_for = $1"
                );
                const EVENTS: &str = concat!(
                    "-- revival::release
UPDATE push_events SET waits_for = NULL, due_at = ",
                    $now,
                    " + (id * 7919) % $2 WHERE state = 'ready' AND waits_for = $1"
                );
                let mut tx = self.begin().await?;
                let (waiting,): (i64,) = sqlx::query_as(WAITING).bind(endpoint).fetch_one(&mut *tx).await?;
                let spread_ms = (waiting.saturating_mul(1000) / i64::from(per_second.max(1))).max(1);
                let mut released = 0;
                for statement in [EVENTS, JOBS] {
                    released +=
                        sqlx::query(statement).bind(endpoint).bind(spread_ms).execute(&mut *tx).await?.rows_affected();
                }
                tx.commit().await?;
                if released > 0 {
                    self.wakeups.send_modify(|count| *count += 1);
                }
                Ok(released)
            }

            async fn release_first(&self, endpoint: &str) -> Result<bool, crate::StoreError> {
                const JOB: &str = concat!(
                    "-- revival::release_first
UPDATE jobs SET due_at = ",
                    $now,
                    " WHERE id = (SELECT id FROM jobs WHERE state = 'ready' AND waits_for = $1
    ORDER BY priority, enqueued_at, id LIMIT 1) AND state = 'ready'"
                );
                const EVENT: &str = concat!(
                    "-- revival::release_first
UPDATE push_events SET due_at = ",
                    $now,
                    " WHERE id = (SELECT id FROM push_events WHERE state = 'ready' AND waits_for = $1
    ORDER BY received_at, id LIMIT 1) AND state = 'ready'"
                );
                let mut tx = self.begin().await?;
                let mut released = 0;
                for statement in [JOB, EVENT] {
                    if released == 0 {
                        released = sqlx::query(statement).bind(endpoint).execute(&mut *tx).await?.rows_affected();
                    }
                }
                tx.commit().await?;
                if released > 0 {
                    self.wakeups.send_modify(|count| *count += 1);
                }
                Ok(released > 0)
            }

            async fn probe_parked(&self, after_ms: i64, limit: u32) -> Result<u64, crate::StoreError> {
                const JOBS: &str = concat!(
                    "-- revival::probe_parked
UPDATE jobs SET state = 'ready', due_at = ",
                    $now,
                    " WHERE id IN (
    SELECT id FROM jobs WHERE state = 'parked' AND parked_because IN ('unseen', 'failed') AND due_at <= ",
                    $now,
                    " - $1 ORDER BY due_at LIMIT $2) AND state = 'parked'"
                );
                const EVENTS: &str = concat!(
                    "-- revival::probe_parked
UPDATE push_events SET state = 'ready', due_at = ",
                    $now,
                    " WHERE id IN (
    SELECT id FROM push_events WHERE state = 'parked' AND parked_because IN ('unseen', 'failed') AND due_at <= ",
                    $now,
                    " - $1 ORDER BY due_at LIMIT $2) AND state = 'parked'"
                );
                let mut tx = self.begin().await?;
                let mut probed = 0;
                for statement in [EVENTS, JOBS] {
                    probed += sqlx::query(statement)
                        .bind(after_ms)
                        .bind(i64::from(limit))
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                }
                tx.commit().await?;
                if probed > 0 {
                    self.wakeups.send_modify(|count| *count += 1);
                }
                Ok(probed)
            }

            async fn revive_for_this_version(&self) -> Result<u64, crate::StoreError> {
                const JOBS: &str = concat!(
                    "-- revival::revive_for_this_version
UPDATE jobs SET state = 'ready', attempts = 0, unreported = 0, parked_because = NULL, due_at = ",
                    $now,
                    " WHERE state = 'parked' AND parked_because IN ('poison', 'refused', 'unreadable') AND parked_by <> $1"
                );
                const EVENTS: &str = concat!(
                    "-- revival::revive_for_this_version
UPDATE push_events SET state = 'ready', attempts = 0, unreported = 0, parked_because = NULL, due_at = ",
                    $now,
                    " WHERE state = 'parked' AND parked_because IN ('poison', 'refused', 'unreadable') AND parked_by <> $1"
                );
                let mut tx = self.begin().await?;
                let mut revived = 0;
                for statement in [EVENTS, JOBS] {
                    revived +=
                        sqlx::query(statement).bind(crate::waiting::PROGRAM).execute(&mut *tx).await?.rows_affected();
                }
                tx.commit().await?;
                Ok(revived)
            }
        }
    };
}
pub(crate) use stamp_revival;

#[cfg(test)]
mod tests {
    use crate::testing::{digest, event, image, job, on_both_engines};
    use crate::{CountedAs, JobState, ParkedBecause, Postponed};

    const WAITS: Postponed<'static> = Postponed {
        delay_ms: 3_600_000,
        counted: CountedAs::Trouble { endpoint: "log:rekor.example.com" },
        error: "away",
    };

    on_both_engines! {
        async fn what_waits_for_an_endpoint_is_released_at_a_rate_and_nothing_else_is(database) {
            let store = database.store();
            for number in 0..20 {
                store.enqueue_job(&job("team/app", digest(number), "v1")).await.unwrap();
                let leased = store.lease_job(60_000).await.unwrap().unwrap();
                let other = Postponed { counted: CountedAs::Attempt, ..WAITS };
                let postponed = if number < 16 { WAITS } else { other };
                assert!(store.retry_job(&leased, &postponed).await.unwrap());
            }
            store.record_events(&[event("team/app", None)]).await.unwrap();
            let leased = store.lease_event(60_000).await.unwrap().unwrap();
            assert!(store.retry_event(&leased, &WAITS).await.unwrap());
            assert!(store.lease_job(1).await.unwrap().is_none());

            assert!(store.release_first("log:rekor.example.com").await.unwrap());
            assert!(!store.release_first("log:other.example.com").await.unwrap());
            let first = store.lease_job(60_000).await.unwrap().unwrap();
            store.retry_job(&first, &WAITS).await.unwrap();
            assert!(store.lease_job(1).await.unwrap().is_none());
            assert_eq!(store.release("log:other.example.com", 10).await.unwrap(), 0);
            assert_eq!(store.release("log:rekor.example.com", 2).await.unwrap(), 17);
            // Two in a second: of sixteen at most a few are due at once.
            let mut at_once = 0;
            while store.lease_job(60_000).await.unwrap().is_some() {
                at_once += 1;
            }
            assert!(at_once <= 4, "{at_once}");
            let name = image("team/app");
            let held = store.job(&name.registry, &name.repository, &digest(18)).await.unwrap().unwrap();
            assert_eq!((held.state, held.waits_for, held.attempts), (JobState::Ready, None, 1));
        }

        async fn trouble_of_an_endpoint_counts_no_attempt(database) {
            let store = database.store();
            store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
            for _ in 0..9 {
                let leased = store.lease_job(60_000).await.unwrap().unwrap();
                assert_eq!((leased.attempts, leased.absences), (1, 0));
                store.retry_job(&leased, &Postponed { delay_ms: 0, ..WAITS }).await.unwrap();
            }
            let absent = Postponed { delay_ms: 0, counted: CountedAs::Absence, error: "not there" };
            for absences in 0..3 {
                let leased = store.lease_job(60_000).await.unwrap().unwrap();
                assert_eq!((leased.absences, leased.absent_since.is_some()), (absences, absences > 0));
                store.retry_job(&leased, &absent).await.unwrap();
            }
        }

        async fn what_could_not_be_seen_is_probed_and_what_is_poison_is_not(database) {
            let store = database.store();
            for (number, because) in [
                (1, ParkedBecause::Unseen),
                (2, ParkedBecause::Failed),
                (3, ParkedBecause::Poison),
                (4, ParkedBecause::Refused),
                (5, ParkedBecause::Unreadable),
            ] {
                store.enqueue_job(&job("team/app", digest(number), "v1")).await.unwrap();
                let leased = store.lease_job(60_000).await.unwrap().unwrap();
                store.park_job(&leased, because, "why").await.unwrap();
            }
            assert_eq!(store.probe_parked(3_600_000, 100).await.unwrap(), 0);
            assert_eq!(store.probe_parked(0, 100).await.unwrap(), 2);
            let probed = store.lease_job(60_000).await.unwrap().unwrap();
            assert_eq!(probed.attempts, 2, "the counts stay");
            // The version that parked them does not try them again by itself; another one does.
            assert_eq!(store.revive_for_this_version().await.unwrap(), 0);
            database.execute("UPDATE jobs SET parked_by = '0.0.1'").await;
            assert_eq!(store.revive_for_this_version().await.unwrap(), 3);
        }
    }
}
