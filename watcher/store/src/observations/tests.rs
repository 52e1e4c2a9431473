//! Observations, on both engines.

use crate::NewObservation;
use crate::testing::{on_both_engines, root};

fn met(number: u64) -> NewObservation {
    NewObservation {
        source: "worker".to_owned(),
        log_id: root(1),
        entry_json: number.to_string().into_bytes(),
        image: Some("registry.example.com/team/app".to_owned()),
        at: 10,
    }
}

on_both_engines! {
    async fn an_entry_that_is_met_again_is_kept_once(database) {
        let store = database.store();
        store.record_observation(&met(1)).await.unwrap();
        store.record_observation(&NewObservation { source: "verify".to_owned(), at: 99, ..met(1) }).await.unwrap();
        store.record_observation(&NewObservation { log_id: root(2), image: None, ..met(1) }).await.unwrap();
        let all = store.observations_after(0, 10).await.unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].source.as_str(), all[0].at, all[0].log_id), ("worker", 10, root(1)));
        assert_eq!((all[0].entry_json.as_slice(), all[1].image.as_deref()), (&b"1"[..], None));
        assert_eq!(store.observations_after(all[0].id, 10).await.unwrap(), all[1..]);
        assert_eq!(store.observations_after(0, 1).await.unwrap(), all[..1]);
    }

    async fn a_cursor_misses_none_of_many_writers(database) {
        let store = database.store();
        let writers: Vec<_> = (0..6u64)
            .map(|writer| {
                let store = store.clone();
                tokio::spawn(async move {
                    for number in 0..25 {
                        store.record_observation(&met(writer * 100 + number)).await.unwrap();
                    }
                })
            })
            .collect();
        let (mut cursor, mut seen) = (0, 0);
        while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
            for observation in store.observations_after(cursor, 7).await.unwrap() {
                (cursor, seen) = (observation.id, seen + 1);
            }
        }
        for writer in writers {
            writer.await.unwrap();
        }
        seen += store.observations_after(cursor, 1_000).await.unwrap().len();
        assert_eq!(seen, 150);
    }

    async fn old_observations_are_purged(database) {
        let store = database.store();
        store.record_observation(&met(1)).await.unwrap();
        assert_eq!(store.purge(10).await.unwrap().observations, 0);
        assert_eq!(store.purge(11).await.unwrap().observations, 1);
    }
}
