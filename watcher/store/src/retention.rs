//! Forgetting what has served its purpose: finished jobs, skips, dead letters and observations; alerts that were
//! delivered, suspects that are settled. Of old notes one a day stays of each log. The ledger is not forgotten, nor is
//! what is parked, nor a finding.

use async_trait::async_trait;

use crate::StoreError;

/// How many rows one statement deletes: other writers get their turn in between.
pub(crate) const ROWS_PER_STATEMENT: i64 = 1_000;

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Purged {
    /// Jobs that were done or skipped.
    pub jobs: u64,
    /// Skips.
    pub skips: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Log entries that were met in registries.
    pub observations: u64,
    /// Alerts that were delivered. The last one to each sink stays while its finding is not over: that sink is to hear
    /// of the end.
    pub alerts: u64,
    /// Suspects that were settled.
    pub suspects: u64,
    /// Signed notes. Of each log and day the last one from each source stays, and each that somebody may still ask for:
    /// the head that is known, one that was trusted, and each of a size that has two roots. What is evidence of a finding
    /// is kept with it.
    pub notes: u64,
}

/// What this process may forget: with roles of their own, the signer's side or the monitor's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rights {
    pub(crate) signer: bool,
    pub(crate) monitor: bool,
}

impl Rights {
    /// One role does everything.
    pub(crate) const ALL: Self = Self { signer: true, monitor: true };
}

/// Forgets the old.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Forgets what was finished, skipped, received or met before a time in unix milliseconds. Where the signer and the
    /// monitor have roles of their own in the database, each forgets its side.
    async fn purge(&self, before_ms: i64) -> Result<Purged, StoreError>;
}

pub(crate) const JOBS: &str = "-- retention::purge
DELETE FROM jobs WHERE id IN (
    SELECT id FROM jobs WHERE state IN ('done', 'skipped') AND finished_at < $1
    ORDER BY finished_at LIMIT $2)
AND state IN ('done', 'skipped') AND finished_at < $1";

pub(crate) const SKIPS: &str = "-- retention::purge
DELETE FROM skips WHERE id IN (
    SELECT id FROM skips WHERE skipped_at < $1 ORDER BY skipped_at LIMIT $2)";

pub(crate) const DEAD_LETTERS: &str = "-- retention::purge
DELETE FROM dead_letters WHERE id IN (
    SELECT id FROM dead_letters WHERE received_at < $1 ORDER BY received_at LIMIT $2)";

/// Of each source only so many stay, the newest.
pub(crate) const DEAD_LETTERS_BEYOND: &str = "-- retention::purge
DELETE FROM dead_letters WHERE id IN (
    SELECT id FROM (
        SELECT id, ROW_NUMBER() OVER (PARTITION BY source ORDER BY id DESC) AS place FROM dead_letters
    ) AS placed WHERE place > $1 LIMIT $2)";

pub(crate) const OBSERVATIONS: &str = "-- retention::purge
DELETE FROM observations WHERE id IN (
    SELECT id FROM observations WHERE observed_at < $1 ORDER BY observed_at LIMIT $2)";

pub(crate) const ALERTS: &str = "-- retention::purge
DELETE FROM alerts WHERE id IN (
    SELECT a.id FROM alerts a JOIN findings f ON f.id = a.finding_id
    WHERE a.finished_at IS NOT NULL AND a.finished_at < $1 AND (f.state = 'cleared' OR EXISTS (
        SELECT 1 FROM alerts n WHERE n.finding_id = a.finding_id AND n.sink = a.sink AND n.id > a.id))
    ORDER BY a.finished_at LIMIT $2)";

pub(crate) const SUSPECTS: &str = "-- retention::purge
DELETE FROM suspects WHERE id IN (
    SELECT id FROM suspects WHERE settled_at IS NOT NULL AND settled_at < $1 ORDER BY settled_at LIMIT $2)";

