//! Unfinished work is found, and sent again, by what a person names.

use super::*;
use crate::testing::{digest, event, job, on_both_engines};
use crate::{Postponed, Store};

/// One of each: an event and a job that wait, an event and a job that are parked.
async fn four(store: &dyn Store) {
    store.record_events(&[event("team/waits", None)]).await.unwrap();
    store.record_events(&[event("team/lost", None)]).await.unwrap();
    while let Some(leased) = store.lease_event(60_000).await.unwrap() {
        let crate::Announced::Push(push) = &leased.event else { panic!("no look was recorded") };
        if push.repository.as_str() == "team/lost" {
            store.park_event(&leased, ParkedBecause::Unseen, "no such tag").await.unwrap();
        } else {
            let later = Postponed { delay_ms: 3_600_000, ..Postponed::attempt(0, "away") };
            store.retry_event(&leased, &later).await.unwrap();
        }
    }
    store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
    let leased = store.lease_job(60_000).await.unwrap().unwrap();
    store.park_job(&leased, ParkedBecause::Refused, "the log says no").await.unwrap();
    store.enqueue_job(&job("team/app", digest(2), "v2")).await.unwrap();
    store.enqueue_job(&job("team/app", digest(2), "latest")).await.unwrap();
    let leased = store.lease_job(60_000).await.unwrap().unwrap();
    store.retry_job(&leased, &Postponed::attempt(3_600_000, "the log is away")).await.unwrap();
}

fn meaning(repository: Option<&str>, tag: Option<&str>, image: Option<Digest>) -> ParkedFilter {
    ParkedFilter {
        registry: None,
        repository: repository.map(|name| name.parse().unwrap()),
        tag: tag.map(|tag| tag.parse().unwrap()),
        digest: image,
    }
}

on_both_engines! {
    async fn what_waits_and_what_is_parked_is_listed_with_its_reason(database) {
        let store = database.store();
        four(store.as_ref()).await;
        let all = ParkedFilter::default();
        let waiting = store.unfinished(Unfinished::Waiting, &all, 10).await.unwrap();
        let named: Vec<_> = waiting.iter().map(|row| (row.kind, row.repository.as_str(), row.last_error.as_deref())).collect();
        assert_eq!(
            named,
            [(WorkKind::Event, "team/waits", Some("away")), (WorkKind::Job, "team/app", Some("the log is away"))],
            "the oldest first; the event says that it came in 2023"
        );
        assert!(waiting.iter().all(|row| row.state == JobState::Ready && row.attempts == 1 && row.due_at > row.since));
        let parked = store.unfinished(Unfinished::Parked, &all, 10).await.unwrap();
        let mut named: Vec<_> = parked.iter().map(|row| (row.kind, row.because, row.last_error.as_deref())).collect();
        named.sort_by_key(|(kind, ..)| kind.as_str());
        assert_eq!(
            named,
            [
                (WorkKind::Event, Some(ParkedBecause::Unseen), Some("no such tag")),
                (WorkKind::Job, Some(ParkedBecause::Refused), Some("the log says no")),
            ]
        );
        assert_eq!(store.unfinished(Unfinished::Waiting, &all, 1).await.unwrap().len(), 1);
    }

    async fn a_filter_means_what_it_names(database) {
        let store = database.store();
        four(store.as_ref()).await;
        for (filter, waiting, parked) in [
            (meaning(Some("team/app"), None, None), 1, 1),
            (meaning(Some("team/app"), Some("v1"), None), 0, 1),
            // Every tag of a job counts, not only the last.
            (meaning(Some("team/app"), Some("v2"), None), 1, 0),
            (meaning(Some("team/app"), Some("latest"), None), 1, 0),
            (meaning(None, None, Some(digest(1))), 0, 1),
            (meaning(Some("team/app"), Some("v1"), Some(digest(2))), 0, 0),
            (meaning(Some("team/waits"), Some("v1"), None), 1, 0),
            (meaning(Some("team/nothing"), None, None), 0, 0),
        ] {
            assert_eq!(store.unfinished(Unfinished::Waiting, &filter, 10).await.unwrap().len(), waiting, "{filter:?}");
            assert_eq!(store.unfinished(Unfinished::Parked, &filter, 10).await.unwrap().len(), parked, "{filter:?}");
        }
    }

    async fn what_is_sent_again_is_what_was_meant(database) {
        let store = database.store();
        four(store.as_ref()).await;
        let nothing = store.resend(&meaning(Some("team/app"), Some("nope"), None)).await.unwrap();
        assert_eq!(nothing, Resent::default());
        assert!(store.lease_job(60_000).await.unwrap().is_none());

        let one = store.resend(&meaning(Some("team/app"), Some("v2"), None)).await.unwrap();
        assert_eq!(one, Resent { parked: 0, hurried: 1 });
        let leased = store.lease_job(60_000).await.unwrap().unwrap();
        assert_eq!(leased.digest, digest(2), "what waited for an hour is due now");
        // A lease is another's: it is counted, and not touched.
        assert_eq!(store.resend(&meaning(None, None, Some(digest(2)))).await.unwrap(), Resent { parked: 0, hurried: 1 });
        assert!(store.heartbeat_job(&leased, 60_000).await.unwrap());

        let rest = store.resend(&ParkedFilter::default()).await.unwrap();
        assert_eq!(rest, Resent { parked: 2, hurried: 2 });
        let again = store.lease_job(60_000).await.unwrap().unwrap();
        assert_eq!((again.digest, again.attempts), (digest(1), 1), "the count begins again");
        for _ in 0..2 {
            assert!(store.lease_event(60_000).await.unwrap().is_some());
        }
    }
}
