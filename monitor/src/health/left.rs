//! What an earlier process has found about a log or a sink that is configured no more: nobody looks at it now, and nobody
//! but us can end it.

use std::collections::BTreeMap;

use store::{FindingKind, FindingRow, StoreError};

use super::Health;
use crate::finding::{fingerprint, sink_cause};
use crate::follow::lease::is_somebodys;

/// How far it is known what was left.
#[derive(Debug, Default)]
pub(super) struct Left {
    looked: bool,
    /// Logs that somebody had a lease on then, and until when: another monitor, or a process that died.
    leased: BTreeMap<String, Option<i64>>,
}

impl Health {
    /// Clears, once in a process, what lasts about logs that are not `named` and sinks that are not configured. Not about
    /// a log that another monitor follows: it may have another configuration. Of a lease that nobody renewed the end is
    /// waited for, so call this now and then.
    pub(crate) async fn forget_left(&mut self, named: impl Fn(&str) -> bool, now: i64) -> Result<(), StoreError> {
        if self.left.looked && self.left.leased.is_empty() {
            return Ok(());
        }
        let stored = self.store.followed_logs().await?;
        let rows = self.open_rows().await?;
        let mut leased = BTreeMap::new();
        let mut over = Vec::new();
        for row in rows {
            let Some(origin) = &row.log_origin else {
                over.extend(self.is_of_a_sink_that_left(&row).then_some(row.fingerprint));
                continue;
            };
            let lease = stored.iter().find(|log| log.origin == *origin).and_then(|log| log.lease_expires_at);
            let is_news = self.left.leased.get(origin).is_some_and(|ends| *ends != lease);
            let is_known = self.left.looked && !self.left.leased.contains_key(origin);
            if named(origin) || is_news || is_known {
                continue;
            }
            if is_somebodys(lease, now) {
                leased.insert(origin.clone(), lease);
            } else {
                over.push(row.fingerprint);
            }
        }
        let mut known = self.known(now).await?;
        let outcome = self.clear(&mut known, &over, now).await;
        self.raised = Some(known);
        outcome?;
        self.left = Left { looked: true, leased };
        Ok(())
    }

    fn is_of_a_sink_that_left(&self, row: &FindingRow) -> bool {
        let any = fingerprint(FindingKind::Blind, None, &sink_cause(""));
        let of = |name: &str| row.fingerprint == fingerprint(FindingKind::Blind, None, &sink_cause(name));
        !self.left.looked && row.fingerprint.starts_with(&any) && !self.sinks.iter().any(|sink| of(&sink.name))
    }
}
