//! New, dated back, changed and vanished rows of a ledger.

use store::{FindingFilter, FindingKind, FindingRow, IntentSeen};

use super::*;
use crate::reconcile::tests::ground::{Ground, NOW};
use crate::reconcile::tests::leaves::Key;
use crate::reconcile::tests::scene::row;

const TOLERANCE: i64 = 300_000;

fn seen(row: &store::LedgerRow, seen_at: i64, backdated: bool) -> IntentSeen {
    IntentSeen {
        signature_id: row.id,
        row_hash: row_hash(row),
        chain_hash: [0; 32],
        intended_at: row.intended_at,
        seen_at,
        backdated,
        accepted: false,
        signature_hash: signature_hash(row),
        signature_seen_at: Some(0),
        signature_backdated: false,
    }
}

#[test]
fn a_row_was_there_if_it_was_seen_in_time_or_could_have_been() {
    let mut row = row(1, &Key::new(), b"payload", b"message");
    row.intended_at = 1_000_000;
    let mut other = row.clone();
    other.trust_zone = "elsewhere".to_owned();
    for (name, seen, looked_at, expected) in [
        ("nobody has ever looked", None, None, true),
        ("intended after the last look", None, Some(900_000), true),
        ("within the tolerance", None, Some(1_300_000), true),
        ("it should have been there", None, Some(1_300_001), false),
        ("it was seen", Some(seen(&row, 1_000_100, false)), Some(9_000_000), true),
        ("it was seen, too late", Some(seen(&row, 1_000_100, true)), Some(9_000_000), false),
        ("another row had the id, and this one is newer", Some(seen(&other, 1_200_000, false)), Some(9_000_000), true),
        ("another row had the id, and this one is not", Some(seen(&other, 1_400_000, false)), Some(9_000_000), false),
    ] {
        assert_eq!(was_there(&row, seen.as_ref(), looked_at, TOLERANCE), expected, "{name}");
    }
}

#[test]
fn a_row_is_before_a_leaf_by_its_intent_and_its_signature() {
    let mut row = row(1, &Key::new(), b"payload", b"message");
    (row.intended_at, row.signature.as_mut().unwrap().at) = (1_000, 2_000);
    assert!(is_before(&row, 2_000, 0) && is_before(&row, 1_990, 10) && !is_before(&row, 1_989, 10));
    row.signature = None;
    assert!(is_before(&row, 1_000, 0) && !is_before(&row, 999, 0));
}

#[test]
fn every_field_of_an_intent_is_in_its_hash_and_what_comes_later_is_not() {
    let row = row(1, &Key::new(), b"payload", b"message");
    let changes: [fn(&mut store::LedgerRow); 10] = [
        |row| row.id = 2,
        |row| row.image = crate::reconcile::tests::scene::image(b"other"),
        |row| row.identity.push('0'),
        |row| row.identity_name.push('0'),
        |row| row.public_key_spki.push(0),
        |row| row.format = bundle::Format::Legacy,
        |row| row.log_origin.push('0'),
        |row| row.trust_zone.push('0'),
        |row| row.intended_at += 1,
        |row| row.attempt = 2,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = row.clone();
        change(&mut changed);
        assert_ne!(row_hash(&changed), row_hash(&row), "{number}");
    }
    let mut filled = row.clone();
    (filled.signature, filled.attached_at, filled.adopted) = (None, Some(9), true);
    assert_eq!(row_hash(&filled), row_hash(&row));
    // No two rows are one by moving a letter from one field to the next.
    let (mut one, mut two) = (row.clone(), row.clone());
    (one.log_origin, one.trust_zone) = ("ab".to_owned(), "c".to_owned());
    (two.log_origin, two.trust_zone) = ("a".to_owned(), "bc".to_owned());
    assert_ne!(row_hash(&one), row_hash(&two));
}

#[test]
fn the_chain_depends_on_each_row_and_on_their_order() {
    let key = Key::new();
    let (one, two) = (row(1, &key, b"1", b"1"), row(2, &key, b"2", b"2"));
    let end = |rows: &[store::LedgerRow]| appended(None, rows, None, TOLERANCE, 5).last().unwrap().chain_hash;
    let both = end(&[one.clone(), two.clone()]);
    assert_ne!(both, end(&[two.clone(), one.clone()]));
    assert_ne!(both, end(std::slice::from_ref(&two)));
    let first = appended(None, std::slice::from_ref(&one), None, TOLERANCE, 5);
    assert_eq!(appended(Some(first[0].chain_hash), &[two], None, TOLERANCE, 6)[0].chain_hash, both);
}

async fn findings(ground: &Ground) -> Vec<FindingRow> {
    ground.store.findings(&FindingFilter::default()).await.unwrap()
}

