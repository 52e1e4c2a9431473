//! Findings and the alerts that they come with, on both engines.

use std::collections::BTreeSet;

use super::is_milestone;
use crate::testing::{finding, on_both_engines, sinks};
use crate::{FindingFilter, FindingKind, FindingNote, FindingState, NewFinding, Severity, Store};

/// How many alerts wait for a sink.
async fn waiting(store: &dyn Store, sink: &str) -> u64 {
    store.outbox_counts().await.unwrap().iter().find(|count| count.sink == sink).map_or(0, |count| count.waiting)
}

fn time(occurrence: &str) -> NewFinding {
    NewFinding { occurrence: occurrence.to_owned(), ..finding("cause", Severity::Critical) }
}

fn note(id: i64) -> FindingNote<'static> {
    FindingNote { id, because: "known", by: "ann", at: 20 }
}

#[test]
fn the_closed_sets_read_their_own_words() {
    for kind in FindingKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(*kind));
    }
    let words: BTreeSet<&str> = FindingKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!((words.len(), FindingKind::ALL.len()), (23, 23));
    assert!(Severity::Info < Severity::Warning && Severity::Warning < Severity::Critical);
    assert!("Fork".parse::<FindingKind>().is_err());
}

#[test]
fn milestones_are_the_powers_of_ten_and_closer_where_each_is_an_event() {
    let of = |kind| (0..=100_000).filter(|count| is_milestone(kind, *count)).collect::<Vec<u64>>();
    assert_eq!(of(FindingKind::MissingLeaf), [10, 100, 1_000, 10_000, 100_000]);
    let events = of(FindingKind::WithheldEntry);
    assert_eq!(events[..8], [2, 5, 10, 20, 50, 100, 200, 500]);
    assert!(!is_milestone(FindingKind::WithheldEntry, u64::MAX));
}