/// In no order: there may be a million of them, and each statement is to end with the first that it finds.
pub(crate) const NOTES: &str = "-- retention::purge
DELETE FROM notes WHERE (log_origin, size, root) IN (
    SELECT n.log_origin, n.size, n.root FROM notes n
    WHERE n.seen_at < $1
        AND EXISTS (SELECT 1 FROM notes l WHERE l.log_origin = n.log_origin AND l.source = n.source
            AND l.seen_at >= n.seen_at AND l.seen_at < (n.seen_at / 86400000 + 1) * 86400000
            AND (l.seen_at > n.seen_at OR l.size > n.size))
        AND NOT EXISTS (SELECT 1 FROM notes o WHERE o.log_origin = n.log_origin AND o.size = n.size AND o.root <> n.root)
        AND NOT EXISTS (SELECT 1 FROM log_trusts t WHERE t.log_origin = n.log_origin AND t.size = n.size)
        AND NOT EXISTS (SELECT 1 FROM followed_logs f WHERE f.origin = n.log_origin AND f.head_size = n.size)
    LIMIT $2)";

macro_rules! stamp_retention {
    ($Store:ty) => {
        impl $Store {
            /// Deletes until nothing is left of what a statement finds with a bound: a time, or a number of rows.
            async fn purge_by(&self, statement: &'static str, bound: i64) -> Result<u64, crate::StoreError> {
                let mut purged = 0;
                loop {
                    let mut tx = self.begin_long().await?;
                    let deleted = sqlx::query(statement)
                        .bind(bound)
                        .bind(crate::retention::ROWS_PER_STATEMENT)
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                    tx.commit().await?;
                    purged += deleted;
                    if deleted == 0 {
                        return Ok(purged);
                    }
                }
            }
        }

        #[async_trait::async_trait]
        impl crate::Retention for $Store {
            async fn purge(&self, before_ms: i64) -> Result<crate::Purged, crate::StoreError> {
                use crate::retention::{
                    ALERTS, DEAD_LETTERS, DEAD_LETTERS_BEYOND, JOBS, NOTES, OBSERVATIONS, SKIPS, SUSPECTS,
                };
                let mut purged = crate::Purged::default();
                if self.rights.signer {
                    purged.jobs = self.purge_by(JOBS, before_ms).await?;
                    purged.skips = self.purge_by(SKIPS, before_ms).await?;
                    purged.dead_letters = self.purge_by(DEAD_LETTERS, before_ms).await?;
                    purged.dead_letters +=
                        self.purge_by(DEAD_LETTERS_BEYOND, crate::dead_letters::KEPT_PER_SOURCE).await?;
                    purged.observations = self.purge_by(OBSERVATIONS, before_ms).await?;
                }
                if self.rights.monitor {
                    purged.alerts = self.purge_by(ALERTS, before_ms).await?;
                    purged.suspects = self.purge_by(SUSPECTS, before_ms).await?;
                    purged.notes = self.purge_by(NOTES, before_ms).await?;
                }
                Ok(purged)
            }
        }
    };
}
pub(crate) use stamp_retention;

#[cfg(test)]
mod tests {
    use bundle::Format;

    use crate::testing::{digest, event, image, job, on_both_engines, root, trust};
    use crate::{Intent, JobClass, JobOutcome, NewDeadLetter, NoteSeen, ParkedBecause, Purged, Skip};

    const FAR: i64 = i64::MAX;

