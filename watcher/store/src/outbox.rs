//! Alerts on their way out: written with the finding, drained sink by sink. What one sink is told of one finding, it is
//! told in order.

use async_trait::async_trait;

use crate::column::{converted, from_row};
use crate::{FindingRow, StoreError};

/// An alert that somebody is sending.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeasedAlert {
    /// The alert's id: a sink that is told twice knows it by that.
    pub id: i64,
    /// The token that fences this lease.
    pub lease: String,
    /// How often it was tried, this time included.
    pub attempts: u32,
    /// The finding is over.
    pub resolved: bool,
    /// The finding as it stands now.
    pub finding: FindingRow,
    /// When the sink was to be told, in unix milliseconds.
    pub enqueued_at: i64,
}

/// What waits for one sink.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutboxCount {
    /// The sink.
    pub sink: String,
    /// How many alerts wait or are being sent.
    pub waiting: u64,
    /// How long the oldest has waited, in milliseconds.
    pub oldest_age_ms: i64,
    /// How often the oldest was tried.
    pub attempts_of_oldest: u32,
    /// What went wrong with the oldest last.
    pub last_error: Option<String>,
}

/// The outbox. Calls that take a [`LeasedAlert`] and answer `false` have written nothing: the lease was lost.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Takes the alert of a sink that has waited longest, unless none is due. One that waits behind an older one of the
    /// same finding is not due.
    async fn lease_alert(&self, sink: &str, lease_ms: i64) -> Result<Option<LeasedAlert>, StoreError>;

    /// The sink was told.
    async fn finish_alert(&self, alert: &LeasedAlert) -> Result<bool, StoreError>;

    /// Puts the alert back, due after a delay.
    async fn retry_alert(&self, alert: &LeasedAlert, delay_ms: i64, error: &str) -> Result<bool, StoreError>;

    /// What waits, by sink.
    async fn outbox_counts(&self) -> Result<Vec<OutboxCount>, StoreError>;

    /// Forgets what waits for sinks that are not among these: they are configured no more. Answers how much that was.
    async fn forget_other_sinks(&self, sinks: &[String]) -> Result<u64, StoreError>;
}

/// An alert without its finding.
#[derive(Debug)]
pub(crate) struct AlertRow {
    pub(crate) id: i64,
    pub(crate) finding_id: i64,
    pub(crate) lease: String,
    pub(crate) attempts: u32,
    pub(crate) resolved: bool,
    pub(crate) enqueued_at: i64,
}

from_row!(AlertRow, |row| Ok(Self {
    id: row.try_get("id")?,
    finding_id: row.try_get("finding_id")?,
    lease: row.try_get("lease")?,
    attempts: converted("attempts", row.try_get::<i64, _>("attempts")?)?,
    resolved: row.try_get::<i64, _>("resolved")? != 0,
    enqueued_at: row.try_get("enqueued_at")?,
}));

from_row!(OutboxCount, |row| Ok(Self {
    sink: row.try_get("sink")?,
    waiting: converted("waiting", row.try_get::<i64, _>("waiting")?)?,
    oldest_age_ms: row.try_get::<i64, _>("oldest_age_ms")?.max(0),
    attempts_of_oldest: converted("attempts", row.try_get::<i64, _>("attempts")?)?,
    last_error: row.try_get("last_error")?,
}));

pub(crate) const WAITING_SINKS: &str = "-- outbox::forget_other_sinks
SELECT DISTINCT sink FROM alerts WHERE finished_at IS NULL";

pub(crate) const FORGET_SINK: &str = "-- outbox::forget_other_sinks
DELETE FROM alerts WHERE sink = $1 AND finished_at IS NULL";