on_both_engines! {
    async fn a_finding_is_one_however_often_it_is_raised(database) {
        let store = database.store();
        let first = store.raise(&[time("log/7")], &sinks()).await.unwrap();
        assert!(first[0].new && first[0].alerted);
        let again = NewFinding { at: 99, detail: "another".to_owned(), ..time("log/7") };
        let second = store.raise(&[again], &sinks()).await.unwrap();
        assert_eq!((second[0].id, second[0].new, second[0].alerted), (first[0].id, false, false));
        let row = store.finding(first[0].id).await.unwrap().unwrap();
        assert_eq!((row.occurrences, row.first_seen_at, row.last_seen_at, row.alerts), (1, 10, 99, 1));
        assert_eq!((row.kind, row.severity, row.state), (FindingKind::Fork, Severity::Critical, FindingState::Open));
        assert_eq!((row.detail.as_str(), row.log_origin.as_deref()), ("what was seen", Some("log.example.com")));

        let other = NewFinding { evidence: None, at: 100, ..time("log/8") };
        assert!(!store.raise(&[other], &sinks()).await.unwrap()[0].alerted);
        let evidence = store.evidence(row.id).await.unwrap();
        let seen: Vec<_> =
            evidence.iter().map(|row| (row.occurrence.as_str(), row.at, row.evidence.as_deref())).collect();
        assert_eq!(seen, [("log/7", 10, Some(&b"proof"[..])), ("log/8", 100, None)]);
        assert_eq!(store.finding(row.id).await.unwrap().unwrap().occurrences, 2);
        assert_eq!(waiting(&*store, "pager").await, 1);
        assert_eq!(store.finding(row.id + 1).await.unwrap(), None);
    }

    async fn the_answers_are_in_the_order_of_the_questions(database) {
        let store = database.store();
        let questions = ["z", "a", "z", "m"].map(|cause| finding(cause, Severity::Info));
        let answers = store.raise(&questions, &sinks()).await.unwrap();
        assert_eq!(answers.iter().map(|answer| answer.new).collect::<Vec<_>>(), [true, true, false, true]);
        assert_eq!(answers[0].id, answers[2].id);
        for (question, answer) in questions.iter().zip(&answers) {
            assert_eq!(store.finding(answer.id).await.unwrap().unwrap().fingerprint, question.fingerprint);
        }
        assert!(store.raise(&[], &sinks()).await.unwrap().is_empty());
    }

    async fn a_sink_hears_of_what_is_bad_enough(database) {
        let store = database.store();
        for (cause, severity) in [("a", Severity::Info), ("b", Severity::Warning), ("c", Severity::Critical)] {
            store.raise(&[finding(cause, severity)], &sinks()).await.unwrap();
        }
        assert_eq!((waiting(&*store, "pager").await, waiting(&*store, "mail").await), (1, 3));
    }

    async fn a_finding_that_worsens_is_told_again(database) {
        let store = database.store();
        let warning = NewFinding { severity: Severity::Warning, ..time("") };
        let id = store.raise(std::slice::from_ref(&warning), &sinks()).await.unwrap()[0].id;
        let worse = NewFinding { title: "worse".to_owned(), evidence: Some(b"more".to_vec()), ..time("") };
        assert!(store.raise(&[worse], &sinks()).await.unwrap()[0].alerted);
        // A milder voice afterwards takes nothing back.
        assert!(!store.raise(&[warning], &sinks()).await.unwrap()[0].alerted);
        let row = store.finding(id).await.unwrap().unwrap();
        assert_eq!((row.severity, row.title.as_str()), (Severity::Critical, "worse"));
        assert_eq!((row.occurrences, row.alerts), (1, 2));
        assert_eq!(store.evidence(id).await.unwrap()[0].evidence.as_deref(), Some(&b"more"[..]));
        assert_eq!((waiting(&*store, "pager").await, waiting(&*store, "mail").await), (1, 2));
    }

    async fn ten_times_as_frequent_is_told_again_and_in_between_not(database) {
        let store = database.store();
        let mut alerted = Vec::new();
        for number in 1..=105u64 {
            if store.raise(&[time(&format!("log/{number}"))], &sinks()).await.unwrap()[0].alerted {
                alerted.push(number);
            }
        }
        assert_eq!(alerted, [1, 10, 100]);
    }

    async fn a_thousand_occurrences_are_kept_and_the_count_goes_on(database) {
        let store = database.store();
        let times: Vec<_> = (0..1_500).map(|number| time(&format!("log/{number:04}"))).collect();
        let id = store.raise(&times, &sinks()).await.unwrap()[0].id;
        let kept = store.evidence(id).await.unwrap();
        assert_eq!((kept.len(), kept[999].occurrence.as_str()), (1_000, "log/0999"));
        assert_eq!(store.finding(id).await.unwrap().unwrap().occurrences, 1_500);
        // One alert for the whole, not one for each milestone in it.
        assert_eq!(waiting(&*store, "pager").await, 1);
        // What is kept is known again.
        store.raise(&times[..1_000], &sinks()).await.unwrap();
        assert_eq!(store.finding(id).await.unwrap().unwrap().occurrences, 1_500);
    }

    async fn evidence_is_kept_up_to_a_bound_and_each_occurrence_is(database) {
        let store = database.store();
        let large = |number: u8, mib: usize| {
            NewFinding { evidence: Some(vec![number; mib << 20]), ..time(&format!("log/{number}")) }
        };
        let id = store.raise(&[large(1, 30)], &sinks()).await.unwrap()[0].id;
        store.raise(&[large(2, 30), large(3, 30), large(4, 2)], &sinks()).await.unwrap();
        let kept = store.evidence(id).await.unwrap();
        let bytes: Vec<_> = kept.iter().map(|row| row.evidence.as_ref().map_or(0, Vec::len) >> 20).collect();
        assert_eq!(bytes, [30, 30, 0, 2]);
        assert_eq!(store.finding(id).await.unwrap().unwrap().occurrences, 4);
    }

    async fn what_is_over_is_told_to_those_who_were_told_and_may_come_back(database) {
        let store = database.store();
        let warning = NewFinding { severity: Severity::Warning, ..time("") };
        let id = store.raise(std::slice::from_ref(&warning), &sinks()).await.unwrap()[0].id;
        assert!(store.clear_finding("cause", 50, &sinks()).await.unwrap());
        assert!(!store.clear_finding("cause", 51, &sinks()).await.unwrap());
        assert!(!store.clear_finding("unknown", 51, &sinks()).await.unwrap());
        let row = store.finding(id).await.unwrap().unwrap();
        assert_eq!((row.state, row.cleared_at), (FindingState::Cleared, Some(50)));
        // The pager was never told.
        assert_eq!((waiting(&*store, "pager").await, waiting(&*store, "mail").await), (0, 2));

        let back = store.raise(&[NewFinding { at: 60, ..warning }], &sinks()).await.unwrap();
        assert!(back[0].alerted && !back[0].new);
        let row = store.finding(id).await.unwrap().unwrap();
        assert_eq!((row.state, row.cleared_at, row.occurrences), (FindingState::Open, None, 2));
        assert_eq!(store.evidence(id).await.unwrap()[0].at, 60);

        // In order: fired, over, fired.
        let mut told = Vec::new();
        while let Some(alert) = store.lease_alert("mail", 60_000).await.unwrap() {
            told.push(alert.resolved);
            assert!(store.finish_alert(&alert).await.unwrap());
        }
        assert_eq!(told, [false, true, false]);
        // Over once more: told once, to the one sink that is still configured.
        assert!(store.clear_finding("cause", 70, &[]).await.unwrap());
        assert_eq!(waiting(&*store, "mail").await, 0);
    }

    async fn an_acknowledged_finding_is_quiet_until_it_worsens(database) {
        let store = database.store();
        let warning = |number: u32| NewFinding { severity: Severity::Warning, ..time(&format!("log/{number}")) };
        let id = store.raise(&[warning(0)], &sinks()).await.unwrap()[0].id;
        assert!(store.acknowledge(&note(id), 1_000, &sinks()[..1]).await.unwrap());
        let row = store.finding(id).await.unwrap().unwrap();
        assert_eq!((row.state, row.acknowledged_until), (FindingState::Acknowledged, Some(1_000)));
        assert_eq!((row.acknowledged_because.as_deref(), row.acknowledged_by.as_deref()), (Some("known"), Some("ann")));
        for number in 1..9 {
            assert!(!store.raise(&[warning(number)], &sinks()).await.unwrap()[0].alerted, "{number}");
        }
        let row = store.finding(id).await.unwrap().unwrap();
        assert_eq!((row.occurrences, row.acknowledged_occurrences), (9, Some(1)));
        assert!(store.raise(&[time("log/0")], &sinks()).await.unwrap()[0].alerted);
        assert_eq!(store.finding(id).await.unwrap().unwrap().state, FindingState::Open);
        assert_eq!((waiting(&*store, "pager").await, waiting(&*store, "mail").await), (1, 2));
    }

    async fn what_is_seen_after_an_acknowledgement_is_news(database) {
        let store = database.store();
        let noisy = |number: u32| NewFinding { kind: FindingKind::MissingLeaf, ..time(&format!("{number}..")) };
        let id = store.raise(&[noisy(0)], &sinks()).await.unwrap()[0].id;
        store.acknowledge(&note(id), 1_000, &[]).await.unwrap();
        for number in 1..9 {
            assert!(!store.raise(&[noisy(number)], &sinks()).await.unwrap()[0].alerted, "{number}");
        }
        assert!(store.raise(&[noisy(9)], &sinks()).await.unwrap()[0].alerted, "ten times as often");
        assert_eq!(store.finding(id).await.unwrap().unwrap().state, FindingState::Open);

        let event = |number: u32| NewFinding {
            kind: FindingKind::WithheldEntry,
            fingerprint: "event".to_owned(),
            ..time(&format!("log/{number}"))
        };
        let id = store.raise(&[event(0), event(1), event(2)], &sinks()).await.unwrap()[0].id;
        store.acknowledge(&note(id), 1_000, &[]).await.unwrap();
        assert!(!store.raise(&[event(1)], &sinks()).await.unwrap()[0].alerted, "that one was seen");
        assert!(store.raise(&[event(3)], &sinks()).await.unwrap()[0].alerted, "another entry is withheld");
        assert_eq!(store.finding(id).await.unwrap().unwrap().state, FindingState::Open);
        assert!(store.raise(&[event(4)], &sinks()).await.unwrap()[0].alerted, "the fifth");
        assert!(!store.raise(&[event(5)], &sinks()).await.unwrap()[0].alerted);
    }

    async fn who_keeps_what_it_is_told_hears_of_an_acknowledgement_and_of_its_end(database) {
        let store = database.store();
        let id = store.raise(&[time("")], &sinks()).await.unwrap()[0].id;
        let told = async |sink: &str| {
            let mut told = Vec::new();
            while let Some(alert) = store.lease_alert(sink, 60_000).await.unwrap() {
                told.push(alert.resolved);
                assert!(store.finish_alert(&alert).await.unwrap());
            }
            told
        };
        store.acknowledge(&note(id), 1_000, &sinks()[..1]).await.unwrap();
        // Again, for longer: it was told.
        store.acknowledge(&note(id), 2_000, &sinks()[..1]).await.unwrap();
        assert_eq!((told("pager").await, told("mail").await), (vec![false, true], vec![false]));
        store.expire_acknowledgements(2_000, &sinks()).await.unwrap();
        assert_eq!((told("pager").await, told("mail").await), (vec![false], vec![false]));
    }

    async fn what_a_person_has_closed_is_over_and_comes_back_with_what_is_new(database) {
        let store = database.store();
        let time = |leaf| NewFinding { kind: FindingKind::KeyUsedOutside, ..time(leaf) };
        let id = store.raise(&[time("log/1")], &sinks()).await.unwrap()[0].id;
        assert!(store.close_finding(&note(id), &sinks()).await.unwrap());
        assert!(!store.close_finding(&note(id), &sinks()).await.unwrap());
        assert!(!store.close_finding(&note(id + 1), &sinks()).await.unwrap());
        let row = store.finding(id).await.unwrap().unwrap();
        assert_eq!((row.state, row.cleared_at), (FindingState::Cleared, Some(20)));
        assert_eq!((row.acknowledged_because.as_deref(), row.acknowledged_until), (Some("known"), None));
        assert_eq!((waiting(&*store, "pager").await, waiting(&*store, "mail").await), (2, 2));
        // The log is read again: that leaf was dealt with.
        assert!(!store.raise(&[time("log/1")], &sinks()).await.unwrap()[0].alerted);
        let row = store.finding(id).await.unwrap().unwrap();
        assert_eq!((row.state, row.occurrences), (FindingState::Cleared, 1));
        assert!(store.raise(&[time("log/2")], &sinks()).await.unwrap()[0].alerted);
        let row = store.finding(id).await.unwrap().unwrap();
        assert_eq!((row.state, row.occurrences, row.cleared_at), (FindingState::Open, 2, None));
    }

    async fn a_log_that_misbehaves_again_as_before_is_told_of_again(database) {
        let store = database.store();
        let rollback = || NewFinding { kind: FindingKind::Rollback, ..time("100>50") };
        let id = store.raise(&[rollback()], &sinks()).await.unwrap()[0].id;
        assert!(store.close_finding(&note(id), &sinks()).await.unwrap());
        assert!(store.raise(&[rollback()], &sinks()).await.unwrap()[0].alerted);
        assert_eq!(store.finding(id).await.unwrap().unwrap().state, FindingState::Open);
    }

    async fn an_acknowledgement_ends_and_what_is_over_takes_none(database) {
        let store = database.store();
        let id = store.raise(&[time("")], &sinks()).await.unwrap()[0].id;
        store.acknowledge(&note(id), 1_000, &[]).await.unwrap();
        assert_eq!(store.expire_acknowledgements(999, &sinks()).await.unwrap(), 0);
        let (one, two) = (store.clone(), store.clone());
        let (one, two) = tokio::join!(
            tokio::spawn(async move { one.expire_acknowledgements(1_000, &sinks()).await.unwrap() }),
            tokio::spawn(async move { two.expire_acknowledgements(1_000, &sinks()).await.unwrap() }),
        );
        assert_eq!(one.unwrap() + two.unwrap(), 1);
        let row = store.finding(id).await.unwrap().unwrap();
        assert_eq!((row.state, row.alerts), (FindingState::Open, 2));
        assert_eq!(waiting(&*store, "pager").await, 2);
        store.clear_finding("cause", 30, &sinks()).await.unwrap();
        assert!(!store.acknowledge(&note(id), 2_000, &[]).await.unwrap());
        assert!(!store.acknowledge(&note(id + 1), 2_000, &[]).await.unwrap());
    }

    async fn findings_are_listed_by_what_is_asked(database) {
        let store = database.store();
        let other = NewFinding {
            kind: FindingKind::Blind,
            log_origin: None,
            ..finding("b", Severity::Warning)
        };
        store.raise(&[finding("a", Severity::Critical), other, finding("c", Severity::Info)], &sinks()).await.unwrap();
        store.clear_finding("c", 20, &sinks()).await.unwrap();
        let causes = async |filter: FindingFilter| {
            let rows = store.findings(&filter).await.unwrap();
            rows.into_iter().map(|row| row.fingerprint).collect::<Vec<_>>().concat()
        };
        let all = FindingFilter::default;
        assert_eq!(causes(all()).await, "cba");
        assert_eq!(causes(FindingFilter { limit: 2, ..all() }).await, "cb");
        assert_eq!(causes(FindingFilter { states: vec![FindingState::Open], ..all() }).await, "ba");
        let states = vec![FindingState::Cleared, FindingState::Acknowledged];
        assert_eq!(causes(FindingFilter { states, ..all() }).await, "c");
        assert_eq!(causes(FindingFilter { kind: Some(FindingKind::Blind), ..all() }).await, "b");
        assert_eq!(causes(FindingFilter { min_severity: Some(Severity::Warning), ..all() }).await, "ba");
        assert_eq!(causes(FindingFilter { min_severity: Some(Severity::Critical), ..all() }).await, "a");
        let log_origin = Some("log.example.com".to_owned());
        assert_eq!(causes(FindingFilter { log_origin, ..all() }).await, "ca");
        let counts = store.open_counts().await.unwrap();
        let expected = [(FindingKind::Blind, Severity::Warning, 1), (FindingKind::Fork, Severity::Critical, 1)];
        assert_eq!(counts, expected);
    }

    async fn what_outsiders_wrote_fits_however_long_it_is(database) {
        let store = database.store();
        let long = |end: &str| "é\0".repeat(5_000) + end;
        let hostile = |end: &str| NewFinding {
            fingerprint: long(end),
            title: long(end),
            detail: long(end),
            ..finding("", Severity::Info)
        };
        let raised = store.raise(&[hostile("a"), hostile("b"), hostile("a")], &sinks()).await.unwrap();
        // Two causes that differ beyond what is kept of them are still two.
        assert_ne!(raised[0].id, raised[1].id);
        assert_eq!(raised[0].id, raised[2].id);
        assert!(store.clear_finding(&long("b"), 20, &sinks()).await.unwrap());
        assert_eq!(store.finding(raised[0].id).await.unwrap().unwrap().state, FindingState::Open);
    }

    async fn many_who_raise_the_same_at_once_raise_it_once(database) {
        let store = database.store();
        let causes: Vec<String> = (0..10).map(|number| format!("cause {number}")).collect();
        let raisers: Vec<_> = (0..8)
            .map(|turn| {
                let store = store.clone();
                let mut findings: Vec<_> = causes.iter().map(|cause| finding(cause, Severity::Critical)).collect();
                // Each in another order: they must not wait for each other in a circle.
                findings.rotate_left(turn);
                tokio::spawn(async move { store.raise(&findings, &sinks()).await.unwrap() })
            })
            .collect();
        let mut new = 0;
        for raiser in raisers {
            new += raiser.await.unwrap().iter().filter(|raised| raised.new).count();
        }
        assert_eq!(new, 10);
        assert_eq!(store.findings(&FindingFilter::default()).await.unwrap().len(), 10);
        assert_eq!(waiting(&*store, "pager").await, 10);
    }
}
