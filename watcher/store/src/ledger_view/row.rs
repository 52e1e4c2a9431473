//! Rows as the view reads them.

use bundle::{Digest, ImageName, ImageReference};

use super::{LedgerDigest, LedgerEntryRow, LedgerKeyRow, LedgerPage};
use crate::LedgerRow;
use crate::column::{converted, from_row, hash, parsed};

from_row!(LedgerKeyRow, |row| Ok(Self {
    spki: row.try_get("public_key_spki")?,
    identity: row.try_get("identity")?,
    first_at: row.try_get("first_at")?,
}));

from_row!(LedgerEntryRow, |row| {
    let name = ImageName {
        registry: parsed("registry", row.try_get("registry")?)?,
        repository: parsed("repository", row.try_get("repository")?)?,
    };
    Ok(Self {
        signature_id: row.try_get("signature_id")?,
        log_origin: row.try_get("log_origin")?,
        log_index: converted("log_index", row.try_get::<i64, _>("log_index")?)?,
        leaf_hash: hash("leaf_hash", &row.try_get::<Vec<u8>, _>("leaf_hash")?)?,
        entry_json: row.try_get("entry_json")?,
        recorded_at: row.try_get("recorded_at")?,
        image: ImageReference { name, digest: parsed("digest", row.try_get("digest")?)? },
        identity: row.try_get("identity")?,
        format: parsed("format", row.try_get("format")?)?,
        class: parsed("class", row.try_get("class")?)?,
    })
});

from_row!(LedgerDigest, |row| Ok(Self {
    id: row.try_get("id")?,
    signed_digest: row.try_get("signed_digest")?,
    payload_sha256: *Digest::of(&row.try_get::<Vec<u8>, _>("payload")?).as_bytes(),
}));

/// Reads each row by itself.
pub(crate) fn page<'r, R>(rows: &'r [R]) -> LedgerPage
where
    R: sqlx::Row,
    LedgerRow: sqlx::FromRow<'r, R>,
    for<'c> &'c str: sqlx::ColumnIndex<R>,
    i64: sqlx::Type<R::Database> + sqlx::Decode<'r, R::Database>,
{
    let mut page = LedgerPage::default();
    for row in rows {
        let id = row.try_get("id").ok();
        page.last_id = id.or(page.last_id);
        match <LedgerRow as sqlx::FromRow<'r, R>>::from_row(row) {
            Ok(row) => page.rows.push(row),
            Err(error) => page.unreadable.push((id.unwrap_or_default(), error.to_string())),
        }
    }
    page
}
