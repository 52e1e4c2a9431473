//! What trusted logs have signed of what is attached to an image, whoever attached it: kept in the store, so that a monitor
//! holds it against the trees that it follows.

use bundle::legacy::LegacySignature;
use bundle::sigstore_bundle::Bundle;
use bundle::trust_root::TrustRoot;
use bundle::verify::verify_entry;
use bundle::{EntryBody, LogEntry};
use store::{NewObservation, Store, StoreError};

use crate::clock::now_ms;

/// The log entries of a bundle, whoever signed it.
pub fn entries_of(json: &[u8]) -> Vec<LogEntry> {
    Bundle::parse(json).map_or_else(|_| Vec::new(), |bundle| bundle.entries)
}

/// The log entry that a legacy signature promises, whoever signed it.
pub fn promised_entry(signature: &LegacySignature) -> Option<LogEntry> {
    let promise = signature.rekor_bundle().ok()??;
    let body = EntryBody::parse(&promise.body).ok()?;
    let (kind, version) = body.kind_version();
    Some(LogEntry {
        log_index: promise.log_index,
        log_id: promise.log_id,
        kind: kind.to_owned(),
        version: version.to_owned(),
        integrated_time: Some(promise.integrated_time),
        set: Some(promise.set),
        proof: None,
        body: promise.body,
    })
}

/// Stores the entries that a log of this trust root vouches for; anybody can attach anything else. `source` says who met
/// them: `worker` or `verify`. Answers how many there were.
pub async fn record(
    store: &dyn Store,
    source: &str,
    image: &str,
    trust: &TrustRoot,
    entries: impl Iterator<Item = LogEntry> + Send,
) -> Result<u64, StoreError> {
    let mut recorded = 0;
    for entry in entries.filter(|entry| verify_entry(entry, trust).is_ok()) {
        let observation = NewObservation {
            source: source.to_owned(),
            log_id: entry.log_id,
            entry_json: entry.to_json(),
            image: Some(image.to_owned()),
            at: now_ms(),
        };
        store.record_observation(&observation).await?;
        recorded += 1;
    }
    Ok(recorded)
}
