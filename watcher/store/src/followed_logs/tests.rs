//! Positions, leases and notes, on both engines.

use crate::testing::{TestDatabase, finding, on_both_engines, root, sinks, trust};
use crate::{
    Advance, FindingFilter, Head, LogLease, NewSuspect, NewTrust, NoteSeen, ObservedIdentity, Severity, Sighting,
    Store, StoreError, VerifiedPosition,
};

const LOG: &str = "log.example.com";

fn head(size: u64) -> Head {
    Head { size, root: root(size), note: format!("note {size}").into_bytes(), seen_at: 30 }
}

fn verified(size: u64) -> VerifiedPosition {
    VerifiedPosition { size, root: root(size), range: size.to_be_bytes().to_vec() }
}

/// A step to a size that brings one of everything.
fn step(size: u64) -> Advance {
    let at = 100;
    Advance {
        head: Some(head(size)),
        verified: Some(verified(size)),
        read_size: size,
        frozen_at: None,
        findings: vec![finding(&format!("cause {size}"), Severity::Critical)],
        suspects: vec![NewSuspect {
            log_origin: LOG.to_owned(),
            log_index: size - 1,
            leaf: b"leaf".to_vec(),
            why: "key".to_owned(),
            noted_at: at,
            due_at: at + 50,
        }],
        sightings: vec![Sighting {
            matcher: "release".to_owned(),
            log_origin: LOG.to_owned(),
            log_index: size - 1,
            at,
        }],
        observed: vec![ObservedIdentity {
            watch: "ci".to_owned(),
            issuer: "https://issuer.example.com".to_owned(),
            subject: "https://ci.example.com/team".to_owned(),
            extensions_json: "{}".to_owned(),
            first_at: at,
            last_at: at,
            times: 2,
        }],
        counted: vec![("replay".to_owned(), 3), ("replay".to_owned(), 1)],
        sinks: sinks(),
        at,
    }
}

async fn leased(store: &dyn Store) -> LogLease {
    store.trust_log(&trust(LOG, 0)).await.unwrap();
    store.lease_log(LOG, "a", 60_000).await.unwrap().unwrap()
}

/// What a database holds of the steps above: findings, alerts for the pager, suspects, times observed, leaves counted.
async fn seen(store: &dyn Store) -> (usize, u64, u64, u64, u64) {
    let alerts = store.outbox_counts().await.unwrap();
    let observed = store.observed_identities("ci").await.unwrap();
    (
        store.findings(&FindingFilter::default()).await.unwrap().len(),
        alerts.iter().find(|count| count.sink == "pager").map_or(0, |count| count.waiting),
        store.suspects_waiting().await.unwrap(),
        observed.first().map_or(0, |identity| identity.times),
        store.counted_leaves().await.unwrap().first().map_or(0, |(_, leaves)| *leaves),
    )
}

