//! What was proved is found again in the shard that has it, and is nothing else.

use sandbox::{LogOptions, RekorV1Options, SandboxLog, SandboxRekorV1, leaves};

use super::*;
use crate::config::Limits;

fn lost(origin: &str, log_index: u64, leaf: &[u8]) -> LostEntry {
    let leaf_hash = *tlog::leaf_hash(leaf).as_bytes();
    LostEntry { signature_id: 7, log_origin: origin.to_owned(), log_index, leaf_hash }
}

async fn logs(material: &[LogSpec]) -> Logs {
    Logs::of(&Readers::new(Limits::default()), material, &[]).await
}

fn v1(log: &SandboxRekorV1, origin: &str) -> LogSpec {
    let read_url = log.url().parse().unwrap();
    LogSpec { requests_per_second: Some(1_000), ..LogSpec::new(origin, LogKind::RekorV1, read_url, log.key().clone()) }
}

#[tokio::test]
async fn an_entry_of_rekor_v1_is_found_in_its_shard_by_the_name_and_the_index_that_the_ledger_has() {
    let log = SandboxRekorV1::start(RekorV1Options::default()).await.unwrap();
    log.extend((0..7).map(leaves::leaf_v1));
    log.rotate(Vec::<Vec<u8>>::new()).unwrap();
    log.extend((10..14).map(leaves::leaf_v1));
    // A server that is known by its URL alone signs under another name.
    let host = v1(&log, "").read_url.host_str().unwrap().to_owned();
    for name in [log.hostname().to_owned(), host] {
        let mut logs = logs(&[v1(&log, &name)]).await;
        for index in 0..11 {
            let own = lost(&name, index, &log.entry(index).unwrap());
            let [found] = &logs.signatures(&own).await.unwrap()[..] else { panic!("{index}") };
            assert_eq!((&*found.log_origin, found.log_index), (&*name, index));
        }
        // Two leaves, two signatures.
        let one = logs.signatures(&lost(&name, 2, &log.entry(2).unwrap())).await.unwrap();
        let other = logs.signatures(&lost(&name, 8, &log.entry(8).unwrap())).await.unwrap();
        assert_ne!(one[0].signature_hash, other[0].signature_hash);
        // The position in a shard is not the index: what is there by the former is another leaf.
        let refused = logs.signatures(&lost(&name, 1, &log.entry(8).unwrap())).await.unwrap_err();
        assert!(refused.contains("another leaf"), "{refused}");
        // It was not there when this was asked first.
        log.extend([leaves::leaf_v1(20)]);
        let newest = log.size() - 1;
        assert_eq!(logs.signatures(&lost(&name, newest, &log.entry(newest).unwrap())).await.unwrap().len(), 1);
        let refused = logs.signatures(&lost(&name, 99, b"x")).await.unwrap_err();
        assert!(refused.contains("92"), "the position in the newest shard: {refused}");
    }
    let refused = logs(&[v1(&log, log.hostname())]).await.signatures(&lost("elsewhere", 1, b"x")).await.unwrap_err();
    assert_eq!(refused, "the configuration names no such log");
}

#[tokio::test]
async fn an_entry_of_a_log_without_shards_is_found_by_its_index() {
    let log = SandboxLog::start(LogOptions::default()).await.unwrap();
    log.extend((0..300).map(leaves::key_leaf));
    let url = log.read_url().parse().unwrap();
    let mut logs = logs(&[LogSpec::new(log.origin(), LogKind::RekorV2, url, log.key().clone())]).await;
    for index in [0, 299] {
        let own = lost(log.origin(), index, &log.entry(index).unwrap());
        assert_eq!(logs.signatures(&own).await.unwrap().len(), 1);
    }
    assert!(logs.signatures(&lost(log.origin(), 1, b"another")).await.is_err());
}

#[tokio::test]
async fn a_server_that_does_not_list_its_shards_says_so() {
    let log = SandboxRekorV1::start(RekorV1Options::default()).await.unwrap();
    let spec = v1(&log, log.hostname());
    log.shutdown();
    let name = log.hostname().to_owned();
    let refused = logs(&[spec]).await.signatures(&lost(&name, 0, b"x")).await.unwrap_err();
    assert!(!refused.contains("names no such log"), "{refused}");
}