#[tokio::test]
async fn the_first_look_takes_the_ledger_as_it_is() {
    let ground = Ground::new().await;
    for number in 0..1_500 {
        ground.signed(number, b"x", NOW - 100_000_000 + 1_000 * i64::try_from(number).unwrap()).await;
    }
    let looked = ground.side.look_at_intents(NOW).await.unwrap();
    assert_eq!((looked.new, looked.backdated, looked.vanished, looked.changed), (1_500, 0, 0, 0));
    assert_eq!(ground.side.look_at_intents(NOW + 1).await.unwrap(), Looked::default());
    assert!(findings(&ground).await.is_empty());
}

#[tokio::test]
async fn rows_that_come_while_no_monitor_runs_are_not_dated_back() {
    let mut ground = Ground::new().await;
    ground.signed(1, b"x", NOW - 1_000).await;
    ground.side.look_at_intents(NOW).await.unwrap();
    ground.signed(2, b"y", NOW + 3_600_000).await;
    ground.restart();
    let looked = ground.side.look_at_intents(NOW + 90_000_000).await.unwrap();
    assert_eq!((looked.new, looked.backdated), (1, 0));
}

#[tokio::test]
async fn rows_that_are_dated_back_are_one_finding() {
    let ground = Ground::new().await;
    ground.signed(1, b"x", NOW - 1_000).await;
    ground.side.look_at_intents(NOW).await.unwrap();
    ground.side.look_at_intents(NOW + 3_600_000).await.unwrap();
    for number in 2..5 {
        ground.signed(number, b"y", NOW + 60_000).await;
    }
    let looked = ground.side.look_at_intents(NOW + 3_610_000).await.unwrap();
    assert_eq!((looked.new, looked.backdated), (3, 3));
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert_eq!((finding.kind, finding.occurrences), (FindingKind::StateLost, 3));
    let evidence = ground.store.evidence(finding.id).await.unwrap();
    assert!(crate::evidence::verify(evidence[0].evidence.as_deref().unwrap()).unwrap().holds);
}

#[tokio::test]
async fn a_ledger_that_went_back_in_time_is_one_finding_with_its_window() {
    let ground = Ground::new().await;
    for number in 0..10 {
        ground.signed(number, b"x", NOW - 10_000 + i64::try_from(number).unwrap()).await;
    }
    // What the monitor saw of rows that a backup does not have.
    let end = {
        ground.side.look_at_intents(NOW).await.unwrap();
        ground.store.last_intent_seen().await.unwrap().unwrap()
    };
    let gone: Vec<_> = (11..=13).map(|id| row(id, &ground.key, &[u8::try_from(id).unwrap()], b"m")).collect();
    let links = appended(Some(end.chain_hash), &gone, None, TOLERANCE, NOW + 5);
    assert!(ground.store.record_intents_seen(Some(end.chain_hash), &links).await.unwrap());
    let looked = ground.side.look_at_intents(NOW + 10).await.unwrap();
    assert_eq!(looked.vanished, 3);
    // The ids are given again: still one finding, and the new rows are not dated back.
    ground.signed(100, b"new", NOW + 1_000).await;
    let looked = ground.side.look_at_intents(NOW + 2_000).await.unwrap();
    assert_eq!((looked.vanished, looked.changed, looked.backdated), (2, 1, 0));
    let found = findings(&ground).await;
    let vanished: Vec<_> = found.iter().filter(|finding| finding.fingerprint.contains("vanished")).collect();
    let [finding] = vanished[..] else { panic!("{found:?}") };
    assert!(finding.detail.contains("3 rows"), "{}", finding.detail);
    assert_eq!((finding.kind, finding.occurrences), (FindingKind::StateLost, 1));
}

#[tokio::test]
async fn a_row_that_changed_is_found_by_the_walk() {
    let ground = Ground::new().await;
    ground.signed(1, b"x", NOW - 1_000).await;
    // It was another row when it was seen.
    let other = row(1, &ground.key, b"other", b"m");
    let links = appended(None, &[other], None, TOLERANCE, NOW);
    assert!(ground.store.record_intents_seen(None, &links).await.unwrap());
    let looked = ground.side.look_at_intents(NOW + 10).await.unwrap();
    assert_eq!(looked.changed, 1);
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert!(finding.detail.contains("another one than"), "{}", finding.detail);
}

