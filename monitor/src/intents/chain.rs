//! The hash of what never changes in a row, and the chain of these hashes.

use sha2::{Digest as _, Sha256};
use store::{IntentSeen, LedgerRow};

/// Over what never changes in a row from its intent on. Each field goes in with its length, so that no two rows are one.
pub fn row_hash(row: &LedgerRow) -> [u8; 32] {
    let mut hash = Sha256::new();
    let name = &row.image.name;
    let fields = [
        row.id.to_string(),
        name.registry.to_string(),
        name.repository.to_string(),
        row.image.digest.to_string(),
        row.identity.clone(),
        row.identity_name.clone(),
        row.format.to_string(),
        row.log_origin.clone(),
        row.trust_zone.clone(),
        row.class.to_string(),
        row.intended_at.to_string(),
        hex::encode(&row.public_key_spki),
    ];
    // A first attempt hashes as it did before rows had attempts.
    let attempt = (row.attempt != 1).then(|| row.attempt.to_string());
    for field in fields.into_iter().chain(attempt) {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    hash.finalize().into()
}

/// Over what a row's signature is from the moment on that it is recorded. `None`: the row has none.
pub fn signature_hash(row: &LedgerRow) -> Option<[u8; 32]> {
    let recorded = row.signature.as_ref()?;
    let mut hash = Sha256::new();
    let at = recorded.at.to_string();
    for field in [&recorded.signature[..], &recorded.signed_digest, &recorded.payload, at.as_bytes()] {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    Some(hash.finalize().into())
}

/// Whether a row's signature says that it is older than the last look that did not have it.
pub(super) fn is_signed_back(row: &LedgerRow, missing_at: i64, tolerance_ms: i64) -> bool {
    row.signature.as_ref().is_some_and(|recorded| recorded.at.saturating_add(tolerance_ms) < missing_at)
}

/// The chain's hash with one more row.
pub(super) fn link(before: [u8; 32], row_hash: [u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(before).chain_update(row_hash).finalize().into()
}

/// The rows as links behind the chain that ends with `after`. `looked_at`: when the whole ledger was last looked at;
/// rows that say they are older than that, by more than the tolerance, are dated back. `seen_at` goes into each.
pub fn appended(
    after: Option<[u8; 32]>,
    rows: &[LedgerRow],
    looked_at: Option<i64>,
    tolerance_ms: i64,
    seen_at: i64,
) -> Vec<IntentSeen> {
    let mut end = after.unwrap_or_default();
    let linked = |row: &LedgerRow| {
        let row_hash = row_hash(row);
        let signature_hash = signature_hash(row);
        let missing_at = looked_at.unwrap_or_default();
        end = link(end, row_hash);
        IntentSeen {
            signature_id: row.id,
            row_hash,
            chain_hash: end,
            intended_at: row.intended_at,
            seen_at,
            backdated: !super::was_there(row, None, looked_at, tolerance_ms),
            accepted: false,
            signature_hash,
            signature_seen_at: Some(if signature_hash.is_some() { missing_at } else { seen_at }),
            signature_backdated: is_signed_back(row, missing_at, tolerance_ms),
        }
    };
    rows.iter().map(linked).collect()
}
