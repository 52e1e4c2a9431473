//! The chain of what was seen of the ledger is itself looked at: whoever can write it cannot change or remove a link
//! without a break behind it.

use store::{ChainLink, NewFinding};

use super::chain::link;
use super::look::PAGE;
use crate::finding::state_lost;
use crate::reconcile::side::locked;
use crate::reconcile::{LedgerError, LedgerSide};

/// Links that are read at once when a process begins: then all of them are.
const FIRST_PAGE: u32 = 10_000;

/// How far the chain was verified.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    /// The last link that was verified.
    at: Place,
    /// The last link when the end was reached last.
    end: Place,
    /// This process has verified all of it.
    complete: bool,
}

/// A place in the chain, and its hash there. The default is before the first link.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Place {
    position: i64,
    hash: [u8; 32],
}

impl Place {
    /// Goes on over links. The place of the first that does not follow, if any; after it, it goes on from what is there.
    fn follow(&mut self, links: &[ChainLink]) -> Option<i64> {
        let mut broken = None;
        for it in links {
            let follows =
                it.position == self.position.saturating_add(1) && it.chain_hash == link(self.hash, it.row_hash);
            if !follows && broken.is_none() {
                broken = Some(it.position);
            }
            *self = Self { position: it.position, hash: it.chain_hash };
        }
        broken
    }
}

impl LedgerSide {
    /// Verifies the chain: all of it when the process begins, then a page each time, and that what was its end is in it
    /// still.
    pub(super) async fn unbroken(&self, now: i64) -> Result<Vec<NewFinding>, LedgerError> {
        let mut walk = locked(&self.looks).chain;
        let mut findings = Vec::new();
        if walk.end.position > 0 {
            let end = self.store.chain_links(walk.end.position.saturating_sub(1), 1).await?;
            let stands =
                end.first().is_some_and(|it| it.position == walk.end.position && it.chain_hash == walk.end.hash);
            if !stands {
                findings.push(broken(walk.end.position, now));
                // What is there now is looked at from its beginning, and told of once.
                walk = Walk { complete: true, ..Walk::default() };
            }
        }
        let limit = if walk.complete { PAGE } else { FIRST_PAGE };
        loop {
            let page = self.store.chain_links(walk.at.position, limit).await?;
            findings.extend(walk.at.follow(&page).map(|position| broken(position, now)));
            let ended = page.len() < limit as usize;
            if ended {
                walk = Walk { at: Place::default(), end: walk.at, complete: true };
            }
            if walk.complete {
                break;
            }
        }
        locked(&self.looks).chain = walk;
        Ok(findings)
    }
}

fn broken(position: i64, now: i64) -> NewFinding {
    let words = format!(
        "What the monitor remembers of the ledger is not what it wrote: its chain breaks at link {position}. The monitor's \
         own tables were restored from an older backup, or somebody writes into them."
    );
    NewFinding { occurrence: position.to_string(), ..state_lost(None, "monitor/chain", &words, now) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intents::appended;
    use crate::reconcile::tests::ground::{Ground, NOW};
    use crate::reconcile::tests::leaves::Key;
    use crate::reconcile::tests::scene::row;
    use store::{FindingFilter, FindingKind};

    fn chain() -> Vec<ChainLink> {
        let key = Key::new();
        let rows: Vec<_> = (1..=5).map(|id| row(id, &key, b"p", b"m")).collect();
        let links = appended(None, &rows, None, 0, NOW);
        let places = (1..).zip(links);
        places.map(|(position, it)| ChainLink { position, row_hash: it.row_hash, chain_hash: it.chain_hash }).collect()
    }

    #[test]
    fn a_link_that_is_changed_moved_or_gone_breaks_the_chain_where_it_was() {
        let whole = chain();
        let mut place = Place::default();
        assert_eq!(place.follow(&whole[..2]), None);
        assert_eq!(place.follow(&whole[2..]), None);
        assert_eq!(place, Place { position: 5, hash: whole[4].chain_hash });
        type Edit = fn(&mut Vec<ChainLink>);
        let edits: [(Edit, i64); 5] = [
            (|links| links[2].row_hash[0] ^= 1, 3),
            (|links| links[2].chain_hash[0] ^= 1, 3),
            (|links| _ = links.remove(2), 4),
            (|links| _ = links.remove(0), 2),
            (
                |links| {
                    links.remove(2);
                    (links[2].position, links[3].position) = (3, 4);
                },
                3,
            ),
        ];
        for (number, (edit, position)) in edits.into_iter().enumerate() {
            let mut links = whole.clone();
            edit(&mut links);
            assert_eq!(Place::default().follow(&links), Some(position), "{number}");
        }
    }

    #[tokio::test]
    async fn a_chain_that_is_broken_is_found_when_the_monitor_begins_and_in_its_walk() {
        let mut ground = Ground::new().await;
        let rows: Vec<_> = (1..=3).map(|id| row(id, &ground.key, b"p", b"m")).collect();
        let mut links = appended(None, &rows, None, 0, NOW);
        assert!(ground.store.record_intents_seen(None, &links[..1]).await.unwrap());
        assert!(ground.side.unbroken(NOW).await.unwrap().is_empty());
        // A link that does not follow from the one before.
        links[1].row_hash[0] ^= 1;
        assert!(ground.store.record_intents_seen(Some(links[0].chain_hash), &links[1..]).await.unwrap());
        assert_eq!(ground.side.unbroken(NOW + 1).await.unwrap().len(), 1);
        ground.restart();
        let found = ground.side.unbroken(NOW + 2).await.unwrap();
        assert_eq!((found[0].occurrence.as_str(), found.len()), ("2", 1));
        ground.side.look_at_intents(NOW + 3).await.unwrap();
        let findings = ground.store.findings(&FindingFilter::default()).await.unwrap();
        let broken: Vec<_> = findings.iter().filter(|it| it.detail.contains("its chain breaks at link 2")).collect();
        assert_eq!((broken.len(), broken[0].kind), (1, FindingKind::StateLost));
    }

    #[tokio::test]
    async fn a_chain_that_no_more_has_what_was_its_end_is_found() {
        let ground = Ground::new().await;
        ground.signed(1, b"x", NOW).await;
        ground.side.look_at_intents(NOW).await.unwrap();
        assert!(ground.side.unbroken(NOW + 1).await.unwrap().is_empty());
        // Another database, whose chain is whole and is not the one that it was.
        let other = Ground::new().await;
        *locked(&other.side.looks) = locked(&ground.side.looks).clone();
        other.signed(2, b"y", NOW).await;
        let rows = other.store.ledger_rows_after(0, 9).await.unwrap().rows;
        assert!(other.store.record_intents_seen(None, &appended(None, &rows, None, 0, NOW)).await.unwrap());
        assert_eq!(other.side.unbroken(NOW + 2).await.unwrap().len(), 1);
        assert!(other.side.unbroken(NOW + 3).await.unwrap().is_empty());
    }
}
