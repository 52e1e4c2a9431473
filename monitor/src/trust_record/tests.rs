//! The record survives what the database does not.

use super::*;

fn log(verified: u64, head: u64) -> FollowedLog {
    FollowedLog {
        origin: "log.test".into(),
        kind: "rekor_v2".into(),
        key_id: [7; 32],
        public_key: vec![1],
        coverage: "exhaustive".into(),
        first_size: 0,
        trusted_at: 1_000,
        because: "test".into(),
        head: Some(store::Head { size: head, root: [head as u8; 32], note: Vec::new(), seen_at: 0 }),
        verified_size: verified,
        verified_root: [verified as u8; 32],
        range: Vec::new(),
        verified_at: None,
        read_size: verified,
        frozen_at: None,
        holder: None,
        lease_expires_at: None,
    }
}

#[test]
fn a_database_that_is_gone_or_went_back_is_lost_state() {
    let recorded = TrustedLog::of(&log(10, 12));
    for (stored, is_lost) in [
        (None, true),
        (Some(log(10, 12)), false),
        (Some(log(11, 12)), false),
        (Some(log(20, 30)), false),
        (Some(log(9, 12)), true),
        (Some(log(10, 11)), true),
        (Some(log(0, 0)), true),
        (Some(FollowedLog { verified_root: [0; 32], ..log(10, 12) }), true),
        (Some(FollowedLog { head: None, ..log(12, 12) }), false),
        (Some(FollowedLog { head: None, ..log(11, 12) }), true),
    ] {
        assert_eq!(lost(&recorded, stored.as_ref()).is_some(), is_lost, "{stored:?}");
    }
}

#[tokio::test]
async fn what_was_recorded_is_read_again_and_never_goes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("trusted");
    let record = TrustRecord::open(&path).expect("a new record");
    assert_eq!(record.logs().len(), 0);
    record.record(TrustedLog::of(&log(10, 12))).await.expect("recorded");
    record.record(TrustedLog::of(&log(4, 5))).await.expect("recorded");
    // Positions of one act of trust only grow, each by itself.
    record.record(TrustedLog::of(&log(11, 11))).await.expect("recorded");
    let read = TrustRecord::open(&path).expect("the record").logs();
    assert_eq!((read["log.test"].verified_size, read["log.test"].head_size), (11, 12));
    // A later act of trust begins anew.
    let again = FollowedLog { trusted_at: 2_000, ..log(0, 0) };
    record.record(TrustedLog::of(&again)).await.expect("recorded");
    assert_eq!(TrustRecord::open(&path).expect("the record").logs()["log.test"].verified_size, 0);
}

#[tokio::test]
async fn two_processes_do_not_forget_each_others_logs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("trusted");
    let (one, two) = (TrustRecord::open(&path).expect("one"), TrustRecord::open(&path).expect("two"));
    one.record(TrustedLog::of(&log(10, 10))).await.expect("recorded");
    two.record(TrustedLog::of(&FollowedLog { origin: "other.test".into(), ..log(3, 3) })).await.expect("recorded");
    two.record(TrustedLog::of(&log(4, 4))).await.expect("recorded");
    let read = TrustRecord::open(&path).expect("the record").logs();
    assert_eq!((read["log.test"].verified_size, read["other.test"].verified_size), (10, 3));
}

#[test]
fn a_torn_or_foreign_line_is_an_error_that_says_where_never_an_empty_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("trusted");
    let whole = serde_json::to_string(&TrustedLog::of(&log(1, 1))).expect("json");
    fs::write(&path, format!("{whole}\n{{\"origin\":")).expect("written");
    let error = TrustRecord::open(&path).expect_err("a torn line").to_string();
    assert!(error.contains("line 2") && error.contains("logs trust"), "{error}");
}