    on_both_engines! {
        async fn a_purge_forgets_the_finished_and_keeps_the_ledger(database) {
            let store = database.store();
            let name = image("team/app");
            store.intend(&Intent {
                image: name.with_digest(digest(1)),
                identity_name: "release".to_owned(),
                identity: "fingerprint".to_owned(),
                public_key_spki: vec![1],
                format: Format::Bundle,
                log_origin: "log.example.com".to_owned(),
                trust_zone: "prod".to_owned(),
                class: JobClass::Push,
                at: 1,
            }).await.unwrap();
            for number in 1..=4 {
                store.enqueue_job(&job("team/app", digest(number), "v1")).await.unwrap();
            }
            let (done, skipped, parked) = (
                store.lease_job(60_000).await.unwrap().unwrap(),
                store.lease_job(60_000).await.unwrap().unwrap(),
                store.lease_job(60_000).await.unwrap().unwrap(),
            );
            store.finish_job(&done, &JobOutcome::Signed).await.unwrap();
            let (reason, detail) = ("no-rule".to_owned(), String::new());
            store.finish_job(&skipped, &JobOutcome::Skipped { reason, detail }).await.unwrap();
            store.park_job(&parked, ParkedBecause::Failed, "denied").await.unwrap();
            let letter = NewDeadLetter {
                source: "harbor", reason: "not json", body: b"{", body_size_bytes: 1, received_at: 50,
            };
            store.record_dead_letter(&letter).await.unwrap();
            store.record_events(&[event("team/app", None), event("team/app", None)]).await.unwrap();
            let leased = store.lease_event(60_000).await.unwrap().unwrap();
            let skip = Skip {
                registry: name.registry.clone(),
                repository: name.repository.clone(),
                tag: None,
                digest: None,
                reason: "no-rule".to_owned(),
                detail: String::new(),
                at: 50,
            };
            store.finish_event(&leased, &[], &[skip]).await.unwrap();

            assert_eq!(store.purge(50).await.unwrap(), Purged::default());
            let purged = store.purge(FAR).await.unwrap();
            assert_eq!(purged, Purged { jobs: 2, skips: 1, dead_letters: 1, ..Purged::default() });
            let counts = store.counts().await.unwrap();
            assert_eq!((counts.jobs_ready, counts.jobs_parked, counts.events_waiting), (1, 1, 1));
            assert_eq!((counts.jobs_done, counts.jobs_skipped, counts.dead_letters), (0, 0, 0));
            assert_eq!(counts.ledger_intended, 1);
            assert_eq!(store.ledger_for(&name.with_digest(digest(1))).await.unwrap().len(), 1);
            // A purged job can be asked for again.
            store.enqueue_job(&job("team/app", digest(1), "v2")).await.unwrap();
        }

        async fn of_old_notes_one_a_day_stays_and_each_that_is_named(database) {
            const LOG: &str = "log.example.com";
            const DAY: i64 = 86_400_000;
            let store = database.store();
            let note = async |size: u64, seen_at: i64, root: [u8; 32]| {
                let (origin, source) = (LOG.to_owned(), "log".to_owned());
                let note = NoteSeen { origin, source, note: size.to_be_bytes().to_vec(), size, root, seen_at };
                assert!(store.record_note(&note).await.unwrap());
            };
            store.trust_log(&trust(LOG, 2)).await.unwrap();
            // Three days, of which the last is not old; on the first a trusted size and one with two roots.
            for size in 1..=6 {
                note(size, DAY + i64::try_from(size).unwrap(), root(size)).await;
            }
            note(4, DAY + 50, root(99)).await;
            for size in 7..=9 {
                note(size, 2 * DAY, root(size)).await;
            }
            for size in 10..=12 {
                note(size, 3 * DAY + 5, root(size)).await;
            }
            let left = async || {
                let rows = store.notes(LOG, 100).await.unwrap();
                let mut sizes: Vec<u64> = rows.iter().map(|row| row.size).collect();
                sizes.sort_unstable();
                sizes
            };
            assert_eq!(store.purge(3 * DAY).await.unwrap(), Purged { notes: 6, ..Purged::default() });
            assert_eq!(left().await, [2, 4, 4, 9, 10, 11, 12], "4 is the last of its day, too");
            assert_eq!(store.purge(FAR).await.unwrap().notes, 2);
            assert_eq!(left().await, [2, 4, 4, 9, 12]);
            assert_eq!(store.purge(FAR).await.unwrap().notes, 0);
        }
    }
}