#[tokio::test]
async fn a_signature_that_is_put_into_an_old_row_is_told_of() {
    for restarted in [false, true] {
        let mut ground = Ground::new().await;
        let parked = ground.intended(1, NOW - 3_600_000).await;
        ground.signed(2, b"y", NOW + 3_000_000).await;
        ground.side.look_at_intents(NOW).await.unwrap();
        assert_eq!(ground.side.look_at_intents(NOW + 3_600_000).await.unwrap(), Looked::default());
        ground.signed(3, b"z", NOW + 3_600_000).await;
        ground.side.look_at_intents(NOW + 3_600_001).await.unwrap();
        if restarted {
            ground.restart();
        }
        ground.sign_row(parked, b"p", b"rogue", &ground.key.sign(b"rogue"), NOW - 3_599_000).await;
        let looked = ground.side.look_at_intents(NOW + 3_610_000).await.unwrap();
        assert_eq!((looked.new, looked.backdated), (0, 1), "{restarted}");
        assert_eq!(ground.side.look_at_intents(NOW + 3_620_000).await.unwrap(), Looked::default());
        let [finding] = &findings(&ground).await[..] else { panic!() };
        assert!(finding.detail.contains("put into an old row"), "{}", finding.detail);
        let evidence = ground.store.evidence(finding.id).await.unwrap();
        assert_eq!(evidence[0].occurrence, format!("signature {parked}"));
    }
}

#[tokio::test]
async fn a_row_that_is_signed_in_time_is_not_dated_back() {
    let mut ground = Ground::new().await;
    let row = ground.intended(1, NOW).await;
    ground.side.look_at_intents(NOW + 1).await.unwrap();
    ground.restart();
    ground.sign_row(row, b"p", b"m", &ground.key.sign(b"m"), NOW + 900_000).await;
    assert_eq!(ground.side.look_at_intents(NOW + 900_001).await.unwrap(), Looked::default());
    let seen = ground.store.intents_seen(&[row]).await.unwrap().remove(0);
    assert!(seen.signature_hash.is_some() && !seen.signature_backdated, "{seen:?}");
    assert_eq!(seen.signature_seen_at, Some(NOW + 1));
}

#[tokio::test]
async fn signatures_that_a_version_before_did_not_look_at_are_taken_as_they_are() {
    let ground = Ground::new().await;
    ground.signed(1, b"x", NOW - 9_000_000).await;
    ground.intended(2, NOW - 9_000_000).await;
    let rows = ground.store.ledger_rows_after(0, 10).await.unwrap().rows;
    let old = |link: IntentSeen| IntentSeen { signature_hash: None, signature_seen_at: None, ..link };
    let links: Vec<_> = appended(None, &rows, None, TOLERANCE, NOW).into_iter().map(old).collect();
    assert!(ground.store.record_intents_seen(None, &links).await.unwrap());
    assert_eq!(ground.side.look_at_intents(NOW + 1).await.unwrap(), Looked::default());
    let mut seen = ground.store.intents_seen(&[rows[0].id, rows[1].id]).await.unwrap();
    seen.sort_by_key(|seen| seen.signature_id);
    assert_eq!((seen[0].signature_hash, seen[0].signature_seen_at), (signature_hash(&rows[0]), Some(0)));
    assert_eq!((seen[1].signature_hash, seen[1].signature_seen_at), (None, Some(NOW + 1)));
}

#[test]
fn unsigned_rows_have_their_turn() {
    let mut looks = Looks::default();
    looks.unsigned = (1..=9).map(|id| (id, 0)).collect();
    assert_eq!(looks.next_unsigned(7, 3), [1, 2, 3]);
    assert_eq!(looks.next_unsigned(7, 3), [4, 5, 6]);
    assert_eq!(looks.next_unsigned(7, 3), [7, 1, 2]);
    assert_eq!(looks.next_unsigned(7, 99), [3, 4, 5, 6, 7, 1, 2]);
    assert!(looks.next_unsigned(0, 3).is_empty());
}

#[tokio::test]
async fn two_monitors_share_one_chain() {
    let ground = Ground::new().await;
    let mut other = Ground::new().await;
    other.store = std::sync::Arc::clone(&ground.store);
    other.restart();
    for number in 0..20 {
        ground.signed(number, b"x", NOW).await;
        let (one, two) = tokio::join!(ground.side.look_at_intents(NOW + 1), other.side.look_at_intents(NOW + 1));
        assert!(one.is_ok() && two.is_ok());
    }
    let ids: Vec<i64> = (1..=20).collect();
    assert_eq!(ground.store.intents_seen(&ids).await.unwrap().len(), 20);
    assert!(findings(&ground).await.is_empty());
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_told_of_once_by_its_id() {
    let ground = Ground::new().await;
    let page = store::LedgerPage { unreadable: vec![(7, "no such class".to_owned())], ..store::LedgerPage::default() };
    let told = ground.side.unreadable_rows(&page, NOW);
    let [finding] = &told[..] else { panic!("{told:?}") };
    assert_eq!((finding.kind, finding.occurrence.as_str()), (FindingKind::StateLost, "7"));
    assert!(finding.detail.contains("Row 7") && finding.detail.contains("no such class"), "{}", finding.detail);
    assert!(ground.side.unreadable_rows(&page, NOW + 1).is_empty());
}
