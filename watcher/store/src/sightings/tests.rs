//! Sightings, on both engines.

use crate::testing::{on_both_engines, trust};
use crate::{Advance, OBSERVED_BEYOND, OBSERVED_PER_WATCH, ObservedIdentity, Sighting, Store};

const LOG: &str = "log.example.com";

async fn see(store: &dyn Store, sightings: Vec<Sighting>, observed: Vec<ObservedIdentity>) {
    store.trust_log(&trust(LOG, 0)).await.unwrap();
    let lease = store.lease_log(LOG, "a", 60_000).await.unwrap().unwrap();
    assert!(store.advance(&lease, &Advance { sightings, observed, ..Advance::default() }).await.unwrap());
}

fn sighting(matcher: &str, log_index: u64, at: i64) -> Sighting {
    Sighting { matcher: matcher.to_owned(), log_origin: LOG.to_owned(), log_index, at }
}

fn identity(subject: &str, at: i64, times: u64) -> ObservedIdentity {
    ObservedIdentity {
        watch: "ci".to_owned(),
        issuer: "https://issuer.example.com".to_owned(),
        subject: subject.to_owned(),
        extensions_json: "{\"ref\":\"main\"}".to_owned(),
        first_at: at,
        last_at: at,
        times,
    }
}

on_both_engines! {
    async fn the_newest_sighting_of_each_matcher_stays(database) {
        let store = database.store();
        store.record_matchers(&["b".to_owned(), "a".to_owned(), "b".to_owned()], 5).await.unwrap();
        store.record_matchers(&["a".to_owned(), "c".to_owned()], 50).await.unwrap();
        assert!(store.sightings().await.unwrap().is_empty());
        see(&*store, vec![sighting("a", 3, 30), sighting("a", 9, 30), sighting("a", 1, 20)], vec![]).await;
        assert_eq!(store.sightings().await.unwrap(), [sighting("a", 9, 30)]);
        // Read again from further back, and one that nobody announced.
        see(&*store, vec![sighting("a", 2, 10), sighting("new", 4, 40)], vec![]).await;
        assert_eq!(store.sightings().await.unwrap(), [sighting("a", 9, 30), sighting("new", 4, 40)]);
        let since = store.matchers_since().await.unwrap();
        let expected = [("a", 5, Some(30)), ("b", 5, None), ("c", 50, None), ("new", 40, Some(40))];
        assert_eq!(since, expected.map(|(name, known, matched)| (name.to_owned(), known, matched)));
    }

    async fn observed_identities_add_up(database) {
        let store = database.store();
        see(&*store, vec![], vec![identity("x", 10, 1), identity("y", 11, 5), identity("x", 30, 2)]).await;
        see(&*store, vec![], vec![identity("x", 5, 4)]).await;
        let other = ObservedIdentity { extensions_json: "{\"ref\":\"dev\"}".to_owned(), ..identity("x", 12, 1) };
        see(&*store, vec![], vec![other.clone()]).await;
        let merged = ObservedIdentity { first_at: 5, last_at: 30, times: 7, ..identity("x", 0, 0) };
        assert_eq!(store.observed_identities("ci").await.unwrap(), [merged, identity("y", 11, 5), other]);
        assert!(store.observed_identities("another").await.unwrap().is_empty());
    }

    async fn a_rule_that_observes_too_much_keeps_what_it_has_and_counts_the_rest(database) {
        let store = database.store();
        store.trust_log(&trust(LOG, 0)).await.unwrap();
        let lease = store.lease_log(LOG, "a", 60_000).await.unwrap().unwrap();
        let observed = (0..OBSERVED_PER_WATCH + 2).map(|n| identity(&format!("{n:06}"), 10, 1)).collect();
        assert!(store.advance(&lease, &Advance { observed, ..Advance::default() }).await.unwrap());
        let kept = store.observed_identities("ci").await.unwrap();
        assert_eq!(kept.len() as u64, OBSERVED_PER_WATCH);
        assert_eq!(store.counted_leaves().await.unwrap(), [(OBSERVED_BEYOND.to_owned(), 2)]);
        // One that is known goes on, a new one has no room, and another rule has its own.
        let other = ObservedIdentity { watch: "other".to_owned(), ..identity("new", 20, 1) };
        let observed = vec![identity(&kept[0].subject, 20, 3), identity("new", 20, 5), other];
        assert!(store.advance(&lease, &Advance { observed, ..Advance::default() }).await.unwrap());
        assert_eq!(store.observed_identities("ci").await.unwrap()[0].times, 4);
        assert_eq!(store.observed_identities("other").await.unwrap().len(), 1);
        assert_eq!(store.counted_leaves().await.unwrap(), [(OBSERVED_BEYOND.to_owned(), 7)]);
    }

    async fn an_identity_of_any_length_is_kept(database) {
        let store = database.store();
        let long = ObservedIdentity { extensions_json: "é\0".repeat(20_000), ..identity(&"x".repeat(9_000), 10, 1) };
        see(&*store, vec![], vec![long.clone(), long]).await;
        let seen = store.observed_identities("ci").await.unwrap();
        assert_eq!((seen.len(), seen[0].times, seen[0].extensions_json.chars().count()), (1, 2, 40_000));
    }
}