macro_rules! stamp_outbox {
    ($Store:ty, $Database:ty, $now:literal, $claim:literal) => {
        impl $Store {
            /// Tells each sink that listens to this severity, within the caller's transaction; answers whether one does.
            async fn enqueue_alerts(
                tx: &mut crate::dialect::Tx<$Database>,
                finding_id: i64,
                severity: crate::Severity,
                sinks: &[crate::Sink],
            ) -> Result<bool, crate::StoreError> {
                let mut told = false;
                for sink in sinks.iter().filter(|sink| sink.min_severity <= severity) {
                    Self::enqueue_alert(tx, finding_id, &sink.name, false).await?;
                    told = true;
                }
                Ok(told)
            }

            async fn enqueue_alert(
                tx: &mut crate::dialect::Tx<$Database>,
                finding_id: i64,
                sink: &str,
                resolved: bool,
            ) -> Result<(), crate::StoreError> {
                const INSERT: &str = concat!(
                    "-- outbox::enqueue_alert
INSERT INTO alerts (finding_id, sink, resolved, enqueued_at, due_at, attempts)
VALUES ($1, $2, $3, ",
                    $now,
                    ", ",
                    $now,
                    ", 0)"
                );
                sqlx::query(INSERT).bind(finding_id).bind(sink).bind(i64::from(resolved)).execute(&mut **tx).await?;
                Ok(())
            }
        }

        #[async_trait::async_trait]
        impl crate::Outbox for $Store {
            async fn lease_alert(
                &self,
                sink: &str,
                lease_ms: i64,
            ) -> Result<Option<crate::LeasedAlert>, crate::StoreError> {
                const DUE: &str = concat!(
                    "-- outbox::lease_alert
SELECT id FROM alerts WHERE sink = $1 AND finished_at IS NULL AND due_at <= ",
                    $now,
                    " LIMIT 1"
                );
                const LEASE: &str = concat!(
                    "-- outbox::lease_alert
UPDATE alerts SET lease = $1, due_at = ",
                    $now,
                    " + $2, attempts = attempts + 1
WHERE id = (
    SELECT a.id FROM alerts a WHERE a.sink = $3 AND a.finished_at IS NULL AND a.due_at <= ",
                    $now,
                    " AND NOT EXISTS (
        SELECT 1 FROM alerts o WHERE o.finding_id = a.finding_id AND o.sink = a.sink AND o.id < a.id
            AND o.finished_at IS NULL)
    ORDER BY a.due_at, a.id LIMIT 1 ",
                    $claim,
                    ")
RETURNING id, finding_id, lease, attempts, resolved, enqueued_at"
                );
                // Asked before: an empty outbox is polled often, and must not take the one writer's turn.
                let due: Option<(i64,)> = sqlx::query_as(DUE).bind(sink).fetch_optional(self.reader()).await?;
                if due.is_none() {
                    return Ok(None);
                }
                let mut tx = self.begin().await?;
                let leased: Option<crate::outbox::AlertRow> = sqlx::query_as(LEASE)
                    .bind(crate::dialect::lease_token()?)
                    .bind(lease_ms)
                    .bind(sink)
                    .fetch_optional(&mut *tx)
                    .await?;
                let Some(alert) = leased else { return Ok(None) };
                let finding =
                    sqlx::query_as(crate::findings::sql::FINDING).bind(alert.finding_id).fetch_one(&mut *tx).await?;
                tx.commit().await?;
                Ok(Some(crate::LeasedAlert {
                    id: alert.id,
                    lease: alert.lease,
                    attempts: alert.attempts,
                    resolved: alert.resolved,
                    finding,
                    enqueued_at: alert.enqueued_at,
                }))
            }

            async fn finish_alert(&self, alert: &crate::LeasedAlert) -> Result<bool, crate::StoreError> {
                const FINISH: &str = concat!(
                    "-- outbox::finish_alert
UPDATE alerts SET finished_at = ",
                    $now,
                    ", lease = NULL, last_error = NULL WHERE id = $1 AND lease = $2"
                );
                let mut tx = self.begin().await?;
                let done = sqlx::query(FINISH).bind(alert.id).bind(&alert.lease).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(done.rows_affected() > 0)
            }

            async fn retry_alert(
                &self,
                alert: &crate::LeasedAlert,
                delay_ms: i64,
                error: &str,
            ) -> Result<bool, crate::StoreError> {
                const RETRY: &str = concat!(
                    "-- outbox::retry_alert
UPDATE alerts SET lease = NULL, due_at = ",
                    $now,
                    " + $3, last_error = $4 WHERE id = $1 AND lease = $2"
                );
                let mut tx = self.begin().await?;
                let done = sqlx::query(RETRY)
                    .bind(alert.id)
                    .bind(&alert.lease)
                    .bind(delay_ms)
                    .bind(crate::column::text(error))
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(done.rows_affected() > 0)
            }

            async fn outbox_counts(&self) -> Result<Vec<crate::OutboxCount>, crate::StoreError> {
                const COUNTS: &str = concat!(
                    "-- outbox::outbox_counts
SELECT c.sink, c.waiting, ",
                    $now,
                    " - a.enqueued_at AS oldest_age_ms, a.attempts, a.last_error
FROM (SELECT sink, COUNT(*) AS waiting, MIN(id) AS oldest FROM alerts WHERE finished_at IS NULL GROUP BY sink) c
JOIN alerts a ON a.id = c.oldest ORDER BY c.sink"
                );
                Ok(sqlx::query_as(COUNTS).fetch_all(self.reader()).await?)
            }

            async fn forget_other_sinks(&self, sinks: &[String]) -> Result<u64, crate::StoreError> {
                let mut tx = self.begin().await?;
                let waiting: Vec<(String,)> = sqlx::query_as(crate::outbox::WAITING_SINKS).fetch_all(&mut *tx).await?;
                let mut forgotten = 0;
                for (sink,) in waiting.iter().filter(|(sink,)| !sinks.contains(sink)) {
                    forgotten +=
                        sqlx::query(crate::outbox::FORGET_SINK).bind(sink).execute(&mut *tx).await?.rows_affected();
                }
                tx.commit().await?;
                Ok(forgotten)
            }
        }
    };
}
pub(crate) use stamp_outbox;

#[cfg(test)]
mod tests;
