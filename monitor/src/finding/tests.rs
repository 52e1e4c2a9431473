//! Every kind is told well.

use std::collections::BTreeSet;

use super::*;

#[test]
fn every_kind_has_a_runbook_and_advice() {
    let mut anchors = BTreeSet::new();
    for kind in FindingKind::ALL.iter().copied() {
        assert!(runbook_text(kind).len() > 80, "{kind} has no section");
        assert!(runbook(kind).ends_with(&format!("#{kind}")), "{kind}");
        assert!(advice::advice(kind).ends_with('.'), "{kind}");
        anchors.insert(runbook(kind));
    }
    assert_eq!(anchors.len(), FindingKind::ALL.len());
}

#[test]
fn the_runbook_says_how_what_is_lost_is_accepted() {
    let text = runbook_text(FindingKind::StateLost);
    assert!(text.contains("logs trust ORIGIN") && text.contains("findings adopt ID"), "{text}");
    assert!(advice::advice(FindingKind::StateLost).contains("findings adopt"));
    assert!(!runbook_text(FindingKind::KeyUsedOutside).contains("key rotate"), "there is no such command");
}

#[test]
fn what_wakes_somebody_is_what_cannot_wait() {
    for kind in [FindingKind::Fork, FindingKind::KeyUsedOutside, FindingKind::Blind, FindingKind::StateLost] {
        assert_eq!(severity(kind), Severity::Critical);
    }
    for kind in [FindingKind::NearMiss, FindingKind::ScanLag, FindingKind::UnparsableEntry] {
        assert_eq!(severity(kind), Severity::Warning);
    }
}

#[test]
fn an_outsiders_text_stays_on_its_line() {
    assert_eq!(clean("a\r\nb\u{202e}c\u{200b}"), "a\u{fffd}\u{fffd}b\u{fffd}c\u{fffd}");
    assert_eq!(clean(&"é".repeat(500)).chars().count(), OUTSIDE_MAX_CHARS + 1);
    assert_eq!(clean("ci@example.com"), "ci@example.com");
}

#[test]
fn durations_and_times_read_well() {
    assert_eq!(lasted(0, 59_000), "59 seconds");
    assert_eq!(lasted(0, 900_000), "15 minutes");
    assert_eq!(lasted(0, 3 * 3_600_000), "3 hours");
    assert_eq!(lasted(0, 30 * 86_400_000), "30 days");
    assert_eq!(lasted(5, 0), "0 seconds");
    assert_eq!(lasted(i64::MIN, i64::MAX), lasted(0, i64::MAX));
    assert_eq!(time(0), "1970-01-01T00:00:00Z");
    assert_eq!(time(i64::MAX), format!("{} ms", i64::MAX));
}

#[test]
fn a_dead_sink_is_one_finding_with_an_end() {
    let one = blind_sink("pager", 0, "answered with status 503", 1);
    let again = blind_sink("pager", 500, "timeout", 2);
    assert_eq!(one.fingerprint, again.fingerprint);
    assert_eq!(one.fingerprint, fingerprint(FindingKind::Blind, None, &sink_cause("pager")));
    assert_ne!(one.fingerprint, blind_sink("mail", 0, "", 1).fingerprint);
}