on_both_engines! {
    async fn a_log_is_trusted_by_an_act_that_is_kept(database) {
        let store = database.store();
        assert_eq!(store.followed_log(LOG).await.unwrap(), None);
        store.trust_log(&trust(LOG, 0)).await.unwrap();
        let log = store.followed_log(LOG).await.unwrap().unwrap();
        assert_eq!((log.first_size, log.verified_size, log.read_size, log.head.clone()), (0, 0, 0, None));
        assert_eq!((log.key_id, log.public_key.len(), log.verified_root), ([1; 32], 44, root(0)));
        assert_eq!((log.kind.as_str(), log.coverage.as_str()), ("rekor_v2", "exhaustive"));
        assert_eq!((log.because.as_str(), log.trusted_at, log.verified_at), ("first use", 5, None));

        let lease = store.lease_log(LOG, "a", 60_000).await.unwrap().unwrap();
        assert!(store.advance(&lease, &Advance { frozen_at: Some(7), ..step(9) }).await.unwrap());
        let again = NewTrust { note: b"note 5".to_vec(), because: "restored".to_owned(), at: 50, ..trust(LOG, 5) };
        store.trust_log(&again).await.unwrap();
        let log = store.followed_log(LOG).await.unwrap().unwrap();
        let expected = Head { size: 5, root: root(5), note: b"note 5".to_vec(), seen_at: 50 };
        assert_eq!((log.first_size, log.verified_size, log.read_size, log.head), (5, 5, 5, Some(expected)));
        assert_eq!((log.verified_at, log.frozen_at, log.trusted_at), (None, None, 50));
        // Whoever followed it does so no more.
        assert!(!store.renew_log(&lease, 60_000, 10).await.unwrap());
        assert!(!store.advance(&lease, &step(10)).await.unwrap());

        store.trust_log(&trust("another.example.com", 1)).await.unwrap();
        let trusts = store.log_trusts(LOG).await.unwrap();
        let acts: Vec<_> = trusts.iter().map(|act| (act.size, act.because.as_str(), act.by.as_str(), act.at)).collect();
        assert_eq!(acts, [(0, "first use", "ann", 5), (5, "restored", "ann", 50)]);
        assert_eq!(store.followed_logs().await.unwrap().len(), 2);
    }

    async fn what_is_read_again_keeps_its_head_unless_the_key_is_another(database) {
        let store = database.store();
        store.trust_log(&NewTrust { note: b"note 5".to_vec(), ..trust(LOG, 5) }).await.unwrap();
        let again = NewTrust { keep_head: true, at: 50, ..trust(LOG, 0) };
        store.trust_log(&again).await.unwrap();
        let log = store.followed_log(LOG).await.unwrap().unwrap();
        assert_eq!((log.first_size, log.verified_size, log.verified_root), (0, 0, root(0)));
        assert_eq!(log.head, Some(Head { size: 5, root: root(5), note: b"note 5".to_vec(), seen_at: 5 }));
        store.trust_log(&NewTrust { public_key: vec![9; 44], ..again }).await.unwrap();
        assert_eq!(store.followed_log(LOG).await.unwrap().unwrap().head, None);
    }

    async fn a_log_has_one_follower_until_its_lease_ends(database) {
        let store = database.store();
        assert!(store.lease_log(LOG, "a", 60_000).await.unwrap().is_none());
        let first = leased(&*store).await;
        assert!(store.lease_log(LOG, "b", 60_000).await.unwrap().is_none());
        assert!(store.renew_log(&first, 0, 7).await.unwrap());
        let second = store.lease_log(LOG, "b", 60_000).await.unwrap().unwrap();
        assert!(!store.renew_log(&first, 60_000, 9).await.unwrap());
        let log = store.followed_log(LOG).await.unwrap().unwrap();
        assert_eq!((log.holder.as_deref(), log.read_size), (Some("b"), 7));
        assert!(log.lease_expires_at.is_some());
        // The old lease gives nothing back.
        store.release_log(first).await.unwrap();
        assert!(store.lease_log(LOG, "c", 60_000).await.unwrap().is_none());
        store.release_log(second).await.unwrap();
        assert!(store.lease_log(LOG, "c", 60_000).await.unwrap().is_some());
    }

    async fn many_who_want_a_log_and_one_gets_it(database) {
        let store = database.store();
        store.trust_log(&trust(LOG, 0)).await.unwrap();
        let takers: Vec<_> = (0..10)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { store.lease_log(LOG, &number.to_string(), 60_000).await.unwrap() })
            })
            .collect();
        let mut taken = 0;
        for taker in takers {
            taken += usize::from(taker.await.unwrap().is_some());
        }
        assert_eq!(taken, 1);
    }

    async fn a_step_is_written_whole(database) {
        let store = database.store();
        let lease = leased(&*store).await;
        let mut wakeups = store.wakeups();
        wakeups.mark_unchanged();
        assert!(store.advance(&lease, &step(256)).await.unwrap());
        assert!(wakeups.has_changed().unwrap());
        let log = store.followed_log(LOG).await.unwrap().unwrap();
        assert_eq!((log.verified_size, log.verified_root, log.read_size), (256, root(256), 256));
        assert_eq!((log.range, log.verified_at), (256u64.to_be_bytes().to_vec(), Some(100)));
        assert_eq!(log.head, Some(head(256)));
        assert_eq!(seen(&*store).await, (1, 1, 1, 2, 4));
        assert_eq!(store.sightings().await.unwrap(), step(256).sightings);
        assert_eq!(store.counted_leaves().await.unwrap(), [("replay".to_owned(), 4)]);
        // A step that moves nothing keeps what is there.
        let still = Advance { read_size: 3, frozen_at: Some(70), at: 101, ..Advance::default() };
        assert!(store.advance(&lease, &still).await.unwrap());
        assert!(store.advance(&lease, &Advance { frozen_at: Some(80), ..still }).await.unwrap());
        let log = store.followed_log(LOG).await.unwrap().unwrap();
        assert_eq!((log.verified_size, log.read_size, log.frozen_at), (256, 256, Some(70)));
        assert_eq!(log.head, Some(head(256)));
    }

    async fn a_step_that_is_written_twice_counts_once(database) {
        let store = database.store();
        let lease = leased(&*store).await;
        assert!(store.advance(&lease, &step(256)).await.unwrap());
        assert!(store.advance(&lease, &step(256)).await.unwrap());
        assert_eq!(seen(&*store).await, (1, 1, 1, 2, 4));
    }

    async fn who_lost_the_lease_writes_nothing(database) {
        let store = database.store();
        let old = leased(&*store).await;
        assert!(store.renew_log(&old, 0, 0).await.unwrap());
        let new = store.lease_log(LOG, "b", 60_000).await.unwrap().unwrap();
        let before = store.followed_log(LOG).await.unwrap();
        assert!(!store.advance(&old, &step(256)).await.unwrap());
        assert_eq!(seen(&*store).await, (0, 0, 0, 0, 0));
        assert_eq!(store.followed_log(LOG).await.unwrap(), before);
        assert!(store.advance(&new, &step(256)).await.unwrap());
    }

    async fn nothing_goes_back_and_no_size_changes_its_root(database) {
        let store = database.store();
        let lease = leased(&*store).await;
        assert!(store.advance(&lease, &step(256)).await.unwrap());
        let (before, all) = (store.followed_log(LOG).await.unwrap(), seen(&*store).await);
        let mut other_head = head(256);
        other_head.root = root(1);
        let mut other_root = verified(256);
        other_root.root = root(1);
        let refused = [
            step(255),
            Advance { head: Some(head(255)), verified: None, ..step(300) },
            Advance { verified: Some(verified(255)), ..step(300) },
            Advance { head: Some(other_head), verified: None, ..step(300) },
            Advance { verified: Some(other_root), ..step(300) },
        ];
        for step in refused {
            assert!(!store.advance(&lease, &step).await.unwrap(), "{step:?}");
            assert_eq!(store.followed_log(LOG).await.unwrap(), before);
            assert_eq!(seen(&*store).await, all);
        }
        // A newer note of the same head is taken.
        let newer = Head { note: b"cosigned".to_vec(), ..head(256) };
        assert!(store.advance(&lease, &Advance { head: Some(newer), ..Advance::default() }).await.unwrap());
        assert_eq!(store.followed_log(LOG).await.unwrap().unwrap().head.unwrap().note, b"cosigned");
    }

    async fn a_step_that_cannot_be_written_whole_is_not_written(database) {
        let store = database.store();
        let lease = leased(&*store).await;
        let before = store.followed_log(LOG).await.unwrap();
        let mut broken = step(256);
        broken.counted.push(("impossible".to_owned(), u64::MAX));
        assert!(matches!(store.advance(&lease, &broken).await, Err(StoreError::OutOfRange { .. })));
        assert_eq!(store.followed_log(LOG).await.unwrap(), before);
        assert_eq!(seen(&*store).await, (0, 0, 0, 0, 0));
    }

    async fn a_note_is_kept_once_for_each_size_and_root(database) {
        let store = database.store();
        let note = |size: u64, at: i64| NoteSeen {
            origin: LOG.to_owned(),
            source: "log".to_owned(),
            note: format!("note {size} at {at}").into_bytes(),
            size,
            root: root(size),
            seen_at: at,
        };
        assert!(store.record_note(&note(7, 1)).await.unwrap());
        assert!(!store.record_note(&note(7, 2)).await.unwrap());
        assert!(store.record_note(&note(9, 3)).await.unwrap());
        let fork = NoteSeen { root: root(1), source: "witness w".to_owned(), ..note(7, 4) };
        assert!(store.record_note(&fork).await.unwrap());
        let elsewhere = NoteSeen { origin: "another.example.com".to_owned(), ..note(7, 5) };
        assert!(store.record_note(&elsewhere).await.unwrap());
        let two = store.note_at(LOG, 7).await.unwrap();
        let seen: Vec<_> = two.iter().map(|row| (row.source.as_str(), row.root, row.seen_at)).collect();
        assert_eq!(seen, [("log", root(7), 1), ("witness w", root(1), 4)]);
        assert_eq!(two[0].note, b"note 7 at 1");
        let newest: Vec<_> = store.notes(LOG, 2).await.unwrap().iter().map(|row| row.seen_at).collect();
        assert_eq!(newest, [4, 3]);
        assert!(store.record_note(&note(u64::MAX, 6)).await.is_err());
    }

    async fn two_followers_that_fight_over_a_log_lose_and_repeat_nothing(database) {
        let store = database.store();
        store.trust_log(&trust(LOG, 0)).await.unwrap();
        let followers: Vec<_> = (0..3)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut steps = 0;
                    for _ in 0..60 {
                        // A lease that ends at once: somebody else takes the log in the middle of the work.
                        let Some(lease) = store.lease_log(LOG, &number.to_string(), 0).await.unwrap() else { continue };
                        let size = store.followed_log(LOG).await.unwrap().unwrap().verified_size + 1;
                        tokio::task::yield_now().await;
                        steps += u64::from(store.advance(&lease, &step(size)).await.unwrap());
                    }
                    steps
                })
            })
            .collect();
        let mut steps = 0;
        for follower in followers {
            steps += follower.await.unwrap();
        }
        let size = store.followed_log(LOG).await.unwrap().unwrap().verified_size;
        assert!(size > 0);
        assert_eq!(steps, size);
        assert_eq!(seen(&*store).await, (size.min(100) as usize, size, size, 2 * size, 4 * size));
    }

    async fn a_position_survives_a_crash(database) {
        let store = database.store();
        let lease = leased(&*store).await;
        assert!(store.advance(&lease, &step(256)).await.unwrap());
        drop(store);
        let database: TestDatabase = database.reopen().await;
        let store = database.store();
        assert_eq!(store.followed_log(LOG).await.unwrap().unwrap().verified_size, 256);
        assert_eq!(seen(&*store).await, (1, 1, 1, 2, 4));
    }
}
